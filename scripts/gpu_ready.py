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
    """One sentence about the first thing that is missing, None where nothing is."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f"{name} cannot be imported ({error}); install the report with its tests: pip install -e '.[test]'."
    import torch
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    from gradcam_report import data, human
    from gradcam_report.config import DataConfig, ReportError

    if not torch.cuda.is_available():
        return "PyTorch finds no GPU; use a machine with one, or rehearse with REHEARSE=1."
    free = shutil.disk_usage(".").free / 2**30
    if free < 3:
        return f"Only {free:.1f} GiB are free on the disk; make room for 3."
    try:
        KernelSpecManager().get_kernel_spec("python3")
        data.load(DataConfig(dataset="cifar10"))
        human.load()
    except NoSuchKernel:
        return "Jupyter has no kernel python3; run python -m ipykernel install --sys-prefix."
    except ReportError as error:
        return str(error)
    try:
        doubled = torch.compile(lambda x: (2 * x).sum(), dynamic=False)(torch.ones(1000, device="cuda"))
    except Exception as error:  # whatever a compiler can raise
        return f"torch.compile does not work ({' '.join(str(error).split())[:200]}); install a C compiler and Triton."
    if doubled.item() != 2000:
        return f"torch.compile says that twice a thousand is {doubled.item():g}; update the driver or PyTorch."
    return None


if __name__ == "__main__":
    fault = missing()
    raise SystemExit(f"gpu_ready: {fault}" if fault else 0)
