"""The packing bench on a CPU at toy size."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench_packing import table
from scripts.kept import EXIT_AGAIN, Kept
from tests.train.small import overrides

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_packing.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


@pytest.mark.slow
def test_ways_to_train_a_column_are_timed_once_and_train_the_same(tmp_path: Path, text_folder: Path) -> None:
    kept = tmp_path / "packing.json"
    toy = overrides(tmp_path, text_folder, "grid.budgets=[2e8]", "grid.sizes=2")
    arguments = (*toy, "--side-by-side", "1,2", "--keep", str(kept))
    over = bench(*arguments, "--seconds", "-1")
    assert over.returncode == EXIT_AGAIN, over.stderr
    assert over.stdout.count("not measured yet") == 2
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    shapes = re.search(
        r"a column of 2 cells at 2e\+08 FLOPs, N from (\S+) \((.+)\) to (\S+) \((.+)\); ", done.stdout
    )
    assert shapes is not None, done.stdout
    assert shapes[2] != shapes[4]
    rows = [
        [cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if "| eager" in line
    ]
    assert [row[1] for row in rows] == ["eager, one at a time", "eager, 2 side by side"]
    assert all(float(row[2].split()[0]) > 0 for row in rows)
    assert all(float(row[4]) == 0 for row in rows), "on one thread not a bit differs"
    measured = [(one["way"], one["workers"]) for one in json.loads(kept.read_text())["measured"]]
    assert measured == [("eager, one at a time", 1), ("eager, 2 side by side", 2)]


def test_what_failed_or_is_missing_is_said_and_no_ratio_is_made_up() -> None:
    kept = Kept(None, {})
    kept.add(way="a", workers=1, round=0, seconds=9.0, losses=[2.0, None], said=[])
    kept.add(way="b", workers=4, round=0, seconds=3.0, losses=[2.5, None], said=["memory holds 3 at once"])
    kept.add(way="c", workers=4, round=0, seconds=3.0, losses=[2.0, 3.0], said=[])
    kept.add(way="d", round=0, error="RuntimeError: out of memory")
    assert table(kept, ["a", "b", "c", "d", "e"]).splitlines()[2:] == [
        "| a | 9.0 s (1) | 1.00 (1.00, 1.00) | 0.0000 |  |",
        "| b | 3.0 s (1) | 3.00 (3.00, 3.00) | 0.5000 | memory holds 3 at once |",
        "| c | 3.0 s (1) | 3.00 (3.00, 3.00) | inf |  |",
        "| d | – | – | – | RuntimeError: out of memory |",
        "| e | – | – | – | not measured yet |",
    ]


def test_one_budget_is_asked_for(tmp_path: Path, text_folder: Path) -> None:
    done = bench(*overrides(tmp_path, text_folder))
    assert done.returncode != 0
    assert "one budget" in done.stderr
