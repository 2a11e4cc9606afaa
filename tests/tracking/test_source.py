"""A fit from W&B is the fit from the folder, to the last bit, whether a server has the runs or files on disk."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze, frozen_plan
from harness.train.job import Job, PreemptedError, Watch
from harness.train.run import train_cell
from harness.workflow.fit import fit_runs
from tests.tracking.conftest import Way
from tests.tracking.fake_server import FakeServer
from tests.train.small import overrides, small_jobs
from tests.train.test_run import stop_at

DRAWS = "analysis.draws=20"
OPTIONS = ("tracker=wandb", DRAWS)


def fit_of(arguments: list[str]) -> tuple[Path, str]:
    """Run ``isoflop fit``; the folder of the fit and what was printed."""
    out = io.StringIO()
    config, _ = compose_config(arguments)
    fit_runs(config, Console(file=out, width=300))
    printed = out.getvalue()
    return Path(printed.rsplit("fit: ", 1)[1].strip()).parent, printed


def train_all(folder: Path, text: Path, *more: str) -> tuple[list[str], list[Job]]:
    arguments = overrides(folder, text, *OPTIONS, *more)
    _, jobs = small_jobs(folder, text, *OPTIONS, *more)
    for job in reversed(jobs):  # the order of the plan is not that of training
        train_cell(job)
    return arguments, jobs


def from_wandb(folder: Path, way: Way, sweep: Path, *more: str) -> list[str]:
    return [*way.source(sweep), f"runs_dir={folder}/elsewhere", DRAWS, *more]


@pytest.mark.slow
def test_the_same_table_curves_and_fit(way: Way, tmp_path: Path, text_folder: Path) -> None:
    arguments, jobs = train_all(tmp_path, text_folder, "grid.sizes=4")
    sweep = jobs[0].sweep
    ours, said = fit_of(arguments)
    theirs, also_said = fit_of(from_wandb(tmp_path, way, sweep))
    assert theirs == tmp_path / "elsewhere" / "small-wandb"
    for name in ("runs.csv", "fit.json", "draws.npz"):
        assert (theirs / name).read_bytes() == (ours / name).read_bytes(), name
    assert f"W&B: {len(jobs)} runs" in also_said
    assert said.splitlines()[:-1] == also_said.splitlines()[1:-1]


def test_unfinished_runs_and_those_beside_the_plan_take_no_part(
    way: Way, tmp_path: Path, text_folder: Path
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, *OPTIONS)
    for job in jobs[:4]:
        train_cell(job)
    with pytest.raises(PreemptedError):
        train_cell(jobs[4], Watch(should_stop=stop_at(5)))
    beside = replace(jobs[0].cell, spec=replace(jobs[0].cell.spec, seed=7))
    train_cell(replace(jobs[0], cell=beside))  # an ablation: the same group, not in the plan
    folder, said = fit_of(from_wandb(tmp_path, way, jobs[0].sweep))
    assert f"W&B: 4 runs, 1 unfinished: {jobs[4].cell.run_id}" in said
    assert len((folder / "runs.csv").read_text().splitlines()) == 1 + 4


def test_a_run_that_diverged_is_in_the_table(way: Way, tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, *OPTIONS)
    spec = jobs[0].cell.spec
    wild = replace(jobs[0].cell, spec=replace(spec, optimizer=replace(spec.optimizer, lr=1e4, grad_clip=0.0)))
    sweep = SweepFolder(jobs[0].sweep)
    plan = frozen_plan(sweep)
    freeze(sweep, replace(plan, cells=(wild, *plan.cells[1:])), "")
    for job in (replace(jobs[0], cell=wild), *jobs[1:]):
        train_cell(job)
    folder, _ = fit_of(from_wandb(tmp_path, way, sweep.path))
    assert (folder / "runs.csv").read_text().splitlines()[1].startswith(f"{wild.run_id},diverged,")


def test_nothing_finished(way: Way, tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, *OPTIONS)
    with pytest.raises(PreemptedError):
        train_cell(jobs[0], Watch(should_stop=stop_at(5)))
    with pytest.raises(UserError, match="none of 1 runs is finished"):
        fit_of(from_wandb(tmp_path, way, jobs[0].sweep))


def test_errors_of_a_server_are_one_line(
    server: FakeServer, tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_all(tmp_path, text_folder, "grid.sizes=1")
    here = f"runs_dir={tmp_path}"
    for arguments, message in (
        (["project=local/isoflop"], "group: name the sweep"),
        (["project=local/none", "group=small"], "no such project"),
        (["project=local/isoflop", "group=other"], "no runs of a sweep"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            fit_of(["source=wandb", here, *arguments])
        assert "\n" not in str(caught.value)
    monkeypatch.setattr("harness.tracking.source.API_SECONDS", 2)
    server.mode = "silent"
    with pytest.raises(UserError, match="cannot be read"):
        fit_of(["source=wandb", here, "project=local/isoflop", "group=small"])


def test_errors_of_files_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr("harness.tracking.source.has_key", lambda: False)
    (tmp_path / "offline-run-1-x").mkdir()
    (tmp_path / "offline-run-1-x" / "run-x.wandb").write_bytes(b"no such thing at all")
    for arguments, message in (
        (["project=a/b", "group=c"], "no W&B key"),
        ([f"path={tmp_path}/nowhere"], "no W&B files"),
        ([f"path={tmp_path}"], "not a file of W&B"),
        ([], "experiment: choose one"),
    ):
        with pytest.raises(UserError, match=message):
            fit_of(["source=wandb", *arguments])
    with pytest.raises(UserError, match="none of folder, wandb"):
        compose_config(["source=mlflow"])


def test_files_of_several_sweeps_want_a_group(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("one", "two"):
        _, jobs = small_jobs(tmp_path, text_folder, *OPTIONS, f"name={name}", "grid.sizes=3")
        for job in jobs:
            train_cell(job)
        links = shutil.ignore_patterns("latest-run", "debug*")
        shutil.copytree(jobs[0].sweep / "wandb", tmp_path / "both", dirs_exist_ok=True, ignore=links)
    arguments = ["source=wandb", f"path={tmp_path}/both", f"runs_dir={tmp_path}/out", "analysis.draws=0"]
    with pytest.raises(UserError, match=r"group=one\|two"):
        fit_of(arguments)
    folder, _ = fit_of([*arguments, "group=two"])
    assert folder == tmp_path / "out" / "two-wandb"
