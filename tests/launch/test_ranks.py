"""One run on two processes by torchrun: stopped, continued, and as on one.

On the CPU: a process has a GPU of its own, so two of them would need two.
"""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.files import write_json
from harness.launch import ranks
from harness.launch.ranks import RanksError, train_on_ranks
from harness.train.job import PreemptedError, StepReport, Watch
from harness.train.run import train_cell
from tests.device import ON_CPU
from tests.train.small import small_jobs

pytestmark = pytest.mark.slow


def test_two_processes_stop_and_go_on(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, "train.log_points=1000", ON_CPU)
    job = jobs[3]
    alone = train_cell(replace(job, sweep=tmp_path / "alone"))
    reports: list[StepReport] = []
    with pytest.raises(PreemptedError):
        train_on_ranks(job, Watch(report=reports.append, should_stop=lambda: True), 2)
    assert list(job.folder.checkpoint.glob("[0-9]*"))
    record = train_on_ranks(job, Watch(report=reports.append), 2)
    assert record.loss == pytest.approx(alone.loss, rel=1e-4)
    assert [report.step for report in reports] == list(range(1, job.cell.spec.steps + 1))


def test_a_rank_that_fails_says_why(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, ON_CPU)
    (jobs[0].folder.curve / "somebody's").mkdir(parents=True)  # a folder where the curve should be
    with pytest.raises(RanksError, match="Directory not empty") as caught:
        train_on_ranks(jobs[0], Watch(), 2)
    assert not caught.value.retryable


HANGS = """
import os, pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 2:
    rank = subprocess.Popen([sys.executable, __file__, sys.argv[1], "rank"], start_new_session=True)
    pathlib.Path(sys.argv[1]).write_text(f"{os.getpid()} {rank.pid}")
time.sleep(600)
"""


def test_processes_that_hang_after_a_stop_are_ended(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, ON_CPU)
    (tmp_path / "hangs.py").write_text(HANGS)
    ids = tmp_path / "ids"
    monkeypatch.setattr(ranks, "_command", lambda *_: [sys.executable, f"{tmp_path}/hangs.py", str(ids)])
    monkeypatch.setattr(ranks, "LEAVE_SECONDS", 0.5)
    monkeypatch.setattr(ranks, "END_SECONDS", 0.5)
    # left alone, they would end well after ten minutes, and that is another message
    with pytest.raises(PreemptedError, match="ended by force"):
        train_on_ranks(jobs[0], Watch(should_stop=ids.exists), 2)
    for pid in map(int, ids.read_text().split()):
        assert is_gone(pid)


def is_gone(pid: int) -> bool:
    """Whether a process that was killed ends: the signal is heeded a little later. A zombie has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_rank_that_hangs_on_its_way_out_says_where_and_ends(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, ON_CPU)
    parent = [os.getpid(), ranks.started(os.getpid())]
    write_json(tmp_path / "job.json", {**jobs[0].to_json(), "parent": parent})
    (tmp_path / "stop").touch()
    ended = _hanging_rank(tmp_path)
    assert ended.returncode == 1
    assert "in hang" in ended.stderr


def test_a_rank_ends_though_another_process_has_its_parents_number(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, ON_CPU)
    write_json(tmp_path / "job.json", {**jobs[0].to_json(), "parent": [os.getpid(), "1"]})
    assert "in hang" in _hanging_rank(tmp_path).stderr


def _hanging_rank(folder: Path) -> "subprocess.CompletedProcess[str]":
    """A rank of the job in ``folder`` that hangs once it is told to stop, and fails where it is not told."""
    program = f"""
import pathlib, threading, types, sys
def hang(job, watch):
    assert watch.should_stop()
    threading.Event().wait()
sys.modules["harness.train.run"] = types.SimpleNamespace(train_cell=hang)
from harness.launch import ranks
ranks.LEAVE_SECONDS = 0.5
ranks.main(pathlib.Path({str(folder)!r}))
"""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
