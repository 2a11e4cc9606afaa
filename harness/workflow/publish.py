"""What report and reproduce do last where the tracker is W&B: the sweep's results go there, if they are new."""

import os
import time

from rich.console import Console

from harness.config.schema import Config
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.table import records
from harness.text import counted
from harness.tracking.client import WANDB, Destination, wandb_mode
from harness.tracking.files import read_files
from harness.tracking.publish import begun, is_published, mark_published, publish_results, send_run
from harness.tracking.source import read_server
from harness.workflow.terminal import say, working

SENDING_SECONDS = 60.0  # the longest a report is held up by runs that W&B lacks; the next one goes on


def run(config: Config, sweep: SweepFolder, console: Console) -> None:
    """Bring W&B up to date with the sweep's folder. Whatever goes wrong there is one line, and no failure."""
    tracker = config.tracker
    if tracker.name != WANDB:
        return
    try:
        to = Destination(
            tracker.project, tracker.entity, wandb_mode(tracker.mode), os.environ.get("WANDB_BASE_URL", "")
        )
        if to.mode not in ("online", "offline") or is_published(sweep, to):
            return
        plan = frozen_plan(sweep)
        with working(console, "W&B …"):
            where = publish_results(sweep, plan.name, to)
            left = _send_missing(sweep, plan, to)
            if not left:
                mark_published(sweep, to)
    except Exception as error:  # the report is on disk; a mirror must not make it fail
        text = " ".join(str(error).split())
        console.print(
            f"W&B: not up to date ({type(error).__name__}: {text}); the next report tries again",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
        return
    more = (
        f"; {counted(left, 'run is', 'runs are')} still to be sent, the next report goes on" if left else ""
    )
    say(f"W&B: {where}{more}", console)


def _send_missing(sweep: SweepFolder, plan: Plan, to: Destination) -> int:
    """Send the finished runs that were begun in W&B and lack their record there; returns how many are left."""
    found = records(sweep, plan)
    if to.mode == "online":
        mirrored = read_server(to.path, plan.name, histories=False)
    else:
        mirrored = read_files(sweep.path / "wandb")
    whole = {run.run_id for run in mirrored if run.record == found.get(run.run_id)}
    known = begun(sweep) | {run.run_id for run in mirrored}
    missing = [run_id for run_id in found if run_id in known - whole]
    deadline = time.monotonic() + SENDING_SECONDS
    for sent, run_id in enumerate(missing):
        if time.monotonic() > deadline:
            return len(missing) - sent
        send_run(sweep, plan.name, plan.cell(run_id), found[run_id], to)
    return 0
