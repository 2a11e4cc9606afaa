"""``isoflop validate``: the predicted optimum of a larger budget against other sizes, registered before training."""

from dataclasses import replace

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Continuation, Outcome
from harness.report.table import terminal_table
from harness.runs.table import records
from harness.validate.files import FILE, write_validation
from harness.validate.result import judge
from harness.validate.task_tables import sentence
from harness.workflow.terminal import working
from harness.workflow.training import train_missing
from harness.workflow.validate import register_prediction, score_tasks, with_models


def run(asked: Invocation[Config]) -> Outcome:
    """Predict and register, train what is missing, compare measured with predicted once every run has ended.

    Raises:
        UserError: there is no fit, it is of other runs than these would be, the registered prediction does not
            stand, or cells failed.
    """
    config, yaml, console = asked.config, asked.yaml, asked.console
    made = register_prediction(config, yaml, console)
    folder, prediction = made.folder, made.prediction
    console.print(
        f"prediction: {folder.path / FILE}, registered {prediction.written}, SHA-256 {made.sha256}",
        highlight=False,
        soft_wrap=True,
    )
    for doubt in prediction.doubts or ():
        console.print(f"warning: {doubt}", highlight=False, markup=False)
    if not config.validate.train:
        return Outcome.DONE
    continuation = Continuation("validate", yaml, asked.submission)
    config = with_models(config, prediction)
    outcome = train_missing(continuation, config, made.plan, made.corpus, folder, console)
    if outcome is not Outcome.DONE:
        return outcome
    tasks, outcome = score_tasks(config, made, continuation, console)
    if outcome is not Outcome.DONE:
        return outcome
    losses = {run_id: record.loss for run_id, record in records(folder, made.plan).items()}
    with working(console, "comparing …"):
        result = replace(judge(prediction, made.sha256, losses), tasks=tasks)
        tables, path = write_validation(folder, prediction, result, made.basis.losses)
    for table in tables:
        console.print(terminal_table(table, console.width))
    console.print(f"{tables[0].note}\n\n{result.verdict}", highlight=False, markup=False)
    if tasks:
        console.print(sentence(tasks), highlight=False, markup=False)
    console.print(f"validation: {path}", highlight=False, soft_wrap=True)
    return outcome
