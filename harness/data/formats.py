"""What a file of text is by its name, and its bytes as UTF-8: decompressed and decoded while they are read."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

from harness.data.document import SNIFFED

BLOCK = 1 << 16  # bytes read at once
EXPANSION = 4  # bytes of text in a byte of a compressed file, roughly
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bzip2", ".xz": "xz"}
RECORDS = {".jsonl": "json_lines", ".ndjson": "json_lines", ".json": "json", ".parquet": "parquet"}
UNREAD = {
    "archive": (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".7z", ".rar", ".warc"),
    "document": (".pdf", ".docx", ".doc", ".odt", ".epub", ".pptx", ".xlsx", ".mobi", ".djvu"),
    "table": (".arrow", ".feather", ".avro", ".orc", ".h5", ".hdf5", ".npy", ".npz"),
    "compressed": (".lz4", ".br", ".lzma", ".lzo", ".z"),
}
"""Endings of files that are not read, by the reason that is counted for them."""


class DamagedError(Exception):
    """A compressed file cannot be decompressed, or ends too early."""


@dataclass(frozen=True)
class Format:
    """What a file's name says of it.

    Attributes:
        records: ``json_lines``, ``json`` (lines or an array, where its beginning is either), ``parquet``, or empty for
            plain text.
        compression: ``gzip``, ``zstd``, ``bzip2``, ``xz`` or empty.
        unread: why it is not read, a key of :data:`UNREAD`; empty where it is.
    """

    records: str = ""
    compression: str = ""
    unread: str = ""


def format_of(name: str) -> Format:
    """The format of a file by its name."""
    stem, ending = os.path.splitext(name)
    return _format(ending.lower(), os.path.splitext(stem)[1].lower())


@cache
def _format(ending: str, before: str) -> Format:
    """That of a file with these last two endings."""
    compression = COMPRESSED.get(ending, "")
    if compression:
        ending = before
    for reason, endings in UNREAD.items():
        if ending in endings:
            return Format(unread=reason)
    records = RECORDS.get(ending, "")
    if records == "parquet" and compression:  # it has its own compression, and is read from its end
        return Format(unread="compressed")
    return Format(records, compression)


def opened(raw: io.FileIO, compression: str, encoding: str) -> io.BufferedReader:
    """The text of an open file, which is closed with it, as a stream of UTF-8 without a byte order mark.

    What is not UTF-8 in a file that should be is passed on as it is. Where ``encoding`` is UTF-8 and the file begins
    with the byte order mark of UTF-16, it is UTF-16.

    Raises:
        DamagedError: while reading, for a file that is not what its compression says, or ends too early.
        UnicodeDecodeError: while reading, where ``encoding`` is not UTF-8 and the text is not in it.
    """
    stream = _buffered(_Decompressed(_buffered(raw), compression) if compression else raw)
    mark = stream.peek(4)[:4]
    if is_utf8(encoding):
        if mark.startswith(codecs.BOM_UTF8):
            stream.read(len(codecs.BOM_UTF8))
        elif mark.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            stream = _buffered(_Transcoded(stream, "utf-16"))
    else:
        stream = _buffered(_Transcoded(stream, encoding))
    return stream


@cache
def is_utf8(encoding: str) -> bool:
    """Whether ``encoding`` names UTF-8."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


def is_binary(stream: io.BufferedReader) -> bool:
    """Whether there is a NUL in what a stream begins with, which is looked at, not read."""
    return b"\0" in stream.peek(SNIFFED)[:SNIFFED]


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(stream, BLOCK)


class _Decompressed(io.RawIOBase):
    """The content of a compressed file."""

    def __init__(self, raw: io.BufferedReader, compression: str) -> None:
        self._stream: Any
        if compression == "gzip":
            self._stream = gzip.GzipFile(fileobj=raw)
        elif compression == "bzip2":
            self._stream = bz2.BZ2File(raw)
        elif compression == "xz":
            self._stream = lzma.LZMAFile(raw)  # noqa: SIM115
        else:
            self._stream = _Zstandard(raw)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except (EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            raise DamagedError(str(error)) from error
        except OSError as error:
            if error.errno is not None:  # the disk's, not the content's
                raise
            raise DamagedError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)


class _Zstandard:
    """The content of Zstandard frames; the library's own reader takes a file that was cut short for a whole one."""

    def __init__(self, raw: io.BufferedReader) -> None:
        import zstandard

        self._raw = raw
        self._error = zstandard.ZstdError
        # of windows as large as the format has: those of archives made with --long
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        self._frame: Any = None
        self._input = self._output = b""

    def read(self, size: int) -> bytes:
        while not self._output:
            data = self._input or self._raw.read(BLOCK // 16)
            if not data:
                if self._frame is not None:
                    raise EOFError("it ends within a frame")
                return b""
            self._frame = self._frame or self._decompressor.decompressobj()
            try:
                self._output = self._frame.decompress(data)
            except self._error as error:
                raise EOFError(str(error)) from error
            self._input = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        data, self._output = self._output[:size], self._output[size:]
        return data


class _Transcoded(io.RawIOBase):
    """Text of another encoding as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding, newline="")
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._waiting:
            self._waiting = self._text.read(BLOCK).encode("utf-8", "surrogatepass")
        data, self._waiting = self._waiting[: len(buffer)], self._waiting[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
