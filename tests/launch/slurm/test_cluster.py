"""Sweeps on a real Slurm: lost nodes, preemption, failures, resubmission, cancelling."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.train.run import train_cell
from tests.launch.slurm.sweeps import SLURM, Sweep, call, wait_for
from tests.train.small import overrides, small_jobs

pytestmark = pytest.mark.slow

LONG = (
    "grid.budgets=[2e9]",
    "grid.sizes=2",
    "recipe.batch_tokens.value=32",
    "data.max_epochs=100",
    "train.checkpoint_seconds=0.3",
    "train.log_points=1000",
)
VOLATILE = ("seconds", "tokens_per_second", "mfu", "notes", "sha256")


def records(folder: Path) -> dict[str, dict[str, Any]]:
    """The sweep's records without what differs between two equal runs."""
    found = {
        path.parent.name: json.loads(path.read_text())
        for path in folder.glob("runs/small/cells/*/record.json")
    }
    return {
        run: {k: v for k, v in record.items() if k not in VOLATILE} for run, record in sorted(found.items())
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> dict[str, dict[str, Any]]:
    """The records of the long cells when nothing happens to them."""
    folder = tmp_path_factory.mktemp("undisturbed")
    _, jobs = small_jobs(folder, text_folder, *LONG)
    for job in jobs:
        train_cell(job)
    return records(folder)


def test_a_lost_node_and_preemption_end_in_the_same_records(
    cluster: Path,
    undisturbed: dict[str, dict[str, Any]],
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = (*LONG, *SLURM, "launcher.task_minutes=0.01", "launcher.throttle=1")
    sweep = Sweep(tmp_path, overrides(tmp_path, text_folder, *options), capsys)
    said = sweep.isoflop("sweep")
    assert f"submitted job array {sweep.last.job}: 2 tasks of 1 cell" in said
    assert sweep.last.report_job in said
    again = sweep.isoflop("sweep")
    assert "2 queued or running, 0 to submit" in again

    sweep.wait_for_steps(0)
    assert sweep.state(1).reason == "JobArrayTaskLimit", "the throttle holds"
    status = sweep.isoflop("status")
    assert "▶ running" in status
    assert "… queued" in status
    lost = sweep.state(0).node
    call("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
    wait_for("the lost task is queued again", lambda: sweep.state(0).waiting)
    assert "↻ requeued" in sweep.isoflop("status")
    wait_for("it runs again", lambda: sweep.state(0).running)
    # where the node's daemon has not brought it back by itself
    subprocess.run(
        ["scontrol", "update", f"nodename={lost}", "state=resume"], capture_output=True, check=False
    )

    sweep.wait_for_steps(
        0
    )  # preemption warns as the time limit does; the task sends itself back to the queue
    urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--wrap=sleep 1", "--output=/dev/null"]
    call("sbatch", *urgent)
    wait_for("it is preempted", lambda: sweep.state(0).restarts == 2)

    assert "back to the queue" in sweep.log(f"{sweep.last.job}_0.txt")
    wait_for("all is over", lambda: sweep.report_state() in ("COMPLETED", "FAILED"))
    assert sweep.state(0).state == sweep.state(1).state == "COMPLETED"
    assert records(tmp_path) == undisturbed
    assert "missing" not in sweep.log(f"report-{sweep.last.report_job}.txt")


def test_a_failing_cell_is_reported_and_alone_submitted_again(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder)
    blocked = jobs[0].folder
    (blocked.curve / "somebody's").mkdir(parents=True)  # a folder where the curve should be
    sweep = Sweep(tmp_path, overrides(tmp_path, text_folder, *SLURM, "launcher.workers=2"), capsys)
    assert "1 task of 6 cells" in sweep.isoflop("sweep")
    wait_for("the report job ends", lambda: sweep.report_state() in ("COMPLETED", "FAILED"))
    assert sweep.state(0).state == "FAILED"
    assert sweep.report_state() == "FAILED"
    report = sweep.log(f"report-{sweep.last.report_job}.txt")
    assert f"1 of 6 cells is missing ({jobs[0].cell.run_id})" in report
    assert len(sweep.submissions) == 1, "a job submits nothing again"
    status = " ".join(sweep.isoflop("status").split())
    assert "✘ failed" in status
    assert "Directory not empty" in status
    assert "tail" in status
    assert "5 ✔ finished" in status

    (blocked.curve / "somebody's").rmdir()
    assert "5 of 6 cells finished, 0 queued or running, 1 to submit" in sweep.isoflop("sweep")
    assert sweep.last.tasks == ((jobs[0].cell.run_id,),)
    wait_for("the report job ends", lambda: sweep.report_state() in ("COMPLETED", "FAILED"))
    assert sweep.report_state() == "COMPLETED", sweep.log(f"report-{sweep.last.report_job}.txt")
    assert (tmp_path / "runs/small/report.html").exists()
    assert "0 to submit" in sweep.isoflop("sweep")


def test_a_gpu_request_sets_the_visible_devices(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "mine.sbatch"
    template.write_text(
        "#!/bin/bash\n#SBATCH --array={{array}}\n#SBATCH --gres={{gres}}\n#SBATCH --output={{output}}\n"
        '{{options}}\n{{setup}}\necho "visible $CUDA_VISIBLE_DEVICES, $COLOUR, $SLURM_JOB_NAME"\n'
    )
    mine = (
        f"launcher.template={template}",
        'launcher.setup=["COLOUR=red"]',
        'launcher.sbatch=["--job-name=mine"]',
    )
    arguments = overrides(
        tmp_path, text_folder, *SLURM, *mine, "launcher.gres=gpu:2", "launcher.report=false"
    )
    sweep = Sweep(tmp_path, arguments, capsys)
    sweep.isoflop("sweep")
    wait_for("the task ends", lambda: sweep.state(0).state == "COMPLETED", 60)
    assert sweep.log(f"{sweep.last.job}_0.txt") == "visible 0,1, red, mine\n"
    status = " ".join(sweep.isoflop("status").split())
    assert f"job {sweep.last.job}_0 completed" in status, "over, and not a cell is finished"


def test_cancel_takes_back_what_was_submitted_and_nothing_else(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = call("sbatch", "--parsable", "--hold", "--output=/dev/null", "--wrap=true").strip()
    arguments = overrides(tmp_path, text_folder, *SLURM, 'launcher.sbatch=["--hold"]')
    sweep = Sweep(tmp_path, arguments, capsys)
    with pytest.raises(SystemExit):
        sweep.isoflop("cancel")
    assert "no plan there" in capsys.readouterr().err, "a name that nothing has is a mistake"
    sweep.isoflop("plan")
    assert "nothing of this sweep" in sweep.isoflop("cancel")
    sweep.isoflop("sweep")
    assert "cancelled" in sweep.isoflop("cancel")
    assert sweep.state(0).state == "CANCELLED"
    wait_for("the report job is cancelled", lambda: sweep.report_state() == "CANCELLED", 30)
    assert call("squeue", "-h", "-j", other, "-o", "%T").strip() == "PENDING"
    assert "… cancelled" in sweep.isoflop("status")
    call("scancel", other)
    assert "6 to submit" in sweep.isoflop("sweep"), "cancelled cells are missing cells"
    sweep.isoflop("cancel")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("launcher.partition=nowhere", "invalid partition specified: nowhere"),
        ("launcher.time=soon", "Invalid --time specification"),
        ("launcher.template=/no/such.sbatch", "/no/such.sbatch: No such file"),
    ],
)
def test_what_sbatch_refuses_is_said_in_its_words(
    cluster: Path,
    option: str,
    message: str,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["sweep", *overrides(tmp_path, text_folder, *SLURM, option)])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert re.match(r"isoflop: (sbatch|launcher)", said)
