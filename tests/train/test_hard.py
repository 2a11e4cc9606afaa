"""Kills at random moments, two processes, a full disk, a dead tracker: the record is the same, or the line is clear."""

import random
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli import main
from harness.tracking.config import TrackerConfig
from harness.tracking.files import read_files
from harness.train.checkpoint import RunState, write_checkpoint
from harness.train.job import Job, Watch
from harness.train.run import train_cell
from harness.train.saver import Saver
from tests.device import ON_CPU, about
from tests.train.small import overrides, small_jobs
from tests.train.test_run import assert_same, curve, elsewhere, essence
from tests.workers import forked_command

LONG = ("recipe.batch_tokens.value=64", "train.checkpoint_seconds=0.1", "train.log_points=50")


def train(arguments: list[str], job: Job, launcher: tuple[str, ...]) -> subprocess.Popen[str]:
    command = [sys.executable, *launcher, "train", *arguments, f"run={job.cell.run_id}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_sigkill_at_random_moments_changes_no_bit(optimizer: str, tmp_path: Path, text_folder: Path) -> None:
    arguments = overrides(tmp_path, text_folder, *LONG, f"optimizer={optimizer}")
    _, jobs = small_jobs(tmp_path, text_folder, *LONG, f"optimizer={optimizer}")
    job = jobs[3]
    straight = elsewhere(job, tmp_path / "straight")
    train_cell(straight)
    luck = random.Random(0)
    kills = 0
    while kills < 3:
        process = forked_command("train", *arguments, f"run={job.cell.run_id}")
        before = job.folder.curve.stat().st_mtime_ns if job.folder.curve.exists() else 0
        while process.exitcode is None and (
            not job.folder.curve.exists() or job.folder.curve.stat().st_mtime_ns == before
        ):
            time.sleep(0.01)
        time.sleep(luck.uniform(0, 0.4))
        if process.exitcode is not None:
            break
        process.kill()
        process.join()
        kills += 1
    main(["train", *arguments, f"run={job.cell.run_id}"])
    assert kills, "the run was killed at least once"
    assert_same(job, straight)


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "harness")


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_train_the_same_run(optimizer: str, tmp_path: Path, text_folder: Path) -> None:
    # each process has a GPU of its own, so two of them need two GPUs
    arguments = overrides(tmp_path, text_folder, ON_CPU, f"optimizer={optimizer}")
    _, jobs = small_jobs(tmp_path, text_folder, ON_CPU, f"optimizer={optimizer}")
    job = jobs[0]
    alone = elsewhere(job, tmp_path / "alone")
    train_cell(alone)
    process = train(arguments, job, TWO)
    try:
        output, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 0, output
    together, single = essence(job), essence(alone)
    near = 2e-4 if optimizer == "adamw" else 2e-3  # Muon's products are bfloat16: a rounded bit weighs more
    assert together["loss"] == pytest.approx(single["loss"], rel=near)
    assert together["tokens"] == single["tokens"]
    losses = [[row["train_loss"] for row in curve(one)] for one in (job, alone)]
    assert losses[0] == pytest.approx(losses[1], rel=near)


@pytest.mark.slow
def test_two_processes_of_muon_that_are_stopped_go_on_to_the_same_bits(
    tmp_path: Path, text_folder: Path
) -> None:
    """SIGTERM somewhere in the run: both processes stop at one step, and both read its checkpoint."""
    more = (*LONG, ON_CPU, "optimizer=muon")
    arguments = overrides(tmp_path, text_folder, *more)
    _, jobs = small_jobs(tmp_path, text_folder, *more)
    job = jobs[0]

    def run(stop: bool) -> None:
        process = train(arguments, job, TWO)
        try:
            while stop and process.poll() is None:
                time.sleep(0.05)
                if job.folder.curve.exists() and len(curve(job)) > 2:
                    process.send_signal(signal.SIGTERM)
                    break
            output, _ = process.communicate(timeout=240)
        finally:
            process.kill()
        assert stop or process.returncode == 0, output

    run(stop=False)
    straight = essence(job), job.folder.curve.read_bytes()
    shutil.rmtree(job.folder.path)
    run(stop=True)
    assert 0 < job.folder.checkpoint_step() < job.cell.spec.steps, "it was stopped on its way"
    run(stop=False)
    assert (essence(job), job.folder.curve.read_bytes()) == straight


