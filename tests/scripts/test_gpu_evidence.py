"""The one command of a GPU, on a CPU at toy size."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.gpu_evidence import Deadline, Stage, document, run, stages
from tests.train.small import overrides

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "gpu_evidence.py"
BUDGETS = [1e15, 3e15, 2.4e16]


def python(code: str) -> Stage:
    return Stage("toy", (sys.executable, "-c", code))


def test_stages_grow_from_the_smallest_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = list(stages(["experiment=one_gpu"], Path("results/one_gpu"), BUDGETS, "linux", gpu=True))
    assert [stage.name for stage in found] == [
        *("corpus", "calibrate", "bench-off", "bench-on", "bench-graphs", "packing"),
        *("sweep-1", "sweep-2", "sweep-3"),
    ]
    assert [stage.command[-1] for stage in found[-3:]] == [
        "grid.budgets=[1e+15]",
        "grid.budgets=[1e+15,3e+15]",
        "grid.budgets=[1e+15,3e+15,2.4e+16]",
    ]
    assert [stage.command[3] for stage in found[-3:]] == ["sweep", "reproduce", "reproduce"]
    assert not any("throughput=one_gpu" in stage.command for stage in found), "it is not calibrated"
    (tmp_path / "configs" / "throughput").mkdir(parents=True)
    (tmp_path / "configs" / "throughput" / "one_gpu.yaml").touch()
    found = list(stages([], Path("results/one_gpu"), BUDGETS, "python_installed", gpu=False))
    assert "corpus" not in {stage.name for stage in found}, "there is nothing to fetch"
    assert all("throughput=one_gpu" in stage.command for stage in found[-4:])


def test_a_stage_that_ends_well_is_kept_and_no_other(tmp_path: Path) -> None:
    kept = tmp_path / "toy.txt"
    assert run(python("print('half'); raise SystemExit(3)"), kept, Deadline(60)) == 3
    assert not kept.exists()
    assert run(python("print('whole')"), kept, Deadline(60)) == 0
    assert kept.read_text() == "whole\n"


def test_when_the_time_is_over_a_stage_is_interrupted(tmp_path: Path) -> None:
    began = time.monotonic()
    code = (
        "import signal, time\n"
        "def save(*_):\n print('saved'); raise SystemExit(130)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "time.sleep(60)"
    )
    assert run(python(code), tmp_path / "toy.txt", Deadline(2)) is None
    assert time.monotonic() - began < 30
    assert not (tmp_path / "toy.txt").exists()
    assert (tmp_path / "toy.part").read_text() == "saved\n"


def test_the_document_shows_commands_and_leaves_tables_as_they_are() -> None:
    table = Stage("packing", ("/usr/bin/python3", "bench.py", "grid.budgets=[1e15]"))
    text = document("x", {"device": "a GPU", "cuda": None}, {table: "| a |", python("1"): "done"})
    assert "- device: a GPU" in text
    assert "cuda" not in text
    assert "    $ python bench.py 'grid.budgets=[1e15]'\n\n| a |" in text
    assert "```text\ndone\n```" in text


@pytest.mark.slow
def test_the_command_goes_on_where_it_was_stopped(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    toy = [item for item in overrides(tmp_path, text_folder) if not item.startswith("runs_dir=")]
    command = [sys.executable, str(SCRIPT), *toy, "--out", "results/toy", "--stages", "sweep"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = next(line for line in process.stdout if "== sweep-1" in line)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 75, line + rest
    assert "the time is over, in sweep-1" in rest
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "results" / "toy" / "evidence.md").read_text()
    assert "## sweep-1" in text
    assert "## sweep-2" in text
    assert (tmp_path / "results" / "toy" / "report.html").exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0
    assert "==" not in again.stdout, "nothing that ended well is run again"
