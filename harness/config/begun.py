"""The configuration of a sweep that was begun: its folder knows what was typed then.

Whoever asks how a sweep stands, or fits it, need not repeat the overrides that it was begun with.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from harness.config.compose import compose_config
from harness.config.frozen import current, parsed
from harness.config.schema import Config
from harness.config.written import unmarked
from harness.errors import UserError

ASKS = ("status", "watch", "cancel", "clean", "fit", "report", "next", "evaluate")
"""Commands that only ask, or make something of, what a sweep's folder has."""
CONTINUES = ("plan", "sweep", "train", "reproduce")
"""Commands that go on with a sweep by the overrides it was begun with."""
RUNS = (
    *(
        "seq_len",
        "precision",
        "data",
        "tokenizer",
        "model",
        "ladder",
        "recipe",
        "schedule",
        "grid",
        "design",
        "followup",
    ),
    *("aim", "budget", "spend", "gpu_hours", "dollars"),
    *("throughput", "train"),
)
"""Keys that describe the runs: of what is trained already the folder alone can tell."""
RESULTS = ("analysis", "tracker", "arms")
"""Keys that describe what is made of the runs: an experiment's file says it, where one is chosen."""
TYPED = re.compile(r"[+~\s]*(?P<key>\w+)(?P<rest>(?:\.[\w.]+)?)\s*(?:=|$)")


def compose_begun(command: str, overrides: Sequence[str]) -> tuple[Config, str]:
    """The configuration for ``overrides``, and its YAML, with what a folder that they name knows beyond them.

    Raises:
        UserError: whatever is wrong with them; of a sweep that goes on it names what was given when it was begun.
    """
    typed, asks = _typed(overrides), command in ASKS
    if asks and not typed & {"points", "source"}:
        try:  # where an experiment is chosen, its file says what is made of the runs, but not where they are tracked
            return _with_folder(overrides, ("tracker",) if "experiment" in typed else (*RUNS, *RESULTS))[:2]
        except UserError:
            pass  # nothing is there, or it is damaged, or something is wrong with what is typed
    try:
        return compose_config(overrides)
    except UserError as error:
        for others, keys in ((list(overrides), RUNS), (_by_name(overrides), (*RUNS, *RESULTS))):
            try:
                config, yaml, folder = _with_folder(others, keys)
            except UserError:
                continue
            if asks:
                return config, yaml
            if command in CONTINUES and others == list(overrides):
                path = parsed(folder / "config.yaml").get("path")
                begun = f"what {folder}/config.yaml has" if path is None else f"path={unmarked(str(path))}"
                raise UserError(
                    f"{error}; the sweep in {folder} was begun with {begun}: give the same overrides"
                ) from None
        raise


def _with_folder(overrides: Sequence[str], keys: Sequence[str]) -> tuple[Config, str, Path]:
    """The configuration with ``keys`` as the folder has them, but for what is typed; and the folder.

    Raises:
        UserError: nothing was frozen there, or it is damaged, or what is typed is wrong.
    """
    found: list[Path] = []

    def edit(composed: DictConfig) -> DictConfig:
        folder = Path(unmarked(str(composed.runs_dir))).expanduser() / unmarked(str(composed.name))
        frozen = parsed(folder / "config.yaml") if composed.name else OmegaConf.create({})
        if not frozen:
            raise UserError(f"{folder}: no configuration there")
        found.append(folder)
        there, now = _plain(current(frozen)), _plain(composed)
        chosen = [key for key in keys if key in there and not (key in RESULTS and key in _typed(overrides))]
        made = now | {key: there[key] for key in chosen}
        for name in (name for key in chosen for name in _dotted(overrides, key)):
            *parents, last = name.split(".")
            source, target = now, made
            for parent in parents:
                source, target = source.get(parent, {}), target.setdefault(parent, {})
            if last in source:
                target[last] = source[last]
        return OmegaConf.create(made)

    config, yaml = compose_config(overrides, edit=edit)
    return config, yaml, found[0]


def _plain(node: DictConfig) -> dict[str, Any]:
    """Keys and values as they are written, interpolations included."""
    written = OmegaConf.to_container(node, resolve=False)
    assert isinstance(written, dict), "a configuration has keys"
    return {str(key): value for key, value in written.items()}


def _typed(overrides: Sequence[str]) -> set[str]:
    """Keys and groups that are set as a whole."""
    return {match["key"] for one in overrides if (match := TYPED.match(one)) and not match["rest"]}


def _dotted(overrides: Sequence[str], key: str) -> list[str]:
    """Keys below ``key`` that are set; ``compare`` stands for the one that takes its value."""
    found = [
        key + match["rest"]
        for one in overrides
        if (match := TYPED.match(one)) and match["rest"] and match["key"] == key
    ]
    return [*found, "analysis.compare"] if key == "analysis" and "compare" in _typed(overrides) else found


def _by_name(overrides: Sequence[str]) -> list[str]:
    """``overrides`` with the name of a sweep where an experiment was chosen."""
    return [re.sub(r"^experiment=", "name=", one) for one in overrides]
