"""How much faster several processes are: one training shared by them, and trainings side by side, in one run.

    python benchmarks/scaling.py                # adds "scaling" to benchmarks/results.json

Shared: torchrun starts 1, 2 and 4 processes, each with one thread and a share of every batch. What a step consists of
is measured apart: computing on such a share alone, Muon, adding up the gradients, and adding up a few numbers as each
BatchNorm does. Side by side: the same trainings through `gradcam-report sweep` with 1, 2 and 4 workers.
More processes than cores are in it on purpose. No data set is needed: the images are drawn ones.
"""

import argparse
import functools
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from common import RESULTS, add, output, results, seconds, spread, start, timed
from torch import nn

from gradcam_report import model
from gradcam_report.config import AugmentConfig, DataConfig, OptimConfig, project_root
from gradcam_report.data import augmentation, datasets
from gradcam_report.runs.provenance import current_commit, provenance
from gradcam_report.training import optimizer as optim
from gradcam_report.training.device import resolve
from gradcam_report.training.distributed import SINGLE_PROCESS, ProcessGroup, process_group
from gradcam_report.training.schedule import OneCycle
from gradcam_report.training.trainer import train_epoch

SWEEP = "runs/scaling"


def measure_step(batch: int, repeats: int, device: str, group: ProcessGroup) -> list[float]:
    """Seconds of training steps on a batch shared by the team, without the first one.

    `SINGLE_PROCESS`, a process takes no notice of others, even if they compute at the same time.
    """
    compute, config = resolve(device, "auto"), OptimConfig(batch_size=batch)
    drawn = datasets.load(DataConfig(dataset="shapes", train_size=batch, test_size=16)).to(compute.torch_device)
    net = compute.place(model.build(0))
    optimizer = optim.build_optimizer(net, config, compute, lr=1e-3)
    forward = group.wrap(net)
    found = []
    for epoch in range(repeats + 1):  # of one batch each
        (part,) = augmentation.batches(drawn.train, batch, AugmentConfig(), drawn.normalizer, 0, epoch, group.shard)
        schedule = OneCycle(1e-3, 1, 0.0)
        step = functools.partial(train_epoch, forward, optimizer, [part], schedule, compute, group=group)
        found.append(timed(compute.torch_device, step))
    return found[1:]


def measure_collectives(repeats: int, device: str, group: ProcessGroup) -> dict[str, list[float]]:
    """Seconds of adding up as many numbers as the network has weights, and of adding up 64."""
    compute = resolve(device, "auto")
    weights = sum(p.numel() for p in model.build(0).parameters())
    found: dict[str, list[float]] = {}
    for name, count in {"gradients": weights, "few": 64}.items():
        values = torch.zeros(count, device=compute.torch_device)
        seconds = [timed(compute.torch_device, functools.partial(group.sum, values)) for _ in range(repeats + 1)]
        found[name] = seconds[1:]
    return found


def measure_muon(repeats: int, device: str) -> list[float]:
    """Seconds of the optimizer's step alone, which every process makes for all weights."""
    compute = resolve(device, "auto")
    net: nn.Module = compute.place(model.build(0))
    optimizer = optim.build_optimizer(net, OptimConfig(), compute, lr=1e-3)
    for p in net.parameters():
        p.grad = torch.randn_like(p)
    return [timed(compute.torch_device, optimizer.step) for _ in range(repeats + 1)][1:]


def worker(asked: argparse.Namespace) -> None:
    """What each process of torchrun does; the first one prints the measurements."""
    with process_group(asked.device) as group:
        found = {"step": measure_step(asked.batch, asked.repeats, asked.device, group)}
        found |= measure_collectives(asked.repeats, asked.device, group)
        # All of them at the same time, as in a shared step: cores and memory are shared too.
        found["part"] = measure_step(asked.batch // group.size, asked.repeats, asked.device, SINGLE_PROCESS)
        found["muon"] = measure_muon(asked.repeats, asked.device)
        if group.is_main_process:
            print(json.dumps(found))


def shared(size: int, asked: argparse.Namespace) -> dict[str, Any]:
    """The measurements of a team of `size`, and of its parts: one share alone, and Muon."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)]
    own = ["--worker", "--batch", str(asked.batch), "--repeats", str(asked.repeats), "--device", asked.device]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = json.loads(output([sys.executable, *launcher, __file__, *own], environment).splitlines()[-1])
    return {name: spread(values) for name, values in found.items()}


def side_by_side(workers: int, asked: argparse.Namespace) -> float:
    """Seconds of a sweep of `asked.points` small trainings with so many at once."""
    folder = project_root() / SWEEP
    shutil.rmtree(folder, ignore_errors=True)
    sizes = f"dataset=shapes train_size={asked.images} val_size=100 test_size=100"
    recipe = "batch_size=50 epochs=1 optimizer=sgd max_lr=0.05"
    pairs = [word for pair in (*sizes.split(), *recipe.split(), f"seed=0..{asked.points - 1}") for word in ("-p", pair)]
    pairs += ["--workers", str(workers), "--cpus", "1"]  # one thread each, however few there are
    words = [sys.executable, "-m", "gradcam_report", "sweep", "training", *pairs, "--out", SWEEP]
    return seconds(words)


def main() -> None:
    """Measure, and add what was found to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=128, help="images, shared by the processes")
    parser.add_argument("--repeats", type=int, default=5, help="steps of each team")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4], help="processes or workers")
    parser.add_argument("--points", type=int, default=4, help="trainings of the sweep")
    parser.add_argument("--images", type=int, default=1000, help="of each of these trainings")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.worker:
        worker(asked)
        return
    results(asked.out)  # an error now, not after the measurements
    started, commit = time.perf_counter(), current_commit()
    if asked.device == "auto" and not torch.cuda.is_available():
        asked.device = "cpu"  # also beside an Apple GPU, which processes cannot share
    found: dict[str, Any] = {"shared": {}, "side_by_side": {}}
    if resolve(asked.device, "auto").torch_device.type == "cuda":
        asked.sizes = [size for size in asked.sizes if size <= torch.cuda.device_count()]
    for size in asked.sizes:
        found["shared"][str(size)] = shared(size, asked)
        found["side_by_side"][str(size)] = side_by_side(size, asked)
        print(f"{size}: {found['shared'][str(size)]['step']['median']:.2f} s a step, ", end="")
        print(f"{found['side_by_side'][str(size)]:.0f} s for {asked.points} trainings", flush=True)
    shutil.rmtree(project_root() / SWEEP, ignore_errors=True)
    found["settings"] = {k: v for k, v in vars(asked).items() if k not in ("out", "worker")} | {"cores": os.cpu_count()}
    described = resolve(asked.device, "auto").describe()
    found["provenance"] = provenance(described, "drawn", time.perf_counter() - started, commit)
    add(asked.out, scaling=found)


if __name__ == "__main__":
    start("scaling", main)
