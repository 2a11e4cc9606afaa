"""What Hydra and OmegaConf say of a mistake, as one clear line."""

import difflib
import re
from dataclasses import is_dataclass
from typing import Any, get_origin, get_type_hints

from hydra.errors import OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from harness.errors import UserError


def one_line(error: BaseException, schema: Any) -> str:
    """The innermost cause that says something, with the nearest known key where a key is unknown."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    users = [link for link in chain if isinstance(link, UserError)]
    if users:
        return str(users[0])
    if isinstance(error, OverrideParseException):
        return (
            f"config: cannot read '{error.override}'; overrides are key=value, and a value with other signs than names "
            "have needs quotes inside those of the shell: 'key=\"value\"'"
        )
    typed = [str(link) for link in chain if isinstance(link, OmegaConfBaseException)]
    # the innermost one may be a template that OmegaConf fills in only further out
    text = next((message for message in reversed(typed) if "$VALUE" not in message), str(error))
    full = next((found for message in typed if (found := re.search(r"full_key: (\S+)", message))), None)
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
