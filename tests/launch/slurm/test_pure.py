"""What needs no Slurm: sharing cells out, asking for resources, filling templates in, reading the queue."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.launch.batch_system import Array
from harness.launch.ledger import Ledger, placed
from harness.launch.queued import TaskId
from harness.launch.slurm.answers import (
    SEPARATOR,
    SlurmState,
    expand,
    merge,
    parse_sacct,
    parse_scontrol,
    parse_squeue,
)
from harness.launch.slurm.launcher import array_script
from harness.launch.slurm.request import (
    Request,
    SlurmConfig,
    chunks,
    clock,
    estimate_memory,
    expected_seconds,
    make_request,
)
from harness.launch.slurm.script import render_fields
from harness.launch.submission import Submission
from harness.plan.duration import RunTime
from harness.train.config import TrainConfig
from harness.train.job import Job
from tests.train.small import small_jobs


@pytest.fixture
def jobs(tmp_path: Path, text_folder: Path) -> list[Job]:
    _, jobs = small_jobs(tmp_path, text_folder)
    return jobs


def lasting(jobs: list[Job], *seconds: float) -> list[Job]:
    """Jobs with these estimates."""
    return [
        replace(
            jobs[i % len(jobs)], cell=replace(jobs[i % len(jobs)].cell, estimate=RunTime("eager", 0, 0, s, 0))
        )
        for i, s in enumerate(seconds)
    ]


def test_short_cells_share_tasks_of_equal_length_and_long_ones_have_their_own(jobs: list[Job]) -> None:
    shared = chunks(lasting(jobs, *[60.0] * 40, 4000.0), seconds=1200, workers=1, most=100)
    assert [job.cell.estimate_seconds for job in shared[0]] == [4000.0]
    assert len(shared) == 6
    lengths = [expected_seconds(task, 1) for task in shared[1:]]
    assert max(lengths) - min(lengths) <= 60
    assert sum(len(task) for task in shared) == 41
    assert len(chunks(lasting(jobs, *[60.0] * 40), 1e-3, 1, most=7)) == 7
    assert len(chunks(lasting(jobs, *[60.0] * 40), 1200, workers=4, most=100)) == 1
    assert chunks([], 60, 1, 10) == []


def test_time_and_memory_come_from_the_cells_unless_they_are_given(jobs: list[Job]) -> None:
    tasks = [lasting(jobs, 3000.0, 600.0), lasting(jobs, 3000.0)]
    request = make_request(tasks, SlurmConfig(), TrainConfig(threads=2))
    assert request == Request("02:09:00", request.memory, cpus=2, workers=1)
    assert make_request(tasks, SlurmConfig(), TrainConfig(), pace=2).time == "04:09:00"
    given = SlurmConfig(time="1-00", memory="", cpus=8)
    assert make_request(tasks, given, TrainConfig()) == Request("1-00", "", cpus=8, workers=8)
    assert make_request(tasks, replace(given, gres="gpu:4", processes=2), TrainConfig()).workers == 2
    small = estimate_memory([jobs[0].cell], TrainConfig(), 1, gpu=False)
    large = replace(jobs[0].cell, params=replace(jobs[0].cell.params, matrices=10**9))
    assert 2000 < small < 4000
    assert estimate_memory([large], TrainConfig(), 1, gpu=False) > small + 16 * 10**9 / 2**20


def test_a_run_on_a_gpu_is_asked_the_hosts_memory_and_cores_for(jobs: list[Job]) -> None:
    params = replace(jobs[0].cell.params, matrices=10**9)
    huge = replace(jobs[0], cell=replace(jobs[0].cell, params=params))
    gpu = SlurmConfig(gres="gpu:8")
    request = make_request([[huge]], gpu, TrainConfig(device="auto"))
    assert (request.workers, request.cpus) == (8, 32)
    mebibytes = 8 * 1.3 * (4 * 2**30 + 24e9) / 2**20
    assert mebibytes <= int(request.memory[:-1]) < 1.01 * mebibytes, "two checkpoints each, no activations"
    assert make_request([[huge]], replace(gpu, processes=8), TrainConfig()).cpus == 32
    assert make_request([[huge]], replace(gpu, gres="gpu:1", per_gpu=6), TrainConfig()).cpus == 12
    assert make_request([[huge]], gpu, TrainConfig(threads=7)).cpus == 56
    assert make_request([[huge]], replace(gpu, cpus=9), TrainConfig()).cpus == 9
    cpu = make_request([[huge]], gpu, TrainConfig(device="cpu"))
    assert cpu.cpus == 8
    assert int(cpu.memory[:-1]) > 8 * 1.3 * 28e9 / 2**20, "it trains in the host's memory"


def test_clock() -> None:
    assert clock(59) == "00:01:00"
    assert clock(3601) == "01:01:00"
    assert clock(2 * 86400) == "2-00:00:00"


def test_a_template_loses_the_lines_it_has_nothing_for() -> None:
    template = "#!/bin/bash\n## a remark\n#SBATCH --qos={{qos}}\n#SBATCH -t {{ time }}\nexec {{program}} $X\n"
    filled = render_fields(template, {"qos": "", "time": "1:00", "program": "python -m x"})
    assert filled == "#!/bin/bash\n#SBATCH -t 1:00\nexec python -m x $X\n"
    with pytest.raises(UserError, match="no field 'quality'; there are"):
        render_fields("{{quality}}", {"qos": ""})


def test_an_array_runs_one_program_in_a_container_with_its_modules(tmp_path: Path) -> None:
    launcher = SlurmConfig(
        kind="slurm",
        throttle=3,
        modules=["cuda/12.4"],
        setup=["source env"],
        container="apptainer exec --nv a.sif",
        python="python3",
        sbatch=["--constraint=h100", "--exclusive"],
    )
    array = Array("a name", tmp_path, [[]] * 8, 1.0, "array-12ab")
    script = array_script(array, launcher, Request("1:00", "2G", 4, 1), 2)
    assert script.array == "0-7%3"
    assert script.job_name == "isoflop-a-name"
    assert script.program.startswith("apptainer exec --nv a.sif python3 -m harness.commands.array_task /")
    assert script.setup == "module load cuda/12.4\nsource env"
    assert script.options == "#SBATCH --constraint=h100\n#SBATCH --exclusive"


def test_reading_squeue() -> None:
    text = (
        "7|0|RUNNING|n1|None|a|x|/s.sh|c\n7|3|PENDING||JobArrayTaskLimit|a|x|/s.sh|c\n"
        "8|N/A|PENDING||Dependency|a|x|/s.sh|c\nslurm says hello\n"
    ).replace("|", SEPARATOR)
    assert parse_squeue(text) == [
        SlurmState(TaskId("7", 0), "RUNNING", "n1", "None"),
        SlurmState(TaskId("7", 3), "PENDING", "", "JobArrayTaskLimit"),
        SlurmState(TaskId("8"), "PENDING", "", "Dependency"),
    ]


def test_reading_scontrol() -> None:
    text = (
        "JobId=9 ArrayJobId=7 ArrayTaskId=1 JobName=x UserId=a(1) JobState=COMPLETED Reason=None Restarts=2 "
        "NodeList=n1 Command=/a b/c.sh\n"
        "JobId=7 ArrayJobId=7 ArrayTaskId=2-4:2%2 JobState=PENDING Reason=Resources Restarts=0 NodeList=(null)\n"
        "JobId=8 JobName=r JobState=PENDING Reason=Dependency Restarts=0 NodeList=\n\n"
    )
    assert parse_scontrol(text) == [
        SlurmState(TaskId("7", 1), "COMPLETED", "n1", "", 2),
        SlurmState(TaskId("7", 2), "PENDING", "", "Resources"),
        SlurmState(TaskId("7", 4), "PENDING", "", "Resources"),
        SlurmState(TaskId("8"), "PENDING", "", "Dependency"),
    ]


def test_reading_sacct() -> None:
    text = (
        "7_0|COMPLETED|n1|c\n7_1|CANCELLED by 0|None assigned|c\n7_[2-3%2]|PENDING|None assigned|c\n"
        "8|TIMEOUT|n2|c|sbatch x\n"
    )
    assert [(str(state.id), state.state, state.node) for state in parse_sacct(text)] == [
        ("7_0", "COMPLETED", "n1"),
        ("7_1", "CANCELLED", ""),
        ("7_2", "PENDING", ""),
        ("7_3", "PENDING", ""),
        ("8", "TIMEOUT", "n2"),
    ]


def test_the_first_source_says_the_state_and_any_the_restarts() -> None:
    live = SlurmState(TaskId("7", 0), "RUNNING", "n1")
    shown = SlurmState(TaskId("7", 0), "PENDING", "", "", 2)
    assert merge([live], [shown]) == {live.id: replace(live, restarts=2)}
    assert expand("0,4-6,10-20:5%2") == [0, 4, 5, 6, 10, 15, 20]
    assert expand("N/A") == []


def test_the_ledger_finds_a_cell_where_it_is_queued(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "slurm")
    assert ledger.read() == []
    first = Submission("0001", "then", (("a", "b"), ("c",)), job="7", report_job="8")
    second = Submission("0002", "now", (("a", "c"),), job="9")
    ledger.put(first)
    ledger.put(second)
    assert ledger.read() == [first, second]
    running = SlurmState(TaskId("7", 1), "RUNNING")
    over = SlurmState(TaskId("9", 0), "FAILED")
    places = placed(ledger, ledger.read(), {running.id: running, over.id: over})
    assert (places["a"].submission, places["a"].state) == (second, over)
    assert (places["b"].submission, places["b"].state) == (first, None)
    assert (places["c"].submission, places["c"].state) == (first, running), "queued goes before over"
    ledger.mark_cancelled(["0001"])
    assert [submission.cancelled for submission in ledger.read()] == [True, False]


def test_a_job_survives_being_written_down(jobs: list[Job]) -> None:
    again = Job.from_json(jobs[0].to_json())
    assert again == replace(jobs[0], corpus=jobs[0].corpus.resolve())
