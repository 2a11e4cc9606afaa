"""A sweep's results in W&B: one run, updated when they change, and never in the way of a report."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.pyplot import imsave
from rich.console import Console

from harness.commands.invocation import Invocation
from harness.commands.report import run as report
from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.fit import FitOptions
from harness.report.files import Written
from harness.runs.files import SweepFolder
from harness.runs.record import read_record
from harness.train.run import train_cell
from harness.workflow import publish
from tests.report.synthetic import fit_sweep, make_sweep
from tests.tracking.conftest import Patience, Way, as_rows, wait_briefly
from tests.tracking.fake_server import FakeServer
from tests.train.small import small_jobs


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A finished sweep with a fit and the looks of a report."""
    folder = make_sweep(tmp_path / "runs" / "synthetic")
    fit_sweep(folder, FitOptions(draws=20))
    folder.figures.mkdir()
    for name in ("isoflop", "frontier"):
        imsave(folder.figures / f"{name}.png", np.eye(8))
    folder.report.write_text("<html>the report</html>")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config, _ = compose_config(["experiment=demo", "name=synthetic", f"runs_dir={tmp_path}/runs"])
    return config


def publish_on(config: Config, sweep: SweepFolder) -> str:
    """What publishing says."""
    console = Console(width=400, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    publish.run(config, sweep, console)
    return console.export_text().strip()


def test_fit_figures_table_and_files_arrive(way: Way, config: Config, sweep: SweepFolder) -> None:
    assert publish_on(config, sweep).startswith("W&B: ")
    summary = way.runs(sweep.path)["summary-synthetic"].summary
    fitted = json.loads(sweep.fit.read_text())
    assert summary["fit"]["approach_2"]["a"] == fitted["approach_2"]["a"]
    assert summary["fit"]["approach_3"]["alpha"] == fitted["approach_3"]["alpha"]
    assert summary["points"]["nrows"] == len(sweep.table.read_text().splitlines()) - 1
    assert (
        {"isoflop", "frontier"} == set(summary["figures"])
        if "figures" in summary
        else all(f"figures/{name}" in summary for name in ("isoflop", "frontier"))
    )
    if way.server:
        run = way.server.only("summary-synthetic")
        assert (run.group, run.job_type, run.state) == ("synthetic", "summary", "finished")
        [artifact] = [one for one in way.server.artifacts if one.type == "isoflop-results"]
        assert artifact.state == "COMMITTED"
        assert way.server.blobs[f"artifact/{artifact.id}/fit.json"] == sweep.fit.read_bytes()
        assert way.server.blobs[f"artifact/{artifact.id}/report.html"] == sweep.report.read_bytes()


def test_nothing_new_is_not_sent_again_and_what_is_new_updates(
    server: FakeServer, config: Config, sweep: SweepFolder
) -> None:
    publish_on(config, sweep)
    asked = server.requests
    assert publish_on(config, sweep) == ""
    assert server.requests == asked
    sweep.report.write_text("<html>another report</html>")
    assert publish_on(config, sweep) != ""
    runs = [run for run in server.runs.values() if run.job_type == "summary"]
    assert len(runs) == 1
    assert [line["_step"] for line in runs[0].history] == [0, 1]
    versions = [one for one in server.artifacts if one.type == "isoflop-results"]
    assert len(versions) == 2


@pytest.mark.parametrize("mode", ["silent", "broken"])
def test_a_server_that_is_away_costs_seconds_and_is_tried_again(
    mode: str, server: FakeServer, config: Config, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.mode = mode
    with monkeypatch.context() as impatient:  # a busy machine may take longer than this to publish
        wait_briefly(impatient)
        patience = Patience(impatient)
        assert "the next report tries again" in publish_on(config, sweep)
    assert patience.is_short
    assert len(patience.told) == 1, "it waits once, not once a run"
    server.mode = "answering"
    assert publish_on(config, sweep).endswith("/summary-synthetic")


def test_other_trackers_and_none_publish_nothing(config: Config, sweep: SweepFolder) -> None:
    for name in ("none", "tensorboard"):
        other = replace(config, tracker=replace(config.tracker, name=name))
        assert publish_on(other, sweep) == ""
    assert not (sweep.path / "wandb").exists()


def test_a_run_whose_mirror_was_cut_off_is_sent(
    way: Way, tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, jobs = small_jobs(tmp_path, text_folder, "tracker=wandb", "grid.sizes=1")
    sweep = SweepFolder(jobs[0].sweep)
    with monkeypatch.context() as patch:
        # as if killed between writing the record and telling W&B of it
        patch.setattr("harness.tracking.tracker.Tracker._summary", lambda *_: None)
        train_cell(jobs[0])
    train_cell(jobs[1])
    monkeypatch.setattr(publish, "publish_results", lambda *_: "W&B")
    monkeypatch.setattr(publish, "is_published", lambda *_: False)
    monkeypatch.setattr(publish, "mark_published", lambda *_: None)
    found = way.runs(sweep.path)
    assert [found[job.cell.run_id].record is None for job in jobs] == [True, False]
    assert publish_on(config, sweep) == "W&B: W&B"
    for job in jobs:
        mirrored = way.runs(sweep.path)[job.cell.run_id]
        assert mirrored.record == read_record(job.folder.record, job.cell.run_id)
        steps = [row["step"] for row in as_rows(way.rows(sweep.path, job.cell.run_id))]
        assert steps == list(range(1, job.cell.spec.steps + 1))


def test_the_report_publishes(config: Config, sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Path] = []
    monkeypatch.setattr(publish, "run", lambda config, folder, console: called.append(folder.path))
    written = Written(sweep.report, sweep.report, sweep.figures)
    monkeypatch.setattr("harness.workflow.report.write_report", lambda *_, **__: written)
    report(Invocation(config, "", Console(quiet=True)))
    report(Invocation(replace(config, out=str(sweep.path)), "", Console(quiet=True)))
    assert called == [sweep.path]


def test_a_report_without_a_key_hears_nothing_from_the_client(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from harness.tracking.client import Destination, close_run, init_options, open_run, wandb_mode
to = Destination("isoflop", None, wandb_mode("auto"))
assert to.mode == "offline"
close_run(open_run(to, init_options(Path(sys.argv[1]), to, "id", "name", "group")))
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    environment |= {"HOME": str(tmp_path), "NETRC": str(tmp_path / "none")}
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
