"""Writes harness/completion/keys.json from the schema, for shells: python scripts/write_keys.py"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import yaml  # type: ignore[import-untyped]

from harness.bounds import CHOICES, SUGGESTIONS
from harness.completion.words import KEYS
from harness.config.overrides import READS
from harness.config.predict import ROOT, PredictConfig
from harness.config.schema import Config
from harness.config.written import without_none
from harness.packaged import config_folder


def keys_text() -> str:
    """The file: by root its groups, and its keys with the values they can have where these are known."""
    roots = {"isoflop": Config, ROOT: PredictConfig}
    made: dict[str, Any] = {
        root: {"groups": _groups(root), "keys": dict(_keys(schema))} for root, schema in roots.items()
    }
    made["reads"] = {command: list(keys) for command, keys in READS.items()}
    return json.dumps(made, indent=1) + "\n"


def _groups(root: str) -> list[str]:
    """What a file of ``configs/`` can be chosen for; not ``device@serving.device``, at which shells break words."""
    text = (config_folder() / f"{root}.yaml").read_text(encoding="utf-8")
    return [
        str(name)
        for one in yaml.safe_load(text)["defaults"]
        if isinstance(one, dict)
        for name in one
        if "@" not in name
    ]


def _keys(schema: Any, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    types = get_type_hints(schema)
    for one in fields(schema):
        kind = without_none(types[one.name])
        if is_dataclass(kind):
            yield from _keys(kind, f"{prefix}{one.name}.")
        else:
            switches = ("true", "false") if kind is bool else ()
            yield prefix + one.name, list(one.metadata.get(CHOICES, one.metadata.get(SUGGESTIONS, switches)))


if __name__ == "__main__":
    KEYS.write_text(keys_text(), encoding="utf-8")
