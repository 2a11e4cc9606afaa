"""``isoflop compare``: one experiment in several arms, each a sweep of its own, and their frontiers compared."""

from collections.abc import Sequence

from rich.console import Console

from harness.commands import reproduce
from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.launch.registry import make_launcher
from harness.workflow.arms import compose_arms, submitted_arms
from harness.workflow.compare import compare, live_jobs, wait
from harness.workflow.experiment import plan_experiment, training_corpus


def run(overrides: Sequence[str], console: Console) -> Outcome:
    """Train and fit what is missing of every arm, compare, write ``compare.json``, ``compare.md`` and the figure.

    Every arm is the whole configuration ``overrides`` followed by the arm's own overrides, in the folder
    ``<name>-<arm>``; all of them are planned before the first is trained. Where cells are submitted, each
    arm is an array with its dependent job, and one more job compares after all of these.

    Raises:
        UserError: there are no arms, one of them cannot be planned, or cells failed.
    """
    base, yaml = compose_config(overrides)
    arms = compose_arms(overrides, base)
    for arm in arms:
        with arm.named():
            plan_experiment(arm.config, training_corpus(arm.config, console))
    return compare(base, yaml, arms, reproduce.run, console, submission="")


def go_on(base: Config, yaml: str, console: Console, submission: str) -> Outcome:
    """What the job after the arms does: wait again where an arm has live jobs, else finish and compare them.

    Raises:
        UserError: an arm cannot be fitted, or nothing can be submitted.
    """
    arms = submitted_arms(base)
    live = live_jobs(arms) if make_launcher(base.launcher).available() else ()
    if live:  # follow-ups, or cells that were submitted again by hand
        return wait(base, yaml, live, console, submission)
    return compare(base, yaml, arms, reproduce.run, console, submission)
