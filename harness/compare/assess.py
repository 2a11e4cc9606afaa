"""Was the change worth it: every arm's paired differences from the first, and the compute that it saves."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.compare import paired, saving
from harness.compare.arm import Arm
from harness.compare.difference import UNKNOWN, Difference, judge_interval, of_draws
from harness.compare.looks import corrected
from harness.compare.paired import MinimaDifference, PairedCell, PairNoise, ScoredRun
from harness.compare.results import ArmSaving, PairedArm, PairedBudget, SavingRow
from harness.compare.saving import FrontierCurve, LossCurve, Ratios
from harness.compare.saving_tables import saving_text
from harness.fit.bootstrap import difference_halves
from harness.fit.results import Approach, Approach3
from harness.predict.source import PREFERENCE

RESOLUTION = math.log(1.1)  # of a saving: a smaller one is called none
RATIO = math.log(1.5)  # of N*, as in the table of optima
TREND = 0.05  # of a slope: a factor of 1.12 in the ratio for ten times the compute
NEAR = 1e-2  # C of two columns that differ by less, in logarithms, are one


@dataclass(frozen=True)
class JointLaws:
    """Laws of arms that share alpha and beta, by arm; none where the test refuses that. ``said``: what it said."""

    laws: Mapping[str, Approach3]
    said: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How arms are compared.

    Attributes:
        flops: the common budget. target: another C to tell the saving at.
        bits: a difference of losses that matters, in bits per byte.
        refused: by arm, why no saving can be told of it.
        decides: the approach that the verdict on exponents is from.
        laws: by arm, those that share their exponents.
    """

    level: float
    flops: float
    target: float | None = None
    bits: float = 0.05
    refused: Mapping[str, str] = field(default_factory=dict)
    decides: str | None = None
    laws: Mapping[str, Approach3] = field(default_factory=dict)


@dataclass(frozen=True)
class _Scale:
    """The unit of losses of two arms: nats per token where they are of one text, else bits per byte."""

    nats: bool
    resolution: float

    @classmethod
    def of(cls, first: Arm, arm: Arm, bits: float) -> "_Scale":
        nats = first.scored_on == arm.scored_on
        return cls(nats, bits / (first.bits_per_nat or 1.0) if nats else bits)

    @property
    def unit(self) -> str:
        return "nats per token" if self.nats else "bits per byte"

    def loss(self, run: ScoredRun) -> float | None:
        return run.loss if self.nats else run.bits


@dataclass(frozen=True, eq=False)
class _Pairs:
    """What the pairs of an arm with the first say."""

    scale: _Scale
    cells: tuple[PairedCell, ...]
    minima: MinimaDifference | None
    noise: PairNoise | None


def assess(arms: Sequence[Arm], asked: Asked) -> tuple[tuple[PairedArm, ...], tuple[ArmSaving, ...]]:
    """Paired differences and savings of every arm but the first, corrected for how many were tested (Holm).

    A family is a question: the differences of all arms and budgets, those over all budgets of all arms, those at the
    minima, the savings of all arms and C within the runs, and those beyond.
    """
    first, *others = arms
    pairs = [_pairs(first, arm, asked) for arm in others]
    differences = _correct_paired(
        [_paired(first, arm, p, asked) for arm, p in zip(others, pairs, strict=True)], asked.level
    )
    savings = [_saving(first, arm, p, asked) for arm, p in zip(others, pairs, strict=True)]
    looks = sum(row.within for one in savings for row in one.rows)
    families = {
        within: iter(
            corrected(
                [row.log_ratio for one in savings for row in one.rows if row.within is within], asked.level
            )
        )
        for within in (True, False)
    }
    made = []
    for arm, one, p in zip(others, savings, pairs, strict=True):
        rows = tuple(replace(row, log_ratio=next(families[row.within])) for row in one.rows)
        made.append(_judged(first, arm, replace(one, rows=rows), p, asked, looks))
    return tuple(differences), tuple(made)


