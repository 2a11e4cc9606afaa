"""Files of tables as cells: CSV with commas, semicolons or tabs, JSON, JSON lines, Parquet; any of them compressed.

What a file is, its beginning says, not its name.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from harness.data.formats import DamagedError, opened
from harness.errors import UserError
from harness.files import refuse_endless
from harness.fit.read.cells import BLOCK, Cells, Gathered, HeaderCheck
from harness.fit.read.in_memory import cells_of
from harness.fit.read.json_files import cells_of_json
from harness.fit.read.limits import MAX_BYTES, MAX_LINE, MAX_ROWS, MAX_RUNS, too_long, too_many, too_many_runs
from harness.text import visible

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
NOT_TABLES = {
    b"PK\x03\x04": "a zip archive or a workbook (.xlsx); save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls); save the sheet as CSV",
    b"\x80\x04": "a pickle, which can hold any program; load it yourself and give read_points the DataFrame, or save "
    "it as Parquet or CSV",
    b"\x80\x05": "a pickle, which can hold any program; load it yourself and give read_points the DataFrame, or save "
    "it as Parquet or CSV",
    b"%PDF": "a PDF; copy its table to CSV",
    b"ARROW1": "an Arrow file; save it as Parquet or CSV",
    b"\x89HDF": "an HDF5 file; save the table as CSV or Parquet",
    b"\x93NUMPY": "an array of numpy; save it with the columns' names as CSV",
    b"<!DO": "a web page; download the file itself",
    b"<htm": "a web page; download the file itself",
    b"version https://git-lfs": "a pointer to a file in Git LFS, not the file; fetch it with 'git lfs pull'",
}


def cells_of_file(path: Path, check: HeaderCheck) -> Cells:
    """The table in a file.

    Raises:
        UserError: there is no such file, or it has no table of runs.
    """
    refuse_endless(path)
    try:
        with path.open("rb") as raw:
            return _of_bytes(path.name, str(path), raw, check)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the file with the runs") from None
    except DamagedError as error:
        raise UserError(f"{path}: its compressed content is damaged, or ends too early ({error})") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text, nor UTF-16; save the table as CSV in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def cells_of_text(name: str, lines: TextIO, check: HeaderCheck) -> Cells:
    """The table in an open text file, with a name for messages."""
    first = lines.readline(MAX_LINE).removeprefix("\ufeff")
    if first.lstrip()[:1] in ("[", "{"):
        return cells_of_json(name, first, lines, check)
    return _of_csv(name, name, first, lines, check)


def _of_bytes(name: str, path: str, raw: Any, check: HeaderCheck) -> Cells:
    begin = raw.peek(8)[:8]
    compression = next((kind for magic, kind in COMPRESSIONS.items() if begin.startswith(magic)), "")
    stream = opened(raw, compression, "utf-8")
    begin = stream.peek(512)[:512]
    for magic, what in NOT_TABLES.items():
        if begin.startswith(magic):
            raise UserError(f"{path}: {what}")
    if begin.startswith(b"PAR1"):
        return _of_parquet(path, stream, check)
    text = io.TextIOWrapper(cast(Any, stream), "utf-8", errors="surrogateescape", newline="")
    return cells_of_text(name if begin[:1] not in (b"[", b"{") else path, text, check)


def _of_parquet(path: str, stream: io.BufferedReader, check: HeaderCheck) -> Cells:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise too_long(path)
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows > MAX_ROWS:
            raise too_many(path)
        check(list(file.schema_arrow.names), path)
        frame = file.read().to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: not a whole Parquet file ({visible(str(error))[:100]})") from None
    cells = cells_of(frame, path)
    check(list(cells.header), path)
    return cells


def _of_csv(name: str, path: str, first: str, lines: TextIO, check: HeaderCheck) -> Cells:
    bounded = _bounded(name, first, lines)
    header_line = next(bounded, "")
    skipped = 0
    if header_line.lower().startswith("sep=") and len(header_line.strip()) == 5:  # Excel's own
        header_line, skipped = next(bounded, ""), 1
    if not header_line.strip():
        raise UserError(f"{name}: empty; expected a header with params, tokens, flops, loss")
    delimiter = max(",;\t", key=header_line.count)
    try:
        header = [one.strip() for one in next(csv.reader([header_line], delimiter=delimiter))]
        several = check(header, name)
        gathered = Gathered(header)
        width = len(header)
        reader = csv.reader(bounded, delimiter=delimiter)
        numbers: list[int] = []
        rows: list[list[str]] = []
        for row in reader:
            if not (row and row[0].strip()) and not any(map(str.strip, row)):
                continue
            line = reader.line_num + 1 + skipped
            rows.append(row if len(row) == width else _fitted(row, width, f"{name}: row {line}"))
            numbers.append(line)
            if len(rows) >= BLOCK:
                gathered.extend(numbers, rows)
                numbers, rows = [], []
            if not several and len(gathered) + len(rows) > MAX_RUNS:
                raise too_many_runs(name, None, named=False)
        gathered.extend(numbers, rows)
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV table ({error})") from None
    if not len(gathered):
        raise UserError(f"{name}: a header and no rows")
    return gathered.cells(name)


def _fitted(row: list[str], width: int, where: str) -> list[str]:
    """A row that is shorter or longer than the header, to its width. Raises UserError where that loses a cell."""
    if any(cell.strip() for cell in row[width:]):
        raise UserError(f"{where} has {len(row)} cells, the header has {width}")
    return row[:width] + [""] * (width - len(row))


def _bounded(name: str, first: str, lines: TextIO) -> Iterator[str]:
    """The lines of a file, refused as soon as there are too many, one is too long, or they are no text."""
    read, number, line = 0, 0, first
    while line:
        number += 1
        read += len(line)
        if len(line) >= MAX_LINE:
            raise UserError(
                f"{name}: line {number} is longer than {MAX_LINE} characters; not a table of runs"
            )
        if "\0" in line:
            raise UserError(f"{name}: line {number} has NUL bytes; not a CSV table")
        if number > MAX_ROWS + 1:
            raise too_many(name)
        if read > MAX_BYTES:
            raise too_long(name)
        yield line
        line = lines.readline(MAX_LINE)
