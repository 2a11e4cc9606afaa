"""Jobs are ours by their marks, whatever sbatch says, and whoever has their numbers now."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cli import main
from harness.errors import UserError
from harness.files import seal, unseal
from harness.launch.launcher import Outcome
from harness.launch.ledger import Ledger
from harness.launch.slurm import client
from harness.launch.slurm.launcher import SlurmLauncher
from harness.launch.slurm.request import SlurmConfig
from harness.launch.slurm.task import run_task
from harness.runs.files import SweepFolder
from harness.train.job import Job
from scripts import lying_slurm
from tests.device import ON_CPU
from tests.launch.test_launchers import work
from tests.train.small import overrides, small_jobs


class Setting:
    """A sweep on a Slurm that lies."""

    def __init__(self, folder: Path, jobs: list[Job]) -> None:
        self.path, self.jobs = folder, jobs
        self.sweep = SweepFolder(folder / "runs" / "small")
        self.launcher = SlurmLauncher(SlurmConfig())
        self.ledger = Ledger(self.sweep.path / "slurm")

    def submit(self) -> str:
        console = Console(record=True, width=400, quiet=False, file=open(os.devnull, "w"))  # noqa: SIM115
        assert self.launcher.train(work(self.sweep, self.jobs, console)) is Outcome.QUEUED
        return console.export_text()

    def cancel(self) -> tuple[list[str], str]:
        said: list[str] = []
        return self.launcher.cancel(self.sweep, said.append), "\n".join(said)

    def lie(self, *lies: str) -> None:
        lying_slurm.lie(self.path, *lies)

    def queued(self, kind: str) -> list[str]:
        """Numbers of our jobs that wait: ``array`` or ``report``."""
        return [
            number
            for number, job in lying_slurm.jobs(self.path).items()
            if kind in job["command"] and "PENDING" in job["tasks"].values()
        ]

    def change(self, number: str, **fields: Any) -> None:
        lying_slurm.change(self.path, lambda state: state["jobs"][number].update(fields))


@pytest.fixture
def here(tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    programs = lying_slurm.install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    made = Setting(tmp_path / "slurm", small_jobs(tmp_path, text_folder)[1])
    made.sweep = SweepFolder(tmp_path / "runs" / "small")
    made.ledger = Ledger(made.sweep.path / "slurm")
    return made


def all_is_queued_once(here: Setting) -> None:
    (array,), (report,) = here.queued("array-"), here.queued("report-")
    known = [(one.job.partition(";")[0], one.report_job.partition(";")[0]) for one in here.ledger.read()]
    assert known == [(array, report)]
    assert not here.ledger.read()[0].unanswered
    assert lying_slurm.jobs(here.path)[report]["after"] == [array]


STRANGER = {"name": "train", "comment": "", "command": "/home/bob/train.sh", "user": "bob", "uid": 77}


@pytest.mark.parametrize("lie", ["timeout", "silent", "error", "twice", "federation", "comment"])
@pytest.mark.parametrize("part", ["array", "report"])
def test_what_sbatch_took_is_found_and_not_submitted_again(
    here: Setting, lie: str, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 3.0 if lie == "silent" else 60.0)
    here.lie(*(["comment"] if part == "report" else []), lie)
    said = here.submit()
    all_is_queued_once(here)
    assert ("is in the queue and is ours" in said) == (lie not in ("federation", "comment"))
    assert "0 to submit" in here.submit()
    all_is_queued_once(here)
    assert set(here.cancel()[0]) == {job for one in here.ledger.read() for job in one.jobs}
    assert not here.queued("-")


def test_what_sbatch_did_not_take_is_submitted_by_the_next_command(here: Setting) -> None:
    here.lie("lost")
    with pytest.raises(
        UserError, match=r"timed out.*is in the queue is not known: run the same command again"
    ):
        here.submit()
    assert here.ledger.read()[0].unanswered == ("array",)
    assert "submission 0001 never reached the queue and is given up" in here.submit()
    all_is_queued_once(here)
    assert here.ledger.read()[0].folder == "0002"


def test_a_refusal_leaves_nothing_behind(here: Setting) -> None:
    here.lie("refused")
    with pytest.raises(UserError, match=r"^sbatch: Batch job submission failed: Invalid account"):
        here.submit()
    assert here.ledger.read() == []
    here.submit()
    all_is_queued_once(here)


def test_nothing_is_submitted_while_the_queue_cannot_be_searched(here: Setting) -> None:
    here.lie("timeout", "down")
    with pytest.raises(UserError, match="Unable to contact"):
        here.submit()
    here.lie("down")
    with pytest.raises(UserError, match="nothing is submitted, run the same command again when it does"):
        here.submit()
    assert len(lying_slurm.jobs(here.path)) == 1
    assert "it has its mark" in here.submit()
    all_is_queued_once(here)


KILLED = """
import sys, json
from pathlib import Path
from harness.train.job import Job
from harness.runs.files import SweepFolder
from harness.launch.slurm.launcher import SlurmLauncher
from harness.launch.slurm.request import SlurmConfig
from rich.console import Console
from tests.launch.test_launchers import work
jobs = [Job.from_json(job) for job in json.loads(Path(sys.argv[1]).read_text())]
SlurmLauncher(SlurmConfig()).train(work(SweepFolder(Path(sys.argv[2])), jobs, Console()))
"""


@pytest.mark.parametrize("lies", [["killed"], ["early"], ["comment", "killed"], ["comment", "early"]])
def test_a_kill_between_submission_and_ledger_submits_nothing_twice(
    here: Setting, lies: list[str], tmp_path: Path
) -> None:
    here.lie(*lies)
    (tmp_path / "jobs.json").write_text(json.dumps([job.to_json() for job in here.jobs]))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "jobs.json"), str(here.sweep.path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    here.submit()
    all_is_queued_once(here)


def test_what_the_users_shell_filters_hides_no_job(here: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "FAILED")
    monkeypatch.setenv("SQUEUE_USERS", "bob")
    here.lie("timeout")
    here.submit()
    assert "0 to submit" in here.submit()
    all_is_queued_once(here)


def test_a_job_that_was_given_up_does_nothing_when_it_starts_after_all(here: Setting, capsys: Any) -> None:
    here.submit()
    one = here.ledger.read()[0]
    folder = (here.ledger.path / one.folder).resolve()
    here.ledger.give_up(one)
    assert run_task(folder, 0) == 0
    assert "was given up" in capsys.readouterr().out
    assert not here.sweep.cells.exists()


def test_a_number_that_is_a_strangers_now_is_left_alone(here: Setting) -> None:
    here.submit()
    (array,), (report,) = here.queued("array-"), here.queued("report-")
    here.change(array, **STRANGER)
    said = f"job {array} of submission 0001 is now 'train' of bob, not ours: it is left alone"
    queue = here.launcher.queue(here.sweep, set())
    assert queue.notes == (said,)
    assert not [id_ for id_ in queue.states if id_.job == array]
    assert here.launcher.live(here.sweep) == [report]
    cancelled, notes = here.cancel()
    assert (cancelled, notes) == ([report], said)
    assert set(lying_slurm.jobs(here.path)[array]["tasks"].values()) == {"PENDING"}
    assert said in here.submit(), "its cells are submitted again, aloud"
    assert len(here.queued("array-")) == 1


def test_another_cluster_is_not_asked_for_this_ones_numbers(here: Setting) -> None:
    here.submit()
    before = lying_slurm.jobs(here.path)
    lying_slurm.change(here.path, lambda state: state.update(cluster="south"))
    cancelled, notes = here.cancel()
    assert cancelled == []
    assert "submission 0001 (jobs 1, 2) is of the cluster lying, this is south" in notes
    assert lying_slurm.jobs(here.path) == before
    assert here.launcher.queue(here.sweep, set()).states == {}


def old(here: Setting) -> tuple[str, str]:
    """As an earlier version would have submitted: without a token, the script named by its part."""
    here.submit()
    (array,), (report,) = here.queued("array-"), here.queued("report-")
    folder = here.sweep.path.resolve() / "slurm" / "0001"
    for number, part in ((array, "array"), (report, "report")):
        (script,) = folder.glob(f"{part}-*.sbatch")
        script.rename(folder / f"{part}.sbatch")
        here.change(number, comment="isoflop-small:0001", command=str(folder / f"{part}.sbatch"))
    data = json.loads(here.ledger.file.read_text())
    for entry in data["submissions"]:
        for name in ("token", "cluster", "unanswered"):
            del entry[name]
    del data["sha256"]
    here.ledger.file.write_text(json.dumps(data))
    return array, report


def test_jobs_of_an_earlier_version_are_known_by_their_scripts(here: Setting) -> None:
    array, report = old(here)
    assert "0 to submit" in here.submit()
    here.change(array, command="/elsewhere/runs/other/slurm/0001/array.sbatch")
    cancelled, notes = here.cancel()
    assert cancelled == [report]
    assert f"job {array} of submission 0001 is now 'isoflop-small' of me, not ours" in notes


def test_in_a_copy_of_the_folder_the_originals_jobs_are_left_alone(here: Setting, tmp_path: Path) -> None:
    here.submit()
    (array,), (report,) = here.queued("array-"), here.queued("report-")
    original, copy = here.sweep, SweepFolder(tmp_path / "copies" / "small")
    shutil.copytree(original.path, copy.path)
    here.sweep = copy
    cancelled, notes = here.cancel()
    assert cancelled == []
    assert (
        f"submission 0001 (jobs {array}, {report}) was made in {original.path.resolve() / 'slurm'}" in notes
    )
    queue = here.launcher.queue(copy, set())
    assert not queue.states
    assert "of which this is a copy" in queue.notes[0]
    here.sweep = original
    assert set(here.cancel()[0]) == {array, report}


def test_a_folder_that_was_moved_keeps_its_jobs(here: Setting, tmp_path: Path) -> None:
    here.submit()
    (array,), (report,) = here.queued("array-"), here.queued("report-")
    moved = SweepFolder(tmp_path / "moved" / "small")
    moved.path.parent.mkdir()
    here.sweep.path.rename(moved.path)
    here.sweep = moved
    assert set(here.cancel()[0]) == {array, report}


def test_who_only_looks_writes_nothing_and_says_what_has_no_answer(here: Setting) -> None:
    here.lie("timeout", "down")
    with pytest.raises(UserError):
        here.submit()
    before = {path: path.read_bytes() for path in here.sweep.path.rglob("*") if path.is_file()}
    queue = here.launcher.queue(here.sweep, set(), settle=False)
    assert "submission 0001 has no answer yet" in queue.notes[0]
    assert {path: path.read_bytes() for path in here.sweep.path.rglob("*") if path.is_file()} == before
    here.launcher.queue(here.sweep, set())
    assert here.ledger.file.read_bytes() != before[here.ledger.file], "who settles writes it down"


BROKEN: list[Callable[[str], str]] = [
    lambda text: "null",
    lambda text: "[]",
    lambda text: "",
    lambda text: '"text"',
    lambda text: '{"submissions": [1]}',
    lambda text: '{"submissions": null}',
    lambda text: '{"submissions": [{}]}',
    lambda text: text[: len(text) // 2],
    lambda text: text.replace('"job": "1"', '"job": 1'),
    lambda text: text.replace('"folder": "0001"', '"folder": "one"'),
    lambda text: text.replace('"job"', '"jobs"'),
    lambda text: text.replace('"unanswered": []', '"unanswered": ["array"], "submitted": "today"'),
    lambda text: json.dumps(seal(json.loads(text))).replace('"job": "1"', '"job": "2"'),
]


@pytest.mark.parametrize("broken", range(len(BROKEN)))
def test_an_unreadable_ledger_is_one_line_and_nothing_is_submitted(here: Setting, broken: int) -> None:
    here.submit()
    data = unseal(json.loads(here.ledger.file.read_text()))  # as a seal tells of all but the last
    here.ledger.file.write_text(BROKEN[broken](json.dumps(data)))
    for command in (here.submit, here.cancel, lambda: here.launcher.live(here.sweep)):
        with pytest.raises(UserError, match=r"submitted\.json: not what was written") as refused:
            command()
        assert "\n" not in str(refused.value)
    assert "not what was written" in here.launcher.queue(here.sweep, set()).problem
    here.ledger.file.unlink()
    here.submit()
    all_is_queued_once(here)
    assert len(lying_slurm.jobs(here.path)) == 2


def test_a_ledger_that_is_gone_is_made_from_the_folders_and_the_queue(here: Setting) -> None:
    array, report = old(here)
    here.ledger.file.unlink()
    queue = here.launcher.queue(here.sweep, set())
    assert len(queue.notes) == 2
    (one,) = here.ledger.read()
    assert (one.job, one.report_job) == (array, report)
    assert set(one.run_ids) == {job.cell.run_id for job in here.jobs}


def test_a_sweep_of_the_same_name_elsewhere_is_not_ours(here: Setting) -> None:
    """Its jobs of an earlier version differ from ours by the beginning of their scripts' paths alone."""
    array, report = old(here)
    for number, part in ((array, "array"), (report, "report")):
        here.change(number, command=f"/home/me/other/runs/small/slurm/0001/{part}.sbatch")
    here.ledger.file.unlink()
    assert here.cancel() == ([], "submission 0001 never reached the queue and is given up")
    assert {here.queued("array.")[0], here.queued("report.")[0]} == {array, report}


