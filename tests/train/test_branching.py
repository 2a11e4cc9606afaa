"""A branch of a trunk is the run trained alone, to the last bit, whatever happens on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.launch.branching import share_trunks
from harness.plan.branching import shared_steps
from harness.runs.claim import Claim, take
from harness.train import saver as savers
from harness.train.job import Job, PreemptedError, Watch
from harness.train.run import train_cell
from tests.device import about, contents
from tests.train.small import small_jobs
from tests.train.test_run import elsewhere, essence, stop_at

TRUNK = (
    "schedule=wsd",
    "schedule.share_trunk=true",
    "grid.params=[7000]",
    "grid.budgets=[2e8,4e8,7e8]",
    "recipe.min_steps=40",
    "train.log_points=7",
)


@pytest.fixture
def jobs(request: pytest.FixtureRequest, tmp_path: Path, text_folder: Path) -> list[Job]:
    """Three horizons of one model, the longest first; its rows and theirs lie at different steps.

    By AdamW unless a test asks for another optimizer.
    """
    optimizer = getattr(request, "param", "adamw")
    _, jobs = small_jobs(tmp_path, text_folder, *TRUNK, f"optimizer={optimizer}")
    jobs = sorted(jobs, key=lambda job: -job.cell.spec.steps)
    assert [len(job.branches) for job in jobs] == [2, 0, 0]
    return jobs


BOTH = pytest.mark.parametrize("jobs", ["adamw", "muon"], indirect=True)


@pytest.fixture
def alone(jobs: list[Job], tmp_path: Path) -> dict[str, tuple[dict[str, Any], Any]]:
    """Record and curve of each run when it is trained on its own."""
    made = {}
    for job in jobs:
        job = replace(elsewhere(job, tmp_path / "alone"), branches=())
        record = train_cell(job)
        assert record.flops_spent == record.flops
        made[job.cell.run_id] = outcome(job)
    return made


def without_cost(job: Job) -> dict[str, Any]:
    return {key: value for key, value in essence(job).items() if key != "flops_spent"}


def outcome(job: Job) -> tuple[dict[str, Any], Any]:
    return without_cost(job), contents(job.folder.curve)


def branch_step(jobs: list[Job], number: int) -> int:
    return shared_steps(jobs[0].cell.spec, jobs[number].cell.spec)


@BOTH
def test_branches_are_the_runs_trained_alone_and_cost_less(
    jobs: list[Job], alone: dict[str, tuple[dict[str, Any], Any]]
) -> None:
    for job in jobs:
        record = train_cell(job)
        assert outcome(job) == about(alone[job.cell.run_id])
        assert not job.folder.checkpoint.exists()
        own = 1.0 if job is jobs[0] else 1 - branch_step(jobs, jobs.index(job)) / job.cell.spec.steps
        assert record.flops_spent == pytest.approx(own * record.flops)
        assert own in (1.0, pytest.approx(0.2, abs=0.03))


@BOTH
@pytest.mark.parametrize("offset", [-1, 0, 1, 2])
def test_a_trunk_stopped_around_a_branch_leaves_the_same(
    offset: int, jobs: list[Job], alone: dict[str, tuple[dict[str, Any], Any]]
) -> None:
    """Stopped before the first step, between two rows, and then around the last branch."""
    last = branch_step(jobs, 1)
    with pytest.raises(PreemptedError):
        train_cell(jobs[0], Watch(should_stop=stop_at(1)))
    with pytest.raises(PreemptedError):
        train_cell(jobs[0], Watch(should_stop=stop_at(12)))
    with pytest.raises(PreemptedError):
        train_cell(jobs[0], Watch(should_stop=stop_at(last + offset - 11)))
    assert jobs[0].folder.checkpoint_step() == last + offset - 1
    assert jobs[2].folder.checkpoint_step() == branch_step(jobs, 2)
    for job in jobs:
        train_cell(job)
        assert outcome(job) == about(alone[job.cell.run_id])
    assert (jobs[1].folder.record).exists()


@BOTH
def test_a_branch_that_is_stopped_remembers_what_it_inherited(
    jobs: list[Job], alone: dict[str, tuple[dict[str, Any], Any]]
) -> None:
    train_cell(jobs[0])
    with pytest.raises(PreemptedError):
        train_cell(jobs[1], Watch(should_stop=stop_at(4)))
    record = train_cell(jobs[1])
    assert record.flops_spent < 0.25 * record.flops
    assert outcome(jobs[1]) == about(alone[jobs[1].cell.run_id])


def test_killed_before_the_checkpoint_of_a_branch(
    jobs: list[Job], alone: dict[str, tuple[dict[str, Any], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as once:
        once.setattr(savers, "write_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train_cell(jobs[0])
    assert not jobs[2].folder.curve.exists(), "the curve of a branch is in its checkpoint"
    record = train_cell(jobs[2])
    assert record.flops_spent == record.flops
    assert outcome(jobs[2]) == about(alone[jobs[2].cell.run_id])
    for job in jobs[:2]:
        train_cell(job)
        assert outcome(job) == about(alone[job.cell.run_id])


def test_a_branch_that_another_trains_or_that_is_done_is_left_alone(jobs: list[Job]) -> None:
    train_cell(replace(jobs[2], branches=()))
    stamp = jobs[2].folder.record.stat().st_mtime_ns
    with take(jobs[1].folder.path) or pytest.fail("it is free"):
        train_cell(jobs[0])
    assert jobs[1].folder.checkpoint_step() == 0
    assert not jobs[1].folder.curve.exists()
    assert not jobs[2].folder.checkpoint.exists()
    assert jobs[2].folder.record.stat().st_mtime_ns == stamp


def test_a_branch_that_is_taken_over_from_a_frozen_trunk_is_left_alone(
    jobs: list[Job], alone: dict[str, tuple[dict[str, Any], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the trunk had slept between its claim on the branch and the checkpoint that it writes there."""
    followers = []

    def taken_over(folder: Path) -> Claim | None:
        claim = take(folder)
        assert claim is not None
        followers.append(take(folder, [claim.token]))
        return claim

    monkeypatch.setattr("harness.train.branch.take", taken_over)
    train_cell(jobs[0])
    assert outcome(jobs[0]) == about(alone[jobs[0].cell.run_id])
    assert len(followers) == 2
    for job, follower in zip((jobs[2], jobs[1]), followers, strict=True):
        assert not job.folder.checkpoint.exists()
        assert follower is not None
        assert follower.holds()
        follower.release()
        train_cell(job)
        assert outcome(job) == about(alone[job.cell.run_id])


