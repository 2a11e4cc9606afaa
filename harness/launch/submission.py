"""One submission of a sweep: a job array, and the dependent job that continues after it."""

import re
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

ARRAY, REPORT = "array", "report"
"""The parts of a submission: the array, and the dependent job."""
SCRIPT = re.compile(rf"({ARRAY}|{REPORT})(?:-(\w+))?\.sbatch")


@dataclass(frozen=True)
class Submission:
    """One job array and the dependent job that continues after it.

    Attributes:
        folder: name of its folder below the ledger's.
        job: the array's id; empty where there is none, but only a job that depends on the arrays of other sweeps.
        report_job: the id of the dependent job, which continues with the next stage (follow-ups, or fit and report);
            empty where there is none.
        tasks: the run ids of each array task.
        token: unlike any other submission's; empty where an earlier version submitted.
        cluster: the system's name for itself; empty where it has none, or an earlier version submitted.
        unanswered: the parts that the system was asked for and has not answered.
        place: the ledger's folder; empty where an earlier version submitted.
    """

    folder: str
    submitted: str
    tasks: tuple[tuple[str, ...], ...]
    job: str = ""
    report_job: str = ""
    cancelled: bool = False
    token: str = ""
    cluster: str = ""
    unanswered: tuple[str, ...] = ()
    place: str = ""

    @property
    def jobs(self) -> tuple[str, ...]:
        """Both ids, those that there are."""
        return tuple(job for job in (self.job, self.report_job) if job)

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The cells of all tasks."""
        return tuple(run_id for task in self.tasks for run_id in task)

    @property
    def takes_over(self) -> str:
        """What the dependent job of an older submission says of this one."""
        then = (
            f"job {self.report_job} continues"
            if self.report_job
            else "run the command again when it has ended"
        )
        return f"submission {self.folder} is newer: {then}"

    def log(self, task: int) -> str:
        """Name of an array task's log below its folder."""
        return f"logs/{self.job.partition(';')[0]}_{task}.txt"

    def asked(self, part: str) -> "Submission":
        """This one, while the system is asked for ``part``."""
        return replace(self, unanswered=(*self.unanswered, part))

    def answered(self, part: str, job: str) -> "Submission":
        """This one, with the ``job`` that ``part`` is; empty where it never reached the queue."""
        left = tuple(one for one in self.unanswered if one != part)
        if part == ARRAY:
            return replace(self, unanswered=left, job=job)
        return replace(self, unanswered=left, report_job=job)


def read_submission(entry: Any) -> Submission:
    """An entry of the list.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(entry, dict) or not {"folder", "submitted", "tasks"} <= entry.keys():
        raise ValueError("an entry is no submission")
    unknown = entry.keys() - {one.name for one in fields(Submission)}
    if unknown:
        raise ValueError(f"'{min(unknown)}' is of another version")
    tasks, unanswered = entry["tasks"], entry.get("unanswered", [])
    lists = [tasks, unanswered, *(tasks if isinstance(tasks, list) else [])]
    if not all(isinstance(one, list) for one in lists):
        raise ValueError("'tasks' or 'unanswered' is no list")
    words = [value for key, value in entry.items() if key not in ("tasks", "unanswered", "cancelled")]
    if not all(
        isinstance(word, str) for word in [*words, *unanswered, *(run for task in tasks for run in task)]
    ):
        raise ValueError("an entry has a number or nothing where text belongs")
    if not entry["folder"].isdigit():
        raise ValueError(f"folder '{entry['folder']}' is no number")
    if unanswered:
        datetime.fromisoformat(entry["submitted"])  # the day to search accounting from
    return Submission(
        **{**entry, "tasks": tuple(tuple(task) for task in tasks), "unanswered": tuple(unanswered)}
    )
