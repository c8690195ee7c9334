"""Which device and precision are taken on machines that this one is not, and what is said when one is missing."""

from pathlib import Path

import pytest
import torch

from gradcam_report.config import ReportError
from gradcam_report.training import device as devices


def machine(monkeypatch: pytest.MonkeyPatch, cuda: bool = False, mps: bool = False, bf16: bool = False) -> None:
    """Pretend to be a machine with these."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or bf16)
    flags = "flags : fpu avx512_bf16" if bf16 else "flags : fpu avx2"
    monkeypatch.setattr(Path, "read_text", lambda self, **kwargs: flags)


@pytest.mark.parametrize(
    ("has", "device", "precision"),
    [
        ({}, "cpu", "fp32"),
        ({"bf16": True}, "cpu", "bf16"),
        ({"mps": True, "bf16": True}, "mps", "fp32"),
        ({"cuda": True, "bf16": True}, "cuda", "bf16"),
        ({"cuda": True}, "cuda", "fp32"),  # emulated there, as on a T4
        ({"cuda": True, "mps": True, "bf16": True}, "cuda", "bf16"),
    ],
)
def test_auto_takes_the_fastest_there_is(monkeypatch, has: dict[str, bool], device: str, precision: str) -> None:
    machine(monkeypatch, **has)
    assert devices.resolve("auto", "auto") == devices.Device(torch.device(device), precision)
    assert devices.resolve("auto", "fp32").precision == "fp32"
    assert devices.resolve("auto", "bf16").precision == "bf16"
    assert devices.resolve("cpu", "fp32") == devices.Device(torch.device("cpu"), "fp32")


@pytest.mark.parametrize(
    ("has", "device", "there"),
    [
        ({}, "cuda", "choose auto or cpu."),
        ({}, "mps", "choose auto or cpu."),
        ({"mps": True}, "cuda", "auto or mps, cpu."),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, has: dict[str, bool], device: str, there: str) -> None:
    machine(monkeypatch, **has)
    with pytest.raises(ReportError) as caught:
        devices.resolve(device, "auto")
    assert f"device is '{device}'" in str(caught.value)
    assert str(caught.value).endswith(there)


def test_description_names_threads_processor_and_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cpu_name", lambda: "Abacus 3000")
    for count, threads in ((1, "1 CPU thread"), (2, "2 CPU threads")):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        words = devices.Device(torch.device("cpu"), "bf16").describe()
        assert words == f"{threads} of Abacus 3000, bf16"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Big GPU")
    assert devices.Device(torch.device("cuda"), "bf16").describe() == "Big GPU, bf16"


def test_processor_is_read_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def has(flag: str) -> None:
        text = f"processor\t: 0\nmodel name\t: Intel(R) Abacus(TM) 3000\nflags\t\t: fpu {flag} avx512f\n"
        monkeypatch.setattr(Path, "read_text", lambda self, **kwargs: text)

    for flag, there in {"amx_bf16": True, "avx512_bf16": True, "avx512_vnni": False}.items():
        has(flag)
        assert devices.cpu_name() == "Intel Abacus 3000"
        assert devices.has_fast_bf16("cpu") == there

    def absent(self, **kwargs):
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", absent)
    assert devices.cpu_name()
    assert not devices.has_fast_bf16("cpu")


def test_want_of_memory_ends_in_advice_and_other_errors_stay_what_they_are() -> None:
    cpu = (
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
    )
    for error in (torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(cpu)):
        advice = "batch_size of 500; take less, as in -p batch_size 250"
        with pytest.raises(ReportError, match=advice), devices.out_of_memory_advice(500):
            raise error
    with pytest.raises(RuntimeError, match="shapes"), devices.out_of_memory_advice(500):
        raise RuntimeError("shapes do not fit")


def test_the_cpus_own_allocator_is_understood() -> None:
    with pytest.raises(ReportError, match="not enough memory"), devices.out_of_memory_advice(4):
        torch.empty(2**50, dtype=torch.uint8)
