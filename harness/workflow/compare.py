"""One experiment in several arms: reproduce every arm, wait for those in the queue, then compare their frontiers."""

from collections.abc import Callable, Sequence

from rich.console import Console

from harness.compare.arm import load_arm
from harness.compare.compare import compare_arms
from harness.compare.files import WrittenComparison, write_comparison
from harness.compare.results import FrontierComparison
from harness.config.schema import Config
from harness.launch.slurm import client
from harness.launch.slurm.ledger import Ledger, queued_jobs
from harness.launch.slurm.submit import JobBehind, submit_behind
from harness.report.table import terminal_table
from harness.workflow.arms import ArmConfig
from harness.workflow.continuation import Outcome
from harness.workflow.experiment import frozen_plan, sweep_folder

Reproduce = Callable[[Config, str, Console, str], Outcome]
"""Plans, trains, fits and reports one arm: its configuration, the YAML of it, the console, its last submission."""


def compare(
    base: Config, yaml: str, arms: Sequence[ArmConfig], reproduce: Reproduce, console: Console, behind: str
) -> Outcome:
    """Reproduce every arm; where all of them are complete, compare, write the files and print the tables.

    Args:
        base, yaml: the experiment without the overrides of an arm.
        behind: the submission that this process is the dependent job of; empty by hand.

    Raises:
        UserError: cells of an arm failed, an arm cannot be fitted, or Slurm refuses.
    """
    outcomes = {}
    for arm in arms:
        console.print(f"\n[bold]{arm.config.name}[/]", highlight=False)
        with arm.named():
            outcomes[arm.name] = reproduce(arm.config, arm.yaml, console, arm.behind)
    console.print()
    if Outcome.QUEUED in outcomes.values():
        return wait(base, yaml, queued(arms), console, behind)
    incomplete = [name for name, outcome in outcomes.items() if outcome is Outcome.INCOMPLETE]
    if incomplete:
        _say(f"not compared: cells are missing in {', '.join(incomplete)}", console)
        return Outcome.INCOMPLETE
    loaded = []
    for arm in arms:
        sweep = sweep_folder(arm.config)
        loaded.append(load_arm(arm.name, sweep, frozen_plan(sweep)))
    found = compare_arms(base.name, loaded)
    _show(found, write_comparison(sweep_folder(base), found, loaded), console)
    return Outcome.DONE


def wait(base: Config, yaml: str, live: Sequence[str], console: Console, behind: str) -> Outcome:
    """Submit a job that compares once the jobs ``live`` have ended, unless one is queued already.

    Args:
        behind: as in :func:`compare`; the job that asks is not such a queued one.
    """
    ledger = Ledger(sweep_folder(base).path / "slurm")
    if base.launcher.kind != "slurm" or not base.launcher.report:
        _say("run the same command again when the arms have ended", console)
        return Outcome.QUEUED
    with ledger.locked():
        waiting = [] if behind else _live(ledger)
        job = waiting[-1] if waiting else ""
        if not job:
            asked = JobBehind("compare", yaml, tuple(live))
            job = submit_behind(base.name, base.launcher, ledger, asked).report_job
    _say(f"job {job} compares when the arms have ended; files and logs: {ledger.path}", console)
    return Outcome.QUEUED


def queued(arms: Sequence[ArmConfig]) -> list[str]:
    """Ids of the arms' jobs that are pending or running in Slurm."""
    return [job for arm in arms for job in _live(Ledger(sweep_folder(arm.config).path / "slurm"))]


def _live(ledger: Ledger) -> list[str]:
    submissions = ledger.read()
    return queued_jobs(submissions, client.queue([job for one in submissions for job in one.jobs]))


def _show(found: FrontierComparison, written: WrittenComparison, console: Console) -> None:
    if written.no_figure:
        console.print(f"no figure: {written.no_figure}", highlight=False)
    for table in written.tables:
        console.print(terminal_table(table, console.width))
        console.print(f"{table.note}\n", highlight=False, markup=False)
    for text in found.verdict:
        console.print(text, highlight=False, markup=False)
    console.print(f"comparison: {written.markdown}", highlight=False, soft_wrap=True)


def _say(text: str, console: Console) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)
