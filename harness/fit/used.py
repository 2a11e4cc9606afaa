"""Which rows of a table a fit used, and whether a table is the one that it was made from."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from harness.fit.results import FitResults
from harness.fit.table import Excluded, Points

DIGITS = 10
"""Significant digits of a fingerprint: readers of decimal text differ in the last of a double's sixteen."""


def fingerprint(points: Points) -> str:
    """SHA-256 of runs: run id, N, D, C and loss of every entry, whatever their order."""
    columns = (points.params, points.tokens, points.flops, points.loss)
    numbers = zip(*(column.tolist() for column in columns), strict=True)
    entries = [
        "\0".join((run, *(f"{value:.{DIGITS}g}" for value in values)))
        for run, values in zip(points.run_id, numbers, strict=True)
    ]
    return sha256("\n".join(sorted(entries)).encode("utf-8", "surrogateescape")).hexdigest()


def used_by(table: Points, loss: str, count: str, compute: str, excluded: Sequence[Excluded]) -> Points:
    """The rows of ``table`` that ``excluded`` leaves, with N, C and loss from the columns of these names.

    Raises:
        UserError: there is no such column.
    """
    counted = table.scored(loss).counted(count, compute)
    return _used(counted, by_line(counted, excluded))


def left_out(table: Points, fit: FitResults) -> tuple[str, ...]:
    """Why ``fit`` is without each row of ``table``, (n,); "" where it used the row.

    Rows are told apart by their lines in the file; in a copy with its lines in another order by their run, where it has
    one row: that is tried where the runs left over are not those that were fitted.
    """
    reasons = by_line(table, fit.excluded)
    if not fit.fingerprint:
        return reasons
    counted = table.scored(fit.loss).counted(fit.count, fit.compute)
    for way in (by_line, by_run):
        if fingerprint(_used(counted, way(counted, fit.excluded))) == fit.fingerprint:
            return way(table, fit.excluded)
    return reasons


def used_rows(table: Points, fit: FitResults) -> Points:
    """The rows of ``table`` that ``fit`` used, counted as it counted."""
    counted = table.scored(fit.loss).counted(fit.count, fit.compute)
    return _used(counted, left_out(counted, fit))


def is_of(table: Points, fit: FitResults) -> bool | None:
    """Whether ``fit`` was made from ``table``; None where it is of an earlier version, which has no fingerprint."""
    return fingerprint(used_rows(table, fit)) == fit.fingerprint if fit.fingerprint else None


def by_line(table: Points, excluded: Sequence[Excluded]) -> tuple[str, ...]:
    """The reason that each row of ``table`` is excluded for, by its run and line; "" without one.

    A fit of an earlier version has no line for the rows that its options left out; it had one row a run.
    """
    reasons = {(gone.run, gone.row): gone.reason for gone in excluded}
    lines = table.lines or (None,) * len(table)
    return tuple(
        reasons.get((run, line)) or reasons.get((run, None), "")
        for run, line in zip(table.run_id, lines, strict=True)
    )


def by_run(table: Points, excluded: Sequence[Excluded]) -> tuple[str, ...]:
    """As :func:`by_line`, by run alone where the table has one row of it and names it."""
    reasons, rows = {gone.run: gone.reason for gone in excluded}, Counter(table.run_id)
    return tuple(
        reasons.get(run, "") if rows[run] == 1 and table.named(i) else known
        for i, (run, known) in enumerate(zip(table.run_id, by_line(table, excluded), strict=True))
    )


def _used(table: Points, reasons: Sequence[str]) -> Points:
    return table.select(np.array([not reason for reason in reasons], dtype=bool))
