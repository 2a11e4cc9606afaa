"""Kills at any moment: W&B ends up with every step of the curve's file once, and with the record."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.runs.curve import curve_rows
from harness.runs.record import read_record
from harness.train.job import Job, PreemptedError, Watch
from harness.train.run import train_cell
from tests.tracking.conftest import Way, as_rows, end_client
from tests.tracking.fake_server import KEY, FakeServer, serving
from tests.train.small import overrides, small_jobs
from tests.train.test_run import stop_at
from tests.workers import forked_command

LONG = (
    "tracker=wandb",
    "recipe.batch_tokens.value=32",
    "train.checkpoint_seconds=0.1",
    "train.log_points=120",
)


def assert_mirrored(way: Way, job: Job) -> None:
    """W&B has the curve row by row, once, and the record to the last bit."""
    run_id = job.cell.run_id
    assert as_rows(way.rows(job.sweep, run_id)) == curve_rows(job.folder.curve)
    mirrored = way.runs(job.sweep)[run_id]
    assert mirrored.record == read_record(job.folder.record, run_id)
    assert mirrored.record is not None


def children(pid: int) -> list[int]:
    """Processes started by ``pid``: here, the client's."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def kill_midway(arguments: list[str], job: Job, way: Way, with_client: bool) -> bool:
    """Train in a process, kill it when it has new rows and W&B knows of it; False where it was too late."""
    before = len(curve_rows(job.folder.curve))
    process = forked_command("train", *arguments, f"run={job.cell.run_id}")
    while process.exitcode is None and not (
        5 < len(curve_rows(job.folder.curve)) != before and (way.server is None or way.server.runs)
    ):
        time.sleep(0.01)
    if process.exitcode is not None:
        return False
    assert process.pid is not None, "it was started"
    others = children(process.pid)
    process.kill()
    for other in others if with_client else ():
        os.kill(other, signal.SIGKILL)
    process.join()
    return True


@pytest.mark.slow
def test_sigkill_loses_and_repeats_no_step(
    way: Way, tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = overrides(tmp_path, text_folder, *LONG)
    _, jobs = small_jobs(tmp_path, text_folder, *LONG)
    job = jobs[3]
    # the client that is left alone sends what it has
    assert kill_midway(arguments, job, way, with_client=False), "killed while it trained"
    assert kill_midway(arguments, job, way, with_client=True), "killed while it trained"
    train_cell(job)
    assert_mirrored(way, job)
    if way.server is None:
        with serving() as fake:
            monkeypatch.setenv("WANDB_BASE_URL", fake.url)
            monkeypatch.setenv("WANDB_API_KEY", KEY)
            end_client()
            sync(job)
            assert_mirrored(Way(fake), job)


def test_stops_and_resumes_in_one_process(way: Way, tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, "tracker=wandb")
    job = jobs[3]
    for step in (1, 7, 30):
        with pytest.raises(PreemptedError):
            train_cell(job, Watch(should_stop=stop_at(step)))
    assert way.runs(job.sweep)[job.cell.run_id].record is None
    train_cell(job)
    assert_mirrored(way, job)


def sync(job: Job) -> None:
    """``wandb sync`` as a user runs it on a sweep's folder, every file that was not sent before."""
    folders = sorted((job.sweep / "wandb").glob("offline-run-*"))
    environment = {**os.environ, "WANDB_MODE": "online"}
    command = [sys.executable, "-m", "wandb", "sync", *map(str, folders)]
    subprocess.run(command, env=environment, cwd=job.sweep, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("between", [True, False], ids=["sent between attempts", "sent at the end"])
def test_wandb_sync_repeats_and_loses_no_step(
    between: bool, server: FakeServer, tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    _, jobs = small_jobs(tmp_path, text_folder, "tracker=wandb")
    job = jobs[3]
    for step in (30, 20):
        with pytest.raises(PreemptedError):
            train_cell(job, Watch(should_stop=stop_at(step)))
        if between:
            sync(job)
    train_cell(job)
    sync(job)
    assert_mirrored(Way(server), job)
