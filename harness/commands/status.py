"""``isoflop status``: finished, running, failed and missing cells of a frozen plan."""

import csv
import fcntl
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.commands.experiment import frozen_plan, sweep_folder
from harness.config.schema import Config
from harness.plan.cell import Cell
from harness.runs.folder import CellFolder
from harness.runs.record import DIVERGED, FAILED, FINISHED, Record, read_record
from harness.text import count, duration

MARKS = {FINISHED: "✔ finished", DIVERGED: "⚠ diverged", FAILED: "✘ failed", "running": "▶ running"}


def run(config: Config, yaml: str, console: Console) -> None:
    """Print one line a cell and a summary."""
    folder = sweep_folder(config)
    plan = frozen_plan(folder)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for heading in ("run", "budget", "shape", "N", "D", "state", "loss", ""):
        table.add_column(heading, justify="left" if heading in ("run", "shape", "state", "") else "right")
    tally: dict[str, int] = {}
    for cell in plan.cells:
        paths = folder.cell(cell.run_id)
        record = read_record(paths.record, cell.run_id)
        state, detail = _state(cell, paths, record)
        tally[state] = tally.get(state, 0) + 1
        loss = f"{record.loss:.4f}" if record and record.loss is not None else ""
        table.add_row(
            cell.run_id,
            f"{cell.budget:.3g}",
            cell.spec.shape.label,
            count(cell.params.total),
            count(cell.tokens),
            state,
            loss,
            detail,
        )
    console.print(table)
    console.print(", ".join(f"{number} {state}" for state, number in tally.items()), highlight=False)


def _state(cell: Cell, paths: CellFolder, record: Record | None) -> tuple[str, str]:
    if record:
        return MARKS[record.status], record.reason or duration(record.seconds)
    step = _last_step(paths.curve)
    where = f"step {step}/{cell.spec.steps}" if step else ""
    if _held(paths.path):
        return MARKS["running"], where
    failure = _last_line(paths.log)
    if failure.partition(":")[0].endswith("Error"):
        return MARKS[FAILED], f"{failure} (log: {paths.log})"
    return ("… interrupted", where) if step else ("… missing", "")


def _held(folder: Path) -> bool:
    """Whether a process holds the cell's lock."""
    try:
        with (folder / ".lock").open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _last_step(curve: Path) -> int:
    try:
        with curve.open(encoding="utf-8") as file:
            return max((int(row["step"]) for row in csv.DictReader(file)), default=0)
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")
