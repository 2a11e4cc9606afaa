"""JSON and JSON lines as tables: lists of rows, mappings of columns, and what pandas writes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TextIO, cast

from harness.errors import UserError
from harness.fit.read.cells import Cells, Gathered, HeaderCheck
from harness.fit.read.limits import MAX_BYTES, MAX_LINE, MAX_ROWS, too_long, too_many
from harness.text import visible

# A mapping with one of these keys has its table there.
WRAPPERS = ("data", "runs", "records", "rows", "results", "points")
MOST_NESTED = 20
_SPACE = re.compile(r"\s*")


def cells_of_json(name: str, first: str, rest: TextIO, check: HeaderCheck) -> Cells:
    """JSON whose first line was read: a list or mapping, or lines of mappings; rows go to columns one by one."""
    gathered = Gathered([])
    for line, record in enumerate(_json_rows(name, first, rest)):
        gathered.add_record(line, {key: _json_cell(value) for key, value in record.items()})
        if line >= MAX_ROWS:
            raise too_many(name)
    if not len(gathered) or not gathered.header:
        raise UserError(f"{name}: JSON without rows")
    check(gathered.header, name)
    return gathered.cells(name)


def _json_rows(name: str, first: str, rest: TextIO) -> Iterator[dict[str, Any]]:
    if isinstance(record := _loaded(first), dict) and (second := rest.readline(MAX_LINE)):
        yield _flat(name, record)
        yield from _json_lines(name, second, rest)
        return
    text = first + rest.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise too_long(name)
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
            raise too_long(name)
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
