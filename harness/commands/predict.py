"""``isoflop predict``: from a frontier to a decision."""

from harness.commands.invocation import Invocation
from harness.config.predict import PredictConfig
from harness.launch.launcher import Outcome
from harness.workflow.predict import print_answer


def run(asked: Invocation[PredictConfig]) -> Outcome:
    """Answer the question, print the answer, write the experiment and the figure where asked.

    Raises:
        UserError: the source cannot be read, or cannot answer.
    """
    print_answer(asked.config, asked.console, asked.as_json)
    return Outcome.DONE
