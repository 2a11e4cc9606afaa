"""Sharing the cells of a sweep out over array tasks."""

import math
from collections.abc import Sequence

from harness.plan.throughput import makespan
from harness.train.job import Job


def chunks(jobs: Sequence[Job], seconds: float, workers: int, most: int) -> list[list[Job]]:
    """Array tasks of about ``seconds`` each, of nearly equal estimated length, the longest first.

    Args:
        jobs: what is to be trained.
        seconds: estimated time that short cells are gathered to; a longer cell has a task of its own.
        workers: cells at once in a task.
        most: tasks at most.
    """
    if not jobs:
        return []
    total = sum(job.cell.estimate_seconds for job in jobs)
    wanted = max(1, math.ceil(total / (seconds * workers)))
    tasks: list[list[Job]] = [[] for _ in range(min(wanted, most, len(jobs)))]
    load = [0.0] * len(tasks)
    for job in sorted(jobs, key=lambda job: -job.cell.estimate_seconds):
        least = load.index(min(load))
        tasks[least].append(job)
        load[least] += job.cell.estimate_seconds
    return sorted(tasks, key=lambda task: -expected_seconds(task, workers))


def expected_seconds(jobs: Sequence[Job], workers: int) -> float:
    """How long a task with these cells should take."""
    return makespan([job.cell.estimate_seconds for job in jobs], workers)
