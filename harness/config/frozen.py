"""A configuration read back from where it was frozen, and whether two train alike.

A law that was fitted under one recipe says nothing of runs under another.
"""

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from harness.config.check import faults
from harness.config.compose import compose_config
from harness.config.overrides import SECTIONS
from harness.config.schema import Config
from harness.config.written import load_written, merged, typed, typed_values, unmarked
from harness.errors import UserError
from harness.packaged import config_folder
from harness.plan.recipe_rules import RecipeConfig
from harness.plan.throughput import ThroughputConfig
from harness.runs.files import reading
from harness.runs.frozen import ANEW, frozen_config


def parsed(path: Path) -> DictConfig:
    """The configuration that was frozen at ``path``, as keys; empty where there is none.

    Raises:
        UserError: it is damaged.
    """
    return _keys(frozen_config(path), path)


def config_at(path: Path) -> tuple[Config, str]:
    """The configuration that was frozen at ``path``, and its YAML.

    Raises:
        UserError: there is none, or it is damaged.
    """
    yaml = frozen_config(path)
    if not _keys(yaml, path):
        raise UserError(f"{path}: no configuration there; {ANEW}")
    with reading(path, ANEW):
        try:
            return load_config(yaml), yaml
        except OmegaConfBaseException as error:
            raise ValueError(str(error)) from None


def _keys(yaml: str, path: Path) -> DictConfig:
    with reading(path, ANEW):
        try:
            written = load_written(yaml)
        except (YAMLError, OmegaConfBaseException) as error:
            raise ValueError(str(error)) from None
        if not isinstance(written, DictConfig) or (yaml and "grid" not in written):
            raise ValueError("a configuration has a grid")
        return written


def load_config(yaml: str) -> Config:
    """The configuration that was written as ``yaml``; raises ValueError where it is none, and as OmegaConf does.

    A throughput from before times were modelled by steps (a table of FLOP/s) is left out: it changed no run. Sections
    with their old names are read without a word: nobody typed them.
    """
    values = typed_values(Config, current(load_written(yaml)))
    for fault in faults(values, Config):
        raise ValueError(f"{fault.key}: {fault.text}")
    config = OmegaConf.to_object(merged(Config, values))
    assert isinstance(config, Config)
    return config


def current(written: DictConfig) -> DictConfig:
    """``written`` without what no version reads any more, its sections by their names now."""
    if "params" in (written.get("throughput") or {}):
        del written["throughput"]
    for old, new in SECTIONS.items():
        if old in written:
            written[new] = written.pop(old)
    return written


def load_throughput(yaml: str) -> ThroughputConfig | None:
    """The time model in the configuration that was written as ``yaml``; None where it has none that can be read.

    For a table of FLOP/s, from before times were modelled by steps, stands the time model that is now committed under
    its name; one that a user measured has no successor.
    """
    try:
        stored = load_written(yaml).get("throughput")
        if not isinstance(stored, DictConfig):
            return None
        if "params" in stored:
            name = unmarked(str(stored.get("name")))
            known = {path.stem for path in (config_folder() / "throughput").glob("*.yaml")}
            return compose_config([f"throughput={name}"])[0].throughput if name in known else None
        found = OmegaConf.to_object(typed(ThroughputConfig, stored))
    except (OmegaConfBaseException, YAMLError, UserError):
        return None
    return found if isinstance(found, ThroughputConfig) else None


def load_recipe(yaml: str) -> RecipeConfig | None:
    """The recipe in the configuration that was written as ``yaml``; None where it has none that can be read."""
    try:
        stored = load_written(yaml).get("recipe")
        found = OmegaConf.to_object(typed(RecipeConfig, stored)) if isinstance(stored, DictConfig) else None
    except (OmegaConfBaseException, YAMLError, UserError):
        return None
    return found if isinstance(found, RecipeConfig) else None


TRAINING = ("seq_len", "precision", "model", "recipe", "schedule")
NAMES = ("name", "source", "measured")  # of a recipe: where its numbers come from changes no run


def different_rule(config: Config, stored: Path) -> str | None:
    """The first key by which ``config`` trains otherwise than the sweep whose ``config.yaml`` is ``stored``.

    ``recipe.lr.value is 0.01 there and 0.02 here``; None where there is none, or no such file of this program. Keys
    that the file is older than have their defaults.

    Raises:
        UserError: the file is damaged.
    """
    read = parsed(stored)
    if not read:
        return None
    try:
        merged = typed(Config, OmegaConf.masked_copy(read, [name for name in TRAINING if name in read]))
        there = OmegaConf.to_container(OmegaConf.masked_copy(merged, list(TRAINING)), resolve=True)
    except (OmegaConfBaseException, ValueError):
        return None
    here = {name: _plain(getattr(config, name)) for name in TRAINING}
    return _first(there, here, "")


def different_analysis(config: Config, stored: Path) -> str:
    """The first option of the fit that is another in the sweep's ``config.yaml`` at ``stored``; empty without one."""
    try:
        there = config_at(stored)[0]
    except UserError:
        return ""
    # 'compare' is an argument of the command
    return (
        _first(
            asdict(there.analysis), {**asdict(config.analysis), "compare": there.analysis.compare}, "analysis"
        )
        or ""
    )


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
