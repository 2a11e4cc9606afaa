"""Small files: written whole or not at all, and with their SHA-256, so that damage is seen.

A file from before there were seals has none; whoever reads it checks what else it can.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from harness.errors import UserError

Fence = Callable[[], None]
"""Asked right before something gets its name: raises where this process may no longer write there."""

KEY = "sha256"
_OPENED = re.compile(r"/dev/(stdin|fd/\d+)$|/proc/(self|\d+)/fd/\d+$")
_HEAD = "# SHA-256 of the lines below: "


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def refuse_endless(path: Path) -> None:
    """Only files have an end: a pipe that nobody writes to is waited for, ``/dev/zero`` fills the memory.

    What a shell passes on as a file (``/dev/stdin``, ``<(zcat …)``) is read like one.

    Raises:
        UserError: ``path`` is a pipe by name, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # whoever opens it says so
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or (stat.S_ISFIFO(mode) and _OPENED.match(str(path))):
        return
    kind = "a named pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
    raise UserError(f"{path}: {kind}, not a file; name a file")


def no_fence() -> None:
    """Nobody else writes there."""


def write_atomic(path: Path, text: str, fence: Fence = no_fence) -> None:
    """Write ``text`` so that a reader, or a kill at any moment, sees the old file or the new one, never a part."""
    open_atomic(path, text, fence).close()


def open_atomic(path: Path, text: str, fence: Fence = no_fence) -> TextIO:
    """As :func:`write_atomic`, and the file stays open: what follows goes to it, whatever gets its name by then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        error.filename = str(path)  # not the name that nobody knows
        raise
    file = os.fdopen(handle, "w", encoding="utf-8")
    try:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.chmod(name, 0o644)
        fence()
        put_in_place(Path(name), path)
    except BaseException:
        file.close()
        Path(name).unlink(missing_ok=True)
        raise
    return file


def sync_folder(folder: Path) -> None:
    """The names in ``folder`` have reached the disk, where the file system can do that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a whole file its name; an empty folder that has the name is no reason not to, one with files in it is."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    os.replace(temporary, path)


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """``data``, plain JSON, with the digest of all of it under :data:`KEY`."""
    plain = {name: value for name, value in data.items() if name != KEY}
    return {**plain, KEY: _digest(plain)}


def file_sha256(path: Path) -> str:
    """The SHA-256 of the file at ``path``, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sealed(data: Mapping[str, Any]) -> bool:
    """Whether ``data`` has a digest."""
    return KEY in data


def unseal(data: Any) -> dict[str, Any]:
    """What :func:`seal` was given; a mapping without a digest is returned as it is.

    Raises:
        ValueError: it is no mapping, or not what was sealed.
    """
    if not isinstance(data, dict):
        raise ValueError(f"a mapping is expected, not {type(data).__name__}")
    if KEY not in data:
        return data
    plain = {name: value for name, value in data.items() if name != KEY}
    if data[KEY] != _digest(plain):
        raise ValueError("it is not as it was written: its SHA-256 differs")
    return plain


def json_text(value: Any) -> str:
    """``value`` as indented JSON. NaN is refused: JSON has none."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: dict[str, Any], fence: Fence = no_fence) -> None:
    """Write ``value`` with its SHA-256 as indented JSON, atomically."""
    write_atomic(path, json_text(seal(value)), fence)


def seal_text(text: str) -> str:
    """``text`` below a line with its digest, which is a comment to YAML."""
    return f"{_HEAD}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def unseal_text(text: str) -> str:
    """What :func:`seal_text` was given; a text without a digest is returned as it is.

    Raises:
        ValueError: it is not what was sealed, or empty.
    """
    first, _, body = text.partition("\n")
    if not text.strip():
        raise ValueError("it is empty")
    if not re.search("SHA-256|[0-9a-f]{60}", first):
        return text
    if first != _HEAD + hashlib.sha256(body.encode()).hexdigest():
        raise ValueError("it is not as it was written: its SHA-256 differs")
    return body


def strict_json(text: str | bytes) -> Any:
    """The value of JSON; NaN and infinity, which Python would read, are none.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _digest(plain: Mapping[str, Any]) -> str:
    # keys that are numbers become text, as in the file
    canonical = json.dumps(json.loads(json.dumps(plain)), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
