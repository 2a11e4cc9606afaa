"""What ``isoflop predict`` prints for people."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from harness.fit.estimate import OptimumEstimate, marked
from harness.fit.intervals import Interval
from harness.predict.assess import Assessment, Overtrained
from harness.predict.data_constrained import DataConstrained
from harness.predict.fixed_time import TimedOptimum
from harness.predict.result import PredictRequest, PredictResult
from harness.predict.serving import Served
from harness.text import count, duration


def show(report: PredictResult, asked: PredictRequest, console: Console) -> None:
    """Prints a report: the answers, then what the deciding source can say beyond them, then the notes."""

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    line(f"{report.source}; {_range(report)}")
    if report.answers:
        line(_question(report, asked))
        console.print(_answers(report))
    if report.assessments:
        _show_assessment(report, console)
        line("")
        for found in report.assessments:
            line(f"{found.approach.replace('_', ' ')}: {found.verdict}")
    if report.repeated_loss is not None and asked.unique_tokens is not None:
        loss = f"{report.repeated_loss:.4f}"
        line(f"with {count(asked.unique_tokens)} unique tokens, repeats counting less: loss {loss}")
    _show_serving(report, console, line)
    _show_data_constrained(report, line)
    _show_cost(report, line)
    _show_time(report, console, line)
    _show_run(report, line)
    for note in _notes(report):
        line(f"! {note}")


def _range(report: PredictResult) -> str:
    largest = "" if report.largest_flops is None else f"runs up to {report.largest_flops:.3g} FLOPs, "
    return f"{largest}N counts {report.count}, C counts {report.compute or 'as in the table'}"


def _question(report: PredictResult, asked: PredictRequest) -> str:
    question = asked.question
    if question is None:
        return ""
    if report.timed is not None and report.cost is not None:
        return (
            f"the compute-optimal model whose training takes {_hours(report.timed.seconds * report.cost.gpus / 3600)} "
            f"{report.cost.unit} on {report.cost.device} ({question.value:.4g} training FLOPs):"
        )
    said = {
        "flops": f"the best model for {question.value:.4g} training FLOPs",
        "params": f"the training for which {count(question.value)} parameters are compute-optimal",
        "tokens": f"the training for which {count(question.value)} tokens are compute-optimal",
        "loss": f"the cheapest training that reaches a loss of {question.value:g}",
    }[question.kind]
    level = next((a.level for a in report.answers if a.params_interval or a.flops_interval), None)
    return said + (f", with {level:.0%} intervals" if level else "") + ":"


def _answers(report: PredictResult) -> Table:
    table = _table("approach", "N*", "D*", "D/N", "FLOPs", "loss", "extrapolation factor", "status")
    for a in report.answers:
        _row(
            table,
            a.approach.replace("_", " "),
            _count(a.params, a.params_interval),
            _count(a.tokens, a.tokens_interval),
            _ratio(a.tokens_per_param, a.tokens_per_param_interval),
            _number(a.flops, a.flops_interval, ".3g"),
            marked(_number(a.loss, a.loss_interval, ".4f"), a.loss_kind),
            _extrapolation(a),
            _status(a.status),
        )
    return table


def _show_assessment(report: PredictResult, console: Console) -> None:
    first = report.assessments[0]
    console.print(
        f"{count(first.params)} parameters on {count(first.tokens)} tokens "
        f"({first.tokens / first.params:.3g} a parameter): {first.flops:.3g} FLOPs",
        highlight=False,
        markup=False,
    )
    table = _table(
        "approach",
        "loss",
        "best N",
        "best D",
        "its loss",
        "N / best N",
        "same loss",
        "compute overhead",
        "status",
    )
    for s in report.assessments:
        _row(
            table,
            s.approach.replace("_", " "),
            _number(s.loss, s.loss_interval, ".4f"),
            _count(s.best_params, s.best_params_interval),
            _count(s.best_tokens, None),
            marked(_number(s.best_loss, None, ".4f"), s.loss_kind),
            _number(s.params_ratio, s.params_ratio_interval, ".3g"),
            "–" if s.same_loss_flops is None else f"{s.same_loss_flops:.3g}",
            _number(s.compute_overhead, s.compute_overhead_interval, ".3g", "x"),
            _status(s.status),
        )
    console.print(table)


def _show_serving(report: PredictResult, console: Console, line: Callable[[str], None]) -> None:
    served = report.serving
    if served is None:
        return
    weight = "" if served.weight == 1 else f", an inference FLOP weighing {served.weight:.3g} training FLOPs"
    line(f"\nserving {count(served.inference_tokens)} tokens at a loss of {served.loss:.4f}{weight}:")
    table = _table("", "N", "D", "D/N", "training", "inference", "in all", "saved")
    _row(
        table,
        "cheapest over its life",
        _count(served.params, served.params_interval),
        _count(served.tokens, served.tokens_interval),
        _ratio(served.tokens_per_param, None),
        _number(served.training_flops, None, ".3g"),
        _number(served.inference_flops, None, ".3g"),
        _number(served.cost, None, ".3g"),
        _number(_percent(served.saving), _percents(served.saving_interval), ".3g", "%"),
    )
    if served.plain_params and served.plain_tokens and served.plain_cost:
        _row(
            table,
            "cheapest to train",
            count(served.plain_params),
            count(served.plain_tokens),
            _ratio(served.plain_tokens / served.plain_params, None),
            _number(served.plain_training_flops, None, ".3g"),
            _number(served.plain_inference_flops, None, ".3g"),
            f"{served.plain_cost:.3g}",
            "",
        )
    console.print(table)
    if report.lifetime_cost is not None and report.plain_lifetime_cost is not None:
        line(f"in dollars: ${report.lifetime_cost:,.0f} in all, against ${report.plain_lifetime_cost:,.0f}")
    if report.overtraining:
        line(f"\nsmaller models of that loss (none below 1/{report.most_smaller:.3g} reaches it):")
        console.print(_overtraining(report.overtraining))


def _overtraining(rows: Sequence[Overtrained]) -> Table:
    table = _table("smaller", "N", "D", "D/N", "training", "extra", "inference", "pays from")
    for row in rows:
        reached = row.tokens is not None
        _row(
            table,
            f"{row.smaller:.3g}x",
            count(row.params),
            _count(row.tokens, None) if reached else "never reaches it",
            _ratio(row.tokens_per_param, None),
            _number(row.training_flops, None, ".3g"),
            "–"
            if row.extra_training is None
            else f"{100 * row.extra_training:+,.{0 if row.extra_training >= 1 else 1}f}%",
            "–" if row.inference_saved is None else f"{100 * (1 - row.inference_saved):.3g}%",
            f"{count(row.break_even_tokens)} tokens" if row.break_even_tokens else "–",
        )
    return table


def _show_data_constrained(report: PredictResult, line: Callable[[str], None]) -> None:
    s = report.data_constrained
    if s is None:
        return
    r = s.repetition
    line(f"\nwith {count(s.unique_tokens)} unique tokens, repeats counting less (R_D* {r.r_tokens:.4g}):")
    if s.epochs <= 1:
        line(f"  they suffice: {s.epochs:.2g} epochs; repetition begins at {s.first_repeat_flops:.3g} FLOPs")
        return
    line(
        f"  N {_count(s.params, s.params_interval)} on D {count(s.tokens)}: "
        f"{_number(s.epochs, s.epochs_interval, '.3g')} epochs, worth {count(s.effective_tokens)} fresh "
        f"tokens; loss {_number(s.loss, s.loss_interval, '.4f')}, {s.flops:.3g} FLOPs"
    )
    line(
        f"  with fresh tokens enough: N {count(s.plain_params)} on D {count(s.plain_tokens)}, "
        f"loss {s.plain_loss:.4f}, {s.plain_flops:.3g} FLOPs"
    )
    line(
        f"  the last token teaches {s.last_token_worth:.0%} of a fresh one; half from epoch "
        f"{s.half_worth_epochs:.3g} on; repetition begins at {s.first_repeat_flops:.3g} FLOPs"
    )


def _show_cost(report: PredictResult, line: Callable[[str], None]) -> None:
    cost = report.cost
    if cost is None:
        return
    dollars = "" if cost.dollars is None else f", {_dollars(cost.dollars)}"
    clock = f"; {duration(3600 * cost.wall_hours)} on {cost.gpus:,} together" if cost.gpus > 1 else ""
    share = "" if cost.mfu is None else f", {100 * cost.mfu:.2g}% of its peak"
    assumed = "assumed: " if cost.assumed else ""
    line(f"\ntraining takes {_hours(cost.gpu_hours)} {cost.unit} on {cost.device}{share}{dollars}{clock}")
    line(f"  {assumed}times by {cost.times}")


def _show_time(report: PredictResult, console: Console, line: Callable[[str], None]) -> None:
    """The best models of a time, beside the compute-optimal ones that take as long."""
    best, cost = report.timed, report.cost
    if best is None or cost is None:
        return
    asked = f"{_hours(best.seconds * cost.gpus / 3600)} {cost.unit}"
    fresh = ", every token fresh" if report.data_constrained is not None else ""
    line(
        f"\nthe best model of {asked} on {cost.device} ({report.decides.replace('_', ' ')}{fresh}), and the "
        "compute-optimal one whose training takes as long:"
    )
    price = None if cost.dollars is None or not cost.gpu_hours else cost.dollars / cost.gpu_hours
    money = [] if price is None else ["dollars"]
    table = _table(cost.unit, *money, "N", "D", "FLOPs", "loss", "compute-optimal N", "its loss", "status")
    for row in report.time_frontier:
        hours = row.seconds * cost.gpus / 3600
        _row(
            table,
            _hours(hours) + (" *" if row.seconds == best.seconds else ""),
            *([] if price is None else [_dollars(hours * price)]),
            _count(row.params, row.params_interval),
            _count(row.tokens, row.tokens_interval),
            f"{row.flops:.3g}",
            _number(row.loss, row.loss_interval, ".4f"),
            count(row.plain_params),
            f"{row.plain_loss:.4f}",
            _status(row.status),
        )
    console.print(table)
    line(
        "  * as asked; times whose best or compute-optimal model lies beyond the ladder's sizes are not listed; "
        "intervals are of the law, the device's times are taken as they are"
    )


def _show_run(report: PredictResult, line: Callable[[str], None]) -> None:
    run = report.run
    if run is not None:
        loss = f", loss {run['loss']:.4f}" if "loss" in run else ""
        whose = "the best model of that compute as a run" if report.assessments else "as a run"
        line(
            f"\n{whose} ({report.decides.replace('_', ' ')}, rules of {run['rules_from']}): {run['family']}, "
            f"{run['layers']} layers x {run['width']} wide, {run['heads']} heads of {run['head_dim']}, "
            f"N {count(run['params'])} ({100 * (run['params_over_wanted'] - 1):+.2g}%), "
            f"D {count(run['tokens'])}{loss}"
        )
        line(
            f"  {run['steps']:,} steps of {count(run['batch_tokens'])} tokens, rate {run['lr']:.3g} "
            f"({run['recipe']}, {run['schedule']}), {run['flops']:.4g} FLOPs ({run['flops_count']})"
            + (
                f"; {_step(run['step_seconds'])} a step ({run['mode']}), {duration(run['seconds'])}"
                if "seconds" in run
                else ""
            )
        )
    for written in (report.experiment, report.figure):
        if written is not None:
            line(f"written: {written}")


def _notes(report: PredictResult) -> list[str]:
    """Every distinct warning, worst first, after those of the source itself."""
    said: dict[str, list[str]] = {}
    parts: list[OptimumEstimate | Assessment | Served | DataConstrained | TimedOptimum | None] = [
        *report.answers,
        *report.assessments,
    ]
    parts += [report.serving, report.data_constrained, report.timed]
    for part in parts:
        if part is not None:
            for note in part.notes:
                if part.approach not in said.setdefault(note, []):
                    said[note].append(part.approach)
    listed = [a.approach for a in report.answers] + [s.approach for s in report.assessments]
    found = list(report.notes)
    for note, approaches in said.items():
        if "no bootstrap" in note:
            continue
        everyone = len(approaches) == len(listed) > 1
        who = "all" if everyone else ", ".join(name.replace("_", " ") for name in approaches)
        found.append(f"{who}: {note}")
    if any(part is not None and "no_interval" in part.flags for part in parts):
        found.append("no intervals: there are no bootstrap draws (points=FILE.csv fits a table with them)")
    return found


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for i, heading in enumerate(headings):
        table.add_column(
            heading, justify="left" if i == 0 or heading == "status" else "right", overflow="fold"
        )
    return table


def _row(table: Table, *cells: str) -> None:
    """Intervals go below their value: a table too wide for its terminal would lose digits."""
    table.add_row(*(cell.replace(" (", "\n(") for cell in cells))


def _count(value: float | None, spread: Interval | None) -> str:
    if value is None:
        return "–"
    if spread is not None and spread[0] == spread[1] and spread[0] in (0.0, float("inf")):
        return f"{count(value)} (not bounded)"
    return count(value) + (f" ({_end(spread[0])}–{_end(spread[1])})" if spread else "")


def _end(value: float) -> str:
    return count(value) if value < float("inf") else "∞"


def _number(value: float | None, spread: Interval | None, form: str, unit: str = "") -> str:
    if value is None:
        return "–"
    ends = "" if spread is None else f" ({spread[0]:{form}}–{spread[1]:{form}})".replace("inf", "∞")
    return f"{value:{form}}{unit}{ends}"


def _ratio(value: float | None, spread: Interval | None) -> str:
    return _number(value, spread, ",.0f" if value is not None and value >= 100 else ".3g")


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _step(seconds: float) -> str:
    return f"{seconds:,.3g} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def _dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 100 else f"${value:.2g}"


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _percents(spread: Interval | None) -> Interval | None:
    return None if spread is None else (100 * spread[0], 100 * spread[1])


def _extrapolation(answer: OptimumEstimate) -> str:
    if answer.extrapolation is None:
        return "–"
    return f"{answer.extrapolation:.3g}"


def _status(status: str) -> str:
    return "ok" if status in ("ok", "no_interval") else status
