"""Sweeps that a test submits to a real Slurm, and waiting for them."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import main
from harness.launch.ledger import Ledger
from harness.launch.queued import TaskId, TaskState
from harness.launch.slurm.client import queue
from harness.launch.submission import Submission
from tests.device import ON_CPU

SLURM = ("launcher=slurm", "launcher.memory=1000M", ON_CPU)  # no GPU is asked for


def call(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def wait_for(what: str, condition: Callable[[], object], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it never happened: {what}\n{call('squeue', '-r')}"
        time.sleep(0.1)


class Sweep:
    """A sweep in a folder, and its jobs."""

    def __init__(
        self, folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], name: str = "small"
    ) -> None:
        self.path, self.arguments, self.capsys = folder / "runs" / name, arguments, capsys

    def isoflop(self, command: str, *more: str) -> str:
        self.capsys.readouterr()
        main([command, *self.arguments, *more])
        return self.capsys.readouterr().out

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.path / "slurm")

    @property
    def submissions(self) -> list[Submission]:
        return self.ledger.read()

    @property
    def last(self) -> Submission:
        return self.submissions[-1]

    def state(self, task: int) -> TaskState:
        job = self.last.job
        return queue(self.ledger.marks([self.last])).states[TaskId(job, task)]

    def report_state(self) -> str:
        job = self.last.report_job
        return queue(self.ledger.marks([self.last])).states[TaskId(job)].state

    def wait_for_the_dependent_job(self) -> str:
        wait_for("the dependent job ends", lambda: self.report_state() in ("COMPLETED", "FAILED"))
        return self.log(f"report-{self.last.report_job}.txt")

    def log(self, name: str) -> str:
        submission = self.last
        return (self.path / "slurm" / submission.folder / "logs" / name).read_text()

    def rows(self, task: int) -> int:
        curve = self.path / "cells" / self.last.tasks[task][0] / "curve.csv"
        return curve.read_text().count("\n") if curve.exists() else 0

    def wait_for_steps(self, task: int) -> None:
        start = self.rows(task)
        wait_for(f"task {task} takes steps", lambda: self.rows(task) > start + 5)
