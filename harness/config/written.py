"""Scalars as they were written, until the schema says what each is: ``695e0514`` is a revision to one key, a number to
another, and YAML and Hydra decide before they know the key.

What looks like a number or a switch is read as :func:`marked` text, from files and from overrides alike;
:func:`typed` gives it the type that its key has in the schema.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import field as make_field
from dataclasses import fields, is_dataclass, make_dataclass
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader

from harness.packaged import config_folder

MARK = "\ufdd0"  # no character: Unicode keeps it for a program's own use
TAG = "tag:yaml.org,2002:"
AS_WRITTEN = ("int", "float", "bool", "value", "merge")  # the last two: '=' and '<<' as values
SIXTIES = re.compile(
    r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
)  # a number to YAML 1.1: 12:00:00 is 43200
NAMES = ("defaults", "hydra")  # sections that Hydra itself reads


class Texts:
    """The type of a key that holds a text, or lists and mappings of texts, for which OmegaConf knows no other than
    ``Any``.
    """


def marked(text: str) -> str:
    """``text`` with the sign that it was written without quotes."""
    return f"{MARK}{text}{MARK}"


def unmarked(text: str) -> str:
    """``text`` as it was written."""
    return text.replace(MARK, "")


def literal(text: str) -> str:
    """``text`` for a node of OmegaConf, in which ``${`` would begin an interpolation."""
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1]}{found[1]}\\${{", text)


class _Numbers(get_yaml_loader()):  # type: ignore[misc]
    """OmegaConf's reader of YAML."""


class _Written(get_yaml_loader()):  # type: ignore[misc]
    """The same, but for scalars that it would convert."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{TAG}merge":
                key.tag = f"{TAG}str"
        return super().construct_mapping(node, deep)


for _tag in AS_WRITTEN:
    _Written.add_constructor(TAG + _tag, lambda _, node: marked(node.value))


def read_written(text: str) -> dict[str, Any]:
    """The mapping in the YAML ``text``, its scalars as :func:`typed` takes them.

    Raises:
        YAMLError: it is none.
    """
    found = yaml.load(text, Loader=_Written)
    if found is not None and not isinstance(found, dict):
        raise yaml.YAMLError("holds no keys")
    return found or {}


def load_written(text: str) -> DictConfig:
    """The node of the YAML ``text``, for :func:`typed` once what is not needed of it is left out.

    Raises:
        YAMLError: it holds no keys, or is none.
    """
    return OmegaConf.create(read_written(text))


class WrittenSource(FileConfigSource):
    """The folders of configs that Hydra searches."""

    @staticmethod
    def scheme() -> str:
        """What such a folder's address begins with."""
        return "written"

    def load_config(self, config_path: str) -> ConfigResult:
        """As Hydra's own source of files, but scalars stay as they were written."""
        path = Path(self.path) / self._normalize_file_name(config_path)
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        text = path.read_text(encoding="utf-8")
        try:
            found = read_written(text)
        except yaml.YAMLError as error:
            raise yaml.YAMLError(f"{path}: {' '.join(str(error).split())}") from error
        for name in NAMES:
            if name in found:
                found[name] = _plain(found[name], as_text=name == "defaults")
        header = ConfigSource._get_header_dict(text[:512])
        return ConfigResult(
            config=OmegaConf.create(found), path=str(path.parent), provider=self.provider, header=header
        )


class SearchedFolders(SearchPathPlugin):
    """The committed configs, and after them a folder ``configs/`` in the working directory, whatever its name."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra."""
        for one in search_path.get_path():
            if one.provider == "main":
                one.path = f"{WrittenSource.scheme()}://{config_folder()}"
        own = Path.cwd() / "configs"
        if own.is_dir() and own.resolve() != config_folder():
            search_path.append("own", f"{WrittenSource.scheme()}://{own.resolve()}")


Plugins.instance().register(WrittenSource)
Plugins.instance().register(SearchedFolders)


def typed(schema: Any, found: Mapping[str, Any] | DictConfig) -> DictConfig:
    """``found`` as ``schema`` has it: text where text is declared, else what YAML makes of it.

    Args:
        schema: a dataclass, or an instance for its values.
        found: keys and values, as :func:`read_written`, :func:`load_written` or Hydra gives them.

    Raises:
        OmegaConfBaseException: there is no such key, or a value is of another type.
    """
    merged = OmegaConf.merge(OmegaConf.structured(schema), typed_values(schema, found))
    assert isinstance(merged, DictConfig), "a dataclass has keys"
    return merged


def typed_values(schema: Any, found: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """:func:`typed` for the keys in ``found`` alone, unchecked, as OmegaConf takes them."""
    kind = schema if isinstance(schema, type) else type(schema)
    values = OmegaConf.to_container(found, resolve=True) if isinstance(found, DictConfig) else found
    return dict(_typed(values, kind))


def _typed(value: Any, kind: Any) -> Any:
    kind = without_none(kind)
    if isinstance(value, Mapping):
        if is_dataclass(kind):
            known = kinds(kind)
            return {key: _typed(inner, known.get(key, Any)) for key, inner in value.items()}
        inside = get_args(kind)[1] if get_origin(kind) is dict else kind
        return {key: _typed(inner, inside) for key, inner in value.items()}
    if isinstance(value, list):
        inside = get_args(kind)[0] if get_origin(kind) is list else kind
        return [_typed(inner, inside) for inner in value]
    # the dataclass is one of 'data.domains', for which a path may stand
    return _plain(value, as_text=kind in (str, Texts) or is_dataclass(kind))


def _plain(value: Any, as_text: bool) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner, as_text) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, as_text) for inner in value]
    if not isinstance(value, str):
        return value
    text = unmarked(value)
    if value == marked(text) and not as_text and not SIXTIES.fullmatch(text):
        return yaml.load(text, Loader=_Numbers)
    return literal(text)


