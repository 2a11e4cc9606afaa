"""The bench of the loop, on a CPU at its smallest size."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from harness.files import write_json
from harness.train.config import TrainConfig
from scripts.bench_train import measure, order
from scripts.cases import byte_corpus, make_case, plain_shape
from scripts.kept import EXIT_AGAIN, Kept
from scripts.loops import Pace, Round, training_loops
from scripts.speeds import fastest, ratios, table

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_train.py"


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.slow
def test_loops_are_timed_side_by_side_and_no_measurement_is_made_twice(tmp_path: Path) -> None:
    kept = tmp_path / "speed.json"
    arguments = ("--sizes", "20k", "--rounds", "1", "--steps", "12", "--keep", str(kept))
    over = bench(*arguments, "--seconds", "-1")
    assert over.returncode == EXIT_AGAIN, "the time is over before the first"
    assert "| 26,232 | – | – | – |" in over.stdout
    done = bench(*arguments)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    heading, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], lines[-1]))
    found = dict(zip(heading, row, strict=True))
    assert list(found)[1:4] == ["ours tokens/s", "Trainer tokens/s", "bare loop tokens/s"]
    assert found["fastest of ours"] == "ours"
    measured = {
        one["contender"]: one for one in json.loads(kept.read_text())["measured"] if "contender" in one
    }
    speeds = {name: one["tokens_per_second"] for name, one in measured.items()}
    assert min(speeds.values()) > 0
    assert float(found["/ Trainer"].split()[0]) == pytest.approx(
        speeds["ours"] / speeds["Trainer"], abs=0.006
    )
    assert 0 < float(found["MFU"].rstrip("%")) < 100
    assert "batches of 8 x 128 tokens" in done.stdout

    entries = json.loads(kept.read_text())
    entries["measured"] = [one for one in entries["measured"] if one.get("contender") != "bare loop"]
    write_json(kept, entries)
    again = bench(*arguments)
    assert "20k bare loop, round 0" in again.stdout
    assert "20k ours, round 0" not in again.stdout


def test_a_size_of_another_device_is_refused() -> None:
    done = bench("--sizes", "30M")
    assert done.returncode == 2
    assert "on this device of 20k, 200k, 1M, 10M, got 30M" in done.stderr


@pytest.mark.slow
def test_every_loop_gives_the_same_rows(tmp_path: Path) -> None:
    pace = Pace.of(4)
    case = make_case(plain_shape(16, 1, 8, 32), 2, 32, pace.steps, byte_corpus(tmp_path / "cache"))
    for name, loop in training_loops(["off"]).items():
        stamps = loop(Round(case, pace, "cpu", tmp_path))
        assert len(stamps) == pace.rows == 4, name
        assert stamps == sorted(stamps)


@pytest.mark.parametrize("steps", [1, 12, 25, 44, 133, 400])
def test_a_device_is_waited_for_at_few_steps(steps: int) -> None:
    pace = Pace.of(steps)
    assert pace.row >= 4
    assert 3 <= pace.rows - 1 <= 11
    assert pace.steps >= steps
    assert TrainConfig(log_points=pace.rows).row_steps(pace.steps) == pace.row, "a curve row ends every row"


def test_baselines_are_measured_once_whatever_the_modes() -> None:
    assert list(training_loops(["off"])) == ["ours", "Trainer", "bare loop"]
    assert list(training_loops(["off", "on", "graphs"])) == [
        *("ours", "ours compiled", "ours graphs", "Trainer", "bare loop", "bare compiled")
    ]


def test_what_the_aims_are_about_comes_first_at_every_size() -> None:
    names = list(training_loops(["off", "on", "graphs"]))
    made = list(order(["3M", "30M"], names, 2))
    assert sorted(made) == sorted(
        (turn, size, name) for turn in (0, 1) for size in ("3M", "30M") for name in names
    )
    assert [size for _, size, _ in made[:6]] == ["3M"] * 3 + ["30M"] * 3
    assert {name for _, _, name in made[:6]} == {"ours compiled", "Trainer", "bare compiled"}
    assert made[0][2] != made[12][2], "another begins the second round"
    assert [name for _, _, name in order(["20k"], ["ours", "Trainer", "bare loop"], 2)] == [
        *("ours", "Trainer", "bare loop", "Trainer", "bare loop", "ours")
    ]


def test_a_loop_that_fails_is_kept_and_not_tried_again(tmp_path: Path) -> None:
    pace = Pace.of(4)
    case = make_case(plain_shape(16, 1, 8, 32), 2, 32, pace.steps, byte_corpus(tmp_path / "cache"))
    called: list[str] = []

    def good(this: Round) -> list[float]:
        called.append("good")
        return [0.0, 1.0, 2.0, 9.0]

    def bad(this: Round) -> list[float]:
        called.append("bad")
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 TiB")

    def broken(this: Round) -> list[float]:
        called.append("broken")
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    kept = Kept(tmp_path / "kept.json", {})
    assert measure({"x": (case, pace)}, {"bad": bad, "good": good}, 2, "cpu", kept, math.inf)
    assert called == ["bad", "good", "good"]
    speed = kept.find(contender="good", round=1)
    assert speed is not None
    assert speed["tokens_per_second"] == pace.row * 64, "by the median row of one second"
    assert not measure({"x": (case, pace)}, {"broken": broken, "good": good}, 3, "cpu", kept, math.inf)
    assert called[3:] == ["broken"], "a process whose GPU is unusable measures nothing more"
    assert measure({"x": (case, pace)}, {"broken": broken, "good": good}, 3, "cpu", kept, math.inf)
    assert called[3:] == ["broken", "good"], "the next goes on behind it"


def test_the_table_has_what_there_is() -> None:
    kept = Kept(None, {"peak": 1e13})
    kept.add(what="matrix product", flops_per_second=5e12)
    kept.add(what="size", size="1M", params=1_000_000, flops_per_token=6e6)
    for turn, (mine, graphs, trainer) in enumerate([(100.0, 150.0, 100.0), (110.0, 210.0, 100.0)]):
        kept.add(size="1M", contender="ours", round=turn, tokens_per_second=mine)
        kept.add(size="1M", contender="ours graphs", round=turn, tokens_per_second=graphs)
        kept.add(size="1M", contender="Trainer", round=turn, tokens_per_second=trainer)
    kept.add(size="1M", contender="bare compiled", round=0, error="OutOfMemoryError: …")
    assert fastest(kept, "1M") == "ours graphs"
    assert ratios(kept, "1M", "ours graphs", "Trainer") == [1.5, 2.1]
    names = ["ours", "ours graphs", "Trainer", "bare compiled"]
    rows = table(kept, ["1M", "3M"], names).splitlines()
    assert rows[0].endswith("| fastest of ours | / Trainer | / bare compiled | MFU | of peak |")
    assert (
        rows[2]
        == "| 1,000,000 | 105 (2) | 180 (2) | 100 (2) | – | ours graphs | 1.80 (1.50–2.10) | – | 0% | 0% |"
    )
    assert rows[3] == "| 3M | – | – | – | – | – | – | – | – | – |"
