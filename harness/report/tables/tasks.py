"""What the best run of every budget scores on each task, and what the tasks are."""

from collections.abc import Iterable

from harness.report.table import Table
from harness.report.text import power
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
        "differences between runs are known better than that. In brackets: without the questions that share a passage "
        "with the training text.",
    )
    about = Table(
        "task_questions",
        "The tasks, and bits per byte of the right answer",
        (
            "task",
            "questions",
            "texts",
            "share a passage with the training text",
            "cut to the context",
            *budgets,
        ),
        tuple(
            (
                name,
                f"{one.documents:,}",
                f"{one.texts:,}",
                f"{one.overlapping / one.documents:.1%}",
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
    return "–" if score is None else f"{score.bits_per_byte:.3f}"