def test_a_trunk_that_began_without_its_branches_leaves_them_to_themselves(
    jobs: list[Job], alone: dict[str, tuple[dict[str, Any], Any]]
) -> None:
    """Its earlier steps are not known in the branch's rows, so no curve of the branch could be whole."""
    with pytest.raises(PreemptedError):
        train_cell(replace(jobs[0], branches=()), Watch(should_stop=stop_at(5)))
    train_cell(jobs[0])
    assert jobs[1].folder.checkpoint_step() == 0
    train_cell(jobs[1])
    assert outcome(jobs[1]) == about(alone[jobs[1].cell.run_id])


def test_a_branch_that_diverges_alone_diverges_at_the_same_step(jobs: list[Job], tmp_path: Path) -> None:
    """The rows of the short run see a loss blow up that the trunk has not looked at yet when it branches."""
    wild = []
    for job in jobs:
        spec = job.cell.spec
        optimizer = replace(spec.optimizer, lr=30.0, grad_clip=0.0)
        cell = replace(job.cell, spec=replace(spec, optimizer=optimizer))
        wild.append(replace(job, cell=cell, train=replace(job.train, log_points=4), branches=()))
    long, _, short = share_trunks(wild)
    assert len(long.branches) == 2
    alone = elsewhere(short, tmp_path / "short")
    record = train_cell(alone)
    assert record.status == "diverged"
    assert record.steps < branch_step(jobs, 2) < train_cell(long).steps
    assert train_cell(short).status == "diverged"
    assert outcome(short) == about(outcome(alone))
