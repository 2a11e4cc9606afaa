"""What keeps a submission from being made is one line that names the option to change, and leaves nothing behind."""

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.errors import UserError
from harness.launch.launcher import Outcome
from harness.launch.ledger import Ledger
from harness.launch.slurm import client
from harness.launch.slurm.launcher import SlurmLauncher
from harness.launch.slurm.refusals import remedy
from harness.launch.slurm.request import SlurmConfig
from harness.runs.files import SweepFolder
from harness.train.job import Job
from harness.workflow.status import show_sweep
from scripts import lying_slurm
from tests.launch.slurm.test_answers import Told
from tests.launch.test_launchers import work
from tests.train.small import small_jobs

FAILED = "Batch job submission failed: "
SAID = {
    FAILED + "Invalid job array specification": "launcher.max_tasks",
    "invalid partition specified: nowhere": "launcher.partition",
    FAILED + "Invalid partition name specified": "launcher.partition",
    FAILED + "Requested partition configuration not available now": "launcher.partition",
    FAILED + "Invalid account or account/partition combination specified": "launcher.account",
    FAILED + "Requested node configuration is not available": "launcher.gres",
    FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)": "launcher.max_tasks",
    FAILED + "Requested time limit is invalid (missing or exceeds some limit)": "launcher.time",
    "Invalid --time specification": "launcher.time: as sbatch takes it",
    FAILED + "Invalid generic resource (gres) specification": "launcher.gres",
    FAILED + "Memory specification can not be satisfied": "launcher.memory",
    FAILED + "CPU count per node can not be satisfied": "launcher.cpus",
    FAILED + "Invalid qos specification": "launcher.qos",
    FAILED + "Invalid feature specification": "launcher.sbatch",
    FAILED + "Job dependency problem": "launcher.report",
    "unrecognized option '--frob'": "launcher.sbatch",
    FAILED + "Socket timed out on send/recv operation": "nothing is lost",
    "Unable to contact slurm controller (connect failure)": "nothing is lost",
}


@pytest.mark.parametrize("said", SAID)
def test_words_of_sbatch_name_the_option_that_mends_them(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_call", Told(scontrol="MaxArraySize            = 1001\n"))
    assert SAID[said] in remedy(f"sbatch: {said}")


def test_the_dependent_jobs_own_options_are_named_too() -> None:
    said = "sbatch: Batch job submission failed: Invalid qos specification"
    assert "report_options" not in remedy(said)
    assert remedy(said, dependent=True).startswith(
        "launcher.qos (of the dependent job: launcher.report_options)"
    )


def test_words_that_nobody_knows_are_left_as_they_are() -> None:
    assert remedy("sbatch: Batch job submission failed: The moon is full") == ""


@dataclass
class Here:
    """A planned sweep on a Slurm that lies."""

    slurm: Path
    folder: SweepFolder
    jobs: list[Job]

    def submit(self, **options: Any) -> Outcome:
        console = Console(file=io.StringIO(), width=200)
        return SlurmLauncher(SlurmConfig(**options)).train(work(self.folder, self.jobs, console))

    def refused(self, **options: Any) -> str:
        with pytest.raises(UserError) as raised:
            self.submit(**options)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    @property
    def submissions(self) -> list[str]:
        return sorted(path.name for path in (self.folder.path / "slurm").glob("[0-9]*"))

    def status(self) -> str:
        console = Console(file=io.StringIO(), width=200)
        show_sweep(self.folder, console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> tuple[SweepFolder, list[Job]]:
    folder = tmp_path_factory.mktemp("planned")
    _, jobs = small_jobs(folder, text_folder, "grid.budgets=[2e8]")
    return SweepFolder(folder / "runs" / "small"), jobs


@pytest.fixture
def here(
    planned: tuple[SweepFolder, list[Job]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Here]:
    programs = lying_slurm.install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    yield Here(tmp_path / "slurm", *planned)
    shutil.rmtree(planned[0].path / "slurm", ignore_errors=True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"template": "/no/such.sbatch"}, "launcher.template: /no/such.sbatch"),
        ({"report_template": "/no/such.sbatch"}, "launcher.template: /no/such.sbatch"),
        ({"python": "/no/such/python"}, "launcher.python: /no/such/python"),
        ({"account": "a\nb"}, "account 'a\\nb' has a line break"),
        ({"partition": "a\nb", "report_options": ["--partition=cpu"]}, "partition 'a\\nb' has a line break"),
    ],
)
def test_what_a_submission_needs_is_looked_at_before_its_folder_is_made(
    options: dict[str, Any], named: str, here: Here
) -> None:
    assert named in here.refused(**options)
    assert here.submissions == []
    assert here.submit() is Outcome.QUEUED, "nothing is in the way of the next one"
    assert here.submissions == ["0001"]


def test_without_slurms_commands_nothing_is_made(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert "commands are not on the PATH" in here.refused()
    assert here.submissions == []


@pytest.mark.parametrize("options", [{"container": "apptainer exec x.sif"}, {"setup": ["conda activate x"]}])
def test_an_interpreter_that_is_somewhere_else_need_not_be_here(options: dict[str, Any], here: Here) -> None:
    assert here.submit(python="/no/such/python", **options) is Outcome.QUEUED


def test_what_sbatch_refuses_leaves_nothing_and_says_what_mends_it(here: Here) -> None:
    lying_slurm.lie(here.slurm, "says Batch job submission failed: Invalid job array specification")
    said = here.refused()
    assert said.endswith("specification; launcher.max_tasks: fewer array tasks, at most 1001 (MaxArraySize)")
    assert here.submissions == []
    assert Ledger(here.folder.path / "slurm").read() == []


def test_a_controller_that_may_have_the_job_leaves_its_folder(here: Here) -> None:
    lying_slurm.lie(here.slurm, "timeout")
    assert here.submit() is Outcome.QUEUED, "it had the job"
    assert here.submissions == ["0001"]


def test_a_queue_that_does_not_answer_makes_no_cell_missing(here: Here) -> None:
    assert here.submit() is Outcome.QUEUED
    assert here.status().count("… queued") == len(here.jobs) + 1, "each cell, and the sum"
    lying_slurm.lie(here.slurm, "down")
    shown = here.status()
    (array,) = (one.job for one in Ledger(here.folder.path / "slurm").read())
    assert shown.count(f"submitted as job {array}, task") == len(here.jobs)
    assert (
        "the queue did not answer: squeue: slurm_load_jobs error: Unable to contact slurm controller "
        f"(connect failure); the states of {len(here.jobs)} cells are not known" in shown
    )
    assert "pending" not in shown


@pytest.mark.parametrize(
    ("said", "known"), [("Connection refused", False), ("Slurm accounting storage is disabled", True)]
)
def test_accounting_that_does_not_answer_is_said(said: str, known: bool, here: Here) -> None:
    assert here.submit() is Outcome.QUEUED
    lying_slurm.change(here.slurm, lambda state: state.update(jobs={}))
    sacct = here.slurm / "bin" / "sacct"
    sacct.write_text(f"#!/bin/sh\necho 'sacct: error: {said}' >&2\nexit 1\n")
    sacct.chmod(0o755)
    shown = here.status()
    assert ("accounting did not answer: sacct: Connection refused; the states of 3 cells" in shown) != known
    assert ("? unknown" in shown) != known


def test_one_cell_is_one_cell(here: Here) -> None:
    here.jobs = here.jobs[:1]
    console = Console(file=io.StringIO(), width=200)
    SlurmLauncher(SlurmConfig()).train(work(here.folder, here.jobs, console))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "0 of 1 cell finished" in shown
    assert "1 task of 1 cell;" in shown
