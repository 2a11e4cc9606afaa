"""One experiment in several arms: reproduce every arm, wait for those in the queue, then compare their frontiers."""

from collections.abc import Callable, Sequence

from rich.console import Console

from harness.compare.arm import load_arm
from harness.compare.compare import compare_arms
from harness.compare.files import WrittenComparison, write_comparison
from harness.compare.results import FrontierComparison
from harness.config.schema import Config
from harness.launch.launcher import Continuation, Outcome
from harness.launch.registry import make_launcher, submitter_of
from harness.report.table import terminal_table
from harness.runs.frozen import frozen_plan
from harness.workflow.arms import ArmConfig
from harness.workflow.experiment import sweep_folder
from harness.workflow.terminal import say, working

Reproduce = Callable[[ArmConfig], Outcome]
"""Plans, trains, fits and reports one arm."""


def compare(
    base: Config,
    yaml: str,
    arms: Sequence[ArmConfig],
    reproduce: Reproduce,
    console: Console,
    submission: str,
) -> Outcome:
    """Reproduce every arm; where all of them are complete, compare, write the files and print the tables.

    Args:
        base, yaml: the experiment without the overrides of an arm.
        submission: the one whose dependent job this process is; empty by hand.

    Raises:
        UserError: cells of an arm failed, an arm cannot be fitted, or nothing can be submitted.
    """
    outcomes = {}
    for arm in arms:
        console.print(f"\n{arm.config.name}", style="bold", markup=False, highlight=False)
        with arm.named():
            outcomes[arm.name] = reproduce(arm)
    console.print()
    if Outcome.QUEUED in outcomes.values():
        return wait(base, yaml, live_jobs(arms), console, submission)
    incomplete = [name for name, outcome in outcomes.items() if outcome is Outcome.INCOMPLETE]
    if incomplete:
        say(f"not compared: cells are missing in {', '.join(incomplete)}", console)
        return Outcome.INCOMPLETE
    loaded = []
    with working(console, "comparing …"):
        for arm in arms:
            sweep = sweep_folder(arm.config)
            loaded.append(load_arm(arm.name, sweep, frozen_plan(sweep)))
        found = compare_arms(base.name, loaded)
        written = write_comparison(sweep_folder(base), found, loaded)
    _show(found, written, console)
    return Outcome.DONE


def wait(base: Config, yaml: str, live: Sequence[str], console: Console, submission: str) -> Outcome:
    """Submit a job that compares once the jobs ``live`` have ended, unless one is queued already.

    Args:
        submission: as in :func:`compare`; the job that asks is not such a queued one.
    """
    folder = sweep_folder(base)
    launcher = make_launcher(base.launcher)
    job = launcher.depend(base.name, folder, Continuation("compare", yaml, submission), live)
    if job:
        say(f"dependent job {job} compares when the arms have ended; files and logs: {folder.path}", console)
    else:
        say("run the same command again when the arms have ended", console)
    return Outcome.QUEUED


def live_jobs(arms: Sequence[ArmConfig]) -> list[str]:
    """Ids of the arms' jobs that run or will."""
    folders = [sweep_folder(arm.config) for arm in arms]
    return [job for folder in folders for job in submitter_of(folder).live(folder)]


def _show(found: FrontierComparison, written: WrittenComparison, console: Console) -> None:
    if written.no_figure:
        console.print(f"no figure: {written.no_figure}", highlight=False)
    for table in written.tables:
        console.print(terminal_table(table, console.width))
        console.print(f"{table.note}\n", highlight=False, markup=False)
    for text in found.verdict:
        console.print(text, highlight=False, markup=False)
    console.print(f"comparison: {written.markdown}", highlight=False, soft_wrap=True)
