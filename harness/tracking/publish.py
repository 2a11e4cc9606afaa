"""From a sweep's folder to W&B: its results as one run, and what W&B lacks of runs whose tracker stopped early."""

import csv
import json
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.files import write_json
from harness.plan.cell import Cell
from harness.runs.curve import curve_problem, curve_rows
from harness.runs.files import SweepFolder
from harness.runs.record import Record
from harness.tracking.client import Destination, close_run, init_options, next_step, open_run
from harness.tracking.files import config_values, run_id_of, run_name, summary_values

RESULTS = ("fit.json", "draws.npz", "runs.csv", "plan.json", "config.yaml", "report.html", "report.md")


def summary_id(name: str) -> str:
    """The id of the run that holds a sweep's results: always the same, so that it is updated, not multiplied."""
    return f"summary-{_slug(name)}"


def is_published(sweep: SweepFolder, to: Destination) -> bool:
    """Whether these very results went to ``to`` before."""
    try:
        stamp = json.loads(_stamp(sweep).read_text(encoding="utf-8"))
        return bool(stamp["digest"] == _digest(sweep, to))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def mark_published(sweep: SweepFolder, to: Destination) -> None:
    """Remember that these results went to ``to``."""
    write_json(_stamp(sweep), {"digest": _digest(sweep, to)})


def publish_results(sweep: SweepFolder, name: str, to: Destination) -> str:
    """Write fit, figures, points table and the files of the results to the sweep's summary run; returns its address.

    Raises:
        Exception: whatever the client raises where the server does not answer, within seconds.
    """
    import wandb  # only where W&B is used

    options = init_options(sweep.path, to, summary_id(name), f"{name} results", name, job_type="summary")
    run = open_run(to, options)
    try:
        run.config.update({"sweep": name}, allow_val_change=True)
        figures = {f"figures/{path.stem}": wandb.Image(str(path)) for path in _figures(sweep)}
        run.log({"points": _points(sweep.table), **figures}, step=next_step(run, sweep.path))
        run.summary.update({"fit": json.loads(sweep.fit.read_text(encoding="utf-8"))})
        artifact = wandb.Artifact(f"{_slug(name)}-results", type="isoflop-results")
        for path in _results(sweep):
            artifact.add_file(str(path), policy="immutable")
        run.log_artifact(artifact)
    finally:
        close_run(run)
    return run.url or str(Path(run.dir).parent)


def send_run(sweep: SweepFolder, name: str, cell: Cell, record: Record, to: Destination) -> None:
    """Write what W&B lacks of a run that has ended: rows of its curve, unless that is damaged, and its record.

    Raises:
        Exception: as :func:`publish_results`.
    """
    run = open_run(to, init_options(sweep.path, to, cell.run_id, run_name(cell), name))
    try:
        run.config.update(config_values(sweep, name, cell), allow_val_change=True)
        first = next_step(run, sweep.path)
        curve = sweep.cell(cell.run_id).curve
        for row in [] if curve_problem(curve, record) else curve_rows(curve):
            step = int(row.pop("step"))
            if step >= first:
                run.log(row, step=step)
        run.summary.update(summary_values(record))
    finally:
        close_run(run)


def begun(sweep: SweepFolder) -> set[str]:
    """Ids of the runs that W&B has files of below the sweep's folder."""
    return {run_id_of(file) for file in (sweep.path / "wandb").glob("*/run-*.wandb")}


def _figures(sweep: SweepFolder) -> list[Path]:
    return sorted(sweep.figures.glob("*.png"))


def _results(sweep: SweepFolder) -> list[Path]:
    return [path for file in RESULTS if (path := sweep.path / file).exists()]


def _points(table: Path) -> Any:
    import wandb  # only where W&B is used

    with table.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    data = [[_value(text) for text in row] for row in rows]
    return wandb.Table(columns=header, data=data, allow_mixed_types=True)


def _value(text: str) -> float | str | None:
    try:
        return float(text)
    except ValueError:
        return text or None


def _stamp(sweep: SweepFolder) -> Path:
    return sweep.path / "wandb" / "published.json"


def _digest(sweep: SweepFolder, to: Destination) -> str:
    return _hash([repr(to).encode(), *(path.read_bytes() for path in (*_results(sweep), *_figures(sweep)))])


def _hash(parts: Iterable[bytes]) -> str:
    total = sha256()
    for part in parts:
        total.update(sha256(part).digest())
    return total.hexdigest()


def _slug(name: str) -> str:
    """``name`` in W&B's letters; two names have two."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return slug if slug == name else f"{slug}-{sha256(name.encode()).hexdigest()[:8]}"
