"""A mistake in what was typed or in a file as one line of our own: what, where, and what to write instead.

Hydra's and OmegaConf's own lines name options that there are none of here, and types that no user knows.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_origin

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from harness.config.check import Fault, faults, show, suggestion
from harness.config.folders import own_folder, parts_of, place_of
from harness.config.keyfile import KeyFile, show_path, unreadable
from harness.config.spelling import as_written
from harness.config.written import kind_of, typed_value, unmarked, without_none
from harness.errors import UserError
from harness.packaged import config_folder

OF_LIBRARIES = (HydraException, OmegaConfBaseException, YAMLError, ValueError, RecursionError, AssertionError)
"""What Hydra, OmegaConf and PyYAML raise of a configuration that they cannot compose."""

MOST_NAMED = 20  # files of a group that a line names
QUOTES = "a value with other signs than names have needs quotes inside those of the shell: 'key=\"value\"'"


def said(fault: Fault, schema: Any) -> str:
    """A fault of a value as a line."""
    if fault.unknown:
        return f"config: there is no key '{fault.key}'{suggestion(fault.key, schema)}"
    return f"{fault.key or 'config'}: {fault.text}"


def check_override(typed: str, schema: Any) -> str:
    """The key that the override ``typed`` sets; empty where it chooses a file.

    Raises:
        UserError: it is no override, names no key, or gives a value that its key cannot have.
    """
    try:
        override = OverridesParser.create().parse_override(as_written(typed, schema))
    except HydraException:
        raise UserError(f"config: cannot read '{typed}'; overrides are key=value, and {QUOTES}") from None
    key = override.key_or_group
    if not key:
        raise UserError(f"config: '{typed}' names no key; overrides are key=value")
    kind = without_none(kind_of(key, schema))
    if override.is_sweep_override():
        raise UserError(_no_sweep(typed, key, kind))
    if re.match(r"hydra\b", key):
        raise UserError(
            f"config: there is no key '{key}': no folder or log of Hydra's is used here; leave it out"
        )
    if override.is_delete() and "=" in typed:
        raise UserError(f"{key}: '~' takes a key away whatever its value is; write '~{key}'")
    if "@" in typed.partition("=")[0] or override.is_delete():
        return "" if "@" in key else key
    if _is_choice(override, kind):
        if override.value() is None:
            raise UserError(f"{key}: null is no file of configs/{key}; leave '{typed}' out")
        chosen = override.value()
        if isinstance(chosen, str) and re.match(r"\s*$|[/.]", chosen):
            raise UserError(f"{key}: {show(chosen)} names no file; {_choices(key)[0]}")
        return ""
    if kind is None:
        if key.rpartition(".")[2].isdigit():  # a place in a list
            return key
        raise UserError(said(Fault((key,), "", unknown=True), schema))
    if _holds_settings(key, schema):
        return key
    value = typed_value(override.value(), kind_of(key, schema))
    for fault in faults(value, kind_of(key, schema), tuple(parts_of(key)), _field(key, schema)):
        raise UserError(said(fault, schema))
    return key


def _is_choice(override: Override, kind: Any) -> bool:
    """Whether an override picks a file of ``configs/``."""
    key, value = override.key_or_group, override.value()
    if any((folder / key).is_dir() for folder in (config_folder(), own_folder())):
        return not isinstance(value, dict)
    return False


def _field(key: str, schema: Any) -> Any:
    """The field of the dataclass that has the dotted ``key``; None where an entry of a mapping has."""
    parent, _, name = key.rpartition(".")
    kind = without_none(kind_of(parent, schema)) if parent else schema
    return kind.__dataclass_fields__.get(name) if is_dataclass(kind) else None


def _holds_settings(key: str, schema: Any) -> bool:
    """Whether ``key`` is one of the corpora in ``data.domains``, which are checked where they are read."""
    parts = key.split(".")
    held = [_field(".".join(parts[:end]), schema) for end in range(1, len(parts))]
    return any(one is not None and one.metadata.get("leaves") == "settings" for one in held)


def _no_sweep(typed: str, key: str, kind: Any) -> str:
    value = typed.partition("=")[2]
    if get_origin(kind) is list:
        return f"{key}: takes a list, in brackets: '{key}=[{value}]'; got {value}"
    several = value.split(",") if re.fullmatch(r"[^(),]+(,[^(),]+)+", value) else []
    arms = f"\"+arms.one=['{key}={several[0]}']\" …" if several else f"\"+arms.one=['{key}=…']\" …"
    return (
        f"{key}: takes one value, got {value}; to train with several and compare them, make each an arm: "
        f"isoflop compare … {arms}"
    )


def one_line(error: BaseException, schema: Any, files: Sequence[KeyFile], overridden: Sequence[str]) -> str:
    """What is to be told of ``error``, with the file and line where the user's own files have the cause.

    Args:
        files: that were read, in that order.
        overridden: keys that were set by overrides, which come after the files.
    """
    chain = list(_chain(error))
    users = [link for link in chain if isinstance(link, UserError)]
    text = unmarked(str(users[0])) if users else ""
    if not users:
        for file in files:
            if fault := _fault_of(file, schema):
                return fault
        if isinstance(error, RecursionError):
            own = [file.path for file in files if not Path(file.path).is_absolute()] or ["the configuration"]
            return f"{', '.join(dict.fromkeys(own))}: refers to itself without end; see its defaults and '${{…}}'"
        text = _not_chosen(error, schema, overridden) or _of_libraries(error, chain, schema, files)
    key = re.match(r"(?:config: )?([a-z]\w*(?:\.\w+|\[\d+\])*): ", text)
    unknown = re.match(r"config: there is no key '([^']+)'", text)
    found = unknown or key
    place = place_of(found[1], files, overridden) if found else ""
    return re.sub(r"^(.*:\d+: )config: ", r"\1", place + text)


def _not_chosen(error: BaseException, schema: Any, overridden: Sequence[str]) -> str:
    """Of an override of a key in a section that is null, which OmegaConf asserts not to be; empty for other errors."""
    if not isinstance(error, AssertionError):
        return ""
    for key in overridden:
        parts = key.split(".")
        for end in range(1, len(parts)):
            section = ".".join(parts[:end])
            kind = kind_of(section, schema)
            if without_none(kind) is not kind:
                group = parts[end - 1]
                choice = f"{group}@{section}" if end > 1 and (config_folder() / group).is_dir() else section
                return f"{key}: {section} is null, so it has no keys; choose one first with '{choice}=…'"
    raise error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _fault_of(file: KeyFile, schema: Any) -> str:
    """The first value in ``file`` that no key takes, as a line; empty where there is none."""
    kind = kind_of(file.package, schema) if file.package else schema
    if not is_dataclass(kind := without_none(kind)):
        return ""
    values = {name: one for name, one in file.values.items() if name not in ("defaults", "rematch")}
    package = tuple(file.package.split(".")) if file.package else ()
    for fault in faults(typed_value(values, kind), kind):
        whole = Fault((*package, *fault.path), fault.text, fault.unknown)
        return f"{file.at(file.line(fault.path))}: {said(whole, schema).removeprefix('config: ')}"
    return ""


def _of_libraries(
    error: BaseException, chain: Sequence[BaseException], schema: Any, files: Sequence[KeyFile]
) -> str:
    """In our words what Hydra or OmegaConf say."""
    messages = [unmarked(str(link)) for link in chain if isinstance(link, OF_LIBRARIES)]
    # the innermost one may be a template that OmegaConf fills in only further out
    text = next((message for message in reversed(messages) if "$VALUE" not in message), unmarked(str(error)))
    whole = "\n".join(messages)
    full = re.search(r"full_key: (\S+)", whole)
    key = full[1] if full else ""
    if unknown := re.search(r"Key '([^']+)' (?:is )?not in", text):
        name = key or unknown[1]
        return f"config: there is no key '{name}'{suggestion(name, schema)}"
    if missing := re.search(r"Could not find '([^']+)'", whole):
        return _chosen_in(missing[1], files) + _no_choice(missing[1])
    if group := re.search(r"Could not (?:override|delete)\w* ?(?:from config\. )?'([^']+)'", whole):
        name = group[1].partition("@")[0]
        is_group = "@" in group[1] and (config_folder() / name).is_dir()
        hint = (
            f"; choose a file of configs/{name} with '{name}=NAME'" if is_group else suggestion(name, schema)
        )
        return f"{_in_file(whole, files, name)}config: this command has no key or group '{group[1]}'{hint}"
    if twice := re.search(r"(?:Multiple values for (\w+)|(\w+) appears more than once)", whole):
        name = twice[1] or twice[2]
        return (
            f"config: {name} is chosen already; choose another in its place with '{name}=NAME', without '+'"
        )
    if there := re.search(r"An item is already at '([^']+)'", whole):
        return f"{there[1]}: the key is there already; set it without '+': '{there[1]}=…'"
    if "does not support deletion" in whole or "deletion" in whole:
        return f"{key}: cannot be taken away; set it instead: '{key}=…'"
    if "Recursive interpolation" in whole:
        return f"{key}: its '${{…}}' refers back to itself; write a value"
    if lost := re.search(r"Interpolation key '([^']+)' not found", whole):
        return f"{key}: there is no key '{lost[1]}' for its '${{{lost[1]}}}'{suggestion(lost[1], schema)}"
    if resolver := re.search(r"Unsupported interpolation type (\S+)", whole):
        return f"{key}: '${{{resolver[1]}:…}}' is not known here; there is '${{oc.env:VARIABLE}}'"
    if variable := re.search(r"Environment variable '([^']+)' not found", whole):
        name = variable[1]
        return f"{key}: the environment has no variable {name}; set it, or write '${{oc.env:{name},else}}'"
    if key and (
        "no viable alternative" in whole or "mismatched input" in whole or "token recognition" in whole
    ):
        return f"{key}: cannot read its '${{…}}'; write '\\${{' where the signs themselves are meant"
    kept = [line.strip() for line in text.splitlines() if line.strip()]
    kept = [
        line
        for line in kept
        if not line.startswith(("full_key", "object_type", "reference_type", "See http"))
        and "--multirun" not in line
    ]
    return f"config: {key + ': ' if key else ''}{'; '.join(kept)}"


def _in_file(text: str, files: Sequence[KeyFile], group: str) -> str:
    """``FILE:LINE: `` of the defaults that a message of Hydra's is about; empty where it is about an override."""
    found = re.search(r"In '([^']+)':", text)
    for file in reversed(files):
        if found and Path(file.path).with_suffix("").as_posix().endswith(f"configs/{found[1]}"):
            if Path(file.path).is_absolute():
                return ""
            for place, entry in enumerate(file.values.get("defaults") or []):
                if group in str(entry):
                    return f"{file.at(file.line(('defaults', place)))}: "
            return f"{file.at(1)}: "
    return ""


