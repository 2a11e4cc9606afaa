"""What ``isoflop predict`` prints for people: the answers, what follows from them, and the notes."""

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from harness.fit.estimate import OptimumEstimate, marked
from harness.predict.assess import Assessment, Overtrained
from harness.predict.data_constrained import DataConstrained
from harness.predict.fixed_time import TimedOptimum
from harness.predict.result import PredictRequest, PredictResult
from harness.predict.serving import Served
from harness.predict.show_training import (
    add_row,
    count_cell,
    hours_text,
    number,
    percent,
    percents,
    plain_status,
    plain_table,
    ratio,
    show_cost,
    show_data_constrained,
    show_run,
    show_time,
)
from harness.predict.tasks import show_task
from harness.text import count


def show(report: PredictResult, asked: PredictRequest, console: Console) -> None:
    """Prints a report: the answers, then what only the deciding source gives, then the notes."""

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
        line(
            f"with {count(asked.unique_tokens)} unique tokens, repeats counting less: {report.loss_name} {loss}"
        )
    _show_serving(report, console, line)
    if report.task is not None:
        show_task(report.task, line)
    show_data_constrained(report, line)
    show_cost(report, line)
    show_time(report, console, line)
    show_run(report, line)
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
        hours = hours_text(report.timed.seconds * report.cost.gpus / 3600)
        return (
            f"the compute-optimal model whose training takes {hours} {report.cost.unit} on {report.cost.device} "
            f"({question.value:.4g} training FLOPs):"
        )
    said = {
        "flops": f"the best model for {question.value:.4g} training FLOPs",
        "params": f"the training for which {count(question.value)} parameters are compute-optimal",
        "tokens": f"the training for which {count(question.value)} tokens are compute-optimal",
        "loss": f"the cheapest training that reaches a {report.loss_name} of {question.value:g}",
    }[question.kind]
    level = next((a.level for a in report.answers if a.params_interval or a.flops_interval), None)
    return said + (f", with {level:.0%} intervals" if level else "") + ":"


def _answers(report: PredictResult) -> Table:
    table = plain_table(
        "approach", "N*", "D*", "D/N", "FLOPs", report.loss_name, "extrapolation factor", "status"
    )
    for a in report.answers:
        add_row(
            table,
            a.approach.replace("_", " "),
            count_cell(a.params, a.params_interval),
            count_cell(a.tokens, a.tokens_interval),
            ratio(a.tokens_per_param, a.tokens_per_param_interval),
            number(a.flops, a.flops_interval, ".3g"),
            marked(number(a.loss, a.loss_interval, ".4f"), a.loss_kind),
            _extrapolation(a),
            plain_status(a.status),
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
    table = plain_table(
        "approach",
        report.loss_name,
        "best N",
        "best D",
        f"its {report.loss_name}",
        "N / best N",
        f"same {report.loss_name}",
        "compute overhead",
        "status",
    )
    for s in report.assessments:
        add_row(
            table,
            s.approach.replace("_", " "),
            number(s.loss, s.loss_interval, ".4f"),
            count_cell(s.best_params, s.best_params_interval),
            count_cell(s.best_tokens, None),
            marked(number(s.best_loss, None, ".4f"), s.loss_kind),
            number(s.params_ratio, s.params_ratio_interval, ".3g"),
            "–" if s.same_loss_flops is None else f"{s.same_loss_flops:.3g}",
            number(s.compute_overhead, s.compute_overhead_interval, ".3g", "x"),
            plain_status(s.status),
        )
    console.print(table)


def _show_serving(report: PredictResult, console: Console, line: Callable[[str], None]) -> None:
    served = report.serving
    if served is None:
        return
    weight = "" if served.weight == 1 else f", an inference FLOP weighing {served.weight:.3g} training FLOPs"
    line(
        f"\nserving {count(served.inference_tokens)} tokens at a {report.loss_name} of {served.loss:.4f}{weight}:"
    )
    table = plain_table("", "N", "D", "D/N", "training", "inference", "in all", "saved")
    add_row(
        table,
        "cheapest over its life",
        count_cell(served.params, served.params_interval),
        count_cell(served.tokens, served.tokens_interval),
        ratio(served.tokens_per_param, None),
        number(served.training_flops, None, ".3g"),
        number(served.inference_flops, None, ".3g"),
        number(served.cost, None, ".3g"),
        number(percent(served.saving), percents(served.saving_interval), ".3g", "%"),
    )
    if served.plain_params and served.plain_tokens and served.plain_cost:
        add_row(
            table,
            "cheapest to train",
            count(served.plain_params),
            count(served.plain_tokens),
            ratio(served.plain_tokens / served.plain_params, None),
            number(served.plain_training_flops, None, ".3g"),
            number(served.plain_inference_flops, None, ".3g"),
            f"{served.plain_cost:.3g}",
            "",
        )
    console.print(table)
    if report.lifetime_cost is not None and report.plain_lifetime_cost is not None:
        line(f"in dollars: ${report.lifetime_cost:,.0f} in all, against ${report.plain_lifetime_cost:,.0f}")
    if report.overtraining:
        least = "" if report.most_smaller is None else f" (none below 1/{report.most_smaller:.3g} reaches it)"
        line(f"\nsmaller models of that loss{least}:")
        console.print(_overtraining(report.overtraining))


def _overtraining(rows: Sequence[Overtrained]) -> Table:
    table = plain_table("smaller", "N", "D", "D/N", "training", "extra", "inference", "break-even", "status")
    for row in rows:
        reached = row.tokens is not None
        add_row(
            table,
            f"{row.smaller:.3g}x",
            count(row.params),
            count_cell(row.tokens, None) if reached else "never reaches it",
            ratio(row.tokens_per_param, None),
            number(row.training_flops, None, ".3g"),
            "–"
            if row.extra_training is None
            else f"{100 * row.extra_training:+,.{0 if row.extra_training >= 1 else 1}f}%",
            "–" if row.inference_saved is None else f"{100 * (1 - row.inference_saved):.3g}%",
            f"{count(row.break_even_tokens)} tokens" if row.break_even_tokens else "–",
            plain_status(row.status) if reached else "–",
        )
    return table


def _notes(report: PredictResult) -> list[str]:
    """Every distinct warning, after the notes of the source itself."""
    by_note: dict[str, list[str]] = {}
    parts: list[OptimumEstimate | Assessment | Served | DataConstrained | TimedOptimum | None] = [
        *report.answers,
        *report.assessments,
    ]
    parts += [report.serving, report.data_constrained, report.timed]
    for part in parts:
        if part is not None:
            for note in part.notes:
                if part.approach not in by_note.setdefault(note, []):
                    by_note[note].append(part.approach)
    listed = [a.approach for a in report.answers] + [s.approach for s in report.assessments]
    found = list(report.notes)
    for note, approaches in by_note.items():
        if "no bootstrap" in note:
            continue
        everyone = len(approaches) == len(listed) > 1
        who = "all" if everyone else ", ".join(name.replace("_", " ") for name in approaches)
        found.append(f"{who}: {note}")
    far = [row for row in report.overtraining if row.status == "extrapolation"]
    if far:
        found.append(f"{far[0].smaller:.3g}x smaller: {far[0].notes[0]}")
    if any(part is not None and "no_interval" in part.flags for part in parts):
        found.append("no intervals: there are no bootstrap draws (points=FILE.csv fits a table with them)")
    return found


def _extrapolation(answer: OptimumEstimate) -> str:
    if answer.extrapolation is None:
        return "–"
    return f"{answer.extrapolation:.3g}"
