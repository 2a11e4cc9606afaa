"""Branches wait for their trunk as long as it will give them something, no longer; with a fake for training."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.launch import pool as pools
from harness.launch.branching import own_seconds, share_trunks
from harness.launch.pool import PoolOptions, run_pool
from harness.launch.slurm.request import chunks
from harness.launch.worker import HELD
from harness.plan.branching import shared_steps
from harness.runs.claim import take
from harness.train.job import Job
from tests.launch.fake_worker import fake_worker
from tests.launch.test_pool import Seen, statuses, tell
from tests.train.small import small_jobs

GRID = ("schedule=wsd", "schedule.share_trunk=true", "grid.budgets=[2e8,4e8,7e8]", "recipe.min_steps=40")


@pytest.fixture
def jobs(tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Three horizons of one model, the longest first."""
    monkeypatch.setattr(pools, "work", fake_worker)
    monkeypatch.setattr(pools, "back_off", lambda attempt: 0.01 * attempt)
    monkeypatch.setattr(pools, "POLL_SECONDS", 0.2)
    _, jobs = small_jobs(tmp_path, text_folder, *GRID, "grid.params=[7000]")
    return sorted(jobs, key=lambda job: -job.cell.spec.steps)


def ids(jobs: list[Job]) -> list[str]:
    return [job.cell.run_id for job in jobs]


def test_branches_start_when_their_checkpoints_are_there(jobs: list[Job]) -> None:
    """The trunk goes on only once both branches have ended: they did not wait for its end."""
    tell(jobs[0], "leave")
    ended: list[str] = []

    class View(Seen):
        def ended(self, job: Job, _: object) -> None:
            ended.append(job.cell.run_id)
            if len(ended) == 2:
                (jobs[0].folder.path / "go on").touch()

        def started(self, job: Job) -> None:
            super().started(job)
            assert job is jobs[0] or (jobs[0].folder.path / "left").exists(), "nothing was left to it yet"

    assert set(statuses(run_pool(jobs, PoolOptions(workers=2), View())).values()) == {"finished"}
    assert ended[2] == jobs[0].cell.run_id


@pytest.mark.parametrize("attempts", [["error"], ["kill", "kill", "kill"], []])
def test_branches_of_a_trunk_that_ended_or_failed_are_trained_alone(
    jobs: list[Job], attempts: list[str]
) -> None:
    tell(jobs[0], *attempts)
    view = Seen()
    found = statuses(run_pool(jobs, PoolOptions(workers=3), view))
    assert found == dict(
        zip(ids(jobs), ["failed" if attempts else "finished", "finished", "finished"], strict=True)
    )
    tries = max(1, len(attempts))
    assert view.started_[:tries] == [jobs[0].cell.run_id] * tries, "they waited while it was tried again"
    assert sorted(view.started_[tries:]) == sorted(ids(jobs[1:]))


def test_a_branch_does_not_wait_for_a_trunk_that_has_passed_it(jobs: list[Job]) -> None:
    last = shared_steps(jobs[0].cell.spec, jobs[1].cell.spec)
    (jobs[0].folder.checkpoint / f"{last + 1:09d}").mkdir(parents=True)
    view = Seen()
    run_pool(jobs[:2], PoolOptions(workers=2), view)
    assert sorted(view.started_) == sorted(ids(jobs[:2]))
    tell(jobs[0], "leave")  # it would wait for ever: nothing must wait for it
    only = Seen()
    run_pool(jobs[1:2], PoolOptions(workers=1), only)
    assert only.started_ == ids(jobs[1:2])


def test_patience_with_a_trunk_that_another_trains_is_patience_with_its_branches(jobs: list[Job]) -> None:
    with take(jobs[0].folder.path) or pytest.fail("it is free"):
        ended = run_pool(jobs, PoolOptions(workers=2, patience=0.5), Seen())
    assert set(statuses(ended).values()) == {HELD}


def test_the_longest_missing_run_is_the_trunk(jobs: list[Job]) -> None:
    alone = [replace(job, branches=()) for job in jobs]
    assert [[cell.run_id for cell in job.branches] for job in share_trunks(alone)] == [ids(jobs[1:]), [], []]
    assert [[cell.run_id for cell in job.branches] for job in share_trunks(alone[1:])] == [ids(jobs[2:]), []]


def test_a_job_with_branches_survives_being_written_down(jobs: list[Job]) -> None:
    assert Job.from_json(jobs[0].to_json()) == replace(jobs[0], corpus=jobs[0].corpus.resolve())


def test_a_trunk_and_its_branches_share_an_array_task(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, *GRID, "grid.params=[5000,7000,10000]")
    trunks = [job for job in jobs if job.branches]
    assert len(trunks) == 3
    tasks = chunks(jobs, seconds=1e-3, workers=1, most=100)
    assert len(tasks) == 3, "however short the tasks, no branch is parted from its trunk"
    for task in tasks:
        assert {job.cell.run_id for job in task[1:]} == {cell.run_id for cell in task[0].branches}
    assert len(chunks(jobs, seconds=1e6, workers=1, most=100)) == 1
    saved = sum(job.cell.estimate_seconds for job in jobs) - sum(own_seconds(jobs))
    branches = [job.cell.estimate_seconds for job in jobs if not job.branches]
    assert saved == pytest.approx(0.8 * sum(branches), rel=0.05)
    assert own_seconds([replace(job, branches=()) for job in jobs]) == [
        job.cell.estimate_seconds for job in jobs
    ]
