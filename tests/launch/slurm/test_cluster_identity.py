"""On a real Slurm: folders of nasty names, answers that are lost, and numbers that are somebody else's."""

import json
import shutil
from pathlib import Path

import pytest

from harness.files import write_json
from tests.launch.slurm.sweeps import SLURM, Sweep, call, wait_for
from tests.train.small import overrides

pytestmark = pytest.mark.slow
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
HELD = (*SLURM, 'launcher.sbatch=["--hold"]', "launcher.report=false")


def test_a_sweep_in_a_folder_with_a_nasty_name_trains_and_logs(
    cluster: Path,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "a b$(touch pwned)%j\"q'é`touch pwned`#,x"
    folder.mkdir()
    monkeypatch.chdir(folder)
    told = overrides(folder, text_folder, *SLURM, "grid.budgets=[2e8]", "launcher.workers=2")
    told = [word for word in told if not word.startswith(("runs_dir=", "cache_dir="))]
    sweep = Sweep(folder, [*told, "runs_dir=runs", "cache_dir=cache"], capsys)
    sweep.isoflop("sweep")
    wait_for("the report job ends", lambda: sweep.report_state() in ("COMPLETED", "FAILED"))
    assert sweep.state(0).state == "COMPLETED"
    assert "cells are missing" not in sweep.log(f"report-{sweep.last.report_job}.txt")
    assert "to train" in sweep.log(f"{sweep.last.job}_0.txt")
    assert "3 ✔ finished" in " ".join(sweep.isoflop("status").split())
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("comments", [True, False])
def test_an_array_whose_answer_was_lost_is_found_in_the_queue(
    cluster: Path,
    comments: bool,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``comments``: whether the job keeps its comment, or has the site's."""
    real = shutil.which("sbatch")
    (tmp_path / "bin").mkdir()
    lying = tmp_path / "bin" / "sbatch"
    more = "" if comments else "--comment=charged"
    lying.write_text(f'#!/bin/sh\n"{real}" {more} "$@" >/dev/null\necho "{TIMED_OUT}" >&2\nexit 1\n')
    lying.chmod(0o755)
    before = call("squeue", "-h", "-t", "PENDING", "-o", "%F").split()
    monkeypatch.setenv("SQUEUE_STATES", "FAILED")  # the user's shell hides what waits
    with monkeypatch.context() as lied:
        lied.setenv("PATH", str(lying.parent), prepend=":")
        sweep = Sweep(tmp_path, overrides(tmp_path, text_folder, *HELD), capsys)
        said = sweep.isoflop("sweep")
    (job,) = set(call("squeue", "-h", "-t", "PENDING", "-o", "%F").split()) - set(before)
    assert sweep.last.job == job
    assert f"but job {job} is in the queue and is ours" in said

    # as after a kill between the two: the ledger has the intent alone
    entry = json.loads(sweep.ledger.file.read_text())["submissions"][0]
    sweep.ledger.file.write_text(json.dumps({"submissions": [{**entry, "job": "", "unanswered": ["array"]}]}))
    said = sweep.isoflop("sweep")
    assert f"job {job} is the array job of submission 0001" in said
    assert "0 to submit" in said
    assert sweep.isoflop("cancel").startswith(f"cancelled: {job}")
    assert set(call("squeue", "-h", "-t", "PENDING", "-o", "%F").split()) == set(before)


def rewritten(sweep: Sweep, text: str) -> None:
    """The list of submissions as this program would have written it."""
    write_json(sweep.ledger.file, json.loads(text))


def test_a_number_that_is_a_strangers_is_not_cancelled(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = call(
        "sbatch", "--parsable", "--hold", "--output=/dev/null", "-J", "a  b|c", "--wrap=true"
    ).strip()
    sweep = Sweep(tmp_path, overrides(tmp_path, text_folder, *HELD), capsys)
    sweep.isoflop("sweep")
    ours = sweep.last.job
    text = sweep.ledger.file.read_text()
    rewritten(sweep, text.replace(f'"job": "{ours}"', f'"job": "{other}"'))
    said = sweep.isoflop("status") + sweep.isoflop("cancel")
    assert (
        said.count(f"job {other} of submission 0001 is now 'a  b|c' of root, not ours: it is left alone") == 2
    )
    assert "… queued" not in said
    assert "nothing of this sweep is queued or runs" in said
    assert call("squeue", "-h", "-j", other, "-o", "%T").strip() == "PENDING"
    call("scancel", other)

    # the same number on another cluster
    rewritten(sweep, text.replace('"cluster": "isoflop"', '"cluster": "north"'))
    said = sweep.isoflop("cancel")
    assert f"submission 0001 (jobs {ours}) is of the cluster north, this is isoflop" in said
    assert call("squeue", "-h", "-j", ours, "-o", "%T").split()[:1] == ["PENDING"]
    sweep.ledger.file.write_text(text)
    assert sweep.isoflop("cancel").startswith(f"cancelled: {ours}")


def test_jobs_of_an_earlier_version_are_cancelled_by_their_scripts_path(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = Sweep(tmp_path, overrides(tmp_path, text_folder, *HELD), capsys)
    sweep.isoflop("sweep")
    call("scancel", sweep.last.job)
    folder = sweep.path / "slurm" / "0001"
    (made,) = folder.glob("array-*.sbatch")
    old = folder / "array.sbatch"
    old.write_text(made.read_text().replace(sweep.last.token, ""))
    job = call("sbatch", "--parsable", str(old)).strip()
    entry = {
        key: value
        for key, value in json.loads(sweep.ledger.file.read_text())["submissions"][0].items()
        if key not in ("token", "cluster", "unanswered")
    }
    sweep.ledger.file.write_text(json.dumps({"submissions": [{**entry, "job": job}]}))
    assert "6 … queued" in " ".join(sweep.isoflop("status").split())
    assert sweep.isoflop("cancel").startswith(f"cancelled: {job}")
