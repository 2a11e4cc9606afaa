"""A fake worker: it handles claims and messages as the real one does, but trains nothing and needs no torch."""

import os
import signal
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from harness.launch import worker
from harness.launch.worker import Setting
from harness.plan.branching import shared_steps
from harness.train.job import Job, StepReport, Watch


class _Record:
    status, loss, reason = "finished", 1.0, ""


def _train(job: Job, watch: Watch) -> Any:
    """Do what the first line of the cell's ``fake_worker.txt`` says, and cross it out."""
    script = job.folder.path / "fake_worker.txt"
    lines = script.read_text().splitlines() if script.exists() else []
    watch.report(StepReport(job.cell.run_id, 1, job.cell.spec.steps, 1.0, 1.0))
    if lines:
        script.write_text("\n".join(lines[1:]))
    if lines[:1] == ["leave"]:
        for cell in job.branches:
            folder = replace(job, cell=cell).folder
            (folder.checkpoint / f"{shared_steps(job.cell.spec, cell.spec):09d}").mkdir(parents=True)
        (job.folder.path / "left").touch()
        while not (job.folder.path / "go on").exists():
            time.sleep(0.05)
    if lines[:1] == ["kill"]:
        os.kill(os.getpid(), signal.SIGKILL)
    if lines[:1] == ["memory"]:
        raise RuntimeError("CUDA out of memory")
    if lines[:1] == ["error"]:
        raise ValueError("wrong")
    return _Record()


def fake_worker(connection: Connection, setting: Setting) -> None:
    """What a pool starts instead of a worker."""
    worker._executor = lambda processes: _train  # type: ignore[assignment]
    worker.work(connection, setting)
