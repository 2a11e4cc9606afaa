"""Rows of a curve that are read late, as on a GPU: the same rows, the same values, the same end."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.launch import ranks
from harness.launch.ranks import train_on_ranks
from harness.runs.record import DIVERGED
from harness.train import device as devices
from harness.train import loop as loops
from harness.train.device import STEPS_AHEAD, Backlog
from harness.train.job import Job, PreemptedError, StepReport, Watch
from harness.train.run import train_cell
from tests.device import DEVICE, about
from tests.train.small import small_jobs
from tests.train.test_branching import TRUNK, outcome
from tests.train.test_run import assert_same, elsewhere, stop_at

NEVER = 1e9  # before a checkpoint, a stop or the end


@pytest.fixture
def job(tmp_path: Path, text_folder: Path) -> Job:
    return small_jobs(tmp_path, text_folder, "train.log_points=10")[1][1]


def late(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setitem(loops.READ_SECONDS, DEVICE, seconds)


@pytest.mark.parametrize("seconds", [0.02, NEVER])
def test_when_rows_are_read_changes_nothing(
    seconds: float, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = elsewhere(job, tmp_path / "straight")
    train_cell(straight)
    late(monkeypatch, seconds)
    cut = elsewhere(job, tmp_path / "cut")
    reports: list[StepReport] = []
    for step in (4, 1, 15):
        with pytest.raises(PreemptedError):
            train_cell(cut, Watch(reports.append, stop_at(step)))
    train_cell(cut, Watch(reports.append))
    assert_same(cut, straight)
    steps = [report.step for report in reports]
    assert steps == sorted(set(steps)), "every row is reported once"
    assert steps[-1] == job.cell.spec.steps
    assert all(report.tokens_per_second > 0 for report in reports)


def test_a_stop_and_a_checkpoint_read_all_rows_before(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(monkeypatch, NEVER)
    reports: list[StepReport] = []
    with pytest.raises(PreemptedError):
        train_cell(job, Watch(reports.append, stop_at(10)))
    every = job.train.row_steps(job.cell.spec.steps)
    assert [report.step for report in reports] == list(range(every, 10, every))
    assert len({report.tokens_per_second for report in reports}) == 1, "of all steps up to the read"


def test_a_run_that_blows_up_unread_diverges_at_the_same_row(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = job.cell.spec
    wild = replace(spec, optimizer=replace(spec.optimizer, lr=1e4, grad_clip=0.0))
    job = replace(job, cell=replace(job.cell, spec=wild))
    at_once = elsewhere(job, tmp_path / "at once")
    record = train_cell(at_once)
    assert record.status == DIVERGED
    assert record.steps < spec.steps
    late(monkeypatch, NEVER)
    unread = elsewhere(job, tmp_path / "unread")
    seen: list[int] = []
    train_cell(unread, Watch(lambda report: seen.append(report.step)))
    assert_same(unread, at_once)
    assert seen[-1] == record.steps, "nothing is reported of the steps that were taken in vain"


def test_branches_of_a_trunk_whose_rows_are_read_late_are_the_same(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = sorted(small_jobs(tmp_path, text_folder, *TRUNK)[1], key=lambda job: -job.cell.spec.steps)
    alone = []
    for job in jobs:
        alone.append(replace(elsewhere(job, tmp_path / "alone"), branches=()))
        train_cell(alone[-1])
    late(monkeypatch, NEVER)
    with pytest.raises(PreemptedError):
        train_cell(jobs[0], Watch(should_stop=stop_at(12)))
    for job, single in zip(jobs, alone, strict=True):
        record = train_cell(job)
        assert outcome(job) == about(outcome(single))
        assert (record.flops_spent < record.flops) is (job is not jobs[0])


LATE = """
import os, sys
from pathlib import Path
from harness.train import loop
loop.READ_SECONDS["cpu"] = {"0": 0.05, "1": 1e9}[os.environ["RANK"]]
from harness.launch import ranks
ranks.main(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_processes_read_rows_at_the_same_step_whatever_their_clocks_say(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = elsewhere(job, job.sweep, device="cpu")  # two processes would need two GPUs
    straight = elsewhere(job, tmp_path / "straight")
    train_on_ranks(straight, Watch(), 2)
    (tmp_path / "late.py").write_text(LATE)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    monkeypatch.setattr(
        ranks, "_command", lambda folder, _: [*torchrun, str(tmp_path / "late.py"), str(folder)]
    )
    reports: list[StepReport] = []
    train_on_ranks(job, Watch(report=reports.append), 2)
    assert_same(job, straight)
    assert reports[-1].step == job.cell.spec.steps


def test_the_cpu_waits_for_the_step_that_lies_so_many_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made, waited = [], []

    class Event:
        def __init__(self, blocking: bool) -> None:
            assert blocking
            made.append(self)

        def record(self) -> None:
            pass

        def synchronize(self) -> None:
            waited.append(made.index(self) + 1)

    monkeypatch.setattr(devices.torch.cuda, "Event", Event)
    backlog = Backlog(torch.device("cuda"))
    for step in range(1, 21):
        backlog.add_step()
        assert waited == list(range(1, step - STEPS_AHEAD + 1))
    Backlog(torch.device("cpu")).add_step()
    assert len(made) == 20
