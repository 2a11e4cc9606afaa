"""What ``isoflop predict`` prints of training: limited data, time and money, and the answer as a run."""

import math
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from harness.fit.bootstrap import NOT_BOUNDED, Interval, bounds_text
from harness.predict.result import PredictResult
from harness.text import count, duration


def plain_table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for i, heading in enumerate(headings):
        table.add_column(
            heading, justify="left" if i == 0 or heading == "status" else "right", overflow="fold"
        )
    return table


def add_row(table: Table, *cells: str) -> None:
    """Intervals go below their value: a table too wide for its terminal would lose digits."""
    table.add_row(*(cell.replace(" (", "\n(") for cell in cells))


def count_cell(value: float | None, spread: Interval | None) -> str:
    if value is None:
        return "–"
    if spread == (0.0, 0.0):
        return f"{count(value)} ({NOT_BOUNDED})"
    return count(value) + _ends(spread, count)


def _ends(spread: Interval | None, show: Callable[[float], str]) -> str:
    """`` (1.1M–1.4M)``, `` (1.1M, not bounded)``; empty where there is no interval."""
    if spread is None:
        return ""
    return f" ({bounds_text(spread, show, '–' if all(map(math.isfinite, spread)) else ', ')})"


def number(value: float | None, spread: Interval | None, form: str, unit: str = "") -> str:
    if value is None:
        return "–"
    return f"{value:{form}}{unit}{_ends(spread, lambda end: format(end, form))}"


def ratio(value: float | None, spread: Interval | None) -> str:
    return number(value, spread, ",.0f" if value is not None and value >= 100 else ".3g")


def hours_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def step(seconds: float) -> str:
    return f"{seconds:,.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def dollars_text(value: float) -> str:
    return f"${value:,.0f}" if value >= 100 else f"${value:.2g}"


def percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def percents(spread: Interval | None) -> Interval | None:
    return None if spread is None else (100 * spread[0], 100 * spread[1])


def plain_status(status: str) -> str:
    return "ok" if status in ("ok", "no_interval") else status


def show_data_constrained(report: PredictResult, line: Callable[[str], None]) -> None:
    s = report.data_constrained
    if s is None:
        return
    r = s.repetition
    line(f"\nwith {count(s.unique_tokens)} unique tokens, repeats counting less (R_D* {r.r_tokens:.4g}):")
    if s.epochs <= 1:
        line(f"  they suffice: {s.epochs:.2g} epochs; repetition begins at {s.first_repeat_flops:.3g} FLOPs")
        return
    line(
        f"  N {count_cell(s.params, s.params_interval)} on D {count(s.tokens)}: "
        f"{number(s.epochs, s.epochs_interval, '.3g')} epochs, worth {count(s.effective_tokens)} fresh "
        f"tokens; {report.loss_name} {number(s.loss, s.loss_interval, '.4f')}, {s.flops:.3g} FLOPs"
    )
    line(
        f"  with enough fresh tokens: N {count(s.plain_params)} on D {count(s.plain_tokens)}, "
        f"{report.loss_name} {s.plain_loss:.4f}, {s.plain_flops:.3g} FLOPs"
    )
    line(
        f"  the last token is worth {s.last_token_worth:.0%} of a fresh one; half from epoch "
        f"{s.half_worth_epochs:.3g} on; repetition begins at {s.first_repeat_flops:.3g} FLOPs"
    )


def show_cost(report: PredictResult, line: Callable[[str], None]) -> None:
    cost = report.cost
    if cost is None:
        return
    dollars = "" if cost.dollars is None else f", {dollars_text(cost.dollars)}"
    clock = f"; {duration(3600 * cost.wall_hours)} on {cost.gpus:,} together" if cost.gpus > 1 else ""
    share = "" if cost.mfu is None else f", {100 * cost.mfu:.2g}% of its peak"
    assumed = "assumed: " if cost.assumed else ""
    line(f"\ntraining takes {hours_text(cost.gpu_hours)} {cost.unit} on {cost.device}{share}{dollars}{clock}")
    line(f"  {assumed}times by {cost.times}")


def show_time(report: PredictResult, console: Console, line: Callable[[str], None]) -> None:
    """The best models of a time, and the compute-optimal ones that take as long."""
    best, cost = report.timed, report.cost
    if best is None or cost is None:
        return
    asked = f"{hours_text(best.seconds * cost.gpus / 3600)} {cost.unit}"
    fresh = ", every token fresh" if report.data_constrained is not None else ""
    line(
        f"\nthe best model of {asked} on {cost.device} ({report.decides.replace('_', ' ')}{fresh}), and the "
        "compute-optimal one whose training takes as long:"
    )
    price = None if cost.dollars is None or not cost.gpu_hours else cost.dollars / cost.gpu_hours
    money = [] if price is None else ["dollars"]
    loss = report.loss_name
    table = plain_table(
        cost.unit, *money, "N", "D", "FLOPs", loss, "compute-optimal N", f"its {loss}", "status"
    )
    for row in report.time_frontier:
        hours = row.seconds * cost.gpus / 3600
        add_row(
            table,
            hours_text(hours) + (" *" if row.seconds == best.seconds else ""),
            *([] if price is None else [dollars_text(hours * price)]),
            count_cell(row.params, row.params_interval),
            count_cell(row.tokens, row.tokens_interval),
            f"{row.flops:.3g}",
            number(row.loss, row.loss_interval, ".4f"),
            count(row.plain_params),
            f"{row.plain_loss:.4f}",
            plain_status(row.status),
        )
    console.print(table)
    line(
        "  * as asked; times whose best or compute-optimal model lies beyond the ladder's sizes are not listed; "
        "intervals cover the law, not the device's times"
    )


def show_run(report: PredictResult, line: Callable[[str], None]) -> None:
    run = report.run
    if run is not None:
        loss = f", {report.loss_name} {run['loss']:.4f}" if "loss" in run else ""
        whose = "the best model of that compute as a run" if report.assessments else "as a run"
        line(
            f"\n{whose} ({report.decides.replace('_', ' ')}, rules of {run['rules_from']}): {run['family']}, "
            f"{run['layers']} layers x {run['width']} wide, {run['heads']} heads of {run['head_dim']}, "
            f"N {count(run['params'])} ({100 * (run['params_over_wanted'] - 1):+.2g}%), "
            f"D {count(run['tokens'])}{loss}"
        )
        muon = f" (Muon's {run['lr_muon']:.3g})" if run.get("lr_muon") else ""
        line(
            f"  {run['steps']:,} steps of {count(run['batch_tokens'])} tokens, learning rate {run['lr']:.3g}{muon} "
            f"({run['recipe']}, {run['schedule']}), {run['flops']:.4g} FLOPs ({run['flops_count']})"
            + (
                f"; {step(run['step_seconds'])} a step ({run['mode']}), {duration(run['seconds'])}"
                if "seconds" in run
                else ""
            )
        )
    for written in (report.experiment, report.figure):
        if written is not None:
            line(f"written: {written}")
