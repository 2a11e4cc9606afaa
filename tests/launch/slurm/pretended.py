"""A Slurm of one process: it takes scripts, and runs them when a test says so; training is made up."""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.commands import next_stage
from harness.errors import UserError
from harness.launch.ledger import TaskId, read_task
from harness.launch.slurm import client
from harness.launch.slurm.client import SlurmState, expand
from harness.plan.cell import Cell
from tests.report.synthetic import law_loss, made_up_record


@dataclass
class PretendedSlurm:
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

    def queue(self, jobs: Sequence[str]) -> dict[TaskId, SlurmState]:
        """As squeue."""
        found = {}
        for job in jobs:
            indices = re.search(r"--array=(\S+)", self.scripts[job].read_text())
            for task in expand(indices.group(1)) if indices else [None]:
                found[TaskId(job, task)] = SlurmState(
                    TaskId(job, task), "COMPLETED" if job in self.over else "PENDING"
                )
        return found

    def waits_for(self, job: str) -> set[str]:
        """The jobs in its dependency."""
        found = re.search(r"--dependency=afterany:(\S+)", self.scripts[job].read_text())
        return set(found.group(1).split(":")) if found else set()

    def step(self) -> str:
        """Run the first job that waits for none; returns its id, or nothing where all is over."""
        for job, script in self.scripts.items():
            if job not in self.over and self.waits_for(job) <= self.over:
                if script.name == "array.sbatch":
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
                    made_up_record(job.cell, loss).write(job.folder.record)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> PretendedSlurm:
    """In place of the cluster's commands."""
    made = PretendedSlurm()
    monkeypatch.setattr(client, "submit", made.submit)
    monkeypatch.setattr(client, "queue", made.queue)
    monkeypatch.setattr(client, "available", lambda: True)
    return made
