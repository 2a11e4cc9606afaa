"""The bench of the loop, on a CPU at its smallest size."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_train.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_contenders_are_timed_side_by_side() -> None:
    done = bench("--sizes", "20k", "--rounds", "1", "--steps", "12")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    heading, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[-1]))
    found = dict(zip(heading, row, strict=True))
    speeds = [float(found[f"{name} tokens/s"].replace(",", "")) for name in ("ours", "Trainer", "bare loop")]
    assert all(speed > 0 for speed in speeds)
    assert float(found["ours / Trainer"].split()[0]) == pytest.approx(speeds[0] / speeds[1], abs=0.006)
    assert 0 < float(found["MFU"].rstrip("%")) < 100
    assert "batches of 8 x 128 tokens" in done.stdout


def test_a_size_of_another_device_is_refused() -> None:
    done = bench("--sizes", "30M")
    assert done.returncode == 2
    assert "on this device of 20k, 200k, 1M, 10M, got 30M" in done.stderr
