"""Composing a configuration with Hydra, and its errors as one clear line."""

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, cast

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.schema import Config
from harness.errors import UserError


def config_folder() -> Path:
    """The committed configs: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_configs"
    return installed if installed.is_dir() else package.parent / "configs"


def compose_config(overrides: Sequence[str]) -> tuple[Config, str]:
    """The typed configuration for ``overrides``, and its YAML.

    A folder ``configs/`` in the working directory is searched after the committed ones, so that a user adds
    experiments without touching the package.

    Raises:
        UserError: whatever is wrong with the overrides, the files or the values.
    """
    ConfigStore.instance().store(name="schema", node=Config)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose("isoflop", overrides=[*overrides, *_own_configs()])
        OmegaConf.resolve(composed)
        return cast(Config, OmegaConf.to_object(composed)), OmegaConf.to_yaml(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_one_line(error)) from error


def _own_configs() -> list[str]:
    own = Path.cwd() / "configs"
    if not own.is_dir() or own.resolve() == config_folder():
        return []
    return [f"hydra.searchpath=[file://{own.resolve()}]"]


def _one_line(error: BaseException) -> str:
    """The innermost cause that says something, with the nearest known key where a key is unknown."""
    cause: BaseException | None = error
    chain = []
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    users = [link for link in chain if isinstance(link, UserError)]
    if users:
        return str(users[0])
    text = str(chain[-1] if isinstance(chain[-1], OmegaConfBaseException) else error)
    key = re.search(r"Key '([^']+)' (?:is )?not in", text)
    if key:
        full = re.search(r"full_key: (\S+)", text)
        name = full.group(1) if full else key.group(1)
        return f"config: there is no key '{name}'{_suggestion(name)}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    where = re.search(r"full_key: (\S+)", text)
    prefix = f"{where.group(1)}: " if where else ""
    kept = [line for line in lines if not line.startswith(("full_key", "object_type", "reference_type"))]
    return f"config: {prefix}{'; '.join(kept)}"


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key, _known_keys(Config), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else "; 'isoflop plan --config' shows every key"


def _known_keys(schema: Any, prefix: str = "") -> list[str]:
    keys = []
    for entry in fields(schema):
        keys.append(prefix + entry.name)
        if is_dataclass(entry.type):
            keys += _known_keys(entry.type, f"{prefix}{entry.name}.")
    return keys
