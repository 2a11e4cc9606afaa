"""The packing bench on a CPU at toy size."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.train.small import overrides

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_packing.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


@pytest.mark.slow
def test_ways_to_train_a_column_are_timed_and_train_the_same(tmp_path: Path, text_folder: Path) -> None:
    toy = overrides(tmp_path, text_folder, "grid.budgets=[2e8]", "grid.sizes=2")
    done = bench(*toy, "--side-by-side", "1,2")
    assert done.returncode == 0, done.stderr
    shapes = re.search(
        r"a column of 2 cells at 2e\+08 FLOPs, N from (\S+) \((.+)\) to (\S+) \((.+)\), 1 rounds", done.stdout
    )
    assert shapes is not None, done.stdout
    assert shapes[2] != shapes[4]
    rows = [
        [cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if "eager" in line
    ]
    assert [row[1] for row in rows] == ["eager, one at a time", "eager, 2 side by side"]
    assert all(float(row[2].split()[0]) > 0 for row in rows)
    assert all(float(row[4]) == 0 for row in rows), "on one thread not a bit differs"


def test_one_budget_is_asked_for(tmp_path: Path, text_folder: Path) -> None:
    done = bench(*overrides(tmp_path, text_folder))
    assert done.returncode != 0
    assert "one budget" in done.stderr
