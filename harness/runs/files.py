"""Small files written whole or not at all."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_atomic(path: Path, text: str) -> None:
    """Write ``text`` so that a reader, or a kill at any moment, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_changed(path: Path, text: str) -> None:
    """Write ``text`` atomically unless the file has it already: its time then says when its content changed."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (OSError, ValueError):
        pass
    write_atomic(path, text)


def json_text(value: Any) -> str:
    """``value`` as indented JSON. NaN is refused: JSON has none."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    write_atomic(path, json_text(value))


def up_to_date(target: Path, *sources: Path) -> bool:
    """Whether ``target`` exists and none of ``sources`` is newer, as make understands it."""
    try:
        made = target.stat().st_mtime_ns
        return all(source.stat().st_mtime_ns <= made for source in sources)
    except OSError:
        return False
