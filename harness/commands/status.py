"""``isoflop status``: every cell of a frozen plan, from its record, its claim and the queue; of every arm, too."""

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.launch.launcher import Outcome
from harness.workflow.arms import arm_folders, refuse_unplanned
from harness.workflow.rules import sweep_folder
from harness.workflow.status import show_dependent, show_sweep


def run(asked: Invocation[Config]) -> Outcome:
    """Show the sweep; of a comparison, each of its arms.

    Raises:
        UserError: nothing of it was planned.
    """
    config, console = asked.config, asked.console
    folder = sweep_folder(config)
    refuse_unplanned(config)
    arms = [arm for arm in arm_folders(config).values() if arm.plan.exists()]
    for arm in arms:
        console.print(arm.path.name, style="bold", markup=False, highlight=False)
        show_sweep(arm, console, disk=True)
        console.print()
    if arms and not folder.plan.exists():  # a comparison trains nothing of its own
        show_dependent(folder, console)
    else:
        show_sweep(folder, console, disk=True)
    return Outcome.DONE
