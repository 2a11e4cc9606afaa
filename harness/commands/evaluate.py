"""``isoflop evaluate``: the finished runs' models on benchmark tasks."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Continuation, Outcome
from harness.report.table import terminal_table
from harness.report.tables.tasks import build, fits_table
from harness.runs.frozen import frozen_plan
from harness.workflow.evaluate import evaluate_runs, scored
from harness.workflow.rules import sweep_folder
from harness.workflow.task_fits import fit_tasks
from harness.workflow.terminal import say


def run(asked: Invocation[Config]) -> Outcome:
    """Score what is missing (or submit it), write the table of runs, show what the best runs score.

    Raises:
        UserError: nothing can be scored, or some runs could not be.
    """
    config, console, folder = asked.config, asked.console, sweep_folder(asked.config)
    plan = frozen_plan(folder)
    continuation = Continuation("evaluate", asked.yaml, asked.submission)
    done, outcome = evaluate_runs(config, plan, folder, continuation, console)
    if outcome is not Outcome.DONE:
        return outcome
    found = scored(folder, done.tasks, lambda text: say(text, console))
    fitted = fit_tasks(config, folder, done.tasks, found, console)
    for table in (*build(found.values()), fits_table(fitted)):
        console.print(terminal_table(table, console.width))
        console.print(f"{table.note}\n", highlight=False, markup=False)
    if done.failure is not None:
        raise done.failure
    console.print(f"table: {folder.table}, fits: {folder.tasks}", highlight=False, soft_wrap=True)
    return outcome
