"""What is wrong with the values of a configuration: keys that are none, values of another type, numbers out of bounds.

In our own words: OmegaConf speaks of its node types, and Hydra of sweeps that there are none of here.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from harness.bounds import BOUNDS, Bounds, short
from harness.config.written import Texts, kinds, unmarked, without_none

SWITCHES = (
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "true",
    "false",
    "1",
    "0",
)  # texts that OmegaConf takes as one
SHOWN = 60  # characters of a value that a message repeats


@dataclass(frozen=True)
class Fault:
    """A value that a key cannot have.

    Attributes:
        path: of the value, names and places in lists; empty for the whole.
        text: what is wrong, and what is expected.
        unknown: there is no such key.
    """

    path: tuple[str | int, ...]
    text: str
    unknown: bool = False

    @property
    def key(self) -> str:
        """``ladder.bands[0].step``."""
        return dotted(self.path)


def dotted(path: tuple[str | int, ...]) -> str:
    """A path as it is typed."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def faults(value: Any, kind: Any, path: tuple[str | int, ...] = (), of: Any = None) -> Iterator[Fault]:
    """What is wrong with ``value``, plain data, for a key of type ``kind``.

    Args:
        of: the field of the dataclass that has the key: its default and its bounds.
    """
    inner = without_none(kind)
    if inner in (Any, object) or _is_open(value):
        return
    if value is None:
        if inner is kind and inner is not Texts:
            empty = "; an empty one is '[]'" if get_origin(inner) is list else ""
            yield Fault(path, f"must be {_expected(inner)}, got null{empty or _hint(of, inner)}")
        return
    if is_dataclass(inner):
        yield from _of_section(value, inner, path)
    elif get_origin(inner) is dict:
        if not isinstance(value, Mapping):
            yield Fault(path, f"must be {_expected(inner)}, got {show(value)}")
            return
        if of is not None and "leaves" in of.metadata:
            return  # settings of corpora, which may be paths too: they are checked where the corpora are read
        for name, one in value.items():
            yield from faults(one, get_args(inner)[1], (*path, str(name)), of)
    elif get_origin(inner) is list:
        if not isinstance(value, list):
            yield Fault(path, f"takes a list, in brackets also where it has one entry; got {show(value)}")
            return
        for place, one in enumerate(value):
            yield from faults(one, get_args(inner)[0], (*path, place), of)
    elif inner is Texts:
        if any(not isinstance(one, str | bool | int | float | NoneType) for one in _leaves(value)):
            yield Fault(path, f"must be a text, or texts, got {show(value)}")
    elif text := _of_scalar(value, inner, of):
        yield Fault(path, text)


def _of_section(value: Any, kind: Any, path: tuple[str | int, ...]) -> Iterator[Fault]:
    if not isinstance(value, Mapping):
        names = [one.name for one in fields(kind)]
        few = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")
        yield Fault(path, f"is a section, with the keys {few}; got {show(value)}")
        return
    types, own = kinds(kind), {one.name: one for one in fields(kind)}
    for name, one in value.items():
        if str(name) not in types:
            yield Fault((*path, str(name)), "there is no such key", unknown=True)
            continue
        yield from faults(one, types[name], (*path, str(name)), own[name])


def _of_scalar(value: Any, kind: Any, of: Any) -> str:
    """What is wrong with one number, switch or text; empty where nothing is."""
    number = _number(value, kind)
    if kind in (int, float) and number is not None:
        bounds = of.metadata.get(BOUNDS) if of is not None else None
        if isinstance(bounds, Bounds) and (refusal := bounds.refusal(number)):
            return refusal
    fits = {
        int: isinstance(number, int),
        float: number is not None,
        bool: isinstance(value, int) or (isinstance(value, str) and value.lower() in SWITCHES),
        str: isinstance(value, str | int | float | bool),
    }
    if fits.get(kind, True):
        return ""
    whole = kind is int and isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    how = (
        f"; write it as {int(number)}"
        if whole and number is not None
        else ""
        if kind is str
        else _hint(of, kind)
    )
    return f"must be {_expected(kind)}, got {show(value)}{how}"


def _number(value: Any, kind: Any) -> float | int | None:
    """The number that OmegaConf makes of ``value`` for a key of type ``kind``; None where it makes none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        return (int if kind is int else float)(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_open(value: Any) -> bool:
    """Whether a value is known only later: it refers to another key, or is still to be given."""
    return isinstance(value, str) and ("${" in value or value == "???")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    else:
        yield value


def _expected(kind: Any) -> str:
    if get_origin(kind) is list:
        return "a list"
    if get_origin(kind) is dict:
        return "entries, {name: value}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Texts: "a text"}
    return names.get(kind, "a section of keys")


def _hint(of: Any, kind: Any) -> str:
    """``"; the default is 7"``, where that says something."""
    if kind is str:
        return "; a name that is 'null' needs quotes: \"'null'\""
    if of is None or of.default in (MISSING, None, ""):
        return ""
    default = str(of.default).lower() if isinstance(of.default, bool) else f"{of.default}"
    return f"; the default is {default}"


def show(value: Any) -> str:
    """``value`` as it is repeated to who gave it."""
    if isinstance(value, bool | NoneType):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        text = str(value) if isinstance(value, int) and abs(value) < 10**SHOWN else short(value)
    elif isinstance(value, Mapping):
        text = "{" + ", ".join(f"{name}: {show(one)}" for name, one in list(value.items())[:9]) + "}"
    elif isinstance(value, list):
        text = "[" + ", ".join(show(one) for one in value[:9]) + "]"
    else:
        text = repr(unmarked(str(value)))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


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
    known = known_keys(schema)
    close = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.6)
    close = close or [one for one in known if one.rpartition(".")[2] == key.lower()]  # 'lr' is recipe.lr
    if close:
        return f"; did you mean '{close[0]}'?"
    if "fit" in get_type_hints(schema):  # of 'predict'
        return "; it reads a fit: fit=runs/NAME" if key == "experiment" else "; see 'isoflop predict --help'"
    return "; 'isoflop plan --config' shows every key"


def known_keys(schema: Any, prefix: str = "") -> list[str]:
    """Every key of ``schema``, dotted; of lists and mappings of sections, without a place or name."""
    keys = []
    for name, kind in get_type_hints(schema).items():
        kind = without_none(kind)
        inner = get_args(kind)[-1] if get_origin(kind) in (list, dict) else kind
        keys.append(prefix + name)
        if is_dataclass(inner):
            keys += known_keys(inner, f"{prefix}{name}.")
    return keys
