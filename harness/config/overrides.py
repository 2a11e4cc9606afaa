"""What a user types, before it is composed: names of earlier versions keep working and one line to stderr gives the new
name, and a key that the command does not read is refused.
"""

import re
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from harness.config.written import untyped
from harness.errors import UserError

SECTIONS = {"rematch": "validate"}
"""Sections of a configuration, by their old names."""
EXPERIMENTS = {"rematch": "validate"}
"""Files of ``configs/experiment``, by their old names."""

SECTION = re.compile(r"(?P<sign>[+~\s]*)(?P<name>\w+)(?P<rest>\..*|=.*|)", re.DOTALL)


def current_section(key: str) -> str:
    """The name of a section now; any other key as it is."""
    return SECTIONS.get(key, key)


def current_override(override: str) -> str:
    """The Hydra override ``override`` with new names for old ones."""
    found = SECTION.fullmatch(override)
    if found is None:
        return override
    sign, name, rest = found["sign"], found["name"], found["rest"]
    if name == "experiment" and rest[1:] in EXPERIMENTS and not _is_own_experiment(rest[1:]):
        now = f"{sign}experiment={EXPERIMENTS[rest[1:]]}"
        say(override, now)
        return now
    if name in SECTIONS:
        key = rest.partition("=")[0]
        say(f"{name}{key}", f"{SECTIONS[name]}{key}")
        return f"{sign}{SECTIONS[name]}{rest}"
    return override


def _is_own_experiment(name: str) -> bool:
    """Whether the working directory has an experiment of that name, which is then the one that is meant."""
    return (Path.cwd() / "configs" / "experiment" / f"{name}.yaml").is_file()


@cache
def add_old_sections(schema: type) -> DictConfig:
    """The keys of the dataclass ``schema`` as a node into which files with old sections can be merged, too.

    It is made once: Hydra copies what its store has.
    """
    node = untyped(schema)
    for old, new in SECTIONS.items():
        if new in node:
            with open_dict(node):
                node[old] = {}
    return node


def move_old_sections(composed: DictConfig, overrides: Sequence[str]) -> None:
    """Move what files have in old sections to the new ones, in place; ``overrides``, in new names, come first.

    Raises:
        OmegaConfBaseException: the new section has no such key, or the value is of another type.
    """
    for old, new in SECTIONS.items():
        if old not in composed:
            continue
        with open_dict(composed):
            values = composed.pop(old)
        if not values:
            continue
        say(f"{old}:", f"{new}:")
        given = _overridden(overrides, new)
        OmegaConf.update(composed, new, {key: node for key, node in _nodes(values) if key not in given})


def _overridden(overrides: Sequence[str], section: str) -> set[str]:
    """The keys of ``section`` that Hydra overrides set."""
    found: set[str] = set()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        name, _, key = override.key_or_group.partition(".")
        if name == section:
            value = override.value() if not key else None
            found |= {key} if key else set(map(str, value)) if isinstance(value, dict) else set()
    return found


def _nodes(section: DictConfig) -> list[tuple[str, Any]]:
    """Keys and values as they are written, interpolations included."""
    written = OmegaConf.to_container(section, resolve=False)
    assert isinstance(written, dict), "a section has keys"
    return [(str(key), value) for key, value in written.items()]


@cache
def say(old: str, new: str) -> None:
    """One line to stderr, once in a process: configurations are composed several times."""
    print(f"isoflop: '{old}' is called '{new}' now", file=sys.stderr)


def current_overrides(overrides: Sequence[str]) -> list[str]:
    """:func:`current_override` of each."""
    return [current_override(override) for override in overrides]


FITTED = (
    *("points", "curves", "columns", "where", "out", "by", "joint"),
    *("compare", "source", "project", "group"),
)
"""What a fit is made of: 'reproduce' reads the same."""

GATE = ("gate", "speedup", "power", "look", "fit")
"""What a gate is planned from."""

# Keys that are arguments of some commands, and which of them each command reads; every other key describes the
# experiment, and is any command's. 'reproduce' is sweep, fit and report; 'compare' reproduces every arm, whose results
# are looked for in their own folders.
READS: dict[str, tuple[str, ...]] = {
    "plan": (),
    "sweep": (),
    "train": ("run",),
    "tune": ("tune", "write"),
    "calibrate": ("calibrate", "write"),
    "status": ("arms",),
    "watch": ("arms", "port", "interval"),
    "cancel": ("arms",),
    "clean": ("arms", "what", "yes"),
    "fit": FITTED,
    "report": ("points", "curves", "out", "fit", "style"),
    "predict": ("points", "curves", "columns", "where", "write", "fit", "style"),
    "compare": ("arms", "compare", "fits", "out", "joint", *GATE),
    "validate": ("validate", "evaluate"),
    "evaluate": ("evaluate", "tasks"),
    "next": ("points", "columns", "where"),
    "reproduce": (*FITTED, "style"),
    "fetch": (),
}

HEAD = re.compile(r"[+~\s]*(\w+)")  # of 'tune=demo', '+arms.one=[]', '~points'


def refuse_unread(command: str, overrides: Sequence[str]) -> None:
    """Refuse an override of a key that other commands read and ``command`` does not.

    Only what a user typed: a configuration that was frozen, or an experiment's file, has the keys of every command.

    Args:
        command: its name; one that is not in :data:`READS` reads none of these keys.
        overrides: Hydra overrides.

    Raises:
        UserError: the key, and the commands that read it.
    """
    for override in overrides:
        found = HEAD.match(override)
        key = current_section(found[1]) if found else ""
        readers = [f"'isoflop {name}'" for name, keys in READS.items() if key in keys]
        if readers and key not in READS.get(command, ()):
            *others, last = readers
            named = f"{', '.join(others)} and {last} do" if others else f"{last} does"
            raise UserError(f"{command}: does not read '{key}'; {named}")
