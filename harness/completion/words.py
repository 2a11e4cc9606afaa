"""The words that can stand where an override is typed; fast, for a shell waits: no configuration is composed.

The keys come from ``keys.json`` beside this file, which ``scripts/write_keys.py`` writes from the schema.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.packaged import config_folder

KEYS = Path(__file__).with_name("keys.json")
PATHS = (
    "points",
    "curves",
    "out",
    "path",
    "data.path",
    "runs_dir",
    "cache_dir",
    "figure",
    "repetition.points",
    "tokenizer.path",
)
FITS = ("fit", "validate.fit")


def complete(command: str, word: str, typed: Sequence[str] = ()) -> list[str]:
    """All overrides of ``command`` that ``word`` can become, each as a whole word.

    Args:
        typed: the overrides before it.
    """
    sign = re.match(r"[+~]*", word)
    signs = sign[0] if sign else ""
    key, equals, value = word[len(signs) :].partition("=")
    if equals:
        found: Iterable[str] = (f"{key}={one}" for one in _values(command, key, value, typed))
    else:
        found = _keys(command, key)
    return [signs + one for one in found if one.startswith(word[len(signs) :])]


@cache
def _known() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(KEYS.read_text(encoding="utf-8"))
    return known


def _root(command: str) -> dict[str, Any]:
    root: dict[str, Any] = _known()["predict" if command == "predict" else "isoflop"]
    return root


def _is_read(command: str, key: str) -> bool:
    """Whether ``command`` takes ``key``: some are arguments of other commands only."""
    reads, head = _known()["reads"], key.partition(".")[0]
    if command == "fetch":
        return head in ("data", "path", "cache_dir", "experiment")
    return head in reads.get(command, ()) or not any(head in keys for keys in reads.values())


def _keys(command: str, prefix: str) -> list[str]:
    """``data=`` of groups and values, ``grid.`` of sections; the keys in a section once it is typed."""
    root = _root(command)
    keys = [key for key in root["keys"] if _is_read(command, key)]
    if "." not in prefix:
        sections = {f"{key.partition('.')[0]}.": None for key in keys if "." in key}
        several = [
            *(f"{group}=" for group in root["groups"] if _is_read(command, group)),
            *(f"{key}=" for key in keys if "." not in key and key not in root["groups"]),
            *sections,
        ]
        found = sorted({one for one in several if one.startswith(prefix)})
        if len(found) != 1 or not found[0].endswith("."):
            return found
        prefix = found[0]
    return [f"{key}=" for key in keys if key.startswith(prefix)]


def _values(command: str, key: str, prefix: str, typed: Sequence[str]) -> Iterable[str]:
    root = _root(command)
    given = dict(one.split("=", 1) for one in typed if "=" in one)
    runs = Path(given.get("runs_dir", "runs")).expanduser()
    if (group := key.partition("@")[0]) in root["groups"]:
        return _files_of(group, fetched_only=command == "fetch")
    if key == "name":
        return _sweeps(runs, "config.yaml")
    if key == "run":
        return _run_ids(runs, given)
    if key in FITS:
        named = [
            *(f"{runs}/{one}" for one in _sweeps(runs, "fit.json")),
            *(_files_of("law") if key == "fit" else ()),
        ]
        return [one for one in named if one.startswith(prefix)] or _paths(prefix)
    return _paths(prefix) if key in PATHS else root["keys"].get(key, [])


def _config_folders() -> tuple[Path, Path]:
    return config_folder(), Path("configs")


def _files_of(group: str, fetched_only: bool = False) -> list[str]:
    """The files of a group of configs, the user's own among them."""
    found = {path for folder in _config_folders() for path in (folder / group).glob("*.yaml")}
    return sorted({path.stem for path in found if not fetched_only or "\nfetch:" in _text(path)})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _sweeps(runs: Path, file: str) -> list[str]:
    """The sweeps below ``runs`` that have ``file``."""
    return sorted(path.parent.name for path in runs.glob(f"*/{file}"))


def _run_ids(runs: Path, given: dict[str, str]) -> list[str]:
    """The runs in the plan of the sweep that is named, or in those of all."""
    name = given.get("name", "")
    for folder in _config_folders() if "experiment" in given and not name else ():
        named = re.search(
            r"^name: *(\S+)", _text(folder / "experiment" / f"{given['experiment']}.yaml"), re.MULTILINE
        )
        name = named[1] if named else name
    found: dict[str, None] = {}
    for path in sorted(runs.glob(f"{name or '*'}/plan.json")):
        try:
            found |= {str(cell["run_id"]): None for cell in json.loads(_text(path))["cells"]}
        except (ValueError, KeyError, TypeError):  # damaged: the command says so
            continue
    return list(found)


def _paths(prefix: str) -> Iterator[str]:
    """Files and folders (``name/``) that begin with ``prefix``."""
    folder, last = os.path.split(prefix)
    try:
        entries = sorted(os.scandir(os.path.expanduser(folder) or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(last) and (last.startswith(".") or not entry.name.startswith(".")):
            yield os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "")
