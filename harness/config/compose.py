"""Composing a configuration with Hydra, checked against its schema."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints, overload

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from harness.config.explain import one_line, suggestion
from harness.config.schema import Config
from harness.errors import UserError

UNLIMITED = ("analysis.huber_delta", "data.max_epochs")  # keys for which infinity has a meaning


def config_folder() -> Path:
    """The committed configs: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_configs"
    return installed if installed.is_dir() else package.parent / "configs"


T = TypeVar("T")


@overload
def compose_config(overrides: Sequence[str]) -> tuple[Config, str]: ...


@overload
def compose_config(overrides: Sequence[str], root: str, schema: type[T]) -> tuple[T, str]: ...


def compose_config(
    overrides: Sequence[str], root: str = "isoflop", schema: type[Any] = Config
) -> tuple[Any, str]:
    """The typed configuration for ``overrides``, and its YAML.

    A folder ``configs/`` in the working directory is searched after the committed ones, so that a user adds
    experiments without touching the package.

    Args:
        overrides: Hydra overrides.
        root: the file of ``configs/`` to begin from.
        schema: the dataclass that its keys and types are checked against.

    Raises:
        UserError: whatever is wrong with the overrides, the files or the values.
    """
    ConfigStore.instance().store(name="schema", node=schema)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose(root, overrides=[*map(_plain, overrides), *_own_configs()])
        OmegaConf.resolve(composed)
        _refuse_unknown(schema, composed)
        found = OmegaConf.to_object(composed)
        _refuse_infinite(found)
        return found, OmegaConf.to_yaml(composed)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(one_line(error, schema)) from error


def _plain(override: str) -> str:
    """``override`` as it was meant, where Hydra's grammar has other ideas.

    ``path=~/books`` is as bash passes it on: other shells leave the tilde. ``run=8e6811`` is an id, no number.
    """
    key, _, value = override.partition("=")
    if value.startswith("~/"):
        return f"{key}={Path(value).expanduser()}"
    if key == "run" and value.isalnum():
        return f"{key}='{value}'"
    return override


def _own_configs() -> list[str]:
    own = Path.cwd() / "configs"
    if not own.is_dir() or own.resolve() == config_folder():
        return []
    return [f"hydra.searchpath=[file://{own.resolve()}]"]


def _refuse_unknown(schema: Any, node: DictConfig, prefix: str = "", root: Any = None) -> None:
    """Hydra's '+key=value' adds keys that a schema does not have, and they would be ignored in silence."""
    types = get_type_hints(schema)
    for key in map(str, node):
        name = prefix + key
        if key not in types:
            raise UserError(f"config: there is no key '{name}'{suggestion(name, root or schema)}")
        if is_dataclass(types[key]) and isinstance(node[key], DictConfig):
            _refuse_unknown(types[key], node[key], f"{name}.", root or schema)


def _refuse_infinite(node: Any, key: str = "", default: Any = None) -> None:
    """NaN passes every comparison that a schema makes, and would be met after hours of training.

    Infinity is a number where the schema's own default is infinite, which stands for no limit, and for
    :data:`UNLIMITED`.
    """
    if is_dataclass(node):
        defaults = {field.name: field.default for field in fields(node)}
        for name, value in vars(node).items():
            _refuse_infinite(value, f"{key}.{name}" if key else name, defaults.get(name))
    elif isinstance(node, Mapping):
        for name, value in node.items():
            _refuse_infinite(value, f"{key}.{name}")
    elif isinstance(node, list | tuple):
        for value in node:
            _refuse_infinite(value, key)
    elif isinstance(node, float) and not math.isfinite(node):
        if math.isinf(node) and (node == default or key in UNLIMITED):
            return
        raise UserError(f"{key}: must be a finite number, got {node:g}")
