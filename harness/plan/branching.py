"""Runs that begin alike: one trunk, from which shorter runs branch where their learning rates part from its own.

A batch is a function of (seed, step), so two runs that differ in nothing but their horizon are the same run, bit for
bit, as long as their learning rates are equal: under warm-up–stable–decay until the shorter one's decay begins (Hu et
al. 2024, arXiv 2404.06395, section 4; Hägele et al. 2024, arXiv 2405.18392). Sharing that beginning saves its FLOPs
and changes no result: the specification of a branch, and so its run id, is that of the run trained alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from harness.plan.cell import Cell
from harness.plan.spec import RunSpec


@dataclass(frozen=True)
class BranchPoint:
    """Where a run branches from its trunk, so that it need not be trained from its beginning.

    Attributes:
        trunk: id of the run it shares its first ``step`` steps with.
        share: those steps as a share of its own.
    """

    trunk: str
    step: int
    share: float


def find_branches(cells: Iterable[Cell]) -> dict[str, BranchPoint]:
    """Which of ``cells`` branch, by run id: of those that differ in their horizon only, all but the longest."""
    alike: dict[RunSpec, list[Cell]] = {}
    for cell in cells:
        alike.setdefault(_of_any_length(cell.spec), []).append(cell)
    branches: dict[str, BranchPoint] = {}
    for group in alike.values():
        trunk = max(group, key=lambda cell: cell.spec.steps)
        for cell in group:
            step = shared_steps(trunk.spec, cell.spec)
            if cell.run_id != trunk.run_id and step:
                branches[cell.run_id] = BranchPoint(trunk.run_id, step, step / cell.spec.steps)
    return branches


def flops_saved(cells: Iterable[Cell], branches: Mapping[str, BranchPoint]) -> float:
    """FLOPs that ``branches`` need not spend, as the budgets count them."""
    return sum(branches[cell.run_id].share * cell.flops for cell in cells if cell.run_id in branches)


def shared_steps(one: RunSpec, other: RunSpec) -> int:
    """How many first steps the two have in common; 0 where anything but the horizon differs.

    At most one less than the shorter has: its last step is always its own.
    """
    if _of_any_length(one) != _of_any_length(other):
        return 0
    a, b = one.schedule, other.schedule
    # learning rates that have parted do not meet again before the shorter schedule ends
    last = min(one.steps, other.steps) - 1
    return bisect_left(range(1, last + 1), True, key=lambda step: a.factor(step) != b.factor(step))


def _of_any_length(spec: RunSpec) -> RunSpec:
    """``spec`` without its horizon: what runs that begin alike have in common."""
    return replace(spec, steps=0, schedule=replace(spec.schedule, steps=0))
