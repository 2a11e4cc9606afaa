"""``isoflop cancel``: takes back what a sweep, or a comparison, submitted, and nothing else."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.launch.registry import submitter_of
from harness.workflow.arms import arm_folders
from harness.workflow.experiment import sweep_folder


def run(asked: Invocation[Config]) -> Outcome:
    """Cancel the queued and running jobs of this sweep and of its arms; running cells keep their checkpoints."""
    config, console = asked.config, asked.console
    folders = (sweep_folder(config), *arm_folders(config).values())
    say = lambda text: console.print(text, highlight=False, soft_wrap=True, markup=False)  # noqa: E731
    cancelled = [job for folder in folders for job in submitter_of(folder).cancel(folder, say)]
    if cancelled:
        console.print(f"cancelled: {', '.join(cancelled)}; finished cells are kept", highlight=False)
    else:
        console.print("nothing of this sweep is queued or runs", highlight=False)
    return Outcome.DONE
