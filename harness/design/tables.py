"""What would be trained next, for people: what is believed now, the runs and their reasons, what they will give."""

import math
from collections.abc import Sequence
from typing import Any

from harness.design.advice import Advice
from harness.design.candidates import Candidates
from harness.design.goal import EXPONENT, PARAMS, Goal
from harness.design.possible_laws import PossibleLaws
from harness.design.rounds import Proposal
from harness.fit.bootstrap import Interval, bounds_text
from harness.fit.results import Approach
from harness.report.table import Table
from harness.report.text import approach_label, plain_status, with_interval
from harness.text import count

NOTE = (
    "In the order of their worth. N/N*: over the predicted optimum of that compute. width: by which the interval of "
    "what is asked for is expected to change with this run, after those above it."
)


def answers_now(approaches: Sequence[Approach], goal: Goal) -> list[str]:
    """A line for each approach: what is asked for, by the runs that are there, with its interval and status."""
    lines = []
    for one in approaches:
        value, interval, status = _answer(one, goal)
        said = with_interval(_written(value, goal), "" if interval is None else _bounds(interval, goal))
        lines.append(
            f"now {goal.described}, {approach_label(one.name).lower()}: {said}, {plain_status(status)}"
        )
    return lines


def _answer(approach: Approach, goal: Goal) -> tuple[float | None, Interval | None, str]:
    if goal.aim == EXPONENT:
        return approach.a, approach.a_interval, approach.status
    at = approach.predict(goal.flops)
    if goal.aim == PARAMS:
        return at.params, at.params_interval, at.status
    return at.loss, at.loss_interval, at.status


def _bounds(interval: Interval, goal: Goal) -> str:
    return bounds_text(interval, lambda end: _written(end, goal))


def _written(value: float | None, goal: Goal) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return count(value) if goal.aim == PARAMS else f"{value:.3f}"


def describe_belief(proposal: Proposal, goal: Goal) -> list[str]:
    """Lines: the aim by every form that is possible, what the runs are expected to give, and what else is known."""
    laws, advice = proposal.laws, proposal.advice
    if laws is None or advice is None:
        return []
    lines = [f"{goal.described}: {_by_form(laws, goal)}"]
    if proposal.cells:
        forecasts = ", ".join(f"{one.share:g}: {one.factor:.2f}" for one in advice.forecasts)
        lines.append(
            f"the interval will probably be {advice.factor:.2f} times as wide after these runs; by shares of the whole "
            f"spend: {forecasts}"
        )
    return [*lines, *advice.notes]


def _by_form(laws: PossibleLaws, goal: Goal) -> str:
    return "; ".join(
        f"{_shown(form.aim_of_fit(goal.aim, goal.flops), goal)} by form {form.model.name} (weight {form.weight:.2f})"
        for form in laws.forms
    )


def _shown(value: float, goal: Goal) -> str:
    return _written(value if goal.aim == EXPONENT or not math.isfinite(value) else math.exp(value), goal)


def proposal_table(proposal: Proposal, costs: Sequence[float], unit: str) -> Table:
    """The runs in the order of their worth."""
    rows = []
    shrinks = [pick.shrink for pick in proposal.advice.picks] if proposal.advice else [math.nan] * len(costs)
    for cell, cost, ratio, shrink, reason in zip(
        proposal.cells, costs, proposal.ratios, shrinks, proposal.reasons, strict=True
    ):
        rows.append(
            (
                cell.run_id,
                f"{cell.budget:.3g}",
                cell.spec.shape.label,
                str(cell.spec.seed),
                count(cell.params.total),
                count(cell.tokens),
                f"{cell.tokens / cell.params.total:.1f}",
                f"{ratio:.2f}" if math.isfinite(ratio) else "–",
                f"{cost:.3g}",
                f"{shrink:.3f}" if math.isfinite(shrink) else "–",
                reason,
            )
        )
    return Table(
        name="next-runs",
        title="",
        headings=("run", "budget", "shape", "seed", "N", "D", "D/N", "N/N*", unit, "width", "why"),
        rows=tuple(rows),
        left=("run", "shape", "why"),
        note=NOTE,
    )


def points_table(candidates: Candidates, advice: Advice, unit: str) -> Table:
    """The same of a table's candidates, which have N and D and no shape."""
    rows = []
    for pick in advice.picks:
        j = pick.candidate
        n, d = float(candidates.params[j]), float(candidates.tokens[j])
        rows.append(
            (
                f"{candidates.budget[j]:.3g}",
                count(n),
                count(d),
                f"{d / n:.1f}",
                f"{pick.ratio:.2f}",
                f"{candidates.cost[j]:.3g}",
                f"{pick.shrink:.3f}",
                pick.reason,
            )
        )
    headings = ("budget", "N", "D", "D/N", "N/N*", unit, "width", "why")
    return Table(name="next-runs", title="", headings=headings, rows=tuple(rows), left=("why",), note=NOTE)


def answer_json(
    proposal: Proposal, goal: Goal, approaches: Sequence[Approach], costs: Sequence[float], table: Table
) -> dict[str, Any]:
    """The whole answer for programs."""
    advice, laws = proposal.advice, proposal.laws
    now = {}
    for one in approaches:
        value, interval, status = _answer(one, goal)
        now[one.name] = {"value": value, "interval": interval, "status": status}
    return {
        "aim": goal.aim,
        "budget": goal.flops,
        "spend": goal.spend,
        "unit": goal.unit,
        "now": now,
        "forms": {} if laws is None else {form.model.name: form.weight for form in laws.forms},
        "runs": [
            dict(zip(table.headings, row, strict=True)) | {"cost": cost}
            for row, cost in zip(table.rows, costs, strict=True)
        ],
        "width": None if advice is None else advice.factor,
        "width_by_share": {}
        if advice is None
        else {f"{one.share:g}": one.factor for one in advice.forecasts},
        "notes": [] if advice is None else list(advice.notes),
    }
