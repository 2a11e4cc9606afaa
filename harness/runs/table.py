"""The table of runs: one row for every planned cell that has a record. What a fit reads."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.plan.plan import Plan
from harness.runs.files import SweepFolder, write_changed
from harness.runs.record import Record, read_record

Row = dict[str, Any]


def records(folder: SweepFolder, plan: Plan) -> dict[str, Record]:
    """The valid records of the plan's cells, by run id, in the plan's order."""
    found = {cell.run_id: read_record(folder.cell(cell.run_id).record, cell.run_id) for cell in plan.cells}
    return {run_id: record for run_id, record in found.items() if record is not None}


def row(record: Record) -> Row:
    """A record as one flat row. ``params`` is the total; every counting convention has a column beside it."""
    batch_tokens = record.spec["batch_windows"] * record.spec["seq_len"]
    return {
        "run_id": record.run_id,
        "status": record.status,
        "budget": record.budget,
        "seed": record.spec["seed"],
        "shape": f"{record.spec['shape']['width']}x{record.spec['shape']['layers']}",
        "params": record.params_total,
        **{f"params_{name}": count for name, count in record.params.items() if name != "total"},
        "tokens": record.tokens,
        "unique_tokens": record.unique_tokens,
        "epochs": record.epochs,
        "flops": record.flops,
        "flops_spent": record.flops if record.flops_spent is None else record.flops_spent,
        **{f"flops_{count}": flops for count, flops in record.flops_by_count.items()},
        "loss": record.loss,
        "loss_se": record.loss_se,
        "bits_per_byte": record.bits_per_byte,
        **{
            f"{column}_{name}{suffix}": getattr(score, column + suffix)
            for name, score in record.domains.items()
            for column, suffix in (("loss", ""), ("loss", "_se"), ("bits_per_byte", ""))
        },
        "train_loss": record.train_loss,
        "batch_tokens": batch_tokens,
        "steps": record.steps,
        "lr": record.spec["optimizer"]["lr"],
        "seconds": record.seconds,
        "tokens_per_second": record.tokens_per_second,
        "mfu": record.mfu,
        "reason": record.reason,
    }


def write_table(path: Path, found: Iterable[Record]) -> None:
    """Write ``runs.csv`` where it changed, atomically. Numbers are written so that they read back exactly."""
    rows = [row(record) for record in found]
    text = io.StringIO()
    if rows:
        # a run may lack a domain that others have
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_changed(path, text.getvalue())
