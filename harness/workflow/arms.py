"""The arms of a comparison: the configurations of sweeps that differ in a few overrides, and their folders."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from harness.config.compose import compose_config
from harness.config.frozen import config_at
from harness.config.overrides import refuse_unread
from harness.config.schema import Config
from harness.config.spelling import override
from harness.errors import UserError
from harness.launch.registry import submitter_of
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.workflow.rules import sweep_folder
from harness.workflow.training import submitted_config

NONE = "0000"  # comes before every submission
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ArmConfig:
    """An arm's name, its configuration and the YAML of it.

    Attributes:
        submission: its latest, for a job that depended on that; empty by hand.
    """

    name: str
    config: Config
    yaml: str
    submission: str = ""

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors inside name the arm they come from."""
        try:
            yield
        except UserError as error:
            raise UserError(f"arm {self.name}: {error}") from error


def arm_folders(base: Config) -> dict[str, SweepFolder]:
    """By arm, its folder ``<name>-<arm>`` beside that of the experiment, planned or not."""
    own = sweep_folder(base).path
    return {name: SweepFolder(own.parent / f"{base.name}-{name}") for name in base.arms}


def refuse_unplanned(base: Config) -> None:
    """For commands that show what was begun, of a sweep or of its arms.

    Raises:
        UserError: it has arms, and neither they nor it were planned.
    """
    own = sweep_folder(base)
    if base.arms and not any(folder.plan.exists() for folder in (own, *arm_folders(base).values())):
        frozen_plan(own, "'isoflop compare' plans and trains its arms")


def compose_arms(overrides: Sequence[str], base: Config) -> list[ArmConfig]:
    """The configuration of every arm: ``overrides`` with the arm's own after them.

    Raises:
        UserError: fewer than two arms, a name that is no folder's, overrides that do not compose or that no sweep
            reads, or a text that no arm reads.
    """
    if len(base.arms) < 2:
        raise UserError(
            "arms: name at least two, each with its overrides, in the experiment's file: "
            "arms: {one: ['schedule.floor=0'], two: ['schedule.floor=0.1']}; see configs/experiment/kaplan.yaml"
        )
    made = []
    for name, folder in arm_folders(base).items():
        if not NAME.fullmatch(name):
            raise UserError(f"arms: '{name}' must be a plain name, for it names a folder")
        try:
            refuse_unread("compare", base.arms[name])
            config, yaml = compose_config(
                [*overrides, *base.arms[name], override("name", folder.path.name), "notify.send=false"]
            )
        except UserError as error:
            raise UserError(f"arm {name}: {error}") from error
        made.append(ArmConfig(name, config, yaml))
    if not any(arm.config.reads_path() for arm in made):
        raise UserError(
            f"path: {base.path} would not be read, for no arm has data=text; name the text in an arm: "
            f"\"arms.NAME=['data=text','path={base.path}']\""
        )
    return made


def submitted_arms(base: Config) -> list[ArmConfig]:
    """The arms as they were last submitted, or, where none of an arm's cells were, as they were frozen."""
    made = []
    for name, folder in arm_folders(base).items():
        latest = submitter_of(folder).latest(folder)
        if latest is not None:
            config, yaml = submitted_config(latest)
        else:
            config, yaml = config_at(folder.config)
        made.append(ArmConfig(name, config, yaml, NONE if latest is None else latest.name))
    return made
