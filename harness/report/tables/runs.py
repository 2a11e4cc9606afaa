"""Every run: what was trained, how it ended, what it cost, with its training curve."""

import numpy as np

from harness.fit import Curve
from harness.fit.used import left_out
from harness.plan.optimizer_share import described, share_text
from harness.report.data import ReportData
from harness.report.table import Cell, Sparkline, Table
from harness.report.text import counted, fixed, power, ratio, significant
from harness.runs.record import FINISHED, Record
from harness.text import duration

# Of a small curve at most, at least, and of all of them together: they may not be most of a page of many runs.
SPARK_POINTS, FEWEST_POINTS, ALL_POINTS = 60, 12, 18_000
CURVE = "training loss"
HEADINGS = (
    "run",
    "C (FLOPs)",
    "width × layers",
    "N",
    "D",
    "D/N",
    "loss",
    "s.e.",
    CURVE,
    "state",
    "steps",
    "batch (tokens)",
    "peak learning rate",
    "seed",
    "epochs",
    "time",
    "FLOP/s",
    "optimizer",
)
OPTIMIZER = "optimizer"
"""Its own FLOPs over C; shown only where they are more than rounding."""
RECIPE = ("peak learning rate", "batch (tokens)", "seed")


def runs_table(data: ReportData) -> Table:
    """From the records where there are any, else from the table of points."""
    return _from_records(data) if data.records else _from_points(data)


def _from_records(data: ReportData) -> Table:
    gone = {excluded.run: excluded.reason for excluded in data.fit.excluded}
    planned = [] if data.plan is None else list(data.plan.cells)
    points = min(SPARK_POINTS, ALL_POINTS // max(1, len(planned)))
    curves = data.curves if points >= FEWEST_POINTS else {}
    rows: list[tuple[Cell, ...]] = []
    for cell in planned:
        record = data.records.get(cell.run_id)
        rows.append(
            (
                cell.run_id,
                power(cell.budget),
                cell.spec.shape.label.replace("x", " × "),
                counted(cell.params.total),
                counted(cell.tokens if record is None else record.tokens),
                ratio(cell.tokens / cell.params.total),
                fixed(record.loss if record else None, 4),
                fixed(record.loss_se if record else None, 4),
                _spark(curves.get(cell.run_id), points),
                _state(record, gone.get(cell.run_id, "")),
                str(cell.spec.steps),
                f"{cell.spec.batch_tokens:,}",
                significant(cell.spec.optimizer.lr),
                str(cell.spec.seed),
                f"{cell.epochs:.2f}",
                duration(record.seconds) if record else "–",
                "–" if record is None or not record.seconds else power(record.flops / record.seconds),
                share_text(cell.optimizer_share),
            )
        )
    varying, fixed_note = _varying(rows)
    if not curves:
        varying = [i for i in varying if HEADINGS[i] != CURVE]
    share = described(planned)
    if not share:
        varying = [i for i in varying if HEADINGS[i] != OPTIMIZER]
    fixed_note += f"{share[0].upper()}{share[1:]}. " if share else ""
    return Table(
        "runs",
        "",
        tuple(HEADINGS[i] for i in varying),
        tuple(tuple(row[i] for i in varying) for row in rows),
        left=("run", "C (FLOPs)", "state", CURVE),
        note=f"{fixed_note}Loss is held-out, in nats per token; its standard error is over the held-out "
        "documents that all runs share, so differences between runs are known better than it suggests."
        + (" The small curves show training loss against tokens, each on its own scale." if curves else ""),
    )


def _varying(rows: list[tuple[Cell, ...]]) -> tuple[list[int], str]:
    """Columns to show, and a sentence for those of the recipe that are the same in every run."""
    same = [
        i for i, heading in enumerate(HEADINGS) if heading in RECIPE and len({row[i] for row in rows}) == 1
    ]
    if len(rows) < 2 or not same:
        return list(range(len(HEADINGS))), ""
    text = ", ".join(f"{HEADINGS[i]} {rows[0][i]}" for i in same)
    return [i for i in range(len(HEADINGS)) if i not in same], f"In every run: {text}. "


def _from_points(data: ReportData) -> Table:
    table = data.table
    reasons = left_out(table, data.fit)
    rows: list[tuple[Cell, ...]] = [
        (
            table.run_id[i],
            power(float(table.flops[i]), 3),
            counted(float(table.params[i])),
            counted(float(table.tokens[i])),
            ratio(float(table.tokens[i] / table.params[i])),
            fixed(float(table.loss[i]), 4),
            f"left out: {reasons[i]}" if reasons[i] else "used",
        )
        for i in range(len(table))
    ]
    known = {*zip(table.run_id, table.lines or (), strict=False), *((run, None) for run in table.run_id)}
    rows += [
        (gone.run, "", "", "", "", "", f"left out: {gone.reason}")
        for gone in data.fit.excluded
        if (gone.run, gone.row) not in known
    ]
    return Table(
        "runs",
        "",
        ("run", "C (FLOPs)", "N", "D", "D/N", "loss", "state"),
        tuple(rows),
        left=("run", "C (FLOPs)", "state"),
    )


def _state(record: Record | None, excluded: str) -> str:
    if record is None:
        return "not run"
    if record.status != FINISHED:
        return f"{record.status}: {record.reason}" if record.reason else record.status
    return f"left out: {excluded}" if excluded else "finished"


def _spark(curve: Curve | None, most: int) -> Cell:
    """The small curve, of ``most`` points."""
    if curve is None or len(curve.tokens) < 2:
        return ""
    seen = np.isfinite(curve.train_loss)
    tokens, loss = curve.tokens[seen], curve.train_loss[seen]
    if len(loss) < 2:
        return ""
    picked = np.unique(np.linspace(0, len(loss) - 1, most).astype(int))
    x = tokens[picked] / tokens[-1]
    # The first steps fall from the uniform distribution; on that scale everything after them would be flat.
    top, bottom = float(np.quantile(loss, 0.9)), float(loss.min())
    y = np.clip((loss[picked] - bottom) / max(top - bottom, 1e-9), 0, 1)
    points = tuple((round(float(a), 3), round(float(b), 3)) for a, b in zip(x, y, strict=True))
    return Sparkline(points, f"training loss from {loss[0]:.3f} to {loss[-1]:.3f}")
