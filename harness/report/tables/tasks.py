"""What the best run of every budget scores on each task, and what the tasks are."""

from collections.abc import Iterable, Sequence

from harness.fit.tasks.backtest import (
    DIRECT,
    LINEAR,
    MEASURED_LOSS,
    NO_CHANGE,
    TWO_STEP,
    TaskBacktest,
    TaskForecast,
)
from harness.fit.tasks.store import FittedTask
from harness.report.data import MissingError, ReportData
from harness.report.table import Table
from harness.report.text import fixed, plain_status, power
from harness.runs.record import Record
from harness.runs.tasks import TaskScore


def best_of_budgets(records: Iterable[Record]) -> list[Record]:
    """The run of the lowest held-out loss of every budget, by budget."""
    best: dict[float, Record] = {}
    for record in records:
        if record.loss is not None and (
            record.budget not in best or record.loss < (best[record.budget].loss or 0)
        ):
            best[record.budget] = record
    return [best[budget] for budget in sorted(best)]


def build(records: Iterable[Record]) -> list[Table]:
    """Two tables: accuracy and bits per byte by budget, and the tasks; none without scores."""
    best = best_of_budgets(record for record in records if record.tasks)
    if not best:
        return []
    budgets = tuple(power(record.budget) for record in best)
    names = list(dict.fromkeys(name for record in best for name in record.tasks))
    accuracy = Table(
        "tasks",
        "Accuracy of the run with the lowest loss at each budget",
        ("task", "chance", *budgets),
        tuple(
            (name, _share(_of(name, best).chance), *(_accuracy(record.tasks.get(name)) for record in best))
            for name in names
        ),
        left=("task",),
        note="± one standard error over questions, clustered by document. All runs answer the same questions, so "
        "differences between runs are known better than that. In brackets: without the questions that overlap with "
        "the training text.",
    )
    about = Table(
        "task_questions",
        "The tasks, and bits per byte of the right answer",
        (
            "task",
            "questions",
            "documents",
            "overlap with the training text",
            "cut to the context",
            *budgets,
        ),
        tuple(
            (
                name,
                f"{one.questions:,}",
                f"{one.documents:,}",
                f"{one.overlapping / one.questions:.1%}",
                str(one.truncated),
                *(_bits(record.tasks.get(name)) for record in best),
            )
            for name in names
            for one in (_of(name, best),)
        ),
        left=("task",),
        note=f"Scored by lm-eval {_of(names[0], best).lm_eval}.",
    )
    return [accuracy, about]


def _of(name: str, records: list[Record]) -> TaskScore:
    return next(record.tasks[name] for record in records if name in record.tasks)


def _share(value: float) -> str:
    return f"{100 * value:.1f}%"


def _accuracy(score: TaskScore | None) -> str:
    if score is None:
        return "–"
    clean = (
        "" if score.clean_accuracy is None or not score.overlapping else f" [{_share(score.clean_accuracy)}]"
    )
    return f"{100 * score.accuracy:.1f} ± {100 * score.accuracy_se:.1f}%{clean}"


def _bits(score: TaskScore | None) -> str:
    return fixed(None if score is None else score.bits_per_byte, 3)


NOT_SCORED = "the runs were scored on no task ('isoflop evaluate' scores them)"
METHODS = (TWO_STEP, LINEAR, DIRECT, MEASURED_LOSS, NO_CHANGE)


def fits_table(tasks: Sequence[FittedTask]) -> Table:
    """Whether each task's accuracy moves, and how far off predictions of the largest budget were."""
    rows = []
    for task in tasks:
        fit = task.stored.fit
        slope, law = fit.movement.slope, fit.sigmoid
        last = [one for one in task.stored.backtest.forecasts if one.budget == _largest(task.stored.backtest)]
        errors = {one.method: one for one in last}
        rows.append(
            (
                task.name,
                f"{100 * slope.rise:.1f}",
                f"{slope.p:.1g}",
                f"{100 * slope.scatter:.1f}",
                "–" if law is None else _share(law.top) + (" (assumed)" if law.top_fixed else ""),
                *(_error(errors.get(method)) for method in METHODS),
                plain_status(fit.status),
            )
        )
    return Table(
        "task_fits",
        "Accuracy as the task loss falls, and how predictions of it did",
        (
            *("task", "rise (points)", "p", "scatter of runs", "top of the sigmoid"),
            *("in two steps", "linear", "direct", "measured task loss", "no change", "status"),
        ),
        tuple(rows),
        left=("task", "status"),
        note="Rise: of accuracy over the runs' range of task losses, with the p of a test that it does not rise. The "
        "five columns before the last: the largest budget's accuracies predicted from the lower budgets, mean absolute "
        "error in points: in two steps (task loss by its law of N and D, then a sigmoid of the logarithm of its "
        "reducible part, with its floor at chance), the same with a sigmoid of the task loss itself (linear), directly "
        "from N and D, in two steps from the task loss that was measured, and as the best of the budget before.",
    )


def _largest(backtest: TaskBacktest) -> float:
    return max((one.budget for one in backtest.forecasts), default=0.0)


def _error(one: TaskForecast | None) -> str:
    return "–" if one is None or one.absolute_error is None else f"{100 * one.absolute_error:.1f}"


def accuracy_table(data: ReportData) -> Table:
    """The first of :func:`build`, for the page.

    Raises:
        MissingError: the runs were scored on no task.
    """
    return _page_tables(data)[0]


def questions_table(data: ReportData) -> Table:
    """The second of :func:`build`; raises as :func:`accuracy_table`."""
    return _page_tables(data)[1]


def task_fits_table(data: ReportData) -> Table:
    """:func:`fits_table` for the page; raises as :func:`accuracy_table`."""
    if not data.tasks:
        raise MissingError(NOT_SCORED)
    return fits_table(data.tasks)


def _page_tables(data: ReportData) -> list[Table]:
    if not (tables := build(data.records.values())):
        raise MissingError(NOT_SCORED)
    return tables
