"""What a sweep was frozen with: ``plan.json`` and ``config.yaml`` in its folder, and whether they are as written."""

import difflib
from pathlib import Path

from harness.errors import UserError
from harness.files import json_text, seal, seal_text, write_atomic
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder, read_json, read_text

ANEW = "'isoflop sweep' writes it anew, and keeps what is trained"


def freeze(folder: SweepFolder, plan: Plan, yaml: str, replace: bool = True) -> bool:
    """Write the plan and the configuration it came from into the sweep's folder, where they are not there already.

    Args:
        replace: write over others; without it only what is missing or damaged is written.

    Returns:
        Whether both are there now.
    """
    planned, there = plan.to_json(), True
    for path, wanted, text in (
        (folder.config, yaml, seal_text(yaml)),
        (folder.plan, planned, json_text(seal(planned))),
    ):
        now = _now(path)
        if now is None or (replace and now != wanted):
            write_atomic(path, text)
        elif now != wanted:
            there = False
    return there


def frozen_plan(
    folder: SweepFolder, made_by: str = "make one with 'isoflop plan' or 'isoflop sweep'"
) -> Plan:
    """The plan as it was frozen.

    Args:
        made_by: what is advised where there is none, and none of a name like it.

    Raises:
        UserError: there is none, or a damaged one.
    """
    try:
        return read_json(folder.plan, ANEW, Plan.from_json)
    except FileNotFoundError:
        close = close_sweeps(folder)
        hint = f"did you mean name={close}?" if close else made_by
        raise UserError(f"{folder.plan}: no plan there; {hint}") from None


def close_sweeps(folder: SweepFolder) -> str:
    """The name beside ``folder`` of the sweep that is most like its own; empty where none is."""
    try:
        names = [path.parent.name for path in folder.path.parent.glob("*/plan.json")]
    except OSError:
        return ""
    return next(iter(difflib.get_close_matches(folder.path.name, names, n=1)), "")


def frozen_config(path: Path) -> str:
    """The configuration as it was frozen at ``path``, YAML; empty where there is none.

    Raises:
        UserError: it is damaged.
    """
    try:
        return read_text(path, ANEW)
    except FileNotFoundError:
        return ""


def _now(path: Path) -> object:
    """The plan at ``path`` as JSON, or its text; None where there is none that is as it was written."""
    try:
        if path.suffix == ".json":
            return read_json(path, "", Plan.from_json).to_json()
        return read_text(path, "")
    except (OSError, UserError):
        return None
