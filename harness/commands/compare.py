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
from harness.launch.launcher import Continuation, Outcome
from harness.launch.registry import make_launcher, submitter_of
from harness.report import markdown
from harness.report.material import MissingError
from harness.report.style import figure_style, save
from harness.report.table import terminal_table
from harness.runs.files import json_text, write_changed
from harness.runs.folder import SweepFolder
from harness.workflow.arms import ArmConfig, compose_arms, submitted_arms
from harness.workflow.experiment import frozen_plan, plan_experiment, sweep_folder, training_corpus


def run(overrides: Sequence[str], console: Console) -> Outcome:
    """Train and fit what is missing of every arm, compare, write ``compare.json``, ``compare.md`` and the figure.

    Every arm is the whole configuration ``overrides`` with the arm's own overrides after them, in the folder
    ``<name>-<arm>``; all of them are planned before the first is trained. Where cells are submitted, each arm is
    an array with its dependent job, and one more job depends on all of these and compares.

    Raises:
        UserError: there are no arms, one of them cannot be planned, or cells failed.
    """
    base, yaml = compose_config(overrides)
    arms = compose_arms(overrides, base)
    for arm in arms:
        with arm.named():
            plan_experiment(arm.config, training_corpus(arm.config, console))
    return _compare(base, yaml, arms, console, submission="")


def go_on(base: Config, yaml: str, console: Console, submission: str) -> Outcome:
    """What the job that depends on the arms does: wait on where one of them continues, else finish and compare them.

    Raises:
        UserError: an arm cannot be fitted, or nothing can be submitted.
    """
    arms = submitted_arms(base)
    live = _live(arms) if make_launcher(base.launcher).available() else ()
    if live:  # follow-ups, or cells that were submitted again by hand
        return _wait(base, yaml, live, console, submission)
    return _compare(base, yaml, arms, console, submission)


def _compare(
    base: Config, yaml: str, arms: Sequence[ArmConfig], console: Console, submission: str
) -> Outcome:
    outcomes = {}
    for arm in arms:
        console.print(f"\n[bold]{arm.config.name}[/]", highlight=False)
        with arm.named():
            outcomes[arm.name] = reproduce.run(arm.config, arm.yaml, console, arm.submission)
    console.print()
    if Outcome.QUEUED in outcomes.values():
        return _wait(base, yaml, _live(arms), console, submission)
    incomplete = [name for name, outcome in outcomes.items() if outcome is Outcome.INCOMPLETE]
    if incomplete:
        _say(f"not compared, for cells are missing of: {', '.join(incomplete)}", console)
        return Outcome.INCOMPLETE
    loaded = [_load(arm) for arm in arms]
    _report(sweep_folder(base), compare_arms(base.name, loaded), loaded, console)
    return Outcome.DONE


def _wait(base: Config, yaml: str, live: Sequence[str], console: Console, submission: str) -> Outcome:
    """Have a job depend on the jobs ``live``, unless one is queued."""
    folder = sweep_folder(base)
    launcher = make_launcher(base.launcher)
    job = launcher.depend(base.name, folder, Continuation("compare", yaml, submission), live)
    if job:
        _say(f"dependent job {job} compares when the arms have ended; files and logs: {folder.path}", console)
    else:
        _say("run the same command again when the arms have ended", console)
    return Outcome.QUEUED


def _live(arms: Sequence[ArmConfig]) -> list[str]:
    """The arms' jobs that run or will."""
    folders = [sweep_folder(arm.config) for arm in arms]
    return [job for folder in folders for job in submitter_of(folder).live(folder)]


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
