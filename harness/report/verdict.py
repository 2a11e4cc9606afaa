"""The answer in a sentence, and what speaks against believing it: read off the fit's statuses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

from harness.errors import UserError
from harness.fit.estimate import OptimumEstimate
from harness.fit.fitted import Fit
from harness.fit.status import VOID
from harness.predict.source import choose, from_fit
from harness.report.material import Material
from harness.report.text import (
    approach_label,
    counted,
    interval,
    plain_status,
    power,
    ratio,
    times,
    with_interval,
)
from harness.runs.controls import ControlRun, SeedNoise, seed_noise
from harness.runs.record import FINISHED

GOOD, CAUTION, BAD = "good", "caution", "bad"


@dataclass(frozen=True)
class Finding:
    """One thing to know before using the answer; ``level`` is ``good``, ``caution`` or ``bad``."""

    level: str
    text: str


@dataclass(frozen=True)
class Answer:
    """The headline: one approach's prediction at one budget, or None with the reason in ``text``."""

    text: str
    prediction: OptimumEstimate | None


def decider(fit: Fit) -> str | None:
    """The approach to lead with, as ``isoflop predict`` does; None where none has a number."""
    try:
        return choose(from_fit(fit), "auto")[1].name
    except UserError:
        return None


def answer(material: Material, flops: float) -> Answer:
    """The headline at C = ``flops``."""
    name = decider(material.fit)
    if name is None:
        return Answer(f"At C = {power(flops)} FLOPs: these runs do not determine an optimum.", None)
    prediction = material.fit.predict(flops)[name]
    size = with_interval(counted(prediction.params), interval(prediction.params_interval))
    data = with_interval(counted(prediction.tokens), interval(prediction.tokens_interval))
    share = with_interval(
        ratio(prediction.tokens_per_param), interval(prediction.tokens_per_param_interval, "ratio")
    )
    return Answer(
        f"At C = {power(flops)} FLOPs: N* = {size} parameters on D* = {data} tokens, {share} tokens per "
        f"parameter ({approach_label(prediction.approach).lower()}).",
        prediction,
    )


def findings(material: Material) -> tuple[Finding, ...]:
    """How far to trust the answer, the gravest first."""
    found = [
        *_agreement(material),
        *_reach(material),
        *_at_target(material),
        *_approaches(material),
        *_minima(material),
        *_runs(material),
        *_rates(material),
        *_horizons(material),
        *(Finding(CAUTION, note) for note in material.fit.notes),
    ]
    rank = {BAD: 0, CAUTION: 1, GOOD: 2}
    return tuple(sorted(found, key=lambda finding: rank[finding.level]))


def _agreement(material: Material) -> list[Finding]:
    agreement = material.fit.agreement
    level = {"agree": GOOD, "disagree": BAD}.get(agreement.status, CAUTION)
    message = agreement.message
    return [Finding(level, message[0].upper() + message[1:] + "." * (message[-1] != "."))] if message else []


def _reach(material: Material) -> list[Finding]:
    fit = material.fit
    reach = material.target / fit.largest_flops
    text = f"The runs span C = {power(fit.smallest_flops)} to {power(fit.largest_flops)}"
    if reach <= 1.01:
        return [Finding(GOOD, f"{text}; the target lies within.")]
    limit = max(approach.extrapolation_limit for approach in fit.approaches)
    level = BAD if reach > limit else CAUTION
    return [Finding(level, f"{text}; the target, {power(material.target)}, is {times(reach)} the largest.")]


def _approaches(material: Material) -> list[Finding]:
    found = []
    for approach in material.fit.approaches:
        label = approach_label(approach.name)
        for code, note in zip(approach.flags, approach.notes, strict=True):
            # Without curves there is no envelope to look at; that is no fault of the runs.
            level = BAD if code in VOID and code != "no_curves" else CAUTION
            found.append(Finding(level, f"{label}: {note} ({plain_status(code)})."))
        if not approach.flags:
            found.append(Finding(GOOD, f"{label}: no doubts from its own diagnostics."))
    return found


def _at_target(material: Material) -> list[Finding]:
    """The doubts about each approach that only the target's distance from the runs brings out."""
    found = []
    predictions = material.fit.predict(material.target)
    for approach in material.fit.approaches:
        prediction = predictions[approach.name]
        for code, note in zip(prediction.flags, prediction.notes, strict=True):
            if note not in approach.notes and code not in ("extrapolation", "no_interval"):
                label = approach_label(approach.name)
                found.append(Finding(CAUTION, f"{label} at the target: {note} ({plain_status(code)})."))
    return found


def _minima(material: Material) -> list[Finding]:
    budgets = material.fit.approach_2.budgets
    if not budgets:
        return []
    inside = [budget for budget in budgets if budget.params_opt is not None]
    text = f"{len(inside)} of {len(budgets)} budgets have a minimum inside the sizes that were run."
    found = [Finding(GOOD if len(inside) == len(budgets) else CAUTION, text)]
    for budget in budgets:
        for code, note in zip(budget.flags, budget.notes, strict=True):
            found.append(Finding(CAUTION, f"At C = {power(budget.budget)}: {note} ({plain_status(code)})."))
    return found


