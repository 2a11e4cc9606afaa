"""Sharing the cells of a sweep out over array tasks."""

import math
from collections.abc import Sequence

from harness.plan.duration import makespan
from harness.sweep.trunk import groups, own_seconds
from harness.train.job import Job


def chunks(jobs: Sequence[Job], seconds: float, workers: int, most: int) -> list[list[Job]]:
    """Array tasks of about ``seconds`` each, of nearly equal estimated length, the longest first.

    A trunk and its forks stay together: within a task the forks wait for it, and tasks may not run at once.

    Args:
        jobs: what is to be trained.
        seconds: estimated time that short cells are gathered to; a longer cell has a task of its own.
        workers: cells at once in a task.
        most: tasks at most.
    """
    if not jobs:
        return []
    units = [(sum(own_seconds(unit)), unit) for unit in groups(jobs)]
    wanted = max(1, math.ceil(sum(length for length, _ in units) / (seconds * workers)))
    tasks: list[list[Job]] = [[] for _ in range(min(wanted, most, len(units)))]
    load = [0.0] * len(tasks)
    for length, unit in sorted(units, key=lambda unit: -unit[0]):
        least = load.index(min(load))
        tasks[least] += unit
        load[least] += length
    return sorted(tasks, key=lambda task: -expected_seconds(task, workers))


def expected_seconds(jobs: Sequence[Job], workers: int) -> float:
    """How long a task with these cells should take."""
    return makespan(own_seconds(jobs), workers)
