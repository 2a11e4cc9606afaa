"""Which runs of a sweep fork from which, and which of them wait for their trunk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.plan.trunk import find_forks, shared_steps
from harness.train.job import Job


def share_trunks(jobs: Iterable[Job]) -> list[Job]:
    """The same jobs, each told the shorter ones that fork from it."""
    jobs = list(jobs)
    forks = find_forks(job.cell for job in jobs)
    by_trunk: dict[str, list[Job]] = {}
    for job in jobs:
        if job.cell.run_id in forks:
            by_trunk.setdefault(forks[job.cell.run_id].trunk, []).append(job)
    return [
        replace(job, forks=tuple(fork.cell for fork in by_trunk.get(job.cell.run_id, []))) for job in jobs
    ]


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs by trunk, which comes first; a job without forks is a group of its own."""
    trunks = Trunks.among(jobs)
    roots = [job for job in jobs if job.cell.run_id not in trunks.of]
    return [[root, *(job for job in jobs if trunks.root(job) == root.cell.run_id)] for root in roots]


def own_seconds(jobs: Sequence[Job]) -> list[float]:
    """Estimated training time of each job; of a fork only what its trunk among ``jobs`` does not train for it."""
    trunks = Trunks.among(jobs)
    return [job.cell.estimate_seconds * trunks.left(job) for job in jobs]


@dataclass(frozen=True)
class Trunks:
    """For each run that forks, the job that trains its beginning, and the last step of that."""

    of: dict[str, tuple[Job, int]]

    @classmethod
    def among(cls, jobs: Iterable[Job]) -> "Trunks":
        """As the jobs' own forks say."""
        return cls(
            {fork.run_id: (job, shared_steps(job.cell.spec, fork.spec)) for job in jobs for fork in job.forks}
        )

    def root(self, job: Job) -> str | None:
        """The run that ``job`` forks from; None where it does not."""
        return self.of[job.cell.run_id][0].cell.run_id if job.cell.run_id in self.of else None

    def left(self, job: Job) -> float:
        """The share of ``job`` that its trunk does not train."""
        return 1 - self.of[job.cell.run_id][1] / job.cell.spec.steps if job.cell.run_id in self.of else 1.0

    def awaited(self, job: Job) -> str | None:
        """The trunk that will still leave ``job`` a checkpoint, a run id; None where it can be trained now.

        What decides lies on disk: a trunk leaves a fork's checkpoint before one of its own at that step or later.
        """
        if job.cell.run_id not in self.of:
            return None
        trunk, step = self.of[job.cell.run_id]
        there = job.folder.checkpoint_step() >= step
        return None if there or trunk.folder.checkpoint_step() > step else trunk.cell.run_id