def _pairs(first: Arm, arm: Arm, asked: Asked) -> _Pairs:
    scale = _Scale.of(first, arm, asked.bits)
    cells = paired.pair(first.runs, arm.runs, scale.loss)
    middles = {}
    ours, theirs = _optima(first), _optima(arm)
    for budget in ours.keys() & theirs.keys():
        middles[budget] = (math.log(ours[budget][0]) + math.log(theirs[budget][0])) / 2
    minima = paired.at_minima(cells, middles, _falls(first, cells, asked)) if cells else None
    return _Pairs(scale, cells, minima, paired.pair_noise(cells, asked.level))


def _falls(first: Arm, cells: Sequence[PairedCell], asked: Asked) -> dict[float, float] | None:
    """-dL*/dlnC of the first arm's frontier at each budget; None without a frontier, or where it does not fall."""
    curve = _frontier_curve(first, asked)
    if curve is None:
        return None
    at = {cell.budget: cell.flops for cell in cells}
    falls = {budget: curve.fall(flops) for budget, flops in at.items()}
    return falls if all(fall > 0 for fall in falls.values()) else None


def _optima(arm: Arm) -> dict[float, tuple[float, tuple[float, float] | None]]:
    """By planned budget, N* of its profile and the interval; none where the profile has no minimum."""
    planned = {run.budget for run in arm.runs}
    found = {}
    for one in arm.fit.approach_2.budgets:
        budget = min(planned, key=lambda b: abs(math.log(b / one.budget)), default=None)
        if budget is not None and one.params_opt and abs(math.log(budget / one.budget)) < 0.1:
            found[budget] = (one.params_opt, one.params_interval)
    return found


def _paired(first: Arm, arm: Arm, pairs: _Pairs, asked: Asked) -> PairedArm:
    scale = pairs.scale
    if not pairs.cells:
        return PairedArm(arm=arm.name, unit=scale.unit, reason=_no_pairs(first, arm, scale))
    noise = 0.0 if scale.nats else math.hypot(first.bits_se or 0.0, arm.bits_se or 0.0)
    means = paired.by_budget(pairs.cells)
    at_minima = (
        {} if pairs.minima is None else {b: pairs.minima.at(i) for i, b in enumerate(pairs.minima.budgets)}
    )
    rows = []
    for budget, mean in means.items():
        mine = [cell for cell in pairs.cells if cell.budget == budget]
        minimum = at_minima.get(budget)
        rows.append(
            PairedBudget(
                budget=budget,
                cells=len(mine),
                pairs=sum(cell.pairs for cell in mine),
                mean=mean.judged(asked.level, scale.resolution, noise),
                at_minimum=None if minimum is None else minimum.judged(asked.level, scale.resolution, noise),
                log_params=_moved(_optima(first).get(budget), _optima(arm).get(budget)),
            )
        )
    return PairedArm(
        arm=arm.name,
        unit=scale.unit,
        budgets=tuple(rows),
        overall=paired.overall(means).judged(asked.level, scale.resolution, noise),
        correlation=None if pairs.noise is None else pairs.noise.correlation,
        correlation_interval=None if pairs.noise is None else pairs.noise.correlation_interval,
        noise=None if pairs.noise is None else math.sqrt(pairs.noise.variance),
    )


def _no_pairs(first: Arm, arm: Arm, scale: _Scale) -> str:
    bare = [one.name for one in (first, arm) if not one.runs]
    if bare:
        return f"{' and '.join(bare)}: a fit alone, whose single runs are not known"
    if any(all(scale.loss(run) is None for run in one.runs) for one in (first, arm)):
        return "the arms are scored on different texts, and one has no bits per byte"
    if not {run.budget for run in first.runs} & {run.budget for run in arm.runs}:
        return f"{first.name} and {arm.name} have no budget in common"
    return f"{first.name} and {arm.name} have no shape in common at any budget"


