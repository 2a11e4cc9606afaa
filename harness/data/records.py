"""Texts in files of records: JSON lines, a JSON array, Parquet."""

import io
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from harness.data.document import Document, File, Skip
from harness.errors import UserError
from harness.text import visible

LOOKED_AT = 16 << 20  # bytes of a .json file that are looked at to tell what is in it
BLOCK = 1 << 20  # characters read at once from an array
LONGEST = 1 << 28  # characters of one element of an array
PATIENCE = 1000  # records without the key before the key is taken to be wrong
ROWS = 1024  # rows of a Parquet file at once


class DamagedTableError(Exception):
    """A Parquet file that cannot be read."""


class NoFieldError(Exception):
    """A Parquet file that has no such column of text; its text says what it has."""


def json_kind(head: bytes, field: str, expected: bool) -> str:
    """What a .json file is, by its beginning: ``lines`` or ``array`` of records, or empty for any other text.

    Args:
        expected: records are expected here, so that those without ``field`` are an error, not another text.
    """
    text = head.decode("utf-8", "ignore").lstrip()
    try:
        if text.startswith("["):
            first, _ = json.JSONDecoder().raw_decode(text, len(text) - len(text[1:].lstrip()))
            return (
                "array" if _is_record(first, field) or (expected and isinstance(first, (dict, str))) else ""
            )
        lines = [line for line in text.split("\n")[:3] if line.strip()]
        first, *others = [json.loads(line) for line in lines[:2]]
    except (ValueError, RecursionError):
        return ""
    return "lines" if _is_record(first, field) or (expected and others and isinstance(first, dict)) else ""


def _is_record(value: Any, field: str) -> bool:
    return isinstance(value, dict) and field in value


def json_lines(file: File, stream: BinaryIO, field: str, skip: Skip) -> Iterator[Document]:
    """The texts of a file with a JSON object a line.

    Raises:
        UserError: a line is no JSON, or what it has is no text; no record has ``field``.
    """
    return _texts(_lines(file, stream), file, field, skip, "line")


def json_array(file: File, stream: BinaryIO, field: str, skip: Skip) -> Iterator[Document]:
    """The texts of a file that is one JSON array, of objects or of strings; it is never whole in memory.

    Raises:
        UserError: as for :func:`json_lines`.
    """
    return _texts(_elements(file, stream), file, field, skip, "element")


def parquet(file: File, field: str, skip: Skip) -> Iterator[tuple[Document, float]]:
    """The texts of a Parquet file, row group by row group, each with the share of the rows read by then.

    Raises:
        DamagedTableError: it is none.
        NoFieldError: it has no such column, or one that is not text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as table:
            _check_column(table.schema_arrow, field, pa.types)
            row = 0
            for batch in table.iter_batches(ROWS, columns=[field]):
                for text in batch.column(0).to_pylist():
                    if text is None:
                        skip("null", file.id, 0)
                    else:
                        yield Document(f"{file.id}#{row}", text), row / table.metadata.num_rows
                    row += 1
    except (pa.ArrowException, UnicodeError) as error:
        raise DamagedTableError(str(error).partition("\n")[0][:200]) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DamagedTableError(str(error).partition("\n")[0][:200]) from error


def _check_column(schema: Any, field: str, types: Any) -> None:
    if field not in schema.names:
        raise NoFieldError(f"no column '{field}'; it has {', '.join(schema.names) or 'none'}")
    kind = schema.field(field).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
    ):
        raise NoFieldError(f"column '{field}' holds {kind}, not text; it has {', '.join(schema.names)}")


def _lines(file: File, stream: BinaryIO) -> Iterator[tuple[int, Any, int]]:
    for number, line in enumerate(stream, start=1):
        if line.strip():
            try:
                yield number, json.loads(line.decode("utf-8")), len(line)
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{visible(str(file.path))}:{number}: not UTF-8 ({error.reason} at byte {error.start} of the "
                    "line); name its encoding, e.g. data.encoding=latin-1"
                ) from None
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{visible(str(file.path))}:{number}: not JSON ({_why(error)}); a .jsonl file has one JSON "
                    "object a line"
                ) from None


def _why(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _elements(file: File, stream: BinaryIO) -> Iterator[tuple[int, Any, int]]:
    where = visible(str(file.path))
    decoder, reader = json.JSONDecoder(), io.TextIOWrapper(stream, "utf-8", newline="")
    number, at = 0, 1

    def fail(error: Exception) -> UserError:
        return UserError(f"{where}: element {number + 1} of its array is not JSON ({_why(error)})")

    try:
        text = ""
        while not text and (block := reader.read(BLOCK)):
            text = block.lstrip()
        while True:
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
            if text[at : at + 1] == "]":
                return
            try:
                value, end = decoder.raw_decode(text, at)
            except ValueError as error:  # its end may not be read yet; as much again, for it may be long
                more = reader.read(max(BLOCK, len(text) - at))
                if not more or len(text) - at > LONGEST:
                    raise fail(error) from None
                text, at = text[at:] + more, 0
                continue
            number += 1
            yield number, value, end - at
            at = end
    except UnicodeDecodeError:
        raise UserError(f"{where}: not UTF-8; name its encoding, e.g. data.encoding=latin-1") from None
    except RecursionError as error:
        raise fail(error) from None


def _texts(
    records: Iterator[tuple[int, Any, int]], file: File, field: str, skip: Skip, what: str
) -> Iterator[Document]:
    """Those of ``field``; a null, and a record that lacks what others have, is left out.

    Raises:
        UserError: the first records, or all, lack it, or it holds something else.
    """
    path = visible(str(file.path))
    seen, lacking, first = False, 0, ""
    for number, value, size in records:
        where = f"{path}:{number}" if what == "line" else f"{path}, {what} {number}"
        if isinstance(value, str) and what == "element":
            text: Any = value
        elif not isinstance(value, dict):
            raise UserError(f"{where}: no text in '{field}' (it is a {type(value).__name__}, not an object)")
        elif field not in value:
            lacking += 1
            first = first or (
                f"{where}: no text in '{field}' (it has: {visible(', '.join(sorted(value)))[:300]}); name the "
                "key with data.text_field=…"
            )
            if not seen and lacking >= PATIENCE:
                raise UserError(first)
            skip("no_text", file.id, size)
            continue
        else:
            text = value[field]
        seen = True
        if text is None:
            skip("null", file.id, 0)
        elif isinstance(text, str):
            yield Document(f"{file.id}#{number}", text)
        else:
            raise UserError(
                f"{where}: '{field}' holds {type(text).__name__}, not text; name the key with data.text_field=…"
            )
    if not seen and first:
        raise UserError(first)
