"""What is written down before anything is trained, with its hash; refused once it was altered or would be another."""

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UserError
from harness.files import file_sha256, json_text, write_atomic
from harness.runs.files import read_json

T = TypeVar("T")

TIMELESS = "written"
"""The key of a registration that says when; it may be another."""


def register(
    path: Path,
    hash_path: Path,
    now: dict[str, Any],
    trained: bool,
    anew: str,
    parse: Callable[[dict[str, Any]], T],
    later: Collection[str] = (),
    modern: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> T:
    """What is registered at ``path``: written there now, or read and found unchanged.

    ``hash_path`` has the form of sha256sum, so ``sha256sum -c`` checks it too.

    Args:
        now: what would be registered now.
        trained: whether any run that it is about has a record already.
        anew: what is advised to begin again. parse: what reads it.
        later: keys that a file of an earlier version may lack. modern: gives such a file today's keys.

    Raises:
        UserError: it was altered, is not what would be registered now, or comes after the runs.
    """
    if not path.exists():
        if hash_path.exists():
            raise UserError(f"{path}: gone, but its hash is there; restore it, or {anew}")
        if trained:
            raise UserError(f"{path.parent}: has runs, but no {path.name} from before them; {anew}")
        write_atomic(path, json_text(now))
    elif hash_path.exists() or trained:
        _check_hash(path, hash_path, anew)
    stored = read_json(path, anew, parse)
    if found := first_difference(_timeless(read_json(path, anew, modern)), _timeless(now), later=later):
        key, before, after = found
        raise UserError(
            f"{path}: {key} was registered as {before} and would now be {after}: the fit or the configuration has "
            f"changed since; undo that, or {anew}"
        )
    if not hash_path.exists():
        write_atomic(hash_path, f"{file_sha256(path)}  {path.name}\n")
    return stored


def read_registered(path: Path, hash_path: Path, anew: str, parse: Callable[[dict[str, Any]], T]) -> T:
    """What was registered at ``path`` before, for what goes on from it.

    Raises:
        FileNotFoundError: nothing was.
        UserError: it was altered, or its hash is gone.
    """
    stored = read_json(path, anew, parse)
    _check_hash(path, hash_path, anew)
    return stored


def first_difference(
    before: Any, after: Any, key: str = "", later: Collection[str] = ()
) -> tuple[str, Any, Any] | None:
    """Where two JSON values differ first, and how; numbers may differ by rounding, as between two machines.

    Args:
        key: where in a larger value they stand. later: keys that ``before`` may lack.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            if name in later and name not in before:
                continue
            inner = f"{key}.{name}" if key else name
            if found := first_difference(before.get(name), after.get(name), inner, later):
                return found
        return None
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (one, two) in enumerate(zip(before, after, strict=True)):
            if found := first_difference(one, two, f"{key}[{i}]", later):
                return found
        return None
    if isinstance(before, float | int) and isinstance(after, float | int):
        return None if math.isclose(before, after, rel_tol=1e-6) else (key, before, after)
    return None if before == after else (key, before, after)


def _timeless(registered: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in registered.items() if name != TIMELESS}


def _check_hash(path: Path, hash_path: Path, anew: str) -> None:
    if not hash_path.exists():
        raise UserError(
            f"{hash_path}: gone, so nothing shows that {path.name} is older than the runs; {anew}"
        )
    registered = hash_path.read_text(encoding="utf-8", errors="replace").split()[:1]
    found = file_sha256(path)
    if registered != [found]:
        raise UserError(
            f"{path}: altered after it was registered (its SHA-256 is {found[:12]}…, {hash_path.name} says "
            f"{''.join(registered)[:12]}…); restore it, or {anew}"
        )