def test_a_full_disk_says_so_and_keeps_the_checkpoint_before(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder)
    job = jobs[0]
    saved = 0

    def full(*arguments: Any) -> None:
        nonlocal saved
        saved += 1
        if saved > 2:
            raise OSError(28, "No space left on device")
        write_checkpoint(*arguments)

    def at_every_step(self: Saver, seconds: float) -> bool:
        self.wait()
        return True

    monkeypatch.setattr("harness.train.saver.write_checkpoint", full)
    monkeypatch.setattr(Saver, "is_due", at_every_step)
    with pytest.raises(OSError, match="No space left"):
        train_cell(job)
    kept = [path.name for path in job.folder.checkpoint.glob("[0-9]*")]
    assert len(kept) == 2, "those written before are whole"
    monkeypatch.undo()
    straight = elsewhere(job, tmp_path / "straight")
    train_cell(straight)
    train_cell(job)
    assert_same(job, straight)


@pytest.mark.parametrize("when", ["at the start", "mid-run", "at the end"])
def test_a_tracker_that_fails_never_stops_a_run(
    when: str, tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder)
    job = jobs[0]
    plain = train_cell(elsewhere(job, tmp_path / "plain"))
    method = {
        "at the start": "accelerate.Accelerator.init_trackers",
        "mid-run": "accelerate.Accelerator.log",
        "at the end": "wandb.sdk.wandb_run.Run.finish",
    }[when]

    def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(method, broken)
    warnings: list[str] = []
    tracked = Job(
        job.cell, job.corpus, tmp_path / "tracked", "small", job.train, TrackerConfig(mode="offline")
    )
    record = train_cell(tracked, Watch(warn=warnings.append))
    assert record.loss == about(plain.loss)
    assert len(warnings) == 1
    assert "the server is gone" in warnings[0]


def test_wandb_offline_gets_config_curve_and_summary_under_the_runs_id(
    tmp_path: Path, text_folder: Path
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, "tracker=wandb", "tracker.mode=offline")
    job = jobs[0]
    record = train_cell(job)
    [mirrored] = read_files(job.sweep)
    assert (mirrored.run_id, mirrored.group) == (job.cell.run_id, "small")
    assert set(mirrored.config) >= {"budget", "shape", "tokens", "lr", "seed"}
    rows = mirrored.history
    logged = [row["train_loss"] for row in rows if "train_loss" in row]
    assert logged == [row["train_loss"] for row in curve(job)]
    assert mirrored.summary["loss"] == record.loss
    assert mirrored.record == record


def test_a_slow_disk_does_not_get_most_of_the_time(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of which a step and a checkpoint take one second each: of 20 steps, at most one ends in a save."""
    _, jobs = small_jobs(tmp_path, text_folder, "train.checkpoint_seconds=0.000001")
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("harness.train.saver.time", clock)
    is_due, saves = Saver.is_due, []

    def after_a_step(saver: Saver, seconds: float) -> bool:
        saver.wait()  # for the disk, so that the clock moves on in one thread at a time
        clock.now += 1
        return is_due(saver, seconds)

    def slow(folder: Path, blob: object, state: RunState, fence: object) -> None:
        saves.append(state.step)
        clock.now += 1

    monkeypatch.setattr(Saver, "is_due", after_a_step)
    monkeypatch.setattr("harness.train.saver.write_checkpoint", slow)
    train_cell(jobs[3])
    assert len(saves) > 1
    assert all(later - earlier >= 20 for earlier, later in pairwise(saves))