def test_a_job_that_has_begun_is_known_where_no_queue_can_be_asked(here: Setting) -> None:
    """In a container the dependent job has no commands, and its own logs."""
    here.submit()
    (one,) = here.ledger.read()
    here.ledger.put(replace(one, report_job="", unanswered=("report",)))
    here.lie("down")
    with pytest.raises(UserError, match="nothing is submitted"):
        here.launcher.settle(here.sweep)
    (here.ledger.path / "0001" / "logs" / f"report-{one.report_job}.txt").touch()
    here.lie("down")
    here.launcher.settle(here.sweep)
    assert here.ledger.read() == [one]


def test_a_tasks_file_that_is_not_whole_is_said_in_a_line(here: Setting) -> None:
    here.submit()
    path = here.ledger.path / "0001" / "tasks" / "0.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(UserError, match=r"tasks/0\.json: not what was written"):
        run_task(here.ledger.path / "0001", 0)
    assert "0.json" in here.launcher.queue(here.sweep, set()).notes[0]


def test_a_submission_keeps_what_it_does_not_change(here: Setting) -> None:
    here.submit()
    (one,) = here.ledger.read()
    assert one.cluster == "lying"
    assert replace(one, cancelled=True).asked("array").answered("array", "9").report_job == one.report_job


@pytest.mark.slow
def test_a_sweep_on_a_slurm_that_lies_trains_every_cell_once(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "slurm"
    monkeypatch.setenv("PATH", f"{lying_slurm.install(folder, run=True)}:{os.environ['PATH']}")
    lying_slurm.lie(folder, "lost", "timeout", "error")
    told = overrides(
        tmp_path, text_folder, "launcher=slurm", "launcher.workers=2", "grid.budgets=[2e8]", ON_CPU
    )
    with pytest.raises(SystemExit):
        main(["sweep", *told])
    main(["sweep", *told])
    deadline = time.monotonic() + 240
    while any(
        state in ("PENDING", "RUNNING")
        for job in lying_slurm.jobs(folder).values()
        for state in job["tasks"].values()
    ):
        assert time.monotonic() < deadline, lying_slurm.jobs(folder)
        time.sleep(0.5)
    capsys.readouterr()
    main(["status", *told])
    assert "3 ✔ finished" in " ".join(capsys.readouterr().out.split())
    assert [list(job["tasks"].values()) for job in lying_slurm.jobs(folder).values()] == [["COMPLETED"]] * 2
