"""``isoflop compare``: one experiment in several arms, each a sweep of its own, and their frontiers compared."""

from rich.console import Console

from harness.commands import reproduce, sweep
from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.launcher import Outcome
from harness.workflow.arms import ArmConfig, compose_arms, submitted_arms
from harness.workflow.compare import compare, compare_existing, live_jobs, wait
from harness.workflow.experiment import corpus_and_plan, training_corpus
from harness.workflow.gate import run_gate
from harness.workflow.resources import launcher_of


def run(asked: Invocation[Config]) -> Outcome:
    """Train and fit what is missing of every arm, compare, write ``compare.json``, ``compare.md`` and the figure.

    With ``fits`` nothing is trained: these are compared, and written where ``out`` says so. With ``gate`` only what it
    takes to show a saving is trained.

    Every arm is the whole configuration followed by the arm's own overrides, in the folder ``<name>-<arm>``; all of
    them are planned before the first is trained. Where cells are submitted, each arm is an array with its dependent
    job, and one more job compares after all of these: it waits again where an arm has live jobs.

    Raises:
        UserError: there are no arms and no fits, one of them cannot be planned, fitted or read, cells failed, or
            nothing can be submitted.
    """
    base, yaml, console, submission = asked.config, asked.yaml, asked.console, asked.submission
    if base.fits:
        compare_existing(base, console)
        return Outcome.DONE
    if asked.config.gate:
        return run_gate(base, yaml, asked.overrides, _sweep, console, submission)
    if base.out:
        raise UserError(
            "out: is for fits=[…]; what is found of an experiment's arms is written into its own folder"
        )
    if submission:
        arms = submitted_arms(base)
        live = live_jobs(arms) if launcher_of(base).available() else ()
        if live:  # follow-ups, or cells that were submitted again by hand
            return wait(base, yaml, live, console, submission)
    else:
        arms = compose_arms(asked.overrides, base)
        for arm in arms:
            with arm.named():
                corpus_and_plan(arm.config, console, training_corpus)

    def reproduce_arm(arm: ArmConfig) -> Outcome:
        return reproduce.run(Invocation(arm.config, arm.yaml, console, submission=arm.submission))

    return compare(base, yaml, arms, reproduce_arm, console, submission)


def _sweep(arm: ArmConfig, console: Console) -> Outcome:
    return sweep.run(Invocation(arm.config, arm.yaml, console, submission=arm.submission))
