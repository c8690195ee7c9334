"""How much faster several processes are: one training shared by them, and trainings side by side, in one run.

    python benchmarks/scaling.py                # adds "scaling" to benchmarks/results.json

Shared: torchrun starts 1, 2 and 4 processes, each with one thread and a share of every batch. What a step consists of
is measured apart: computing on such a share alone, Muon, adding up the gradients, and adding up a few numbers as each
BatchNorm does. Side by side: the same trainings through `gradcam-report sweep` with 1, 2 and 4 workers.
More processes than cores are in it on purpose. No data set is needed: the images are synthetic.
"""

import argparse
import json
import os
import shutil
import sys
from typing import Any

import torch
from common import Work, add, arguments, begin, build_trainer, output, settings, spread, start, synthetic, timed

from gradcam_report.config import project_root
from gradcam_report.training.device import resolve
from gradcam_report.training.distributed import SINGLE_PROCESS, ProcessGroup, process_group

SWEEP = "runs/scaling"


def worker(args: argparse.Namespace) -> None:
    """Time the parts of a step in each process of torchrun; the main one prints seconds, without the first ones.

    All processes compute at the same time, as in a shared step: cores and memory are shared too.
    """
    device = resolve(args.device, "auto")

    def repeated(work: Work) -> list[float]:
        return [timed(device.torch_device, work) for _ in range(args.repeats + 1)][1:]

    def step(images: int, group: ProcessGroup) -> list[float]:
        trainer = build_trainer(synthetic(images), images, device, group)
        batches = list(trainer.batches())
        return repeated(lambda: trainer.train_epoch(batches))

    with process_group(args.device) as group:
        trainer = build_trainer(synthetic(args.batch), args.batch, device)
        for p in trainer.net.parameters():
            p.grad = torch.randn_like(p)
        weights, few = (
            torch.zeros(count, device=device.torch_device)
            for count in (sum(p.numel() for p in trainer.net.parameters()), 64)
        )
        results = {
            "step": step(args.batch, group),
            "gradients": repeated(lambda: group.sum(weights)),
            "few": repeated(lambda: group.sum(few)),
            "part": step(args.batch // group.size, SINGLE_PROCESS),
            "muon": repeated(trainer.optimizer.step),
        }
        if group.is_main_process:
            print(json.dumps(results))


def shared(size: int, args: argparse.Namespace) -> dict[str, Any]:
    """The measurements of so many processes, see `worker`."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size), __file__, "--worker"]
    own = ["--batch", str(args.batch), "--repeats", str(args.repeats), "--device", args.device]
    printed = output(sys.executable, *launcher, *own, OMP_NUM_THREADS="1")
    return {name: spread(values) for name, values in json.loads(printed.splitlines()[-1]).items()}


def side_by_side(workers: int, args: argparse.Namespace) -> float:
    """Seconds of a sweep of `args.points` small trainings with so many at once, each with one thread."""
    shutil.rmtree(project_root() / SWEEP, ignore_errors=True)
    recipe = f"dataset=shapes train_size={args.images} val_size=100 test_size=100 batch_size=50 epochs=1"
    pairs = [*recipe.split(), "optimizer=sgd", "max_lr=0.05", f"seed=0..{args.points - 1}"]
    options = [*(word for pair in pairs for word in ("-p", pair)), "--workers", str(workers), "--cpus", "1"]
    command = [sys.executable, "-m", "gradcam_report", "sweep", "training", *options, "--out", SWEEP]
    seconds = timed(torch.device("cpu"), lambda: output(*command))
    shutil.rmtree(project_root() / SWEEP)
    return seconds


def main() -> None:
    """Measure, and add the measurements to the results."""
    parser = arguments(
        __doc__,
        batch=(128, "images, shared by the processes"),
        repeats=(5, "steps of each number of processes"),
        points=(4, "trainings of the sweep"),
        images=(1000, "of each of these trainings"),
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4], help="processes or workers")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args)
        return
    finish = begin(args.out)
    if args.device == "auto" and not torch.cuda.is_available():
        args.device = "cpu"  # also beside an Apple GPU, which processes cannot share
    if resolve(args.device).torch_device.type == "cuda":
        args.sizes = [size for size in args.sizes if size <= torch.cuda.device_count()]
    results: dict[str, Any] = {"shared": {}, "side_by_side": {}, "settings": settings(args) | {"cores": os.cpu_count()}}
    for size in map(str, args.sizes):
        results["shared"][size] = shared(int(size), args)
        results["side_by_side"][size] = side_by_side(int(size), args)
        print(f"{size}: {results['shared'][size]['step']['median']:.2f} s a step, ", end="")
        print(f"{results['side_by_side'][size]:.0f} s for {args.points} trainings", flush=True)
    results["provenance"] = finish(resolve(args.device, "auto"), "synthetic images")
    add(args.out, scaling=results)


if __name__ == "__main__":
    start("scaling", main)
