"""The tracker's bench at toy size."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_what_a_mirror_costs_is_measured_against_none() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "bench_tracker.py"), "--steps", "60", "--rounds", "1"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300
    )
    assert done.returncode == 0, done.stderr
    none, mirrored = (
        line.split() for line in done.stdout.splitlines() if " run " in line and "waited" in line
    )
    assert (none[0], mirrored[0]) == ("none", "wandb")
    waited = [float(line[line.index("waited") + 1]) for line in (none, mirrored)]
    assert waited[0] < waited[1]
