"""Exported models of which one a budget is kept (``train.export=best``): which others go, and their removal.

Once a record is written it never changes, so whoever looks, from any node and at any time, decides alike, and it does
no harm that two remove the same model. Who sees fewer records takes the budget for incomplete, and removes nothing.
"""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress

from harness.errors import UserError
from harness.files import remove
from harness.plan.cell import Cell
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FAILED, FINISHED, Record
from harness.runs.table import records

BYTES_PER_PARAM = 4  # an export has float32 tensors, whatever precision the run had
BYTES_PER_LAYER, BYTES_PER_MODEL = 2048, 4096  # more than the names of its tensors and its JSON files take


def superseded(cells: Iterable[Cell], found: Mapping[str, Record]) -> dict[str, str]:
    """The runs whose models are not kept, each with the run that is better: the best one of its budget.

    A budget is complete when every one of its cells has a record that says finished or diverged; before, all its models
    are kept. The best run is the one of the lowest held-out loss; of equal ones that of the smallest run id, which no
    order of a plan changes. So a plan that grows never wants a model that an earlier one gave up: the best of all is
    the best of any part that it is in.

    Args:
        cells: the plan's.
        found: records by run id, of these or more cells.
    """
    columns: dict[float, list[str]] = {}
    for cell in cells:
        columns.setdefault(cell.budget, []).append(cell.run_id)
    kept: set[str] = set()  # budgets that are close may share a run
    going: dict[str, str] = {}
    for run_ids in columns.values():
        ended = [found[run_id] for run_id in run_ids if run_id in found and found[run_id].status != FAILED]
        losses = [(one.loss, one.run_id) for one in ended if one.status == FINISHED and one.loss is not None]
        if len(ended) < len(run_ids) or not losses:
            kept.update(run_ids)
            continue
        best = min(losses)[1]
        kept.add(best)
        going.update({run_id: best for run_id in run_ids if run_id != best})
    return {run_id: best for run_id, best in going.items() if run_id not in kept}


def remove_superseded(folder: SweepFolder) -> list[str]:
    """Remove the models that the frozen plan and the records of ``folder`` give up; returns the ids of their runs.

    Nothing but ``cells/<run_id>/model`` of the plan's cells is touched, and nothing at all where the plan cannot be
    read. Where the best run of a budget has no model, having been trained without an export, the others stay.
    """
    try:
        plan = frozen_plan(folder)
    except (OSError, UserError):
        return []
    removed = []
    for run_id, best in superseded(plan.cells, records(folder, plan)).items():
        model = folder.cell(run_id).model
        with suppress(OSError):  # the next who looks removes it
            if os.path.lexists(model) and folder.cell(best).model.is_dir():
                remove(model)
                removed.append(run_id)
    return removed


def model_bytes(cell: Cell) -> int:
    """Bytes that the exported model of ``cell`` has at most, without the tokenizer beside it."""
    weights = BYTES_PER_PARAM * cell.params.total
    return weights + BYTES_PER_LAYER * (cell.spec.shape.layers + 1) + BYTES_PER_MODEL