def _moved(
    ours: tuple[float, tuple[float, float] | None] | None,
    theirs: tuple[float, tuple[float, float] | None] | None,
) -> Difference:
    """ln N* of an arm minus that of the first, from the intervals of both minima."""
    if ours is None or theirs is None:
        return Difference(None, None, UNKNOWN, "a profile has no minimum")
    value = math.log(theirs[0] / ours[0])
    if ours[1] is None or theirs[1] is None or not (min(ours[1][0], theirs[1][0]) > 0):
        return Difference(value, None, UNKNOWN, "a minimum has no interval")
    one, two = ((math.log(low), math.log(high)) for low, high in (theirs[1], ours[1]))
    below, above = difference_halves(math.log(theirs[0]), one, math.log(ours[0]), two)
    return judge_interval(value, (value - below, value + above), RATIO, logs=True)


def _correct_paired(found: Sequence[PairedArm], level: float) -> list[PairedArm]:
    means = iter(corrected([row.mean for one in found for row in one.budgets], level))
    minima = iter(
        corrected([row.at_minimum for one in found for row in one.budgets if row.at_minimum], level)
    )
    totals = iter(corrected([one.overall for one in found if one.overall], level))
    return [
        replace(
            one,
            budgets=tuple(
                replace(row, mean=next(means), at_minimum=row.at_minimum and next(minima))
                for row in one.budgets
            ),
            overall=one.overall and next(totals),
        )
        for one in found
    ]


def _approach(arm: Arm, name: str, asked: Asked) -> Approach | None:
    """An approach of an arm with a frontier of held-out loss and draws; the law of shared exponents where there is."""
    found: Approach | None = asked.laws.get(arm.name) if name == "approach_3" else None
    found = found or next((one for one in arm.fit.approaches if one.name == name), None)
    theta = None if found is None else found.theta()
    if (
        found is None
        or found.loss_kind != "held-out"
        or found.a is None
        or theta is None
        or found.draws is None
    ):
        return None
    return found if np.isfinite(found.optimum(theta, asked.flops)[2]) else None


def _names(asked: Asked) -> list[str]:
    return [*dict.fromkeys(name for name in (asked.decides, *PREFERENCE) if name is not None)]


def _frontier_curve(first: Arm, asked: Asked) -> FrontierCurve | None:
    for name in ["approach_3"] if first.name in asked.laws else _names(asked):
        approach = _approach(first, name, asked)
        if approach is not None:
            return FrontierCurve(approach)
    return None


def _curve(first: Arm, arm: Arm, asked: Asked) -> LossCurve | None:
    return _frontier_curve(first, asked) or saving.pooled_slope([_best(one) for one in (first, arm)])


def _best(arm: Arm) -> list[tuple[float, float]]:
    """(C, loss of the best cell) of every budget."""
    cells: dict[float, dict[object, list[ScoredRun]]] = {}
    for run in arm.runs:
        cells.setdefault(run.budget, {}).setdefault(run.size, []).append(run)
    means = {
        b: min(float(np.mean([run.loss for run in same])) for same in sizes.values())
        for b, sizes in cells.items()
    }
    at = {
        b: float(np.mean([run.flops for same in sizes.values() for run in same]))
        for b, sizes in cells.items()
    }
    return [(at[b], means[b]) for b in sorted(cells)]


def _saving(first: Arm, arm: Arm, pairs: _Pairs, asked: Asked) -> ArmSaving:
    """The rows and the trend, before they are corrected."""
    if refused := asked.refused.get(arm.name, ""):
        return ArmSaving(arm=arm.name, reason=refused)
    ratios, how, at = None, "pairs", _several(asked)
    curve = _curve(first, arm, asked) if pairs.minima is not None else None
    if pairs.minima is not None and curve is not None:
        ratios = saving.by_pairs(curve, pairs.minima)
        rows = [_row(ratios, i, "pairs", True, asked) for i in range(len(ratios.flops))]
        for flops in at:
            if not any(abs(math.log(row.flops / flops)) < NEAR for row in rows):
                rows.extend(_on_trend(ratios, flops, asked))
    else:
        how = "frontiers"
        ratios = _frontier_ratios(first, arm, asked)
        if ratios is None:
            return ArmSaving(arm=arm.name, reason=_untold(pairs))
        reach = (
            max(one.fit.smallest_flops for one in (first, arm)),
            min(one.fit.largest_flops for one in (first, arm)),
        )
        rows = [
            _row(ratios, i, how, bool(reach[0] * (1 - NEAR) <= c <= reach[1] * (1 + NEAR)), asked)
            for i, c in enumerate(ratios.flops)
        ]
    rows = sorted((_timed(first, arm, row) for row in rows), key=lambda row: row.flops)
    slope = ratios.trend()
    trend = slope and of_draws(*slope, asked.level, TREND)
    return ArmSaving(arm=arm.name, rows=tuple(rows), trend=trend)


