"""Sweeps as a user runs them: killed, stopped, continued, and never repeating a finished cell."""

import contextlib
import csv
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config
from harness.runs.files import SweepFolder
from harness.runs.record import read_record
from harness.train.run import train_cell
from tests.device import about
from tests.train.small import overrides, small_jobs


def isoflop(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command to its end, in this process."""
    out, error, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            main(arguments)
        except SystemExit as left:
            code = int(left.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


def start(*arguments: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def records(folder: Path) -> dict[str, dict]:
    found = {
        path.parent.name: json.loads(path.read_text())
        for path in (folder / "runs/small/cells").glob("*/record.json")
    }
    return {run_id: {"loss": r["loss"], "tokens": r["tokens"]} for run_id, r in sorted(found.items())}


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    text = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in text.splitlines() if "spawn_main" in line]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> dict[str, dict]:
    """The records of the sweep when nothing happens to it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = isoflop("sweep", *overrides(folder, text_folder, "launcher.workers=2"))
    assert done.returncode == 0, done.stderr
    found = records(folder)
    assert len(found) == 6
    again = isoflop("sweep", *overrides(folder, text_folder))
    assert again.returncode == 0
    assert "nothing to train" in again.stdout
    return found


@pytest.mark.slow
def test_a_grown_grid_trains_only_what_is_new(
    undisturbed: dict[str, dict], tmp_path: Path, text_folder: Path
) -> None:
    grid = ("grid.budgets=[2e8]",)
    assert isoflop("sweep", *overrides(tmp_path, text_folder, *grid)).returncode == 0
    first = records(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/small/cells/*/record.json")}
    done = isoflop("sweep", *overrides(tmp_path, text_folder))
    assert done.returncode == 0
    assert f"{len(first)} finished, {6 - len(first)} to train" in " ".join(done.stdout.split())
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in times.items())
    assert records(tmp_path) == about(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["worker", "sweep", "both at once"])
def test_kill_9_loses_at_most_the_cells_in_flight(
    whom: str, undisturbed: dict[str, dict], tmp_path: Path, text_folder: Path
) -> None:
    arguments = overrides(tmp_path, text_folder, "launcher.workers=2", "train.checkpoint_seconds=0.2")
    process = start("sweep", *arguments)
    wait_for(lambda: list(tmp_path.glob("runs/small/cells/*/curve.csv")))
    before = records(tmp_path)
    if whom == "worker":
        wait_for(lambda: children(process.pid) or process.poll() is not None)
        for worker in children(process.pid)[:1]:
            os.kill(worker, signal.SIGKILL)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    elif whom == "sweep":
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    else:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    after = isoflop("sweep", *arguments)
    assert after.returncode == 0, after.stderr
    assert before.items() <= records(tmp_path).items()
    assert records(tmp_path) == about(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(
    number: signal.Signals, undisturbed: dict[str, dict], tmp_path: Path, text_folder: Path
) -> None:
    arguments = overrides(tmp_path, text_folder, "launcher.workers=2", "grid.budgets=[2e8,5e8]")
    process = start("sweep", *arguments)
    wait_for(lambda: list(tmp_path.glob("runs/small/cells/*/curve.csv")))
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # a terminal's Ctrl-C reaches the workers too
    else:
        os.kill(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "goes on where it stopped" in output
    assert "Traceback" not in output
    status = isoflop("status", *arguments)
    assert status.returncode == 0
    assert "interrupted" in status.stdout or "finished" in status.stdout
    assert isoflop("sweep", *arguments).returncode == 0
    assert records(tmp_path) == about(undisturbed)


@pytest.mark.slow
def test_a_cell_that_cannot_train_is_named_and_the_others_are_kept(
    undisturbed: dict[str, dict], tmp_path: Path, text_folder: Path
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder)
    blocked = jobs[0].folder
    (blocked.curve / "somebody's").mkdir(parents=True)  # a folder where the curve should be
    done = isoflop("sweep", *overrides(tmp_path, text_folder))
    assert done.returncode == 2
    assert "1 of 6 cells failed" in done.stderr
    assert jobs[0].cell.run_id in done.stderr
    assert len(records(tmp_path)) == 5
    status = isoflop("status", *overrides(tmp_path, text_folder))
    assert "✘ failed" in status.stdout
    (blocked.curve / "somebody's").rmdir()
    assert isoflop("sweep", *overrides(tmp_path, text_folder)).returncode == 0
    assert records(tmp_path) == about(undisturbed)


@pytest.mark.slow
def test_sigterm_on_one_run_asks_to_be_requeued(tmp_path: Path, text_folder: Path) -> None:
    arguments = overrides(tmp_path, text_folder, "recipe.batch_tokens.value=32")
    _, jobs = small_jobs(tmp_path, text_folder, "recipe.batch_tokens.value=32")
    job = jobs[3]
    process = start("train", *arguments, f"run={job.cell.run_id}")
    wait_for(lambda: job.folder.curve.exists() and job.folder.curve.read_text().count("\n") > 2)
    os.kill(process.pid, signal.SIGUSR1)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "checkpoint was written" in output
    assert isoflop("train", *arguments, f"run={job.cell.run_id[:6]}").returncode == 0
    folder = SweepFolder(tmp_path / "runs" / "small")
    assert read_record(folder.cell(job.cell.run_id).record, job.cell.run_id) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "experiment=demo", "grid.sizs=3"], "did you mean 'grid.sizes'"),
        (["plan", "experiment=demo", "grid.sizes=many"], "grid.sizes: must be a whole number, got 'many'"),
        (["plan", "experiment=demo", "grid.sizes=0"], "grid.sizes: must be at least 1"),
        (["plan", "experiment=demo", "+data.colour=red"], "there is no key 'data.colour'"),
        (["plan", "experiment=demo", "data.domains={a: b}"], "data.domains.a: data.path: there is no file"),
        (["plan", "experiment=demoo"], "there is no experiment/demoo; there are"),
        (["plan", "experiment=demo", "grid.budgets=[2e13]"], "is too small"),
        (["plan", "experiment=demo", "grid.budgets=[1e15]"], "the ladder goes from"),
        (["plan", "experiment=demo", "grid.center_params=1e12"], "the ladder goes from"),
        (["plan", "experiment=demo", "grid.params=[1e9]"], "no shape near 1e+09 parameters"),
        (["tune", "experiment=demo", "tune.params=[1e9]"], "no shape near 1e+09 parameters"),
        (["tune", "experiment=demo", "tune.rates=[0.5,1,2]", "tune.batches=[1]"], "at least 4 multiples"),
        (["sweep", "experiment=demo", "grid.budgets=[1e9]"], "every cell is left out"),
        (["plan", "experiment=demo", "grid.budgets=[nan]"], "grid.budgets[0]: must be a finite number"),
        (["plan", "experiment=demo", "grid.span=inf"], "grid.span: must be a finite number"),
        (["plan", "experiment=demo", "recipe.lr.value=nan"], "recipe.lr.value: must be a finite number"),
        (["sweep", "experiment=demo", "followup.rates=[nan]"], "followup.rates[0]: must be a finite number"),
        *(
            ([command, "experiment=chinchilla"], "corpus is only declared")
            for command in ("sweep", "tune", "reproduce", "calibrate")
        ),
        (["train", "experiment=chinchilla", "run=1"], "corpus is only declared"),
        (["sweep", "experiment=demo", "tracker.name=mlflow"], "the package of 'mlflow' is not installed"),
        (["tune", "experiment=demo", "tracker.name=mlflow"], "the package of 'mlflow' is not installed"),
        (
            ["plan", "experiment=demo", "path=books/"],
            "path: books/ would not be read, for data=python_stdlib",
        ),
        (["compare", "experiment=domains", "path=books/"], "no arm has data=text; name the text in an arm"),
        (["plan", "experiment=demo", "grid.budgets=1e11"], "grid.budgets: takes a list, in brackets"),
        (["plan", "experiment=demo", "path=~x"], "path: ~x would not be read, for data=python_stdlib"),
        (["plan", "experiment=demo", "data=text", "path=~/none/here"], f"'{Path.home()}/none/here'"),
        (["predict", "experiment=demo", "budget=1e20"], "no key or group 'experiment'; it reads a fit"),
        (["predict", "fit=hoffman2022", "budget=1e20"], "did you mean fit=hoffmann2022?"),
        (["tune", "experiment=demo", "grid.center_params=1e12"], "tune: sizes of"),
        (["plan", "experiment=demo", "recipe.lr.params=1e5"], "recipe.lr.params: must be at most 100"),
        (
            ["plan", "experiment=demo", "recipe.lr.params=100", "recipe.lr.params_at=1e-5"],
            "recipe: a rule overflows at",
        ),
        (["plan", "experiment=demo", "recipe.weight_decay.value=-1"], "must not be negative"),
        (["plan"], "experiment: choose one"),
        (["plan", "experiment=demo", "data=text"], "data.path: missing"),
        (["train", "experiment=demo"], "run: name the cell"),
        (["train", "experiment=demo", "run=zz"], "matches no cell"),
        (["status", "experiment=demo", "name=never"], "no plan there"),
        (["fit", "points=/no/such/file.csv", "out=x"], "/no/such/file.csv"),
        (["fit", "points=x.csv"], "out: name the folder"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([*arguments, *([f"runs_dir={tmp_path}"] if arguments[0] != "predict" else [])])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not list(tmp_path.glob("*/cells")), "nothing was trained"


def test_a_folder_that_is_none_is_one_line(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as left:
        main(["plan", *overrides(tmp_path, text_folder), f"runs_dir={tmp_path}/file"])
    assert left.value.code == 2
    assert capsys.readouterr().err.endswith("Not a directory\n")


def test_a_file_where_the_runs_belong_is_one_line(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = SweepFolder(tmp_path / "runs" / "small")
    folder.path.mkdir(parents=True)
    folder.cells.write_text("")
    with pytest.raises(SystemExit) as left:
        main(["sweep", *overrides(tmp_path, text_folder)])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert "is a file where the folder of the runs belongs" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize("run", ["8e6811", "1e3", "0012", "3f0c"])
def test_a_runs_id_is_never_a_number(run: str) -> None:
    config, _ = compose_config(["experiment=demo", f"run={run}"])
    assert config.run == run


def test_infinity_is_a_number_where_it_means_something() -> None:
    config, _ = compose_config(["experiment=demo", "analysis.huber_delta=inf", "data.max_epochs=inf"])
    assert config.analysis.huber_delta == config.data.max_epochs == math.inf


@pytest.mark.slow
def test_shared_trunks_killed_on_the_way_give_the_records_of_runs_trained_alone(
    tmp_path: Path, text_folder: Path
) -> None:
    grid = (
        "schedule=wsd",
        "schedule.share_trunk=true",
        "grid.budgets=[2e8,5e8,1e9]",
        "grid.params=[6000,9000]",
        "recipe.min_steps=40",
    )
    alone: dict[str, dict] = {}
    _, jobs = small_jobs(tmp_path / "alone", text_folder, *grid)
    for job in jobs:
        record = train_cell(replace(job, branches=()))
        alone[job.cell.run_id] = {"loss": record.loss, "tokens": record.tokens}
    arguments = overrides(tmp_path, text_folder, *grid, "launcher.workers=2", "train.checkpoint_seconds=0.2")
    branched = {cell.run_id for job in jobs for cell in job.branches}
    process = start("sweep", *arguments)
    wait_for(lambda: any(list(tmp_path.glob(f"runs/small/cells/{run_id}/curve.csv")) for run_id in branched))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    after = isoflop("sweep", *arguments)
    assert after.returncode == 0, after.stderr
    assert "2 trunks and 4 branches" in " ".join(after.stdout.split())
    assert records(tmp_path) == about(dict(sorted(alone.items())))
    rows = list(csv.DictReader((tmp_path / "runs/small/runs.csv").open()))
    spent = {row["run_id"]: float(row["flops_spent"]) / float(row["flops"]) for row in rows}
    assert {run_id for run_id, share in spent.items() if share < 0.25} == branched


@pytest.mark.slow
def test_token_files_cut_short_under_a_run_are_named_and_made_anew(tmp_path: Path, text_folder: Path) -> None:
    long = ("grid.budgets=[2e9]", "grid.sizes=1", "data.max_epochs=100", "train.checkpoint_seconds=0.2")
    arguments = overrides(tmp_path, text_folder, *long)
    _, jobs = small_jobs(tmp_path, text_folder, *long)
    process = start("sweep", *arguments)
    wait_for(lambda: jobs[0].folder.checkpoint_step() > 0)
    os.truncate(jobs[0].corpus / "train.bin", 4096)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    assert "its worker died (SIGBUS: a file it reads was cut short" in output
    assert (
        "no complete corpus there (files are missing or cut short); 'isoflop plan' prepares it anew" in output
    )
    assert jobs[0].folder.checkpoint_step() > 0, "what was trained is kept"
    again = isoflop("sweep", *arguments)
    assert again.returncode == 0, again.stderr
    assert read_record(jobs[0].folder.record, jobs[0].cell.run_id) is not None
