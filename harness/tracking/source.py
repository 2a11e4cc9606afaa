"""A sweep read back from W&B, its server or its files: the same records and curves as in the sweep's folder."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import UserError
from harness.runs.curve import implausible, left_out
from harness.runs.record import Record
from harness.tracking.client import has_key
from harness.tracking.files import RECORD, Mirrored, read_files

API_SECONDS = 20


@dataclass(frozen=True, eq=False)
class Gathered:
    """A sweep's runs.

    Attributes:
        group: the sweep's name.
        records: of the runs that ended, in the plan's order.
        curves: their training curves by run id, as :func:`harness.runs.curve.read_curve` gives them.
        unfinished: ids of the runs of the plan that have no record.
        notes: a sentence about the curves that are left out.
    """

    group: str
    records: tuple[Record, ...]
    curves: dict[str, dict[str, np.ndarray]]
    unfinished: tuple[str, ...]
    notes: tuple[str, ...] = ()


def from_server(project: str, group: str) -> Gathered:
    """The sweep ``group`` of ``project`` (ENTITY/PROJECT), through ``wandb.Api``.

    Raises:
        UserError: no key, no answer, no such project, or no such sweep in it.
    """
    return _gather(read_server(project, group), f"project={project} group={group}")


def from_files(folder: Path, group: str) -> Gathered:
    """The sweep ``group`` in W&B's files below ``folder``; with an empty ``group`` the only one there.

    Raises:
        UserError: no files, no such sweep in them, or several to choose from.
    """
    found = read_files(folder)
    groups = sorted({run.group for run in found if run.group})
    if not group and len(groups) > 1:
        raise UserError(f"{folder}: runs of several sweeps; choose one with group={'|'.join(groups)}")
    chosen = group or "".join(groups)
    return _gather([run for run in found if run.group == chosen], f"{folder}, group {chosen or '(none)'}")


def read_server(project: str, group: str, histories: bool = True) -> list[Mirrored]:
    """The runs of ``group``; histories, if asked for, only of those that have a record."""
    import wandb  # only where W&B is used

    if not has_key():
        raise UserError("source=wandb: no W&B key; set WANDB_API_KEY or run 'wandb login'")
    found = []
    try:
        for run in wandb.Api(timeout=API_SECONDS).runs(project, filters={"group": group}):
            summary = dict(run.summary_metrics)
            history = list(run.scan_history(use_cache=False)) if histories and RECORD in summary else []
            found.append(Mirrored(run.id, group, run.job_type or "", dict(run.config), summary, history))
    except ValueError as error:  # the client's word for a project that is not there
        raise UserError(f"project={project}: W&B has no such project ({_line(error)})") from error
    except Exception as error:  # requests', the service's and W&B's own, by version
        raise UserError(f"project={project}: W&B cannot be read ({_line(error)})") from error
    return found


def _gather(found: Iterable[Mirrored], where: str) -> Gathered:
    planned = sorted(
        (run for run in found if run.position is not None),
        key=lambda run: (run.position, run.run_id),
    )
    if not planned:
        raise UserError(f"{where}: W&B has no runs of a sweep there; group is the sweep's name")
    ended = {run.run_id: record for run in planned if (record := run.record) is not None}
    unfinished = tuple(run.run_id for run in planned if run.run_id not in ended)
    if not ended:
        raise UserError(f"{where}: none of {len(planned)} runs is finished")
    curves = {
        run.run_id: curve for run in planned if run.run_id in ended and (curve := run.curve()) is not None
    }
    problems = {run_id: "W&B has no rows of it" for run_id in ended if run_id not in curves}
    for run_id, curve in curves.items():
        if problem := implausible(curve, ended[run_id]):
            problems[run_id] = problem
    return Gathered(
        group=planned[0].group,
        records=tuple(ended.values()),
        curves={run_id: curve for run_id, curve in curves.items() if run_id not in problems},
        unfinished=unfinished,
        notes=left_out(
            problems, ended, "W&B may lack rows that were not sent; the sweep's own folder has them"
        ),
    )


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
