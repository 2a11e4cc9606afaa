"""From a configuration to a sweep's folder and to all that turns a shape and a budget into a run."""

from collections.abc import Sequence
from pathlib import Path

from harness.config.schema import Config
from harness.errors import UserError
from harness.model.shape import Shape
from harness.plan.base import resolve_base
from harness.plan.duration import Timing
from harness.plan.plan import Rules
from harness.runs.files import SweepFolder
from harness.workflow.resources import runs_per_device


def sweep_folder(config: Config) -> SweepFolder:
    """The folder of this experiment.

    Raises:
        UserError: no experiment was chosen.
    """
    if not config.name:
        raise UserError(
            "experiment: choose one, e.g. experiment=demo, or give your own grid a name with name=NAME"
        )
    return SweepFolder(Path(config.runs_dir).expanduser() / config.name)


def timing_of(config: Config) -> Timing:
    """The time model of this experiment's runs on the workers it will have."""
    return Timing(
        config.throughput,
        runs=runs_per_device(config),
        micro_batch=config.train.micro_batch,
        devices=config.launcher.processes,
        compile=config.train.compile,
    )


def plan_rules(config: Config, shapes: Sequence[Shape]) -> Rules:
    """All that turns a shape and a budget of this experiment into a run.

    Args:
        shapes: of its ladder, one of which is the base of a parametrization.

    Raises:
        UserError: nothing says which.
    """
    return Rules(
        grid=config.grid,
        recipe=config.recipe,
        schedule=config.schedule,
        timing=timing_of(config),
        seq_len=config.seq_len,
        eval_tokens=config.data.eval_tokens,
        precision=config.precision,
        optimizer=config.optimizer,
        base=resolve_base(config.parametrization, config.recipe, shapes),
    )
