"""Composing a configuration with Hydra, checked against its schema; a mistake is one clear line."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, overload

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf

from harness.config.check import faults
from harness.config.folders import WrittenSource
from harness.config.mistakes import OF_LIBRARIES, check_override, one_line, said
from harness.config.names import check_names
from harness.config.overrides import add_old_sections, current_overrides, move_old_sections
from harness.config.schema import Config
from harness.config.spelling import as_written
from harness.config.written import merged, typed_values
from harness.errors import UserError
from harness.launch.registry import refuse_option
from harness.packaged import config_folder

T = TypeVar("T")

# Hydra composes one configuration at a time in a process; a program may ask from several threads.
ONE_AT_A_TIME = threading.RLock()


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
    with ONE_AT_A_TIME:
        return _composed(overrides, root, schema, edit)


def _composed(
    overrides: Sequence[str], root: str, schema: type[Any], edit: Callable[[DictConfig], DictConfig] | None
) -> tuple[Any, str]:
    overrides = current_overrides(overrides)
    keys = [key for override in overrides if (key := check_override(override, schema))]
    spelled = [as_written(override, schema) for override in overrides]
    files = WrittenSource.files = []
    try:
        with _own_hydra(), initialize_config_dir(str(config_folder()), version_base="1.3"):
            ConfigStore.instance().store(name="schema", node=add_old_sections(schema))  # type: ignore[arg-type]  # a class is hashable
            composed = compose(root, overrides=spelled)
        move_old_sections(composed, spelled)
        if edit is not None:
            composed = edit(composed)
        values = typed_values(schema, composed)
        for fault in faults(values, schema):
            raise UserError(said(fault, schema))
        resolved = merged(schema, values)
        found = OmegaConf.to_object(resolved)
        check_names(found)
        if isinstance(found, Config):
            _refuse_other_launchers(overrides, found)
        return found, _without_secrets(resolved)
    except (*OF_LIBRARIES, UserError) as error:
        raise UserError(one_line(error, schema, files, keys)) from error


def _without_secrets(resolved: DictConfig) -> str:
    """``resolved`` as YAML, which is kept in folders and printed: addresses with passwords are left out."""
    if resolved.get("notify") is not None and resolved.notify.get("urls"):
        resolved = resolved.copy()
        resolved.notify.urls = []
    return OmegaConf.to_yaml(resolved)


@contextmanager
def _own_hydra() -> Iterator[None]:
    """Hydra keeps one configuration a process, which may be that of a user's own program: it is given back."""
    store, base = ConfigStore.instance(), VersionBase.instance().getbase()
    theirs, schema = GlobalHydra.instance().hydra, store.repo.get("schema.yaml")
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = theirs  # another instance, perhaps: initialize_config_dir keeps a copy
        VersionBase.instance().version_base = base
        store.repo.pop("schema.yaml", None)
        if schema is not None:
            store.repo["schema.yaml"] = schema


def _refuse_other_launchers(overrides: Sequence[str], config: Config) -> None:
    """An option of another launcher would be ignored in silence."""
    for override in overrides:
        if option := re.match(r"\+*launcher\.(\w+)", override):
            refuse_option(option[1], config.launcher)
