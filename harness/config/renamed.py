"""Names of earlier versions in a configuration: they keep working, and one line to stderr gives the new name."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

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
    if name == "experiment" and rest[1:] in EXPERIMENTS:
        now = f"{sign}experiment={EXPERIMENTS[rest[1:]]}"
        say(override, now)
        return now
    if name in SECTIONS:
        key = rest.partition("=")[0]
        say(f"{name}{key}", f"{SECTIONS[name]}{key}")
        return f"{sign}{SECTIONS[name]}{rest}"
    return override


def add_old_sections(schema: Any) -> DictConfig:
    """The dataclass ``schema`` as a node into which files with old sections can be merged, too."""
    node = OmegaConf.structured(schema)
    assert isinstance(node, DictConfig), "a dataclass has keys"
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
