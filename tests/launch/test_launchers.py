"""Launchers: one by name, with options of its own; a batch system's needs its commands and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.frozen import load_config
from harness.errors import UserError
from harness.launch.batch import BatchLauncher
from harness.launch.batch_system import Array
from harness.launch.launcher import Continuation, LauncherConfig, Outcome, Work
from harness.launch.ledger import read_task
from harness.launch.local import LocalConfig, LocalLauncher
from harness.launch.queued import JobStates, TaskId
from harness.launch.registry import LAUNCHERS, OPTIONS, LauncherKind, make_launcher, queue_of, submitter_of
from harness.launch.slurm.answers import SlurmState
from harness.launch.slurm.launcher import SlurmLauncher
from harness.launch.slurm.request import SlurmConfig
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.train.config import TrainConfig
from harness.train.job import Job
from tests.train.small import small_jobs


@dataclass
class CloudConfig(LauncherConfig):
    """A third launcher's options."""

    kind: str = "cloud"
    region: str = "north"


@dataclass
class CloudLauncher(BatchLauncher):
    """All that a third launcher has to know: here, a list."""

    config: CloudConfig = field(default_factory=CloudConfig)
    jobs: dict[str, str] = field(default_factory=dict)
    kind = "cloud"
    continues = True

    def available(self) -> bool:
        return True

    def gpus(self, train: TrainConfig) -> int:
        return 0

    def workers(self, train: TrainConfig) -> int:
        return 2

    def tasks(self, jobs: Sequence[Job], pace: float) -> list[list[Job]]:
        return [list(jobs[:1]), list(jobs[1:])]

    def pool_options(self, train: TrainConfig) -> Mapping[str, object]:
        return {"workers": 2}

    def check(self, array: Array | None, name: str, folder: Path, command: str) -> None:
        pass

    def asks(self, array: Array) -> str:
        return f"a machine in the {self.config.region}"

    def submit_array(self, array: Array) -> str:
        return self._new("PENDING")

    def submit_dependent(self, name: str, folder: Path, command: str, after: Sequence[str], mark: str) -> str:
        return self._new("PENDING")

    def cluster(self) -> str:
        return ""

    def find(self, mark: str, since: str) -> Sequence[str]:
        return []

    def _new(self, state: str) -> str:
        self.jobs[job := str(len(self.jobs) + 1)] = state
        return job

    def states(self, jobs: Mapping[str, str]) -> JobStates:
        ids = [TaskId(job, task) for job in jobs for task in (None, 0, 1)]
        return JobStates({id_: SlurmState(id_, self.jobs[id_.job]) for id_ in ids})

    def stop(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            self.jobs[job] = "CANCELLED"


def work(folder: SweepFolder, jobs: Sequence[Job], console: Console, submission: str = "") -> Work:
    plan = Plan("small", tuple(job.cell for job in jobs))
    return Work(
        plan=plan,
        folder=folder,
        train=TrainConfig(),
        missing=lambda: jobs,
        continuation=Continuation("reproduce", "name: small", submission),
        say_cost=lambda workers: None,
        say_status=lambda: None,
        console=console,
    )


def test_a_third_launcher_submits_once_and_is_asked_and_taken_back(tmp_path: Path, text_folder: Path) -> None:
    jobs = small_jobs(tmp_path, text_folder)[1]
    folder, console = SweepFolder(tmp_path / "sweep"), Console(record=True, width=200)
    launcher = CloudLauncher()
    assert launcher.train(work(folder, jobs, console)) is Outcome.QUEUED
    assert launcher.train(work(folder, jobs, console)) is Outcome.QUEUED, "nothing is submitted twice"
    assert launcher.jobs == {"1": "PENDING", "2": "PENDING"}
    assert "each asks for a machine in the north" in console.export_text()
    latest = launcher.latest(folder)
    assert latest == folder.path / "cloud" / "0001"
    assert [job.cell for job in read_task(latest, 1)[0]] == [job.cell for job in jobs[1:]]

    queue = launcher.queue(folder, {jobs[0].cell.run_id})
    assert set(queue.places) == {job.cell.run_id for job in jobs}
    assert list(queue.unplanned) == [job.cell for job in jobs[1:]]
    assert queue.dependent == (("2", "pending"),)
    assert launcher.live(folder) == ["1", "2"]
    assert launcher.depend("small", folder, Continuation("compare", ""), ["1"]) == "2", "one waits already"
    assert launcher.cancel(folder, console.print) == ["1", "2"]
    assert set(launcher.jobs.values()) == {"CANCELLED"}
    assert launcher.live(folder) == []


def test_what_failed_after_it_was_submitted_is_left_to_the_user(tmp_path: Path, text_folder: Path) -> None:
    jobs = small_jobs(tmp_path, text_folder)[1]
    folder, console, asked = SweepFolder(tmp_path / "sweep"), Console(record=True, width=200), []
    launcher = CloudLauncher()
    launcher.train(work(folder, jobs, console))
    again = replace(work(folder, jobs, console, submission="0001"), say_status=lambda: asked.append(True))
    assert launcher.train(again) is Outcome.INCOMPLETE
    assert asked == [True]
    assert len(launcher.jobs) == 2


def test_a_registered_launcher_is_found_in_the_folder_of_its_sweep(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = CloudLauncher()
    monkeypatch.setitem(LAUNCHERS, "cloud", LauncherKind(CloudConfig, lambda config: launcher))
    folder = SweepFolder(tmp_path / "sweep")
    assert isinstance(submitter_of(folder), LocalLauncher)
    assert queue_of(folder, set()).problem == ""
    assert make_launcher(CloudConfig()) is launcher
    launcher.train(work(folder, small_jobs(tmp_path, text_folder)[1], Console(quiet=True)))
    assert submitter_of(folder) is launcher


def test_a_configuration_is_of_the_launcher_it_names() -> None:
    assert type(compose_config(["experiment=demo"])[0].launcher) is LocalConfig
    made, yaml = compose_config(["experiment=demo", "launcher=slurm", "launcher.max_tasks=3"])
    assert isinstance(made.launcher, SlurmConfig)
    assert made.launcher.max_tasks == 3
    assert load_config(yaml).launcher == made.launcher
    assert isinstance(make_launcher(made.launcher), SlurmLauncher)
    with pytest.raises(UserError, match=r"launcher\.kind: 'cloudy' is none of local, slurm"):
        compose_config(["experiment=demo", "launcher.kind=cloudy"])
    with pytest.raises(
        UserError, match=r"launcher\.memory: launcher=local has no such option; launcher=slurm has"
    ):
        compose_config(["experiment=demo", "launcher.memory=4G"])


def test_an_experiments_file_may_be_for_a_cluster_and_be_run_here() -> None:
    assert type(compose_config(["experiment=cluster", "launcher=local"])[0].launcher) is LocalConfig


def test_what_is_composed_has_the_options_of_every_launcher_by_one_type_each() -> None:
    options = OPTIONS()
    for entry in LAUNCHERS.values():
        for name, value in vars(entry.config()).items():
            assert name == "kind" or getattr(options, name) == value
