"""One run on two processes by torchrun: stopped, continued, and as on one."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.sweep.ranks import RanksError, train_on_ranks
from harness.train.job import PreemptedError, StepReport, Watch
from harness.train.run import train_cell
from tests.train.small import small_jobs

pytestmark = pytest.mark.slow


def test_two_processes_stop_and_go_on(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, "train.log_points=1000")
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
    _, jobs = small_jobs(tmp_path, text_folder)
    jobs[0].folder.curve.mkdir(parents=True)  # a folder where the curve should be
    with pytest.raises(RanksError, match="IsADirectoryError") as caught:
        train_on_ranks(jobs[0], Watch(), 2)
    assert not caught.value.heals
