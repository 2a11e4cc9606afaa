"""``isoflop compare``: one experiment in several arms, each a sweep of its own, and their frontiers side by side."""

from collections.abc import Sequence

from rich.console import Console

from harness.commands import reproduce
from harness.compare import figure, tables
from harness.compare.arm import Arm, load_arm
from harness.compare.compare import compare_arms
from harness.compare.results import Comparison
from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.launch.slurm import client
from harness.launch.slurm.ledger import Ledger, queued_jobs
from harness.launch.slurm.submit import JobBehind, submit_behind
from harness.report import markdown
from harness.report.data import MissingError
from harness.report.style import figure_style, save
from harness.report.table import terminal_table
from harness.runs.files import json_text, write_changed
from harness.runs.folder import SweepFolder
from harness.workflow.arms import ArmConfig, compose_arms, submitted_arms
from harness.workflow.continuation import Outcome
from harness.workflow.experiment import frozen_plan, plan_experiment, sweep_folder, training_corpus


def run(overrides: Sequence[str], console: Console) -> Outcome:
    """Train and fit what is missing of every arm, compare, write ``compare.json``, ``compare.md`` and the figure.

    Every arm is the whole configuration ``overrides`` with the arm's own overrides behind, in the folder
    ``<name>-<arm>``; all of them are planned before the first is trained. On Slurm each arm is an array with the job
    behind it, and one more job, in the ledger of ``<name>``, compares behind all of these.

    Raises:
        UserError: there are no arms, one of them cannot be planned, or cells failed.
    """
    base, yaml = compose_config(overrides)
    arms = compose_arms(overrides, base)
    for arm in arms:
        with arm.named():
            plan_experiment(arm.config, training_corpus(arm.config, console))
    return _compare(base, yaml, arms, console, behind="")


def go_on(base: Config, yaml: str, console: Console, behind: str) -> Outcome:
    """What the job behind the arms does: wait on where one of them goes on, else finish and compare them.

    Raises:
        UserError: an arm cannot be fitted, or Slurm refuses.
    """
    arms = submitted_arms(base)
    live = _queued(arms) if client.available() else ()
    if live:  # follow-ups, or cells that were submitted again by hand
        return _wait(base, yaml, live, console, behind)
    return _compare(base, yaml, arms, console, behind)


def _compare(base: Config, yaml: str, arms: Sequence[ArmConfig], console: Console, behind: str) -> Outcome:
    outcomes = {}
    for arm in arms:
        console.print(f"\n[bold]{arm.config.name}[/]", highlight=False)
        with arm.named():
            outcomes[arm.name] = reproduce.run(arm.config, arm.yaml, console, arm.behind)
    console.print()
    if Outcome.QUEUED in outcomes.values():
        return _wait(base, yaml, _queued(arms), console, behind)
    incomplete = [name for name, outcome in outcomes.items() if outcome is Outcome.INCOMPLETE]
    if incomplete:
        _say(f"not compared, for cells are missing of: {', '.join(incomplete)}", console)
        return Outcome.INCOMPLETE
    loaded = [_load(arm) for arm in arms]
    _report(sweep_folder(base), compare_arms(base.name, loaded), loaded, console)
    return Outcome.DONE


def _wait(base: Config, yaml: str, live: Sequence[str], console: Console, behind: str) -> Outcome:
    """Put a job behind the jobs ``live``, unless one is queued; the job that asks for it is no such one."""
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


def _queued(arms: Sequence[ArmConfig]) -> list[str]:
    """The arms' jobs that run or will."""
    return [job for arm in arms for job in _live(Ledger(sweep_folder(arm.config).path / "slurm"))]


def _live(ledger: Ledger) -> list[str]:
    submissions = ledger.read()
    return queued_jobs(submissions, client.queue([job for one in submissions for job in one.jobs]))


def _say(text: str, console: Console) -> None:
    console.print(text, highlight=False, soft_wrap=True, markup=False)


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
    for table in shown:
        console.print(terminal_table(table, console.width))
        console.print(f"{table.note}\n", highlight=False, markup=False)
    for text in found.verdict:
        console.print(text, highlight=False, markup=False)
    console.print(f"comparison: {folder.path / 'compare.md'}", highlight=False, soft_wrap=True)
