"""The table of runs: one row for every planned cell that has a record. What a fit reads."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.model.parametrization import GROUPS
from harness.plan.plan import Plan
from harness.plan.spec import RunSpec
from harness.runs.files import SweepFolder, reading, set_aside, write_changed
from harness.runs.record import IN_TABLE, Record, is_damaged, read_record
from harness.runs.tasks import columns, commonest_questions, read_tasks
from harness.text import counted

Row = dict[str, Any]


def records(folder: SweepFolder, plan: Plan, same_questions: bool = True) -> dict[str, Record]:
    """The valid records of the plan's cells with their scores on tasks, by run id, in the plan's order.

    Args:
        same_questions: of each task only the scores on the questions that most runs were scored on, so that what stands
            side by side in a table can be compared; else all scores.
    """
    found = {}
    for cell in plan.cells:
        paths = folder.cell(cell.run_id)
        if (record := read_record(paths.record, cell.run_id)) is not None:
            tasks = read_tasks(paths.tasks, cell.run_id)
            found[cell.run_id] = replace(record, tasks=tasks) if tasks else record
    if not same_questions:
        return found
    common = commonest_questions(record.tasks for record in found.values())
    return {
        run_id: replace(
            record, tasks={name: one for name, one in record.tasks.items() if one.digest == common[name]}
        )
        if record.tasks
        else record
        for run_id, record in found.items()
    }


def row(record: Record, apart: Collection[str] = ()) -> Row:
    """A record as one flat row. ``params`` is the total; every counting convention has a column beside it.

    Args:
        apart: groups of parameters whose learning rate has a column.
    """
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
        **({} if record.flops_optimizer is None else {"flops_optimizer": record.flops_optimizer}),
        "loss": record.loss,
        "loss_se": record.loss_se,
        "bits_per_byte": record.bits_per_byte,
        **{
            f"{column}_{name}{suffix}": getattr(score, column + suffix)
            for name, score in record.domains.items()
            for column, suffix in (("loss", ""), ("loss", "_se"), ("bits_per_byte", ""))
        },
        **columns(record.tasks),
        "train_loss": record.train_loss,
        "batch_tokens": batch_tokens,
        "steps": record.steps,
        "lr": record.spec["optimizer"]["lr"],
        **_other_hyperparameters(RunSpec.from_json(record.spec), apart),
        **{one.name: getattr(record, one.name) for one in fields(Record) if one.metadata == IN_TABLE},
    }


def _other_hyperparameters(spec: RunSpec, apart: Collection[str]) -> Row:
    """What a recipe sets beside batch and learning rate, where it is not as in a plain recipe; rates are peaks."""
    muon, parametrization = spec.optimizer.muon, spec.parametrization
    rates = {
        f"{group}_lr": (spec.muon_of(group) or spec.optimizer).lr * getattr(spec.groups, group).lr
        for group in GROUPS
        if group in apart
    }
    return {
        "weight_decay": spec.optimizer.weight_decay,
        **rates,
        **({} if muon is None else {"optimizer": "muon", "muon_lr": muon.lr}),
        **({} if parametrization.is_standard else {"parametrization": parametrization.kind}),
    }


def rows(found: Iterable[Record]) -> list[Row]:
    """A row for each record; a group's learning rate is a column of all where some have another than the run's own."""
    found = list(found)
    specs = [RunSpec.from_json(record.spec) for record in found]
    apart = frozenset(group for group in GROUPS if any(getattr(spec.groups, group).lr != 1 for spec in specs))
    return [row(record, apart) for record in found]


def whole_records(folder: SweepFolder, plan: Plan, same_questions: bool = True) -> dict[str, Record]:
    """:func:`records` for who makes numbers of all of them.

    Raises:
        UserError: a record is there that is damaged.
    """
    found = records(folder, plan, same_questions)
    for cell in plan.cells:
        path = folder.cell(cell.run_id).record
        # looked at again: a run may have ended since
        if cell.run_id not in found and is_damaged(path, cell.run_id):
            raise UserError(
                f"{path}: not what was written; 'isoflop sweep' trains that run again, and without this file the "
                "others are fitted without it"
            )
    return found


def check_table(path: Path, found: Mapping[str, Record]) -> str:
    """Refuse a table that says otherwise than the records; a sentence where it is only older than some of them.

    Args:
        found: of the runs in the table; without any, nothing can be told.

    Raises:
        UserError: it is damaged.
    """
    if not found:
        return ""
    remedy = "'isoflop fit' writes it anew"
    with reading(path, remedy), path.open(newline="", encoding="utf-8") as file:
        listed = {entry["run_id"]: entry for entry in csv.DictReader(file, strict=True)}
        if None in (names := {name for entry in listed.values() for name in entry}):
            raise ValueError("a line is longer than the first")
        if unknown := listed.keys() - found.keys():
            raise ValueError(f"{min(map(str, unknown))} is no run that has ended")
        expected_rows = {one["run_id"]: one for one in rows(found.values())}
        for run_id in listed:
            values = expected_rows[run_id]
            expected = {name: "" if value is None else str(value) for name, value in values.items()}
            for name in sorted(map(str, names)):
                if listed[run_id][name] != expected.get(name, ""):
                    raise ValueError(f"{name} of {run_id} is {listed[run_id][name]!r:.40}")
    if len(listed) == len(found):
        return ""
    return f"{path.name} has {len(listed)} of the {counted(len(found), 'run')} that have ended: {remedy}"


def table_text(found: Iterable[Record]) -> str:
    """The content of ``runs.csv``: the rows of ``found``, in numbers that read back exactly."""
    made = rows(found)
    text = io.StringIO()
    if made:
        # a run may lack a domain that others have
        names = dict.fromkeys(name for one in made for name in one)
        writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(made)
    return text.getvalue()


def write_table(path: Path, found: Iterable[Record]) -> str:
    """Write ``runs.csv`` where it changed, atomically.

    Returns:
        Where the table before is kept, as a part of a sentence, if it had runs that this one has not; else nothing.
    """
    found = list(found)
    lost = _listed(path) - {record.run_id for record in found}
    kept = set_aside(path) if lost else None
    write_changed(path, table_text(found))
    are = "1 run of the table before is" if len(lost) == 1 else f"{len(lost)} runs of the table before are"
    return f"{are} not in {path}; that table is kept as {kept}" if kept else ""


def _listed(path: Path) -> set[str]:
    """Ids of the runs in the table at ``path``, as far as it can be read."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {run_id for entry in csv.DictReader(file) if (run_id := entry.get("run_id"))}
    except (OSError, ValueError, csv.Error):
        return set()
