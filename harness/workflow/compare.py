"""One experiment in several arms: reproduce every arm, wait for those in the queue, then compare their frontiers.

Or fits that exist: nothing is trained, and without a folder for them nothing written.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from harness.compare import tables
from harness.compare.arm import Arm, load_arm
from harness.compare.assess import JointLaws
from harness.compare.compare import compare_arms
from harness.compare.files import write_comparison
from harness.compare.fits import bare_arm, compare_bare
from harness.compare.joint import check_joint, joint_laws
from harness.compare.results import FrontierComparison
from harness.config.frozen import load_recipe
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import FitOptions, Points, load_fit, read_points
from harness.fit.used import is_of, used_rows
from harness.launch.launcher import Continuation, Outcome
from harness.launch.registry import make_launcher, submitter_of
from harness.plan.recipe_rules import RecipeConfig
from harness.report.table import Table, terminal_table
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_config, frozen_plan
from harness.workflow.arms import ArmConfig
from harness.workflow.experiment import named_fit
from harness.workflow.rules import sweep_folder
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
    if base.joint is not None:
        check_joint(base.joint)
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
            loaded.append(load_arm(arm.name, sweep, frozen_plan(sweep), _recipe(sweep)))
        joint = None
        if base.joint is not None:
            tables = {one.name: _used(arm.config, one) for arm, one in zip(arms, loaded, strict=True)}
            joint = joint_laws(tables, base.analysis, loaded[0].fit.level)
        found = compare_arms(base.name, loaded, base.budget, joint)
        written = write_comparison(sweep_folder(base), found, loaded)
    if written.no_figure:
        console.print(f"no figure: {written.no_figure}", highlight=False)
    _show(found, written.tables, console)
    console.print(f"comparison: {written.markdown}", highlight=False, soft_wrap=True)
    return Outcome.DONE


def compare_existing(config: Config, console: Console) -> FrontierComparison:
    """Compare the fits that ``config.fits`` names, print what was found, and write it into ``config.out`` if given.

    Raises:
        UserError: fewer than two, or one of them is no fit, or an experiment with arms is named, too.
    """
    if config.name or config.arms:
        raise UserError(
            "fits: compares fits that exist, an experiment is compared by its arms; give one of the two"
        )
    with working(console, "comparing …"):
        paths = [named_fit(name, config.runs_dir, "fits") for name in config.fits]
        arms = [_existing(name, path) for name, path in zip(_names(config.fits, paths), paths, strict=True)]
        found = compare_bare(arms, config.budget, _joint(config, arms, paths))
        written = (
            write_comparison(SweepFolder(Path(config.out).expanduser()), found, arms) if config.out else None
        )
    if written is not None and written.no_figure:
        console.print(f"no figure: {written.no_figure}", highlight=False)
    _show(found, tables.build(found), console)
    if written is not None:
        console.print(f"comparison: {written.markdown}", highlight=False, soft_wrap=True)
    return found


def _joint(config: Config, arms: Sequence[Arm], paths: Sequence[Path]) -> JointLaws | None:
    """The laws of ``joint=exponents``, fitted to the tables beside the fits."""
    if config.joint is None:
        return None
    check_joint(config.joint)
    tables = {
        arm.name: _runs_at(SweepFolder(path.parent).table, arm, config.analysis)
        for arm, path in zip(arms, paths, strict=True)
    }
    return joint_laws(tables, config.analysis, arms[0].fit.level)


def _used(config: Config, arm: Arm) -> Points:
    return _runs_at(sweep_folder(config).table, arm, config.analysis)


def _runs_at(table: Path, arm: Arm, options: FitOptions) -> Points:
    """The runs of ``table`` that an arm's fit used.

    Raises:
        UserError: there is no such table, or the fit is of another.
    """
    if not table.exists():
        raise UserError(
            f"joint: {table} is not there: laws that share exponents are fitted to the runs of each arm"
        )
    points = read_points(table, options.rows, arm.fit.columns, arm.fit.where, options)
    if is_of(points, arm.fit) is False:
        raise UserError(
            f"joint: {arm.name}: {table} is not what it was fitted to; 'isoflop fit' fits it anew"
        )
    return used_rows(points, arm.fit)


def _existing(name: str, path: Path) -> Arm:
    """The fit at ``path``; with its runs and what its text is, where it is that of a sweep's folder.

    Without a sweep its runs are those of the table beside it, where that is the one it was fitted to.
    """
    sweep = SweepFolder(path.parent)
    if sweep.plan.exists() and sweep.cells.is_dir():
        return load_arm(name, sweep, frozen_plan(sweep), _recipe(sweep))
    fit = load_fit(path)
    if sweep.table.exists():
        points = read_points(sweep.table, fit.rows, fit.columns, fit.where)
        if is_of(points, fit):
            return bare_arm(name, fit, used_rows(points, fit))
    return bare_arm(name, fit)


def _recipe(sweep: SweepFolder) -> RecipeConfig | None:
    """The recipe that a sweep was trained by; None where its folder does not say."""
    config = frozen_config(sweep.config)
    return load_recipe(config) if config else None


def _names(typed: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """A name for each fit, no two alike: its folder's, else what was typed, else that with a number."""
    folders = [path.resolve().parent.name for path in paths]
    names = folders if len(set(folders)) == len(folders) else list(typed)
    seen: Counter[str] = Counter()
    made = []
    for name in names:
        seen[name] += 1
        made.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return made


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


def _show(found: FrontierComparison, shown: Sequence[Table], console: Console) -> None:
    for table in shown:
        console.print(terminal_table(table, console.width))
        console.print(f"{table.note}\n", highlight=False, markup=False)
    for text in found.cautions:
        console.print(f"Caution: {text}", style="yellow", highlight=False, markup=False)
    for text in found.verdict:
        console.print(text, highlight=False, markup=False)
