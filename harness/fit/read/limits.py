"""How large a table may be: what is larger is no table of runs, or not one to be fitted whole."""

from harness.errors import UserError

MAX_ROWS = 2_000_000
"""Rows that are read: runs, and the evaluations along them. A million rows of eight columns take 600 MB."""
MAX_RUNS = 100_000
"""Rows that are fitted: each is resampled in every draw of a bootstrap."""
MAX_LINE = 1_000_000
"""Characters of a line."""
MAX_BYTES = 1 << 29
"""Of a file's text, decompressed."""


def too_many(name: str) -> UserError:
    """What to raise for a table of more than :data:`MAX_ROWS` rows."""
    return UserError(
        f"{name}: more than {MAX_ROWS:,} rows; keep the last row of each run, or of training curves every tenth; or "
        "fewer columns"
    )


def too_many_runs(name: str, number: int | None, named: bool) -> UserError:
    """What to raise for a table with more than :data:`MAX_RUNS` rows to fit.

    Args:
        number: how many; None where the rest was not read.
        named: whether a column names the runs.
    """
    many = f"more than {MAX_RUNS:,} rows" if number is None else f"{number:,} rows"
    if named:
        how = "keep some with where=…, or one row a run with analysis.rows=last"
    else:
        how = (
            "where several are of one run, name the column that says which with columns.run=NAME; or where=…"
        )
    return UserError(f"{name}: {many} to fit, and {MAX_RUNS:,} at most can be; {how}")


def too_long(name: str) -> UserError:
    """What to raise for a file of more than :data:`MAX_BYTES`."""
    return UserError(f"{name}: more than {MAX_BYTES >> 20:,} MB; keep the rows and columns that matter")
