"""A stretch's speed is that of steps that neither warm up nor wait, however long they are and whoever reads them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.calibrate.stretch import train_stretch
from harness.train.job import Job, PreemptedError, StepReport, Watch
from tests.train.small import small_jobs

ROW = 5


@pytest.fixture
def job(tmp_path: Path, text_folder: Path) -> Job:
    return max(small_jobs(tmp_path, text_folder)[1], key=lambda job: job.cell.spec.steps)


def train_as(monkeypatch: pytest.MonkeyPatch, reads: Iterator[tuple[int, float]]) -> list[int]:
    """Let training be ``reads``, of so many rows with so many seconds a step; returns the steps that were done."""
    done: list[int] = []

    def train_cell(job: Job, watch: Watch) -> None:
        spec = job.cell.spec
        for rows, seconds in reads:
            before = len(done)
            for _ in range(rows * ROW):
                if watch.should_stop():
                    raise PreemptedError
                done.append(len(done) + 1)
            for row in done[before + ROW - 1 :: ROW]:
                watch.report(StepReport(job.cell.run_id, row, spec.steps, 1.0, spec.batch_tokens / seconds))

    monkeypatch.setattr("harness.train.run.train_cell", train_cell)
    return done


def test_long_steps_are_timed_behind_the_first_row_however_short_the_stretch(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = train_as(monkeypatch, iter([(1, 9.0), (1, 5.0), (1, 2.0), (1, 2.5)]))
    found = train_stretch(job, 1e-9, lambda: None)
    assert found.step_seconds == (pytest.approx(2.0),), "neither compiling nor waiting for others"
    assert len(done) == 3 * ROW


def test_rows_that_are_read_together_count_once(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    train_as(monkeypatch, iter([(1, 9.0), (1, 8.0), (2, 3.0), (1, 2.0), (1, 2.0 + 1e-9)]))
    assert len(train_stretch(job, 100.0, lambda: None).step_seconds) == 3
    train_as(monkeypatch, iter([(3, 9.0)]))
    found = train_stretch(job, 100.0, lambda: None)
    assert found.step_seconds == (pytest.approx(9.0),), "a run that is over before: better than nothing"
    assert found.startup_seconds == 0.0, "all that was before the first read were its steps"
