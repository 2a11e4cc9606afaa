"""Files of tables as cells: CSV with commas, semicolons or tabs, JSON, JSON lines, Parquet; any of them compressed.

What a file is, its beginning says, not its name.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from harness.data.formats import DamagedError, opened
from harness.errors import UserError
from harness.files import refuse_endless
from harness.fit.read.cells import Cells, Gathered
from harness.fit.read.in_memory import cells_of
from harness.fit.read.limits import MAX_BYTES, MAX_LINE, MAX_ROWS, MAX_RUNS, too_many, too_many_runs
from harness.text import visible

HeaderCheck = Callable[[list[str], str], bool]
"""Asked with the header and the table's name before the rows are read: refuses a hopeless table, and says whether its
rows may be evaluations of fewer runs."""

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
# A mapping with one of these keys has its table there.
WRAPPERS = ("data", "runs", "records", "rows", "results", "points")
MOST_NESTED = 20
_SPACE = re.compile(r"\s*")


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
        return _of_json(name, first, lines, check)
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
        raise _too_long(path)
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


def _too_long(name: str) -> UserError:
    return UserError(f"{name}: more than {MAX_BYTES >> 20:,} MB; keep the rows and columns that matter")


# ---- CSV


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
        for row in reader:
            if not (row and row[0].strip()) and not any(map(str.strip, row)):
                continue
            line = reader.line_num + 1 + skipped
            if len(row) != width:
                if len(row) > width:
                    if any(cell.strip() for cell in row[width:]):
                        raise UserError(f"{name}: row {line} has {len(row)} cells, the header has {width}")
                    row = row[:width]
                row += [""] * (width - len(row))
            gathered.add(line, row)
            if not several and len(gathered) > MAX_RUNS:
                raise too_many_runs(name, None, named=False)
    except csv.Error as error:
        raise UserError(f"{path}: not a CSV table ({error})") from None
    if not len(gathered):
        raise UserError(f"{name}: a header and no rows")
    return _told(gathered, name)


def _told(gathered: Gathered, name: str) -> Cells:
    cells = gathered.cells(name)
    if not gathered.mended:
        return cells
    note = f"{name} is not in UTF-8: read as Windows-1252"
    return Cells(cells.name, cells.columns, cells.lines, (note,))


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
            raise _too_long(name)
        yield line
        line = lines.readline(MAX_LINE)


# ---- JSON


def _of_json(name: str, first: str, rest: TextIO, check: HeaderCheck) -> Cells:
    """JSON whose first line was read: a list or mapping, or lines of mappings; rows go to columns one by one."""
    gathered = Gathered([])
    for line, record in enumerate(_json_rows(name, first, rest)):
        gathered.add_record(line, {key: _json_cell(value) for key, value in record.items()})
        if line >= MAX_ROWS:
            raise too_many(name)
    if not len(gathered) or not gathered.header:
        raise UserError(f"{name}: JSON without rows")
    check(gathered.header, name)
    return _told(gathered, name)


def _json_rows(name: str, first: str, rest: TextIO) -> Iterator[dict[str, Any]]:
    if isinstance(record := _loaded(first), dict) and (second := rest.readline(MAX_LINE)):
        yield _flat(name, record)
        yield from _json_lines(name, second, rest)
        return
    text = first + rest.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise _too_long(name)
    begin = text.lstrip()
    if begin[1:].lstrip()[:1] == "{" and begin[0] == "[":
        yield from _json_list(name, text)
        return
    try:
        found = json.loads(text)
    except RecursionError:
        raise _nested(name) from None
    except ValueError as error:
        raise _no_json(name, error) from None
    yield from _records(name, found)


def _loaded(line: str) -> Any:
    """The value of a line of JSON; None where it is none by itself."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _json_lines(name: str, line: str, rest: TextIO) -> Iterator[dict[str, Any]]:
    """The records of lines from the second on."""
    number, read = 2, 0
    while line:
        read += len(line)
        if len(line) >= MAX_LINE:
            raise UserError(
                f"{name}: line {number} is longer than {MAX_LINE} characters; not a table of runs"
            )
        if read > MAX_BYTES:
            raise _too_long(name)
        if line.strip():
            record = _loaded(line)
            if not isinstance(record, dict):
                raise UserError(f"{name}: line {number} is not JSON with names of columns, as the first is")
            yield _flat(name, record)
        line = rest.readline(MAX_LINE)
        number += 1


