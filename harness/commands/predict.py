"""``isoflop predict``: from a frontier to a decision."""

import json

from rich.console import Console

from harness.config.predict import PredictConfig
from harness.fit.encoding import encode
from harness.predict.result import PredictResult
from harness.predict.show import show
from harness.workflow.predict import answer_question


def run(config: PredictConfig, console: Console, as_json: bool = False) -> PredictResult:
    """Answers the question, prints the answer, writes the experiment and the figure where asked.

    Raises:
        UserError: the source cannot be read, or cannot answer.
    """
    with console.status("fitting …" if config.points else "reading …"):
        report, asked = answer_question(config)
    if as_json:
        text = json.dumps(encode(report), indent=2, allow_nan=False)
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    else:
        show(report, asked, console)
    return report
