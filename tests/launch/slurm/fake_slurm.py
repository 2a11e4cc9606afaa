"""A fake Slurm in one process: it takes scripts, and runs them when a test says so; records are fake."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.commands import next_stage
from harness.errors import UserError
from harness.launch.ledger import read_task
from harness.launch.queued import JobStates, TaskId
from harness.launch.slurm import client
from harness.launch.slurm.answers import SlurmState, expand
from harness.plan.cell import Cell
from tests.records import fake_record
from tests.report.synthetic import law_loss


@dataclass
class FakeSlurm:
    """Jobs by id, in the order they were submitted.

    Attributes:
        fails: whether a cell leaves no record.
        refuses: whether sbatch takes nothing more.
        exits: exit statuses of the dependent jobs, by id.
    """

    scripts: dict[str, Path] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    exits: dict[str, int] = field(default_factory=dict)
    fails: Callable[[Cell], bool] = lambda cell: False
    refuses: bool = False

    def submit(self, script: Path) -> str:
        """As sbatch."""
        if self.refuses:
            raise UserError("sbatch: Access denied")
        job = str(len(self.scripts) + 1)
        self.scripts[job] = script
        return job

    def queue(self, jobs: Mapping[str, str]) -> JobStates:
        """As squeue."""
        found = {}
        for job, mark in jobs.items():
            assert mark in self.scripts[job].name
            indices = re.search(r"--array=(\S+)", self.scripts[job].read_text())
            for task in expand(indices.group(1)) if indices else [None]:
                found[TaskId(job, task)] = SlurmState(
                    TaskId(job, task), "COMPLETED" if job in self.over else "PENDING"
                )
        return JobStates(found)

    def find(self, mark: str, since: str) -> list[str]:
        """As squeue, for a job that nobody knows the number of."""
        return [job for job, script in self.scripts.items() if mark in script.name]

    def waits_for(self, job: str) -> set[str]:
        """The jobs in its dependency."""
        found = re.search(r"--dependency=afterany:(\S+)", self.scripts[job].read_text())
        return set(found.group(1).split(":")) if found else set()

    def step(self) -> str:
        """Run the first job that waits for none; returns its id, or nothing where all is over."""
        for job, script in self.scripts.items():
            if job not in self.over and self.waits_for(job) <= self.over:
                if script.name.startswith("array"):
                    self._train(script.parent)
                else:
                    words = shlex.split(script.read_text().splitlines()[-1])
                    self.exits[job] = next_stage.main(words[-2], Path(words[-1]))
                self.over.add(job)
                return job
        return ""

    def drain(self) -> list[int]:
        """Run all there is and all that comes of it; returns the exit statuses of the dependent jobs."""
        before = len(self.exits)
        while self.step():
            pass
        return list(self.exits.values())[before:]

    def _train(self, folder: Path) -> None:
        for task in sorted((folder / "tasks").iterdir()):
            for job in read_task(folder, int(task.stem))[0]:
                if not self.fails(job.cell):
                    loss = law_loss(job.cell.params.total, job.cell.tokens)
                    fake_record(job.cell, loss).write(job.folder.record)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """In place of the cluster's commands."""
    made = FakeSlurm()
    monkeypatch.setattr(client, "submit", made.submit)
    monkeypatch.setattr(client, "queue", made.queue)
    monkeypatch.setattr(client, "find", made.find)
    monkeypatch.setattr(client, "cluster_name", lambda: "fake")
    monkeypatch.setattr(client, "available", lambda: True)
    return made