def kinds(schema: Any) -> dict[str, Any]:
    """The types of a dataclass's keys; ``Any`` that its metadata explains is what they say.

    ``leaves`` is there ``text``, for text at any depth, or ``settings``, for the class's own keys by name.
    """
    explained = {"text": Texts, "settings": dict[str, schema]}
    found = get_type_hints(schema)
    return found | {
        one.name: explained[one.metadata["leaves"]] for one in fields(schema) if "leaves" in one.metadata
    }


def kind_of(key: str, schema: Any) -> Any:
    """The type of the dotted ``key``; None for one that ``schema`` does not have."""
    kind: Any = schema
    for name in key.split("."):
        kind = without_none(kind)
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif is_dataclass(kind):
            kind = kinds(kind).get(name)
        else:
            return kind if kind in (Texts, Any) else None
    return kind


def without_none(kind: Any) -> Any:
    """``X`` of ``X | None``; any other type as it is."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    left = [one for one in get_args(kind) if one is not NoneType]
    return left[0] if len(left) == 1 else kind


def untyped(schema: Any) -> DictConfig:
    """The keys and defaults of the dataclass ``schema``; a key that is no section takes any value."""
    node = OmegaConf.structured(_loose(schema))
    assert isinstance(node, DictConfig), "a dataclass has keys"
    return node


@cache
def _loose(schema: Any) -> Any:
    hints = get_type_hints(schema)
    found: list[tuple[str, Any, Any]] = []
    for one in fields(schema):
        kind = without_none(hints[one.name])
        held = {list: list[Any], dict: dict[str, Any]}.get(get_origin(kind), Any)
        if is_dataclass(kind):
            held = _loose(cast(type, kind))
        if one.default_factory is not NO_DEFAULT:
            default = make_field(default_factory=partial(_loosened, one.default_factory))
        else:
            default = make_field(default="???" if one.default is NO_DEFAULT else one.default)
        found.append((one.name, held if held is Any else held | None, default))
    return make_dataclass(schema.__name__, found)


def _loosened(default: Callable[[], Any]) -> Any:
    """A default with no type of the schema's in it."""
    value = default()
    if not is_dataclass(value):
        if not isinstance(value, list | dict):
            return value
        return OmegaConf.to_container(OmegaConf.create(value))
    names = [one.name for one in fields(value)]
    return _loose(cast(type, type(value)))(
        **{name: _loosened(partial(getattr, value, name)) for name in names}
    )