def _chosen_in(name: str, files: Sequence[KeyFile]) -> str:
    """``FILE:LINE: `` of the defaults of a user's file that choose ``data/nope``; empty where none do."""
    group, _, wanted = name.rpartition("/")
    for file in reversed(files):
        for place, entry in enumerate(file.values.get("defaults") or []):
            chosen = (
                []
                if not isinstance(entry, dict)
                else [k for k, v in entry.items() if unmarked(str(v)) == wanted]
            )
            if any(one.rpartition(" ")[2].strip("/").partition("@")[0] == group for one in chosen):
                return "" if Path(file.path).is_absolute() else f"{file.at(file.line(('defaults', place)))}: "
    return ""


def _no_choice(name: str) -> str:
    """Of a file that is not among the configs, e.g. ``data/nope``, what there is instead."""
    group, _, wanted = name.rpartition("/")
    own = own_folder() / f"{name}.yaml"
    if own.is_symlink() or own.exists():
        return f"{show_path(own)}: {unreadable(own)}; a file of keys (YAML) is expected there"
    said, there = _choices(group)
    close = difflib.get_close_matches(wanted, there, n=1, cutoff=0.6)
    return f"config: there is no {name}; {said}" + (f"; did you mean '{close[0]}'?" if close else "")


def _choices(group: str) -> tuple[str, list[str]]:
    """The files of a group as a clause, and their names."""
    folders = (config_folder() / group, own_folder() / group)
    there = sorted({path.stem for folder in folders for path in folder.glob("*.yaml") if path.is_file()})
    more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
    few = ", ".join(there[:MOST_NAMED])
    return (f"there are {few}{more}" if there else f"configs/{group} has no file"), there
