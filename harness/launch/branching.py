"""Trunks and branches among the jobs of a sweep: who trains a common beginning, and who waits for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.plan.branching import find_branches, shared_steps
from harness.train.job import Job


def share_trunks(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs, each told the shorter ones that branch from it."""
    jobs = list(jobs)
    points = find_branches(job.cell for job in jobs)
    by_trunk: dict[str, list[Job]] = {}
    for job in jobs:
        if job.cell.run_id in points:
            by_trunk.setdefault(points[job.cell.run_id].trunk, []).append(job)
    return [
        replace(job, branches=tuple(branch.cell for branch in by_trunk.get(job.cell.run_id, [])))
        for job in jobs
    ]


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs by trunk, which comes first; a job without branches is a group of its own."""
    trunks = Trunks.among(jobs)
    roots = [job for job in jobs if job.cell.run_id not in trunks.of]
    return [[root, *(job for job in jobs if trunks.root(job) == root.cell.run_id)] for root in roots]


def own_seconds(jobs: Sequence[Job]) -> list[float]:
    """Estimated training time of each job; of a branch only what its trunk among ``jobs`` does not train for it."""
    trunks = Trunks.among(jobs)
    return [job.cell.estimate_seconds * trunks.own_share(job) for job in jobs]


@dataclass(frozen=True)
class Trunks:
    """For each run that branches, by its id: the job that trains its beginning, and the last step of that."""

    of: dict[str, tuple[Job, int]]

    @classmethod
    def among(cls, jobs: Iterable[Job]) -> "Trunks":
        """As the jobs' own branches say."""
        return cls(
            {
                branch.run_id: (job, shared_steps(job.cell.spec, branch.spec))
                for job in jobs
                for branch in job.branches
            }
        )

    def root(self, job: Job) -> str | None:
        """Id of the run that ``job`` branches from; None where it is no branch."""
        return self.of[job.cell.run_id][0].cell.run_id if job.cell.run_id in self.of else None

    def own_share(self, job: Job) -> float:
        """The share of ``job`` that its trunk does not train; 1 where it is no branch."""
        return 1 - self.of[job.cell.run_id][1] / job.cell.spec.steps if job.cell.run_id in self.of else 1.0

    def awaited(self, job: Job) -> str | None:
        """Id of the trunk that will still write a checkpoint for ``job``; None where it can be trained now.

        The files decide: a trunk writes a branch's checkpoint before one of its own at that step or later.
        """
        if job.cell.run_id not in self.of:
            return None
        trunk, step = self.of[job.cell.run_id]
        there = job.folder.checkpoint_step() >= step
        return None if there or trunk.folder.checkpoint_step() > step else trunk.cell.run_id
