"""Fits that exist, compared like the arms of an experiment: what they differ in besides their runs is said first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from harness.compare.arm import Arm
from harness.compare.assess import JointLaws
from harness.compare.compare import compare_arms
from harness.compare.paired import runs_of
from harness.compare.results import FrontierComparison
from harness.errors import UserError
from harness.fit import Fit, Points
from harness.fit.encoding import encode
from harness.fit.table import UNNAMED
from harness.text import counted

ALIKE = 0.1
"""Shares of 6ND that differ by less are one way of counting: models of one convention differ by as much."""


def bare_arm(name: str, fit: Fit, points: Points | None = None) -> Arm:
    """An arm of a fit alone: without its sweep nothing is known of its text, bits per byte neither.

    Args:
        points: the runs it was fitted to, where they are known; runs of two arms are then paired by N, D and seed.
    """
    runs = () if points is None else runs_of(points)
    return Arm(name=name, fit=fit, corpus="", fingerprint="", bits_per_nat=None, runs=runs)


def compare_fits(fits: Mapping[str, Fit]) -> FrontierComparison:
    """Every fit against the first, by all three approaches, with cautions; see :func:`compare_arms`.

    >>> from harness import load_fit
    >>> found = compare_fits(
    ...     {name: load_fit(f"results/{name}") for name in ("kaplan-fixed", "kaplan-matched")}
    ... )
    >>> found.decides
    'approach_3'

    Raises:
        UserError: fewer than two fits, or intervals of different levels.
    """
    return compare_bare([bare_arm(name, fit) for name, fit in fits.items()])


def compare_bare(
    arms: Sequence[Arm], target: float | None = None, joint: JointLaws | None = None
) -> FrontierComparison:
    """:func:`compare_arms` for fits of whatever origin, with :func:`cautions`."""
    if len(arms) < 2:
        raise UserError(f"fits: a comparison needs two or more, got {len(arms)}")
    if len({arm.fit.level for arm in arms}) > 1:
        levels = ", ".join(f"{arm.name} {arm.fit.level:g}" for arm in arms)
        raise UserError(
            f"fits: intervals of different levels cannot be compared ({levels}); fit with one analysis.level"
        )
    found = compare_arms(" and ".join(arm.name for arm in arms), arms, target, joint)
    return replace(found, cautions=(*found.cautions, *cautions(arms)))


def cautions(arms: Sequence[Arm]) -> tuple[str, ...]:
    """What makes a difference between fits something else than one between their runs; a sentence each."""
    return (*_conventions(arms), *_reach(arms), *_shared(arms))


def _conventions(arms: Sequence[Arm]) -> Iterator[str]:
    asked = {
        "count parameters differently": [arm.fit.count for arm in arms],
        "count compute differently": _computes([arm.fit for arm in arms]),
        "are of different losses": [arm.fit.loss for arm in arms],
        "have different forms of the law in approach 3": [arm.fit.approach_3.formula for arm in arms],
        "take the cells of a table differently": [_cells(arm.fit) for arm in arms],
    }
    for what, found in asked.items():
        if len(set(found)) > 1:
            named = ", ".join(f"{arm.name}: {value}" for arm, value in zip(arms, found, strict=True))
            yield f"The fits {what} ({named}): part of a difference can be due to that alone."


def _computes(fits: Sequence[Fit]) -> list[str]:
    """Which column is compute, and beside 6ND how much it is, where that differs at the same N."""
    params = (min(fit.largest_flops for fit in fits) / 120) ** 0.5  # with 20 tokens a parameter
    costs = [fit.approach_3.cost for fit in fits]
    ratios = [cost.kappa / 6 * params ** (cost.power - 1) for cost in costs]
    if max(ratios) < (1 + ALIKE) * min(ratios):
        return [fit.compute for fit in fits]
    return [f"{fit.compute} is {ratio:.3g} times 6ND" for fit, ratio in zip(fits, ratios, strict=True)]


def _cells(fit: Fit) -> str:
    return "mean" if fit.cells is None else fit.cells.choice


def _reach(arms: Sequence[Arm]) -> Iterator[str]:
    """The budget at which optima are compared is the largest that all reach, which another may only begin above."""
    flops = min(arm.fit.largest_flops for arm in arms)
    for arm in arms:
        if flops < arm.fit.smallest_flops * (1 - 1e-6):
            low, high = arm.fit.smallest_flops, arm.fit.largest_flops
            yield (
                f"The optima are compared at C = {flops:.3g} FLOPs, which is below all runs of {arm.name} "
                f"({low:.3g} to {high:.3g}): its numbers there are extrapolated."
            )


def _shared(arms: Sequence[Arm]) -> Iterator[str]:
    """Fits of the same runs: their draws are not independent, as the intervals take them to be."""
    for one, two in combinations(arms, 2):
        pair = f"{one.name} and {two.name}"
        if encode(one.fit) == encode(two.fit):
            yield f"{pair} are the same fit: a difference of zero between them says nothing."
            continue
        if one.fit.fingerprint and one.fit.fingerprint == two.fit.fingerprint:
            yield (
                f"{pair} are fits of the same runs: these are not independent, as the intervals of differences take "
                "them to be, which are too long."
            )
            continue
        shared = _runs(one.fit) & _runs(two.fit)
        if shared:
            yield (
                f"{pair} have {counted(len(shared), 'run')} of the same name ({', '.join(sorted(shared)[:3])}"
                f"{' …' if len(shared) > 3 else ''}): where they are the same runs, the fits are not independent, and "
                "the intervals of differences are too long."
            )


def _runs(fit: Fit) -> set[str]:
    """The runs that a fit names: those of its profiles."""
    named = {run for budget in fit.approach_2.budgets for run in budget.run_ids}
    return {run for run in named if not UNNAMED.fullmatch(run)}