def _on_trend(ratios: Ratios, flops: float, asked: Asked) -> Iterator[SavingRow]:
    """At a C that has no pairs, by the trend of those that have; nothing without a trend."""
    on_line = ratios.at(flops)
    if on_line is not None:
        judged = of_draws(*on_line, asked.level, RESOLUTION, True, keep_infinite=True)
        within = bool(ratios.flops.min() <= flops <= ratios.flops.max())
        yield SavingRow(flops=flops, log_ratio=judged, how="trend", within=within)


def _several(asked: Asked) -> tuple[float, ...]:
    return (asked.flops,) if asked.target is None else (asked.flops, asked.target)


def _untold(pairs: _Pairs) -> str:
    if pairs.cells and pairs.minima is not None:
        return "one budget, and no frontier: how the loss falls with compute is not known"
    return "an arm has no frontier with bootstrap draws, and there are too few pairs of runs"


def _frontier_ratios(first: Arm, arm: Arm, asked: Asked) -> Ratios | None:
    """At the arm's budgets, the common one and the target."""
    wanted = sorted({*(one.budget for one in arm.fit.approach_2.budgets), *_several(asked)})
    apart = [c for i, c in enumerate(wanted) if not i or math.log(c / wanted[i - 1]) > NEAR]
    names = ["approach_3", *_names(asked)] if asked.laws else _names(asked)
    for name in names:
        one, two = (_approach(x, name, asked) for x in (first, arm))
        if one is not None and two is not None:
            return saving.by_frontiers(one, two, apart)
    return None


def _row(ratios: Ratios, i: int, how: str, within: bool, asked: Asked) -> SavingRow:
    judged = of_draws(
        float(ratios.values[i]), ratios.draws[:, i], asked.level, RESOLUTION, True, keep_infinite=True
    )
    return SavingRow(flops=float(ratios.flops[i]), log_ratio=judged, how=how, within=within)


def _timed(first: Arm, arm: Arm, row: SavingRow) -> SavingRow:
    """With the ratio of times: what the first arm takes for the C that it needs, over what the arm takes for C.

    The compute that the first arm needs beyond C is taken to run as fast as its C does. None where times are unknown
    or of several devices. Times have no interval of their own.
    """
    ours, theirs, value = first.times, arm.times, row.log_ratio.value
    if ours is None or theirs is None or len({*ours.devices, *theirs.devices}) != 1 or value is None:
        return row
    if not math.isfinite(value):
        return row
    slower = math.log(ours.seconds(row.flops) / theirs.seconds(row.flops))
    bounds = row.log_ratio.interval
    if bounds is None:
        found = Difference(value + slower, None, UNKNOWN, row.log_ratio.reason)
    else:
        found = judge_interval(
            value + slower, (bounds[0] + slower, bounds[1] + slower), RESOLUTION, logs=True
        )
    return replace(row, log_seconds=found)


def _judged(first: Arm, arm: Arm, found: ArmSaving, pairs: _Pairs, asked: Asked, looks: int) -> ArmSaving:
    if not found.rows:
        return replace(found, verdict=f"{arm.name}: what it saves cannot be told ({found.reason}).")
    wanted = asked.target or asked.flops
    row = min(found.rows, key=lambda one: abs(math.log(one.flops / wanted)))
    more = None
    if pairs.minima is not None and row.log_ratio.verdict == UNKNOWN and row.how == "pairs":
        i = int(np.argmin(np.abs(np.log(pairs.minima.flops / row.flops))))
        more = saving.more_seeds(pairs.minima, i, pairs.noise, asked.level, looks)
    judged = replace(found, judged=row, more_seeds=more)
    return replace(judged, verdict=saving_text(first.name, judged, pairs.minima is not None))
