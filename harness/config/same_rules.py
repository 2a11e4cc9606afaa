"""Whether two configurations train alike: a law fitted under one recipe says nothing of runs under another."""

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.schema import Config

SECTIONS = ("seq_len", "precision", "model", "recipe", "schedule")
NAMES = ("name", "source")  # of a recipe: where its numbers come from changes no run


def different_rule(config: Config, stored: Path) -> str | None:
    """The first key by which ``config`` trains otherwise than the sweep whose ``config.yaml`` is ``stored``.

    ``recipe.lr.value is 0.01 there and 0.02 here``; None where there is none, or no such file of this program. Keys
    that the file is older than have their defaults.
    """
    try:
        read = OmegaConf.load(stored)
        merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.masked_copy(read, SECTIONS))  # type: ignore[arg-type]
        there = OmegaConf.to_container(OmegaConf.masked_copy(merged, SECTIONS), resolve=True)  # type: ignore[arg-type]
    except (OSError, ValueError, OmegaConfBaseException):
        return None
    here = {name: _plain(getattr(config, name)) for name in SECTIONS}
    return _first(there, here, "")


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _first(there: Any, here: Any, key: str) -> str | None:
    if isinstance(there, dict) and isinstance(here, dict):
        for name, value in here.items():
            if key == "recipe" and name in NAMES:
                continue
            if found := _first(there.get(name), value, f"{key}.{name}" if key else name):
                return found
        return None
    return None if there == here else f"{key} is {there} there and {here} here"
