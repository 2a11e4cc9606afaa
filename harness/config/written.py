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
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader

from harness.config.keyfile import LimitedLoader, explain

MARK = "\ufdd0"  # no character: Unicode keeps it for a program's own use
TAG = "tag:yaml.org,2002:"
AS_WRITTEN = ("int", "float", "bool", "value", "merge")  # the last two: '=' and '<<' as values
SIXTIES = re.compile(
    r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"
)  # a number to YAML 1.1: 12:00:00 is 43200


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


class _Written(LimitedLoader, get_yaml_loader()):  # type: ignore[misc]
    """The same within limits, but for scalars that it would convert."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{TAG}merge":
                key.tag = f"{TAG}str"
        return super().construct_mapping(node, deep)


for _tag in AS_WRITTEN:
    _Written.add_constructor(TAG + _tag, lambda _, node: marked(node.value))


def nodes_and_values(text: str) -> tuple[yaml.Node, dict[str, Any]]:
    """The mapping in the YAML ``text`` as nodes with their places, and its values as :func:`typed` takes them.

    Raises:
        YAMLError: it holds no keys, or is none.
    """
    loader = _Written(text)
    try:
        root = loader.get_single_node()
        found = None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()
    if not isinstance(found, dict):
        kind = {str: "a text", list: "a list", type(None): "nothing"}.get(type(found), "a single value")
        raise yaml.YAMLError(f"holds {kind}, where lines of 'key: value' are expected; write them")
    return root, found


def read_written(text: str) -> dict[str, Any]:
    """The mapping in the YAML ``text``, its scalars as :func:`typed` takes them; empty for an empty text.

    Raises:
        YAMLError: it holds no keys, or is none; with the line.
    """
    if not text.strip():
        return {}
    try:
        return nodes_and_values(text)[1]
    except yaml.YAMLError as error:
        line, said = explain(error, text)
        raise yaml.YAMLError(f"line {line}: {said}") from error


def load_written(text: str) -> DictConfig:
    """The node of the YAML ``text``, for :func:`typed` once what is not needed of it is left out.

    Raises:
        YAMLError: it holds no keys, or is none.
    """
    return OmegaConf.create(read_written(text))


def typed(schema: Any, found: Mapping[str, Any] | DictConfig) -> DictConfig:
    """``found`` as ``schema`` has it: text where text is declared, else what YAML makes of it.

    Args:
        schema: a dataclass, or an instance for its values.
        found: keys and values, as :func:`read_written`, :func:`load_written` or Hydra gives them.

    Raises:
        OmegaConfBaseException: there is no such key, or a value is of another type.
    """
    return merged(schema, typed_values(schema, found))


def merged(schema: Any, values: Mapping[str, Any]) -> DictConfig:
    """``schema`` with ``values``, as :func:`typed_values` gives them; raises as :func:`typed`."""
    base = _structure(schema) if isinstance(schema, type) else OmegaConf.structured(schema)
    node = OmegaConf.merge(base, values)  # of a copy
    assert isinstance(node, DictConfig), "a dataclass has keys"
    return node


@cache
def _structure(schema: type) -> Any:
    """A dataclass as OmegaConf has it, which takes long to make; not to be changed."""
    return OmegaConf.structured(schema)


def typed_values(schema: Any, found: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """:func:`typed` for the keys in ``found`` alone, unchecked, as OmegaConf takes them."""
    kind = schema if isinstance(schema, type) else type(schema)
    values = OmegaConf.to_container(found, resolve=True) if isinstance(found, DictConfig) else found
    return dict(typed_value(values, kind))


def typed_value(value: Any, kind: Any) -> Any:
    """``value``, plain data, as a key of type ``kind`` has it, unchecked."""
    kind = without_none(kind)
    if isinstance(value, Mapping):
        if is_dataclass(kind):
            known = kinds(kind)
            return {key: typed_value(inner, known.get(key, Any)) for key, inner in value.items()}
        inside = get_args(kind)[1] if get_origin(kind) is dict else kind
        return {key: typed_value(inner, inside) for key, inner in value.items()}
    if isinstance(value, list):
        inside = get_args(kind)[0] if get_origin(kind) is list else kind
        return [typed_value(inner, inside) for inner in value]
    # the dataclass is one of 'data.domains', for which a path may stand
    return plainly(value, as_text=kind in (str, Texts) or is_dataclass(kind))


def plainly(value: Any, as_text: bool) -> Any:
    """``value`` with its scalars as YAML reads them, or as the texts they were written as."""
    if isinstance(value, Mapping):
        return {key: plainly(inner, as_text) for key, inner in value.items()}
    if isinstance(value, list):
        return [plainly(inner, as_text) for inner in value]
    if not isinstance(value, str):
        return value
    text = unmarked(value)
    if value == marked(text) and not as_text and not SIXTIES.fullmatch(text):
        try:
            return yaml.load(text, Loader=_Numbers)
        except ValueError:  # a number of thousands of digits
            pass
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
