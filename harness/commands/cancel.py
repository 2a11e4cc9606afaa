"""``isoflop cancel``: takes back what a sweep, or a comparison, submitted, and nothing else."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.launcher import Outcome
from harness.launch.registry import submitter_of
from harness.runs.frozen import frozen_plan
from harness.workflow.arms import arm_folders, refuse_unplanned
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say


def run(asked: Invocation[Config]) -> Outcome:
    """Cancel the queued and running jobs of this sweep and of its arms; running cells keep their checkpoints.

    Raises:
        UserError: nothing of it was planned or submitted; or of one of them it is not known what is queued, and the
            others are cancelled all the same.
    """
    config, problems = asked.config, list[UserError]()
    folders = (sweep_folder(config), *arm_folders(config).values())
    if not any(folder.plan.exists() or submitter_of(folder).latest(folder) for folder in folders):
        refuse_unplanned(config)
        frozen_plan(folders[0])  # says so, and which name may be meant
    cancelled: list[str] = []

    def tell(text: str) -> None:
        say(text, asked.console)

    for folder in folders:
        try:
            cancelled += submitter_of(folder).cancel(folder, tell)
        except UserError as error:
            problems.append(error)
    if cancelled:
        tell(f"cancelled: {', '.join(cancelled)}; finished cells are kept")
    elif not problems:
        tell("nothing of this sweep is queued or runs")
    if problems:
        raise problems[0]
    return Outcome.DONE
