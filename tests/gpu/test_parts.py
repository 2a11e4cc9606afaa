"""Parts of a run that meet CUDA for the first time: precision, memory, synchronisations, vocabularies, checkpoints."""

import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from harness.launch.memory import free_bytes
from harness.train.compile import lacking_for_triton
from harness.train.device import choose_device
from harness.train.gpus import visible_gpus
from tests.gpu.conftest import Say
from tests.gpu.world import World, apart, gib


def test_devices(world: World, say: Say) -> None:
    """Which precision, which limits."""
    device = choose_device("auto" if world.cuda else "cpu", "auto")
    say(device)
    say(f"lacking for Triton: {lacking_for_triton() or 'nothing'}")
    assert device.kind == world.device
    assert device.precision == ("bf16" if world.cuda else "fp32")
    if world.cuda:
        free, total = torch.cuda.mem_get_info()
        found = free_bytes(visible_gpus())
        say(f"torch {torch.__version__}, CUDA {torch.version.cuda}; {gib(free)} of {gib(total)} free")
        say(f"visible_gpus {visible_gpus()}, free_bytes {gib(found)}")
        assert 0 < found <= total


@pytest.mark.slow
def test_losses(world: World, say: Say) -> None:
    """The same run on the CPU in fp32, and here in fp32 and bf16, twice."""
    case = world.case(64, 2, 16, 8, 40, 128) if world.cuda else world.case(32, 2, 8, 4, 24)
    reference = world.finished(world.run(case.of(precision="fp32"), on="cpu"))
    say(f"cpu fp32: train {reference.train_loss:.6f}, held out {reference.loss:.6f}")
    for precision, near in (("fp32", 1e-3), ("bf16", 5e-2)):
        for turn in range(2):
            if world.cuda:
                torch.cuda.reset_peak_memory_stats()
            ran = world.run(case.of(precision=precision))
            record = world.finished(ran)
            assert not world.cuda or torch.cuda.max_memory_allocated() > 2**20, "it ran on the CPU"
            say(
                f"{world.device} {precision} #{turn}: held out {record.loss:.6f} (apart "
                f"{record.loss - reference.loss:+.2e}), {ran.ended - ran.began:.1f} s; {record.notes}"
            )
            assert record.precision == precision
            assert abs(record.loss - reference.loss) < near


@pytest.mark.slow
def test_out_of_memory(world: World, say: Say) -> None:
    """A batch that does not fit is halved until it does."""
    case = world.case(256, 4, 32, 64, 6) if world.cuda else world.case(32, 2, 8, 8, 6)
    reference = world.finished(world.run(case, micro_batch=4))
    if world.cuda:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(2 * 2**30 / total)
    try:
        record = world.finished(world.run(case, micro_batch=64))
    finally:
        if world.cuda:
            torch.cuda.set_per_process_memory_fraction(1.0)
    say(f"{record.notes}; {record.loss:.6f}, apart {record.loss - reference.loss:+.1e}")
    assert any("halved" in note for note in record.notes) is world.cuda
    assert abs(record.loss - reference.loss) < (2e-2 if world.cuda else 1e-4)


def test_syncs(world: World, say: Say) -> None:
    """No line of a run makes the CPU wait for the device at every step."""
    steps = 60 if world.cuda else 8
    case = world.case(*world.shapes["1M"], steps)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if world.cuda:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            world.finished(world.run(case, log_points=2))
        finally:
            if world.cuda:
                torch.cuda.set_sync_debug_mode("default")
    seen = Counter(
        f"{'/'.join(Path(one.filename).parts[-3:])}:{one.lineno}"
        for one in caught
        if "synchroniz" in str(one.message)
    )
    for where, number in seen.most_common(25):
        say(f"{number:5d} in {steps} steps  {where}")
    assert not [where for where, number in seen.items() if number >= steps]


@pytest.mark.slow
def test_vocabulary(world: World, say: Say) -> None:
    """A large vocabulary: whole, chunked and Liger's logits give the same losses and gradients; time and memory."""
    size = 32_768 if world.cuda else 512
    case = (
        world.case(512, 4, 64, 16, 8, vocabulary=size)
        if world.cuda
        else world.case(32, 2, 8, 2, 8, vocabulary=size)
    )
    whole = None
    for way in ("whole", "chunked", "liger"):
        if way == "liger" and not (world.cuda and find_spec("liger_kernel")):
            say("no Liger here")
            continue
        if world.cuda:
            torch.cuda.reset_peak_memory_stats()
        ran = world.run(case, logits=way, log_points=8)
        whole = whole or ran
        peak = gib(torch.cuda.max_memory_allocated()) if world.cuda else "memory unknown"
        say(
            f"{way}: {ran.losses[-1]:.6f} nats, gradient norms apart {apart(ran, whole):.1e}; "
            f"{1e3 * (ran.last_row - ran.first_row) / 7:.1f} ms a step, {peak}"
        )
        assert ran.losses == pytest.approx(whole.losses, rel=2e-3)
        assert apart(ran, whole) < 3e-2


@pytest.mark.slow
def test_checkpoints(world: World, say: Say, tmp_path: Path) -> None:
    """Seconds to write and to read a checkpoint, and that the steps behind it move the weights."""
    case = world.case(*world.shapes["100M"][:3], 8, 8)
    fresh = world.run(case, tmp_path / "fresh", lambda call: call == 2, log_points=8)
    again = world.run(case, tmp_path / "fresh", lambda call: call == 3, log_points=8)
    say(
        f"{case.cell.params.total / 1e6:.1f}M parameters: {fresh.ended - fresh.stopped:.2f} s to write, "
        f"{(again.first_step - again.began) - (fresh.first_step - fresh.began):.2f} s to read"
    )
    assert again.losses
    assert again.losses[0] != fresh.losses[0]
