"""Which GPUs are here, what becomes of one that does not work, and what it could do. No GPU is touched."""

import os
from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.launch.memory import free_bytes
from harness.launch.retry import is_retryable
from harness.train import gpus
from harness.train.device import PEAKS, choose_device, peak_of
from harness.train.driver import DriverError, ask, count_gpus, is_installed
from harness.train.gpus import DeviceError, visible_gpus
from tests.train.fake_driver import fake_driver

CUDA_COUNT = (
    "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that "
    "might have already set an error? "
)


@pytest.fixture
def undeclared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody says which GPUs to use, and /dev has none."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "_device_files", lambda: 0)
    gpus._counted.cache_clear()


@pytest.mark.parametrize(
    ("value", "names"),
    [("", ()), ("-1", ()), ("0,1", ("0", "1")), (" 4, GPU-aa", ("4", "GPU-aa")), ("2,-1,3", ("2",))],
)
def test_names_are_read_as_cuda_reads_them(
    value: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_gpus() == names


def test_the_driver_counts_where_there_are_no_device_files(
    undeclared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_driver(tmp_path, monkeypatch)
    monkeypatch.setenv("FAKE_GPUS", "2")
    assert visible_gpus() == ("0", "1")
    monkeypatch.setattr(gpus, "count_gpus", lambda: pytest.fail("asked twice"))
    assert visible_gpus() == ("0", "1")
    monkeypatch.setattr(gpus, "_device_files", lambda: 4)
    assert len(visible_gpus()) == 4


def test_without_a_driver_nobody_is_asked(undeclared: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.train.driver.LIBRARY", "libno-such-driver.so.1")
    monkeypatch.setattr("harness.train.driver.ask", lambda *_: pytest.fail("a process for nothing"))
    assert not is_installed()
    assert visible_gpus() == ()


def test_what_the_driver_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_driver(tmp_path, monkeypatch)
    monkeypatch.setenv("FAKE_GPUS", "2")
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    assert count_gpus() == 2
    assert ask("free") == [9 * 2**33, 8 * 2**33]
    assert ask("try") == []
    assert free_bytes(["0", "1"]) == 8 * 2**33
    monkeypatch.setenv("FAKE_INIT", "805")
    assert count_gpus() == 0
    assert free_bytes(["0"]) == float("inf")
    with pytest.raises(DriverError, match=r"^cuInit: MPS client failed .* \(805\)$"):
        ask("try")
    with pytest.raises(DriverError, match=r"^cuDevicePrimaryCtxRetain: no \(2\)$"):
        ask("try", {**os.environ, "FAKE_INIT": "0", "FAKE_CONTEXT": "2"})


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (
            RuntimeError(CUDA_COUNT + "Error 805: MPS client failed to connect to the MPS control daemon"),
            True,
        ),
        (RuntimeError(CUDA_COUNT + "Error 802: system not yet initialized"), True),
        (RuntimeError("No CUDA GPUs are available"), True),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."), False),
        (RuntimeError(CUDA_COUNT + "Error 804: forward compatibility was attempted"), False),
        (AssertionError("Torch not compiled with CUDA enabled"), False),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "cuda"])
def test_a_gpu_that_does_not_work_is_an_error_and_no_cpu(
    kind: str, error: Exception, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init() -> None:
        raise error

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(DeviceError, match=r"GPU 0, 1 is here.*train\.device=cpu") as caught:
        choose_device(kind, "auto")
    assert str(error).split("(")[0].rstrip(".") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert is_retryable(caught.value) is passes
    assert choose_device("cpu", "auto").kind == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_device("auto", "auto").precision == "fp32", "whoever hides the GPUs wants the CPU"
    with pytest.raises(UserError, match="cuda asked for"):
        choose_device("cuda", "auto")


def test_a_gpu_that_works_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    device = choose_device("auto", "auto")
    assert (device.kind, device.precision, device.peak) == ("cuda", "bf16", 9.89e14)
    assert choose_device("auto", "fp32").peak is None
    assert choose_device("cpu", "auto").kind == "cpu"


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", PEAKS["h100"]),
        ("NVIDIA H100 PCIe", PEAKS["h100 pcie"]),
        ("NVIDIA H100 NVL", PEAKS["h100 nvl"]),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA GH200 480GB", PEAKS["gh200"]),
        ("NVIDIA B200", PEAKS["b200"]),
        ("NVIDIA GB200", PEAKS["gb200"]),
        ("NVIDIA A100-SXM4-80GB", PEAKS["a100"]),
        ("NVIDIA A100 80GB PCIe", PEAKS["a100"]),
        ("A100-PCIE-40GB", PEAKS["a100"]),
        ("NVIDIA RTX A1000", None),
        ("NVIDIA A10G", PEAKS["a10g"]),
        ("NVIDIA A10", PEAKS["a10"]),
        ("NVIDIA L40", PEAKS["l40"]),
        ("NVIDIA L40S", PEAKS["l40s"]),
        ("NVIDIA L4", PEAKS["l4"]),
        ("NVIDIA RTX 6000 Ada Generation", PEAKS["rtx 6000 ada"]),
        ("NVIDIA GeForce RTX 4090", PEAKS["rtx 4090"]),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("Tesla V100-SXM2-16GB", None),
        ("NVIDIA", None),
    ],
)
def test_a_peak_is_of_one_product(name: str, peak: float | None) -> None:
    assert peak_of(name) == peak
