"""Dataclasses as plain JSON values, and back."""

import dataclasses
import functools
import math
import types
import typing
from typing import Any

import numpy as np

from harness.fit.bootstrap import NOT_BOUNDED, Interval

# Arrays live in draws.npz, not in the JSON that people read.
ARRAYS = ("draws", "envelope")


def json_key(name: str) -> Any:
    """A dataclass field that is called ``name`` in JSON: files keep their keys where a Python name has changed.

    ``dataclasses.field(metadata=json_key("bill"))``
    """
    return {"json": name}


def encode(value: Any) -> Any:
    """Dataclasses to dicts, tuples to lists, anything not finite to None; arrays are left out.

    An infinite end of an interval (a field of that type) is ``"not bounded"``.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        shown = [f for f in dataclasses.fields(value) if f.name not in ARRAYS]
        return {_key(f): _encode_field(hints[f.name], getattr(value, f.name)) for f in shown}
    if isinstance(value, dict):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [encode(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value


def decode(kind: Any, value: Any) -> Any:
    """The inverse of ``encode`` for a type annotation; unknown fields of newer files are ignored.

    A number that was not finite comes back as None.

    Raises:
        ValueError, TypeError, KeyError, IndexError: ``value`` is nothing that ``encode`` makes of that type.
    """
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return decode(next(k for k in typing.get_args(kind) if k is not type(None)), value)
    if kind is float:
        return None if value is None else float(_typed(value, int, float))
    if kind == Interval and NOT_BOUNDED in _typed(value, list):
        # Open at both ends, the interval begins beyond all numbers: nothing is known but that.
        below = -math.inf if value[1] != NOT_BOUNDED else math.inf
        low, high = value
        return below if low == NOT_BOUNDED else float(low), math.inf if high == NOT_BOUNDED else float(high)
    if origin is tuple:
        inner = typing.get_args(kind)
        repeated = len(inner) == 2 and inner[1] is Ellipsis
        if not repeated and len(_typed(value, list)) != len(inner):
            raise ValueError(f"{len(inner)} values are expected, not {len(value)}")
        return tuple(decode(inner[0] if repeated else inner[i], v) for i, v in enumerate(_typed(value, list)))
    if origin is dict:
        return {k: decode(typing.get_args(kind)[1], v) for k, v in _typed(value, dict).items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        names = {_key(f): f.name for f in dataclasses.fields(kind) if f.name not in ARRAYS}
        known = {names[k]: v for k, v in _typed(value, dict).items() if k in names}
        return kind(**{name: decode(hints[name], v) for name, v in known.items()})
    return _typed(value, kind) if kind in (int, str, bool) else value


def _typed(value: Any, *kinds: type) -> Any:
    if type(value) not in kinds:
        raise TypeError(f"{' or '.join(kind.__name__ for kind in kinds)} is expected, not {value!r:.40}")
    return value


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _encode_field(kind: Any, value: Any) -> Any:
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (types.UnionType, typing.Union) else (kind,)
    if value is not None and Interval in kinds:
        return [NOT_BOUNDED if math.isinf(end) else encode(end) for end in value]
    return encode(value)


def _key(field: "dataclasses.Field[Any]") -> str:
    return str(field.metadata.get("json", field.name))
