"""Whole runs: however they are executed, interrupted or resumed, and whatever the family, they train the same."""

from pathlib import Path

import pytest

from tests.gpu.conftest import Say
from tests.gpu.world import World, apart, seconds_until

pytestmark = pytest.mark.slow


@pytest.mark.seconds(130)
@pytest.mark.parametrize("way", ["off", "on", "graphs"])
def test_compiled(world: World, say: Say, way: str) -> None:
    """As eager steps: whole, and in three unequal micro-batches."""
    if way != "off" and not world.cuda:
        pytest.skip("compiling for a CPU takes minutes; tests/train does it")
    case = world.case(96, 3, 32, 8, 40, 256) if world.cuda else world.case(32, 2, 8, 5, 12, 64)
    eager = world.run(case)
    loss = world.finished(eager).loss
    for micro in (0, 3):
        ran = world.run(case, compile=way, micro_batch=micro)
        record = world.finished(ran)
        say(
            f"{way}, micro-batch {micro or 'whole'}: {record.loss:.6f} (apart {record.loss - loss:+.1e}, gradient "
            f"norms {apart(ran, eager):.1e}); {seconds_until(ran)}; {record.notes}"
        )
        assert abs(record.loss - loss) < 2e-2
        assert apart(ran, eager) < 0.2


def test_resume(world: World, say: Say, tmp_path: Path) -> None:
    """Stopped and continued, a run is the run; what a checkpoint costs."""
    case = world.case(64, 2, 16, 8, 40, 128) if world.cuda else world.case(32, 2, 8, 4, 24)
    for way in ("off", "graphs") if world.cuda else ("off",):
        whole = world.finished(world.run(case, compile=way))
        stopped = world.run(case, tmp_path / way, lambda call: call >= 17, compile=way)
        assert stopped.record is None
        again = world.finished(world.run(case, tmp_path / way, compile=way))
        assert again.steps == whole.steps
        say(
            f"{way}: {whole.loss:.7f} whole, {again.loss:.7f} resumed (apart {again.loss - whole.loss:+.1e}); "
            f"checkpoint written in {stopped.ended - stopped.stopped:.2f} s"
        )
        assert abs(again.loss - whole.loss) < (5e-3 if world.cuda else 1e-6)


@pytest.mark.seconds(90)
@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "qwen3"])
def test_family(world: World, say: Say, family: str) -> None:
    """Its loss and gradients, eager and compiled."""
    width, sequences, seq_len = (128, 8, 256) if world.cuda else (32, 2, 32)
    case = world.case(width, 2, width // 4, sequences, 12, seq_len, family)
    eager = world.run(case)
    say(f"{family}, off: {world.finished(eager).loss:.4f}; {seconds_until(eager)}")
    assert eager.losses[-1] < eager.losses[0]
    if world.cuda:
        compiled = world.run(case, compile="on")
        say(
            f"{family}, on: {world.finished(compiled).loss:.4f} (gradient norms apart {apart(compiled, eager):.1e}); "
            f"{seconds_until(compiled)}"
        )
        assert abs(world.finished(compiled).loss - world.finished(eager).loss) < 2e-2
