"""``isoflop report``: figures, tables and the page, from a sweep's folder or a table. Trains nothing."""

from pathlib import Path

from rich.console import Console

from harness.config.schema import Config
from harness.report.files import Written, write_report
from harness.workflow import publish
from harness.workflow.experiment import frozen_plan, sweep_folder
from harness.workflow.report import from_points, from_sweep


def run(config: Config, yaml: str, console: Console) -> Written:
    """Write the report and say where it is.

    Raises:
        UserError: there is no fit yet, or no table of runs.
    """
    with console.status("report …"):
        if config.points:
            folder = Path(config.out or ".")
            data = from_points(Path(config.points), folder)
        else:
            sweep = sweep_folder(config)
            folder = Path(config.out) if config.out else sweep.path
            data = from_sweep(sweep, frozen_plan(sweep), folder)
        written = write_report(data, folder)
    console.print(f"report: {written.html}", highlight=False, soft_wrap=True)
    console.print(
        f"        {written.markdown}, figures in {written.figures}", highlight=False, soft_wrap=True
    )
    if not (config.points or config.out):
        publish.run(config, sweep_folder(config), console)
    return written
