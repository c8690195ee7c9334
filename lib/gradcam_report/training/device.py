"""What computes: a torch device and a precision, resolved once and passed explicitly; and the memory it needs."""

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from ..config import ReportError

Net = TypeVar("Net", bound=nn.Module)

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # of mallopt(3), see glibc's malloc.h


@dataclass(frozen=True)
class Device:
    """A torch device and the precision of training on it: "bf16" means autocast, the weights stay fp32."""

    torch_device: torch.device
    precision: str

    @property
    def compiles(self) -> bool:
        """Whether training is compiled there: on two CPU cores compiling gained nothing and took a minute."""
        return self.torch_device.type == "cuda"

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of matrix products in training."""
        return torch.bfloat16 if self.precision == "bf16" else torch.float32

    @property
    def exact(self) -> "Device":
        """The same torch device in fp32, as results are computed."""
        return Device(self.torch_device, "fp32")

    def place(self, net: Net) -> Net:
        """Move a network to the device, its weights in channels_last: the layout in which convolutions are fastest."""
        return net.to(device=self.torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def autocast(self) -> contextlib.AbstractContextManager[None]:
        """Context of the forward pass; without effect for fp32."""
        return torch.autocast(self.torch_device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def evaluation_precision(self) -> contextlib.AbstractContextManager[None]:
        """Context of evaluation: in fp32 without TF32, which cuDNN uses by default and which keeps 10 bits only."""
        cudnn = torch.backends.cudnn
        return cudnn.flags(enabled=cudnn.enabled, benchmark=cudnn.benchmark, allow_tf32=self.precision != "fp32")

    def describe(self) -> str:
        """Name the hardware and the precision, for provenance: "2 CPU threads of Intel Xeon, bf16"."""
        if self.torch_device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.torch_device)}, {self.precision}"
        threads = torch.get_num_threads()
        cores = f"{threads} CPU thread{'s' if threads > 1 else ''} of {cpu_name()}"
        name = "Apple GPU" if self.torch_device.type == "mps" else cores
        return f"{name}, {self.precision}"


@contextlib.contextmanager
def keep_memory() -> Iterator[None]:
    """Context in which freed memory stays with the process; at its end the memory returns to the system.

    glibc returns a block as large as a feature map to the system as soon as it is freed, and the system hands it out
    again page by page, filled with zeros. On two CPU cores that took an eighth of the time of training and more. Does
    nothing with another C library. Do not nest it: the inner end is the end of both.
    """
    libc = ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
    if libc is None:
        yield
        return
    libc.mallopt(M_MMAP_MAX, 0)
    libc.mallopt(M_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(M_MMAP_MAX, 65536)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # glibc's own values, once it has seen blocks that large
        libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)
        libc.malloc_trim(0)


@contextlib.contextmanager
def out_of_memory_advice(batch_size: int) -> Iterator[None]:
    """Turn PyTorch's out-of-memory errors into a `ReportError` that advises a smaller batch."""
    try:
        yield
    except RuntimeError as error:
        # On a CPU the allocator raises a plain RuntimeError; torch.OutOfMemoryError is one too.
        if not isinstance(error, torch.OutOfMemoryError) and "alloc" not in str(error).lower():
            raise
        raise ReportError(
            f"There is not enough memory for a batch_size of {batch_size}; take less, as in -p batch_size "
            f"{max(2, batch_size // 2)}."
        ) from None


def resolve(device: str = "auto", precision: str = "fp32") -> Device:
    """Turn "auto" into what this machine has: CUDA, then MPS, then CPU; bf16 where the hardware multiplies in it.

    Raises `ReportError` for a device that this machine does not have.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name, there in present.items() if there)
    if not present[device]:
        there = ", ".join(name for name, here in present.items() if here)
        raise ReportError(f"device is {device!r}, but PyTorch finds none on this machine; choose auto or {there}.")
    if precision == "auto":
        precision = "bf16" if has_fast_bf16(device) else "fp32"
    return Device(torch.device(device), precision)


def has_fast_bf16(device: str) -> bool:
    """Whether a device has instructions for products in bf16; where these are emulated, fp32 is faster.

    GPUs have them since NVIDIA's Ampere (a T4 has none); CPUs with AMX or AVX-512 BF16. With the latter, two cores of
    an AMD EPYC trained 1.9 times as many images a second in bf16 as in fp32 in batches of 500, 1.3 times in batches of
    32. Apple's GPUs were not measured: they train in fp32.
    """
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return False
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    except OSError:
        return False
    return not flags.isdisjoint({"amx_bf16", "avx512_bf16"})


def cpu_name() -> str:
    """The processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip().replace("(R)", "").replace("(TM)", "")
    return platform.processor() or os.uname().machine
