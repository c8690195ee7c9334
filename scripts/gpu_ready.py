"""Whether this machine has all that scripts/gpu.sh needs: asked before minutes of a GPU are spent, not after.

Ends with status 1 and one sentence that says what is missing.
"""

import importlib
import shutil

MODULES = (
    "filelock", "ipykernel", "jsonschema", "matplotlib", "nbformat", "pandas", "papermill", "psutil",
    "pytorch_grad_cam", "safetensors", "scipy", "seaborn", "sklearn", "torchcam", "torchvision", "tqdm", "yaml",
    "gradcam_report",
)  # fmt: skip


def missing() -> str | None:
    """One sentence about what is missing, None where nothing is."""
    if faults := [fault for fault in map(not_imported, MODULES) if fault]:
        return f"{'; '.join(faults)}; install the report with its tests: pip install -e '.[test]'."
    import torch
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    from gradcam_report.config import DataConfig, ReportError
    from gradcam_report.data import cifar10, human_labels

    if not torch.cuda.is_available():
        return "PyTorch finds no GPU; use a machine with one, or rehearse with REHEARSE=1."
    free = shutil.disk_usage(".").free / 2**30
    if free < 3:
        return f"Only {free:.1f} GiB are free on the disk; make room for 3."
    try:
        KernelSpecManager().get_kernel_spec("python3")
        cifar10.load(DataConfig(dataset="cifar10"))
        human_labels.load()
    except NoSuchKernel:
        return "Jupyter has no kernel python3; run python -m ipykernel install --sys-prefix."
    except ReportError as error:
        return str(error)
    return not_compiled()


def not_imported(name: str) -> str:
    """Why a module cannot be imported, empty where it can."""
    try:
        importlib.import_module(name)
    except ImportError as error:
        return f"{name} cannot be imported ({error})"
    return ""


def not_compiled() -> str | None:
    """One sentence where the published recipe's step cannot be compiled, None where it was.

    What is compiled here is kept on the disk by PyTorch, so that training need not compile it again.
    """
    import torch

    from gradcam_report import model
    from gradcam_report.config import OptimConfig
    from gradcam_report.training import optimizer
    from gradcam_report.training.device import resolve

    compute, config = resolve("cuda", "auto"), OptimConfig()
    net = compute.place(model.build(0)).train()
    step = optimizer.Step(net, optimizer.build_optimizer(net, config, compute, lr=0.01), config, compute)
    images = torch.randn(config.batch_size, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    seconds = step.warm_up(images, torch.arange(config.batch_size, device="cuda") % 10)
    if not seconds:
        return "The step cannot be compiled (see above); install a C compiler and Triton, or update PyTorch."
    print(f"gpu_ready: the step was compiled in {seconds:.0f} s on {compute.describe()}")
    return None


if __name__ == "__main__":
    fault = missing()
    raise SystemExit(f"gpu_ready: {fault}" if fault else 0)
