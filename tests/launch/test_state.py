"""What ``status`` says of a cell whose files are damaged: something sensible, and never an error."""

from pathlib import Path

import pytest

from harness.launch.state import Evidence, last_step, state_of
from tests.plan.test_plan import plan

HEADER = b"step,tokens,flops,lr,train_loss,grad_norm\n"


@pytest.mark.parametrize(
    ("content", "step"),
    [
        (HEADER + b"3,1,1,1,1,1\n6,1,1,1,1,1\n", 6),
        (HEADER + b"3,1,1,1,1,1\n6,1", 3),
        (HEADER + b"".join(b"%d,1,1,1,1,1\n" % step for step in range(1, 5001)) + b"5", 5000),
        (HEADER, 0),
        (HEADER + b"3,1,1\n\0\0\0\n", 0),
        (b"\0" * 500, 0),
        (b"\xff\xfe" * 50, 0),
        (HEADER + b"three,1,1,1,1,1\n", 0),
        (b"stop" + HEADER + b"3,1,1,1,1,1\n", 0),
        (HEADER + b"9" * 400 + b",1,1,1,1,1\n", int("9" * 400)),
        (b'"' + b"x" * 200_000, 0),
    ],
)
def test_a_damaged_curve_is_no_error(content: bytes, step: int, tmp_path: Path) -> None:
    curve = tmp_path / "curve.csv"
    curve.write_bytes(content)
    assert last_step(curve) == step
    cell = plan().cells[0]
    assert state_of(cell, Evidence(step=step), 1.0).left >= 0
