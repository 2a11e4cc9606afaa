"""A server that is not there, hangs, breaks or dies: the run is the same run, and says so once."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.runs.curve import curve_rows
from harness.runs.record import Record
from harness.tracking.files import read_files
from harness.train.job import Job, StepReport, Watch
from harness.train.run import train_cell
from tests.device import about
from tests.tracking.conftest import Patience, as_rows, end_client
from tests.tracking.fake_server import FakeServer
from tests.train.small import small_jobs


@pytest.fixture
def job(tmp_path: Path, text_folder: Path) -> Job:
    _, jobs = small_jobs(tmp_path, text_folder, "tracker=wandb")
    return jobs[3]


def watched(job: Job, at_row: Callable[[int], None] = lambda step: None) -> tuple[Record, list[str]]:
    """Train; the record and the warnings."""
    warnings: list[str] = []

    def report(step: StepReport) -> None:
        at_row(step.step)

    return train_cell(job, Watch(report=report, warn=warnings.append)), warnings


def plain(job: Job) -> Record:
    """The same run without a tracker."""
    untracked = replace(job, sweep=job.sweep / "untracked", tracker=replace(job.tracker, name="none"))
    return train_cell(untracked)


@pytest.mark.parametrize("mode", ["silent", "broken"])
def test_a_server_that_does_not_answer_at_the_start(
    mode: str, server: FakeServer, job: Job, patience: Patience
) -> None:
    server.mode = mode
    record, warnings = watched(job)
    assert record.loss == about(plain(job).loss)
    assert patience.is_short
    begun = len(patience.told)
    [warning] = warnings
    assert "does not answer" in warning
    [mirrored] = read_files(job.sweep)
    assert mirrored.record == record
    assert as_rows(list(mirrored.history)) == curve_rows(job.folder.curve)
    asked = server.requests
    _, warnings = watched(replace(job, sweep=job.sweep / "next"))
    assert not warnings
    assert server.requests == asked, "the process knows, and does not wait again"
    assert (begun, len(patience.told)) == (2, 3), "online, then offline; and offline at once"


@pytest.mark.parametrize("mode", ["silent", "broken"])
def test_a_server_that_dies_in_the_middle(
    mode: str, server: FakeServer, job: Job, patience: Patience
) -> None:
    def die(step: int) -> None:
        if step == 40:
            deadline = time.monotonic() + 60  # the run is short: let it be known to the server first
            while not server.runs and time.monotonic() < deadline:
                time.sleep(0.02)
            server.mode = mode

    record, warnings = watched(job, die)
    assert record.loss == about(plain(job).loss)
    assert patience.is_short
    [warning] = warnings
    assert "tracker stopped" in warning
    assert server.only(job.cell.run_id).state == "running", "its end did not arrive"
    [mirrored] = read_files(job.sweep)
    assert as_rows(list(mirrored.history)) == curve_rows(job.folder.curve), "all of it is on disk"


def test_no_server_at_all(job: Job, patience: Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_MODE", "online")
    end_client()
    record, warnings = watched(job)
    end_client()
    assert len(warnings) == 1
    assert patience.is_short
    assert read_files(job.sweep)[0].record == record


def test_no_key_means_offline(job: Job, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    end_client()
    record, warnings = watched(job)
    assert not warnings
    assert read_files(job.sweep)[0].record == record


def test_a_call_that_never_returns_does_not_hold_up_the_run(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.tracking.tracker.END_SECONDS", 1.0)
    over = threading.Event()
    returned: list[bool] = []
    monkeypatch.setattr("accelerate.Accelerator.log", lambda *_, **__: returned.append(over.wait(600)))
    record, warnings = watched(job)
    assert record.loss is not None
    assert not returned, "the run is over before the call is"
    over.set()
    [warning] = warnings
    assert "no end after 1 s" in warning


def test_a_tracker_whose_package_is_missing_is_said_so(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelerate.tracking._available_trackers", [])
    _, warnings = watched(replace(job, tracker=replace(job.tracker, name="aim")))
    assert warnings
    assert "aim is not installed" in warnings[0]


def test_tensorboard_by_name(job: Job) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, warnings = watched(replace(job, tracker=replace(job.tracker, name="tensorboard")))
    assert not warnings
    events = EventAccumulator(str(job.folder.path / "isoflop"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")][:-1] == [
        row["step"] for row in curve_rows(job.folder.curve)
    ]