def _json_list(name: str, text: str) -> Iterator[dict[str, Any]]:
    """The records of a list, without all of them in memory at once."""
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    try:
        while True:
            record, at = decoder.raw_decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]
            if not isinstance(record, dict):
                raise UserError(f"{name}: a list of JSON with {type(record).__name__} among its rows")
            yield _flat(name, record)
            at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
            sign, at = text[at : at + 1], at + 1
            if sign == "]" and not text[at:].strip():
                return
            if sign != ",":
                raise UserError(f"{name}: not JSON: a comma or the list's end is expected at character {at}")
    except RecursionError:
        raise _nested(name) from None
    except ValueError as error:
        raise _no_json(name, error) from None


def _nested(name: str) -> UserError:
    return UserError(f"{name}: JSON that is nested too deeply; not a table of runs")


def _no_json(name: str, error: ValueError) -> UserError:
    return UserError(f"{name}: neither JSON nor JSON lines ({visible(str(error))[:100]})")


def _records(name: str, found: Any) -> list[dict[str, Any]]:
    """Rows by the columns' names, of whatever way JSON has to write a table."""
    if isinstance(found, list):
        if all(isinstance(row, dict) for row in found):
            return [_flat(name, row) for row in found]
        if found and all(isinstance(row, list) for row in found):
            if all(len(row) == 3 and all(isinstance(one, int | float) for one in row) for row in found):
                raise UserError(
                    f"{name}: lists of three numbers, as TensorBoard exports one run's curve, not a table of runs; "
                    "write one row a run with its N (params), D (tokens) and last value (loss)"
                )
            if all(isinstance(one, str) for one in found[0]):
                return [dict(zip(found[0], row, strict=False)) for row in found[1:]]
        raise UserError(
            f'{name}: a list of JSON whose rows have no names of columns; write {{"params": …}} for each'
        )
    if not isinstance(found, dict):
        raise UserError(f"{name}: JSON that is a {type(found).__name__}, not a table of runs")
    header, rows = found.get("columns"), found.get("data")
    if isinstance(header, list) and isinstance(rows, list):  # pandas's "split"
        return _records(name, [[str(one) for one in header], *rows])
    for key in WRAPPERS:
        held = found.get(key)
        if isinstance(held, list) and held and all(isinstance(row, dict) for row in held):
            return _records(name, held)
        if isinstance(held, dict) and len(found) == 1:
            return _records(name, held)
    lists = {key: value for key, value in found.items() if isinstance(value, list)}
    if lists:
        lengths = {key: len(value) for key, value in lists.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"{name}: its columns have different lengths: {lengths!s:.300}")
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    if found and all(isinstance(value, dict) for value in found.values()):
        return _by_name(name, found)
    return [_flat(name, found)]


def _by_name(name: str, found: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A mapping of mappings: columns with rows by number, as pandas writes them, or runs by name."""
    rows = list(dict.fromkeys(key for value in found.values() for key in value))
    if all(row.lstrip("-").isdigit() for row in rows):
        return [{column: values.get(row) for column, values in found.items()} for row in rows]
    numbered = all(key.isdigit() for key in found)
    return [({} if numbered else {"run_id": key}) | _flat(name, value) for key, value in found.items()]


def _flat(name: str, row: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """``{"config": {"n": 1}}`` → ``{"config.n": 1}``."""
    if dict not in map(type, row.values()):
        return cast(dict[str, Any], row)
    if depth > MOST_NESTED:
        raise _nested(name)
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in _flat(name, value, depth + 1).items()}
        else:
            found[key] = value
    return found


def _json_cell(value: Any) -> str:
    if value is None:
        return ""
    return (
        value
        if isinstance(value, str)
        else repr(value)
        if isinstance(value, float)
        else str(value)[:MAX_LINE]
    )
