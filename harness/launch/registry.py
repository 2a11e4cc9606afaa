"""The launchers by name."""

from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from typing import Any

from harness.errors import UserError
from harness.launch.launcher import Launcher, LauncherConfig, Queue
from harness.launch.local import LocalConfig, LocalLauncher
from harness.launch.slurm.launcher import SlurmLauncher
from harness.launch.slurm.request import SlurmConfig
from harness.runs.files import SweepFolder


@dataclass(frozen=True)
class LauncherKind:
    """A launcher, and the configuration it takes."""

    config: type[LauncherConfig]
    make: Callable[[Any], Launcher]


LAUNCHERS: dict[str, LauncherKind] = {
    "local": LauncherKind(LocalConfig, LocalLauncher),
    "slurm": LauncherKind(SlurmConfig, SlurmLauncher),
}
"""By ``launcher.kind``. A launcher is one file and one line here, and a file in ``configs/launcher``."""


def make_launcher(config: LauncherConfig) -> Launcher:
    """The launcher that ``config`` is of."""
    return LAUNCHERS[config.kind].make(config)


def submitter_of(folder: SweepFolder) -> Launcher:
    """The launcher by which the sweep in ``folder`` was submitted last, at its defaults; else the local one.

    What was submitted is asked and taken back whatever launcher the configuration at hand names.
    """
    made = [entry.make(entry.config()) for entry in LAUNCHERS.values()]
    found = [(when, launcher) for launcher in made if (when := launcher.touched(folder))]
    return max(found, key=lambda one: one[0])[1] if found else LocalLauncher(LocalConfig())


def queue_of(folder: SweepFolder, planned: Collection[str], settle: bool = True) -> Queue:
    """What was submitted of the sweep in ``folder``, and what the queue says of it; see :meth:`Launcher.queue`."""
    return submitter_of(folder).queue(folder, planned, settle)


def choose(given: LauncherConfig) -> LauncherConfig:
    """``given``, which may have the options of every launcher, as the configuration of its ``kind``.

    Options of other launchers are left out: an experiment's file may set them for a cluster and be run elsewhere.

    Raises:
        UserError: there is no such kind, or one of its options has a value that it cannot have.
    """
    if given.kind not in LAUNCHERS:
        raise UserError(f"launcher.kind: '{given.kind}' is none of {', '.join(LAUNCHERS)}")
    chosen = LAUNCHERS[given.kind].config
    return chosen(**{one.name: getattr(given, one.name) for one in fields(chosen)})


def refuse_option(key: str, config: LauncherConfig) -> None:
    """Refuse ``launcher.key`` where the launcher of ``config`` has no such option: it would be ignored.

    Raises:
        UserError: another launcher has it.
    """
    having = [name for name, entry in LAUNCHERS.items() if key in {one.name for one in fields(entry.config)}]
    if having and config.kind not in having:
        raise UserError(
            f"launcher.{key}: launcher={config.kind} has no such option; launcher={having[0]} has"
        )


def _options() -> type[LauncherConfig]:
    """A configuration with the options of all launchers, unchecked: which one is meant is known once it is composed."""
    found: dict[str, tuple[str, Any, Any]] = {}
    for entry in LAUNCHERS.values():
        for one in fields(entry.config):
            made, extra = one.default_factory, one.metadata
            if made is MISSING:
                default = field(default=one.default, metadata=extra)
            else:
                default = field(default_factory=made, metadata=extra)
            found.setdefault(one.name, (one.name, one.type, default))
    return make_dataclass(
        "LauncherOptions",
        list(found.values()),
        bases=(LauncherConfig,),
        namespace={"__post_init__": lambda self: None},
    )


OPTIONS: type[LauncherConfig] = _options()
