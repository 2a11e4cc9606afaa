"""Tasks of a validation as tables, and a sentence: does the predicted optimum out-score the other sizes?"""

from collections.abc import Sequence

from harness.fit.bootstrap import Interval
from harness.fit.tasks import Prediction
from harness.report.table import Table
from harness.validate.over_seeds import LOST, NOISE, UNKNOWN, WON
from harness.validate.tasks import TaskCandidate, TaskMeasured, TaskPrediction, TaskResult

HEADINGS = ("task", "size", "two steps", "of one run", "direct", "measured", "inside", "N* above it", "N*")


def build(predictions: Sequence[TaskPrediction], results: Sequence[TaskResult], level: float) -> Table:
    """One row a task and candidate."""
    guessing = ", ".join(f"{one.task} {100 * one.chance:.0f}%" for one in predictions)
    rows = []
    for prediction, result in zip(predictions, results, strict=True):
        for said, measured in zip(prediction.candidates, result.candidates, strict=True):
            rows.append(_row(prediction, said, measured))
    return Table(
        "tasks",
        "Accuracy on tasks, predicted and measured, %",
        HEADINGS,
        tuple(rows),
        left=("task", "size", "N*"),
        note=f"Guessing: {guessing}. Intervals are {level:.0%}. 'Two steps': the task loss by its own law of N and D, "
        "then a sigmoid with its floor at chance; 'direct': a law of N and D. 'Measured' is the mean over seeds with "
        "Student's t, 'N* above it' how far the predicted optimum is above that size, with Welch's t: all runs "
        "answered the same questions, and nothing here says how others would come out.",
    )


def sentence(results: Sequence[TaskResult]) -> str:
    """How the predicted optimum did against the other sizes, task by task."""
    pairs = [(result.task, one) for result in results for one in result.candidates if one.factor != 1]
    counts = {
        verdict: [f"{task} against {one.factor:g} N*" for task, one in pairs if one.verdict == verdict]
        for verdict in (WON, LOST, NOISE, UNKNOWN)
    }
    parts = [
        f"the predicted optimum scored higher beyond seed noise in {len(counts[WON])} of {len(pairs)} comparisons"
        + (f" ({', '.join(counts[WON])})" if counts[WON] else "")
    ]
    if counts[LOST]:
        parts.append(f"lower in {len(counts[LOST])} ({', '.join(counts[LOST])})")
    if counts[NOISE]:
        parts.append(f"{len(counts[NOISE])} within seed noise")
    if counts[UNKNOWN]:
        parts.append(f"{len(counts[UNKNOWN])} that cannot be told")
    ends = [result for result in results if result.error is not None]
    errors = "; ".join(
        f"{result.task} {100 * (result.error or 0):.1f}"
        + (f" ({100 * result.error_direct:.1f})" if result.error_direct is not None else "")
        for result in ends
    )
    judged = [one for result in results for one in result.candidates if one.inside is not None]
    runs = sum(value is not None for one in judged for value in one.accuracies.values())
    inside = (
        f" {sum(one.inside or 0 for one in judged)} of {runs} accuracies lie in the interval of one run that was "
        "predicted in two steps."
        if judged
        else ""
    )
    told = (
        f" Mean error of predicted accuracies in points, in two steps (direct): {errors}." if errors else ""
    )
    return f"On tasks {', '.join(parts)}.{inside}{told}"


def _row(prediction: TaskPrediction, said: TaskCandidate, measured: TaskMeasured) -> tuple[str, ...]:
    runs = sum(one is not None for one in measured.accuracies.values())
    return (
        prediction.task,
        "N*" if said.factor == 1 else f"{said.factor:g} N*",
        _said(said.two_step),
        _span(said.two_step.run_interval),
        _said(said.direct),
        "–" if measured.mean is None else f"{100 * measured.mean:.1f}{_in_brackets(measured.interval)}",
        "–" if measured.inside is None else f"{measured.inside} of {runs}",
        "–"
        if measured.gap is None
        else f"{100 * measured.gap:+.1f}{_in_brackets(measured.gap_interval, '+')}",
        "" if said.factor == 1 else measured.verdict,
    )


def _said(one: Prediction) -> str:
    if one.accuracy is None:
        return one.status.replace("_", " ")
    return f"{100 * one.accuracy:.1f}" + ("" if one.status == "ok" else f" ({one.status.replace('_', ' ')})")


def _span(interval: Interval | None, sign: str = "") -> str:
    return "–" if interval is None else f"{100 * interval[0]:{sign}.1f} to {100 * interval[1]:{sign}.1f}"


def _in_brackets(interval: Interval | None, sign: str = "") -> str:
    return "" if interval is None else f" ({_span(interval, sign)})"
