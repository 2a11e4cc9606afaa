"""Composing a configuration with Hydra, checked against its schema; a mistake is one clear line."""

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_origin, get_type_hints, overload

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from harness.config.overrides import add_old_sections, current_overrides, move_old_sections
from harness.config.schema import Config
from harness.config.spelling import as_written
from harness.config.written import typed, unmarked
from harness.errors import UserError
from harness.launch.registry import refuse_option
from harness.packaged import config_folder

UNLIMITED = ("analysis.huber_delta", "data.max_epochs")  # keys for which infinity has a meaning

T = TypeVar("T")


@overload
def compose_config(
    overrides: Sequence[str], *, edit: Callable[[DictConfig], DictConfig] | None = None
) -> tuple[Config, str]: ...


@overload
def compose_config(overrides: Sequence[str], root: str, schema: type[T]) -> tuple[T, str]: ...


def compose_config(
    overrides: Sequence[str],
    root: str = "isoflop",
    schema: type[Any] = Config,
    edit: Callable[[DictConfig], DictConfig] | None = None,
) -> tuple[Any, str]:
    """The typed configuration for ``overrides``, and its YAML.

    A folder ``configs/`` in the working directory is searched after the committed ones, so that a user adds
    experiments without touching the package.

    Args:
        overrides: Hydra overrides.
        root: the file of ``configs/`` to begin from.
        schema: the dataclass that its keys and types are checked against.
        edit: changes what is composed, before it is checked.

    Raises:
        UserError: whatever is wrong with the overrides, the files or the values.
    """
    ConfigStore.instance().store(name="schema", node=add_old_sections(schema))
    GlobalHydra.instance().clear()
    overrides = current_overrides(overrides)
    spelled = [as_written(override, schema) for override in overrides]
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            composed = compose(root, overrides=spelled)
        move_old_sections(composed, spelled)
        if edit is not None:
            composed = edit(composed)
        _refuse_unknown(schema, composed)
        resolved = typed(schema, composed)
        found = OmegaConf.to_object(resolved)
        _refuse_infinite(found)
        if isinstance(found, Config):
            _refuse_other_launchers(overrides, found)
        return found, OmegaConf.to_yaml(resolved)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise UserError(one_line(error, schema)) from error
    except UnicodeDecodeError as error:  # Hydra does not say in which of the files that the overrides name
        raise UserError(
            f"config: a file of {' '.join(overrides)} is no text ({error}); mend or remove it"
        ) from None


def _refuse_other_launchers(overrides: Sequence[str], config: Config) -> None:
    """An option of another launcher would be ignored in silence."""
    for override in overrides:
        if option := re.match(r"\+*launcher\.(\w+)", override):
            refuse_option(option[1], config.launcher)


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


def one_line(error: BaseException, schema: Any) -> str:
    """The innermost cause that says something, with the nearest known key where a key is unknown."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    users = [link for link in chain if isinstance(link, UserError)]
    if users:
        return unmarked(str(users[0]))
    if isinstance(error, OverrideParseException):
        return (
            f"config: cannot read '{unmarked(error.override)}'; overrides are key=value, and a value with other "
            "signs than names have needs quotes inside those of the shell: 'key=\"value\"'"
        )
    messages = [unmarked(str(link)) for link in chain if isinstance(link, OmegaConfBaseException)]
    # the innermost one may be a template that OmegaConf fills in only further out
    text = next((message for message in reversed(messages) if "$VALUE" not in message), unmarked(str(error)))
    full = next((found for message in messages if (found := re.search(r"full_key: (\S+)", message))), None)
    unknown = re.search(r"Key '([^']+)' (?:is )?not in", text)
    if unknown:
        key = full.group(1) if full else unknown.group(1)
        return f"config: there is no key '{key}'{suggestion(key, schema)}"
    missing = re.search(
        r"Could not find '([^']+)'[\s\S]*Available options in '[^']*':([\s\S]*?)Config search path", text
    )
    if missing:
        return f"config: there is no {missing.group(1)}; there are {', '.join(missing.group(2).split())}"
    group = re.search(r"Could not override '([^']+)'. No match in the defaults list", text)
    if group:
        return (
            f"config: this command has no key or group '{group.group(1)}'{suggestion(group.group(1), schema)}"
        )
    if full and "Incompatible value 'None' for field of type 'str'" in text:
        key = full.group(1)
        return f"config: {key}: null is no text; where it is a name, it needs quotes: \"{key}='null'\""
    if full and "is not a ListConfig" in text:
        return f"config: {full.group(1)}: takes a list, in brackets also where it has one entry: '{full.group(1)}=[…]'"
    kept = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [
        line
        for line in kept
        if not line.startswith(("full_key", "object_type", "reference_type", "See http"))
    ]
    return f"config: {full.group(1) + ': ' if full else ''}{'; '.join(kept)}"


TABLE = (
    "; times come from a model of a step now, not from a table: measure with 'isoflop calibrate … write=NAME'"
)
REPLACED = {
    f"{where}.{key}": TABLE
    for where in ("throughput", "device.timing")
    for key in ("params", "flops_per_second", "shared_flops_per_second")
}
"""Keys of earlier versions, and what stands in their place."""


def suggestion(key: str, schema: Any) -> str:
    """What to write instead of an unknown ``key``."""
    if key in REPLACED:
        return REPLACED[key]
    parent = key.rpartition(".")[0]
    if _is_mapping(parent, schema):
        return f"; Hydra adds an entry to {parent} with '+{key}=…'"
    close = difflib.get_close_matches(key, _known_keys(schema), n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    if "fit" in get_type_hints(schema):  # of 'predict'
        return "; it reads a fit: fit=runs/NAME" if key == "experiment" else "; see 'isoflop predict --help'"
    return "; 'isoflop plan --config' shows every key"


def _is_mapping(key: str, schema: Any) -> bool:
    """Whether ``key`` takes entries of any name."""
    kind: Any = schema
    for name in key.split("."):
        if not is_dataclass(kind) or name not in (types := get_type_hints(kind)):
            return False
        kind = types[name]
    return get_origin(kind) is dict


def _known_keys(schema: Any, prefix: str = "") -> list[str]:
    keys = []
    for name, kind in get_type_hints(schema).items():
        keys.append(prefix + name)
        if is_dataclass(kind):
            keys += _known_keys(kind, f"{prefix}{name}.")
    return keys