def _runs(material: Material) -> list[Finding]:
    found = []
    fit = material.fit
    if material.plan is not None:
        planned = len(material.plan.cells)
        finished = sum(record.status == FINISHED for record in material.records.values())
        level = GOOD if finished == planned else CAUTION
        found.append(Finding(level, f"{finished} of {planned} planned runs are finished."))
        repeated = [cell for cell in material.plan.cells if cell.epochs > 1.001]
        if repeated:
            most = max(cell.epochs for cell in repeated)
            text = f"{len(repeated)} runs saw their corpus more than once (up to {most:.1f} times)."
            found.append(Finding(CAUTION, text + " Repeated tokens are worth less than new ones."))
    if len(material.points) != fit.n_points:
        found.append(
            Finding(
                BAD,
                f"The table has {len(material.points)} usable runs, the fit used {fit.n_points}: it is not the fit "
                "of these runs. Run 'isoflop fit' again.",
            )
        )
    reasons = dict.fromkeys(excluded.reason for excluded in fit.excluded)
    for reason in reasons:
        runs = [excluded.run for excluded in fit.excluded if excluded.reason == reason]
        named = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
        found.append(Finding(CAUTION, f"Left out of the fit: {named}: {reason}."))
    return found


def _rates(material: Material) -> list[Finding]:
    """What the recipe's rate leaves on the table, as far as the luck of seeds lets it be seen."""
    controls = [control for control in material.controls if control.rate != 1]
    if not controls:
        return []
    rates = ", ".join(f"{rate:g}" for rate in sorted({control.rate for control in controls}))
    tried = f"At each budget's best cell the peak rate was tried at {rates} times the recipe's"
    groups = {
        f"{rate:g} times": [c for c in controls if c.rate == rate] for rate in _values(controls, "rate")
    }
    return [_set_against(f"{tried}, ending higher by", groups, material)]


def _horizons(material: Material) -> list[Finding]:
    """What a schedule longer than its run costs, which is why every run here has its own."""
    ended = [control for control in material.controls if control.horizon > 1]
    if not ended:
        return []
    groups = {
        f"{horizon:g} times": [c for c in ended if c.horizon == horizon]
        for horizon in _values(ended, "horizon")
    }
    start = "The best cells under schedules longer than the run, in multiples of its length, ended higher by"
    return [_set_against(start, groups, material)]


def _set_against(start: str, groups: Mapping[str, Sequence[ControlRun]], material: Material) -> Finding:
    """How much higher each group of controls ended, and for which of them that is more than luck.

    Two comparisons bracket the truth: with the run that won at the cell, which was chosen for being low and whose
    luck a control of the same seed may share or not, and with the cell's other seeds. Worse is what is so against the
    others, beyond Student's t of the seeds' own scatter; better is what is so against the others and the winner too.
    """
    noise = seed_noise(material.controls, material.records)
    told: list[str] = []
    judged: list[tuple[str, float, float, float]] = []
    for name, group in groups.items():
        ended = [control for control in group if control.loss is not None]
        if not ended:
            told.append(f"all diverged at {name}")
            continue
        lost = f" ({len(group) - len(ended)} of {len(group)} diverged)" if len(ended) < len(group) else ""
        hard, kind = (fmean(getattr(c, side) for c in ended) for side in ("left_by_chosen", "left"))
        text = f"{-hard:+.4f}"
        if noise is not None:
            margin = _luck(ended, noise, material.fit.level)
            judged.append((name, kind, hard, margin))
            text += f" and {-kind:+.4f} ± {margin:.4f}"
        told.append(f"{text} at {name}{lost}")
    text = f"{start} {'; '.join(told)} (nats per token, mean over budgets)"
    if noise is None:
        text += " than the run of the same seed that was chosen for being the lowest"
        return Finding(
            CAUTION, f"{text}: how much of it is luck cannot be told (followup.seeds=[1,2] tells)."
        )
    text += (
        ", first than the run of the same seed that was chosen for being the lowest, then than the mean of its cell's "
        f"other seeds; ± is the luck of seeds, of standard deviation {noise.sd:.4f}."
    )
    better = [name for name, kind, hard, margin in judged if kind > margin and hard > 0]
    worse = [name for name, kind, _, margin in judged if kind < -margin]
    unclear = [name for name, *_ in judged if name not in (*better, *worse)]
    for names, words in (
        (better, "better beyond luck"),
        (worse, "worse beyond luck"),
        (unclear, "neither, as far as these seeds tell"),
    ):
        text += f" {', '.join(names).capitalize()}: {words}." if names else ""
    return Finding(GOOD if worse and not better else CAUTION, text)


def _luck(ended: Sequence[ControlRun], noise: SeedNoise, level: float) -> float:
    """Half the interval of a mean difference over ``ended`` (one a budget) where there is nothing but luck."""
    variance = sum(1 + 1 / max(control.seeds_of, 1) for control in ended) / len(ended) ** 2
    return float(stdtrit(noise.freedom, (1 + level) / 2)) * noise.sd * variance**0.5


def _values(controls: Sequence[ControlRun], name: str) -> list[float]:
    return sorted({getattr(control, name) for control in controls})
