"""Diagnostics: how far to trust the answer, read off the statuses of the fit."""

from harness.fit.options import MEAN
from harness.fit.results import Judged
from harness.fit.status import EXPLAINED, VOID, Status, is_good, is_serious
from harness.fit.summary import sentence
from harness.fit.used import is_of
from harness.plan.followup import best_cells
from harness.plan.measured import measured_at, outside, unlike
from harness.report.ablations import other_values, schedule_lengths
from harness.report.data import ReportData
from harness.report.recipe_cost import MOVED, moved_out
from harness.report.text import approach_label, plain_status, power, times
from harness.report.verdict import BAD, CAUTION, GOOD, Diagnostic
from harness.runs.record import FINISHED
from harness.text import counted


def diagnostics(data: ReportData) -> tuple[Diagnostic, ...]:
    """What supports the answer and what counts against it, the most serious first."""
    found = [
        *_agreement(data),
        *_reach(data),
        *_at_target(data),
        *_approaches(data),
        *_cells(data),
        *_backtest(data),
        *_minima(data),
        *_runs(data),
        *_recipe(data),
        *other_values(data),
        *schedule_lengths(data),
        *(Diagnostic(CAUTION, note) for note in dict.fromkeys((*data.fit.notes, *data.notes))),
    ]
    rank = {BAD: 0, CAUTION: 1, GOOD: 2}
    return tuple(sorted(found, key=lambda finding: rank[finding.level]))


def occurring(data: ReportData) -> tuple[Status, ...]:
    """Every status that the page shows, the worst first."""
    fit = data.fit
    judged: list[Judged] = [*fit.approaches, *fit.approach_2.budgets, *fit.counting]
    judged += () if fit.comparison is None else fit.comparison.forms
    codes = {code for one in judged for code in one.flags}
    for flops in (fit.largest_flops, data.target):
        codes |= {code for prediction in fit.predict(flops).values() for code in prediction.flags}
    codes |= {row.status for row in fit.backtest.rows} if fit.backtest is not None else set()
    codes.add(fit.agreement.status)
    codes |= {MOVED for _ in moved_out(data)}
    return tuple(status for code, status in EXPLAINED.items() if code in codes and not is_good(code))


def _cells(data: ReportData) -> list[Diagnostic]:
    """What varies within one N and D, unless a status has said it."""
    cells = data.fit.cells
    if cells is None:
        return []
    said = {note for approach in data.fit.approaches for note in approach.notes}
    level = GOOD if cells.choice == MEAN else CAUTION
    return [Diagnostic(level, sentence(note)) for note in cells.notes if note not in said]


def _agreement(data: ReportData) -> list[Diagnostic]:
    agreement = data.fit.agreement
    level = {"agree": GOOD, "disagree": BAD}.get(agreement.status, CAUTION)
    return [Diagnostic(level, sentence(agreement.message))] if agreement.message else []


def _reach(data: ReportData) -> list[Diagnostic]:
    fit = data.fit
    reach = data.target / fit.largest_flops
    text = f"The runs span C = {power(fit.smallest_flops)} to {power(fit.largest_flops)}"
    if reach <= 1.01:
        return [Diagnostic(GOOD, f"{text}; the target lies within.")]
    return [Diagnostic(CAUTION, f"{text}; the target, {power(data.target)}, is {times(reach)} the largest.")]


def _approaches(data: ReportData) -> list[Diagnostic]:
    found = []
    for approach in data.fit.approaches:
        label = approach_label(approach.name)
        for code, note in zip(approach.flags, approach.notes, strict=True):
            # Without training curves there is no envelope; that is no fault of the runs.
            level = BAD if is_serious(code) and code != "no_curves" else CAUTION
            found.append(Diagnostic(level, f"{label}: {note} ({plain_status(code)})."))
        if not approach.flags:
            found.append(Diagnostic(GOOD, f"{label}: no warnings from its own diagnostics."))
    return found


def _at_target(data: ReportData) -> list[Diagnostic]:
    """Warnings about each approach that come only from the target's distance from the runs."""
    found = []
    predictions = data.fit.predict(data.target)
    for approach in data.fit.approaches:
        prediction = predictions[approach.name]
        for code, note in zip(prediction.flags, prediction.notes, strict=True):
            if note not in approach.notes and code != "no_interval":
                label = approach_label(approach.name)
                level = BAD if is_serious(code) else CAUTION
                found.append(Diagnostic(level, f"{label} at the target: {note} ({plain_status(code)})."))
    return found


