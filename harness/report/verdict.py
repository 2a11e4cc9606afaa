"""The answer in a sentence, and what speaks against believing it: read off the fit's statuses."""

from dataclasses import dataclass

from harness.errors import UserError
from harness.fit.predict import Prediction
from harness.fit.results import Fit
from harness.fit.status import VOID
from harness.frontier.source import choose, from_fit
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
from harness.runs.record import FINISHED

GOOD, CAUTION, BAD = "good", "caution", "bad"
LEFT_ON_THE_TABLE = 0.02  # nats per token; more than another seed usually moves a small run


@dataclass(frozen=True)
class Finding:
    """One thing to know before using the answer; ``level`` is ``good``, ``caution`` or ``bad``."""

    level: str
    text: str


@dataclass(frozen=True)
class Answer:
    """The headline: one approach's prediction at one budget, or None with the reason in ``text``."""

    text: str
    prediction: Prediction | None


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
    """What the recipe's rate leaves on the table."""
    controls = [control for control in material.controls if control.rate != 1]
    if not controls:
        return []
    best = max(controls, key=lambda control: control.left)
    rates = ", ".join(f"{rate:g}" for rate in sorted({control.rate for control in controls}))
    tried = f"At each budget's best cell the peak rate was tried at {rates} times the recipe's: "
    if best.left <= 0:
        return [Finding(GOOD, tried + "none was better.")]
    level = CAUTION if best.left > LEFT_ON_THE_TABLE else GOOD
    return [
        Finding(
            level,
            f"{tried}the most that another rate gained was {best.left:.4f} nats per token "
            f"(×{best.rate:g} at C = {power(best.budget)}).",
        )
    ]


def _horizons(material: Material) -> list[Finding]:
    """What a schedule longer than its run costs, which is why every run here has its own."""
    ended = [control for control in material.controls if control.horizon > 1 and control.loss is not None]
    if not ended:
        return []
    costs = []
    for horizon in sorted({control.horizon for control in ended}):
        lost = [-control.left for control in ended if control.horizon == horizon]
        costs.append(f"{sum(lost) / len(lost):+.4f} at {horizon:g} times")
    text = (
        f"The best cells under schedules longer than the run ended on losses higher by {', '.join(costs)} its "
        "length (nats per token, mean over budgets)"
    )
    best = max(ended, key=lambda control: control.left)
    if best.left > LEFT_ON_THE_TABLE:
        more = f"; one of them gained {best.left:.4f}, so the matched cooldown is not the best here."
        return [Finding(CAUTION, text + more)]
    return [Finding(GOOD, text + ".")]
