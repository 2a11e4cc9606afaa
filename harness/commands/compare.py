"""``isoflop compare``: one experiment in several arms, each a sweep of its own, and their frontiers side by side."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from harness.commands import reproduce
from harness.commands.experiment import frozen_plan, plan_experiment, prepare_corpus, sweep_folder
from harness.compare import figure, tables
from harness.compare.arm import Arm, load_arm
from harness.compare.compare import compare_arms
from harness.compare.results import Comparison
from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.errors import UserError
from harness.report import markdown
from harness.report.missing import MissingError
from harness.report.style import figure_style, save
from harness.report.terminal import terminal_table
from harness.runs.files import json_text, write_changed
from harness.runs.folder import SweepFolder

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ArmConfig:
    """An arm's name, its configuration and the YAML of it."""

    name: str
    config: Config
    yaml: str


def run(overrides: Sequence[str], console: Console) -> Comparison:
    """Train and fit what is missing of every arm, compare, write ``compare.json``, ``compare.md`` and the figure.

    Every arm is the whole configuration ``overrides`` with the arm's own overrides behind, in the folder
    ``<name>-<arm>``; all of them are planned before the first is trained.

    Raises:
        UserError: there are no arms, one of them cannot be planned, or cells failed.
    """
    base, _ = compose_config(overrides)
    folder = sweep_folder(base)
    arms = compose_arms(overrides, base)
    for arm in arms:
        with _of(arm):
            plan_experiment(arm.config, prepare_corpus(arm.config, console))
    for arm in arms:
        console.print(f"\n[bold]{arm.config.name}[/]", highlight=False)
        with _of(arm):
            reproduce.run(arm.config, arm.yaml, console)
    loaded = [_load(arm) for arm in arms]
    found = compare_arms(base.name, loaded)
    _report(folder, found, loaded, console)
    return found


def _load(arm: ArmConfig) -> Arm:
    sweep = sweep_folder(arm.config)
    return load_arm(arm.name, sweep, frozen_plan(sweep))


def _report(folder: SweepFolder, found: Comparison, arms: Sequence[Arm], console: Console) -> None:
    """Write ``compare.json``, ``compare.md`` and the figure; print tables and verdict."""
    shown = tables.build(found)
    write_changed(folder.path / "compare.json", json_text(found.to_json()))
    picture = ""
    try:
        with figure_style():
            save(figure.draw(arms), folder.figures, "compare")
        picture = "![The frontiers of the arms](figures/compare.png)"
    except MissingError as missing:
        console.print(f"no figure: {missing}", highlight=False)
    parts = [
        f"# {found.name}",
        *(f"**{text}**" for text in found.verdict),
        picture,
        *map(markdown.table, shown),
    ]
    write_changed(folder.path / "compare.md", "\n\n".join(part for part in parts if part) + "\n")
    console.print()
    for table in shown:
        console.print(terminal_table(table))
        console.print(f"{table.note}\n", highlight=False, markup=False)
    for text in found.verdict:
        console.print(text, highlight=False, markup=False)
    console.print(f"comparison: {folder.path / 'compare.md'}", highlight=False, soft_wrap=True)


@contextmanager
def _of(arm: ArmConfig) -> Iterator[None]:
    """Errors inside name the arm they come from."""
    try:
        yield
    except UserError as error:
        raise UserError(f"arm {arm.name}: {error}") from error


def compose_arms(overrides: Sequence[str], base: Config) -> list[ArmConfig]:
    """The configuration of every arm.

    Raises:
        UserError: fewer than two arms, a name that is no folder's, or overrides that do not compose.
    """
    if len(base.arms) < 2:
        raise UserError(
            "arms: name at least two, each with its overrides, in the experiment's file: "
            "arms: {one: ['schedule.floor=0'], two: ['schedule.floor=0.1']}; see configs/experiment/kaplan.yaml"
        )
    if base.launcher.kind != "local":
        raise UserError(
            f"launcher: compare trains on this machine, not by launcher={base.launcher.kind}; leave it out, or "
            "submit each arm as a sweep of its own under its name, NAME-ARM"
        )
    made = []
    for name, own in base.arms.items():
        if not NAME.fullmatch(name):
            raise UserError(f"arms: '{name}' must be a plain name, for it names a folder")
        try:
            config, yaml = compose_config([*overrides, *own, f"name={base.name}-{name}"])
        except UserError as error:
            raise UserError(f"arm {name}: {error}") from error
        made.append(ArmConfig(name, config, yaml))
    return made