def _recipe(data: ReportData) -> list[Diagnostic]:
    """Whether the cells that decide N* lie where the recipe was measured, and whether another would move N*."""
    found = [
        Diagnostic(CAUTION, f"{sentence(note)[:-1]} ({plain_status(MOVED)}).") for note in moved_out(data)
    ]
    if data.recipe is None or data.plan is None:
        return found
    losses = {run: record.loss for run, record in data.records.items() if record.loss is not None}
    best = best_cells(data.plan, losses)
    off = [(cell, far) for cell in best if (far := outside(cell, data.recipe))]
    if off:
        cells = "; ".join(
            f"{cell.spec.shape.label} at C = {power(data.as_counted(cell.budget))}: {far}"
            for cell, far in off
        )
        text = (
            f"The best cells of {len(off)} of {counted(len(best), 'budget')} lie outside of where recipe "
            f"{data.recipe.name} was measured, {measured_at(data.recipe)} ({cells}): there its rules extrapolate."
        )
        found.append(Diagnostic(CAUTION, text))
    elif best and measured_at(data.recipe):
        text = f"Every budget's best cell lies where recipe {data.recipe.name} was measured"
        found.append(Diagnostic(GOOD, f"{text}, {measured_at(data.recipe)}."))
    if under := unlike(data.recipe, data.plan.cells):
        text = f"Recipe {data.recipe.name} was measured under {under}: whether it holds here was not tried."
        found.append(Diagnostic(CAUTION, text))
    return found


def _backtest(data: ReportData) -> list[Diagnostic]:
    tested = data.fit.backtest
    if tested is None:
        return []
    if not tested.rows:
        return [Diagnostic(CAUTION, f"No backtest: {tested.note}.")]
    counts = ", ".join(
        f"{tested.held[name]} of {n} by {approach_label(name).lower()}" for name, n in tested.compared.items()
    )
    text = f"Backtest: forecasts from the lower budgets within their {tested.level:.0%} intervals: {counts}."
    return [Diagnostic(CAUTION if tested.missed else GOOD, text)]


def _minima(data: ReportData) -> list[Diagnostic]:
    budgets = data.fit.approach_2.budgets
    if not budgets:
        return []
    inside = [budget for budget in budgets if budget.params_opt is not None]
    text = f"{len(inside)} of {len(budgets)} budgets have a minimum inside the sizes that were run."
    found = [Diagnostic(GOOD if len(inside) == len(budgets) else CAUTION, text)]
    for budget in budgets:
        for code, note in zip(budget.flags, budget.notes, strict=True):
            # A budget without a minimum is left out; that is said of the approach where it matters.
            level = BAD if is_serious(code) and code not in VOID else CAUTION
            found.append(Diagnostic(level, f"At C = {power(budget.budget)}: {note} ({plain_status(code)})."))
    return found


def _runs(data: ReportData) -> list[Diagnostic]:
    found = []
    fit = data.fit
    if data.plan is not None:
        planned = len(data.plan.cells)
        finished = sum(record.status == FINISHED for record in data.records.values())
        level = GOOD if finished == planned else CAUTION
        found.append(Diagnostic(level, f"{finished} of {planned} planned runs are finished."))
        repeated = [cell for cell in data.plan.cells if cell.epochs > 1.001]
        if repeated:
            most = max(cell.epochs for cell in repeated)
            text = (
                f"{counted(len(repeated), 'run')} saw their corpus more than once (up to {most:.1f} times)."
            )
            found.append(Diagnostic(CAUTION, text + " Repeated tokens are worth less than new ones."))
    if len(data.points) != fit.n_points:
        found.append(
            Diagnostic(
                BAD,
                f"The table has {len(data.points)} usable runs, the fit used {fit.n_points}: it is not the fit "
                "of these runs. Run 'isoflop fit' again.",
            )
        )
    else:
        fitted = {run for budget in fit.approach_2.budgets for run in budget.run_ids}
        if others := sorted(fitted - set(data.points.run_id)):
            named = ", ".join(others[:4]) + (f" and {len(others) - 4} more" if len(others) > 4 else "")
            text = f"The fit used {counted(len(others), 'run')} not in the table ({named})"
            found.append(
                Diagnostic(BAD, f"{text}: it is not the fit of these runs. Run 'isoflop fit' again.")
            )
        elif is_of(data.table, fit) is False:
            text = "Runs of the table have other numbers than those that were fitted"
            found.append(
                Diagnostic(BAD, f"{text}: it is not the fit of these runs. Run 'isoflop fit' again.")
            )
    reasons = dict.fromkeys(excluded.reason for excluded in fit.excluded)
    for reason in reasons:
        runs = list(dict.fromkeys(gone.run for gone in fit.excluded if gone.reason == reason))
        named = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
        found.append(Diagnostic(CAUTION, f"Left out of the fit: {named}: {reason}."))
    return found
