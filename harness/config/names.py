"""Names and paths that a configuration gives: refused before anything is read or written under them."""

from dataclasses import fields
from typing import Any

from harness.config.check import show
from harness.errors import UserError

LONGEST = 255  # bytes of a name in a folder, in all common file systems
RESERVED = (
    55  # of them for what is put around a name: '-tune', '-ARM', '.yaml', marks of temporary and kept files
)
LONGEST_PATH = 3800  # bytes: Linux takes 4,096, and files go below

NAMES = ("name", "write", "run")
PATHS = (
    "runs_dir",
    "cache_dir",
    "out",
    "points",
    "curves",
    "fit",
    "figure",
    "validate.fit",
    "repetition.points",
)
"""Keys that hold a name or a path, in either schema; where there are none of that name they are passed over."""


def check_names(config: Any) -> None:
    """Refuse names and paths that no file can have, and blank ones, which would be this folder in silence.

    Raises:
        UserError: the key, and what is wrong with it.
    """
    for key in (*NAMES, *PATHS):
        value, default = _value(config, key)
        if isinstance(value, str) and (wrong := _wrong(value, default, key in NAMES)):
            raise UserError(f"{key}: {wrong}")


def _value(config: Any, key: str) -> tuple[Any, Any]:
    """What ``config`` has at the dotted ``key``, and the default."""
    *sections, last = key.split(".")
    for name in sections:
        config = getattr(config, name, None)
    defaults = {} if config is None else {one.name: one.default for one in fields(config)}
    return getattr(config, last, None), defaults.get(last)


def _wrong(value: str, default: Any, is_name: bool) -> str:
    """What is wrong with a name or a path; empty where nothing is."""
    if not value.strip():
        if value == default:
            return ""
        other = f"; leave it out for {show(default)}" if default else "; leave it out, or name one"
        return f"must not be blank{other}"
    try:
        longest = max(len(part.encode("utf-8")) for part in value.split("/"))
    except UnicodeEncodeError:
        return f"cannot be written as UTF-8: {show(value)}; name another"
    if any(letter < " " or "\x7f" <= letter < "\xa0" or letter in "\u2028\u2029" for letter in value):
        return f"must be free of control characters, got {show(value)}"
    most = LONGEST - RESERVED if is_name else LONGEST
    if longest > most:
        return f"a name has at most {most} bytes, got {longest} ({show(value)}); shorten it"
    if len(value.encode("utf-8")) > LONGEST_PATH:
        return f"a path has at most {LONGEST_PATH:,} bytes, got {len(value.encode('utf-8')):,}; shorten it"
    return ""
