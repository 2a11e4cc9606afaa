"""When a launcher looks for exported models to remove: as the last run of a budget that it has ends."""

from collections.abc import Iterable

from harness.runs.files import SweepFolder
from harness.runs.models import remove_superseded
from harness.train.config import BEST
from harness.train.job import Job


def tidy_after(job: Job, left: Iterable[Job]) -> None:
    """Under ``train.export=best``, remove what is superseded once none of ``left`` is of the job's budget.

    Where a run of that budget is left, the budget is incomplete and its records need not be read. Other tasks may have
    some: whoever ends last sees the records of all.
    """
    if job.train.export != BEST:
        return
    others = (other.cell for other in left if other.cell.run_id != job.cell.run_id)
    if all(cell.budget != job.cell.budget for cell in others):
        remove_superseded(SweepFolder(job.sweep))
