"""A sweep watched over HTTP: before it begins, while it trains, and after; whatever lies in its folder."""

import http.client
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.runs.claim import take
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze, frozen_config, frozen_plan
from scripts import lying_slurm
from tests.commands.test_sweep import start
from tests.device import ON_CPU
from tests.records import SLOWER, fake_record
from tests.report.javascript import CHROMIUM, needs_browser
from tests.train.small import overrides, small_jobs

QUICK = "interval=0.1"


class Watched:
    """A process of ``isoflop watch``."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "harness", "watch", *arguments, "port=0", QUICK],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert "http://127.0.0.1:" in said, said + (self.process.stderr.read() if self.process.stderr else "")
        self.port = int(said.partition("http://127.0.0.1:")[2].partition("/")[0])

    def get(self, path: str = "/state.json") -> str:
        """What is answered, which is no error."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()
        finally:
            connection.close()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get())
        return found

    def until(self, condition: Callable[[dict[str, Any]], object], seconds: float = 180) -> dict[str, Any]:
        """The first state of which ``condition`` holds."""
        deadline = time.monotonic() + seconds
        while not condition(state := self.state()):
            del state["fragments"]
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
        return state


@contextmanager
def watched(*arguments: str) -> Iterator[Watched]:
    one = Watched(*arguments)
    try:
        yield one
    finally:
        one.process.terminate()
        one.process.communicate(timeout=60)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder below, with the time of its last change and its content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *sorted(folder.rglob("*"))]
    }


def finish(folder: SweepFolder, numbers: slice = slice(None)) -> list[str]:
    """Records of these cells, as if they were trained: valleys whose minima move with the budget. Returns their ids."""
    cells = frozen_plan(folder).cells[numbers]
    for cell in cells:
        best = 10_000 * math.sqrt(cell.budget / 2e8)
        loss = 3.0 - 0.1 * math.log(cell.budget / 2e8) + 0.2 * math.log(cell.params.total / best) ** 2
        fake_record(cell, loss).write(folder.cell(cell.run_id).record)
    return [cell.run_id for cell in cells]


@pytest.fixture
def planned(tmp_path: Path, text_folder: Path) -> SweepFolder:
    small_jobs(tmp_path, text_folder, "grid.sizes=5")
    return SweepFolder(tmp_path / "runs" / "small")


def named(folder: SweepFolder) -> tuple[str, str]:
    return f"name={folder.path.name}", f"runs_dir={folder.path.parent}"


def test_what_is_not_planned_is_waited_for_and_then_shown(tmp_path: Path, text_folder: Path) -> None:
    told = overrides(tmp_path, text_folder)
    folder = SweepFolder(tmp_path / "runs" / "small")
    with watched(*told) as page:
        assert page.state()["summary"] == "nothing is planned yet"
        assert "no plan there; make one with" in page.get("/")
        assert not folder.path.exists(), "who watches makes nothing"
        small_jobs(tmp_path, text_folder)
        state = page.until(lambda state: state["runs"])
        assert state["counts"] == {"pending": 6}
        assert state["summary"] == "0 of 6 runs have ended"
        assert not state["complete"]
        assert state["fragments"]["live-runs"].count("<tr class=") == 6
        assert all(run_id in page.get("/") for run_id in (run["run_id"] for run in state["runs"]))


@pytest.mark.slow
def test_a_damaged_record_is_a_warning_and_what_is_left_of_the_runs_is_fitted(planned: SweepFolder) -> None:
    damaged, *_ = finish(planned)
    planned.cell(damaged).record.write_text('{"run_id": ')
    before = everything(planned.path)
    with watched(*named(planned)) as page:
        state = page.until(lambda state: state["fit"])
        (warning,) = state["warnings"]
        assert warning.startswith(f"{planned.cell(damaged).record}: not what was written")
        assert state["counts"] == {"finished": 9, "pending": 1}
        assert state["below"].startswith("Provisional: below is a fit of 9 of 10 runs")
        shown = page.get("/")
        assert f'data-fit="{state["fit"]}"' in shown
        assert "provisional: 9 of 10 runs, 100 bootstrap draws" in shown
        assert 'class="card good"' not in shown
        assert "<h2>Diagnostics</h2>" in shown
    assert everything(planned.path) == before


@pytest.mark.parametrize("file", ["plan.json", "config.yaml", "cells", "record.json"])
def test_whatever_is_damaged_is_a_warning(planned: SweepFolder, file: str) -> None:
    first, *_ = finish(planned)
    path = planned.cell(first).record if file == "record.json" else planned.path / file
    if file == "cells":
        shutil.rmtree(planned.cells)
        planned.cells.write_text("a file")
    else:
        path.write_text("\0damaged")
    with watched(*named(planned)) as page:
        state = page.state()
        assert "<html" in page.get("/")
        if file == "cells":
            assert state["counts"] == {"pending": 10}
        else:
            assert str(path) in state["warnings"][0]
            assert len(state["warnings"]) == 1
        assert page.process.poll() is None


def test_runs_of_a_tuning_are_shown_and_not_fitted(planned: SweepFolder) -> None:
    finish(planned)
    tuning = SweepFolder(planned.path.parent / "other")
    small = frozen_plan(planned)
    freeze(tuning, replace(small, name="other"), frozen_config(planned.config))
    planned.cells.rename(tuning.cells)
    with watched(*named(tuning)) as page:
        state = page.until(lambda state: state["below"].startswith("No fit: "))
        assert "a tuning or a validation" in state["below"]
        assert (state["fit"], state["counts"]) == ("", {"finished": 10})


def test_time_and_money_are_those_of_the_records(tmp_path: Path, text_folder: Path) -> None:
    small_jobs(tmp_path, text_folder, "design.dollars_per_hour=3600")
    folder = SweepFolder(tmp_path / "runs" / "small")
    finish(folder)
    seconds = sum(SLOWER * cell.estimate.training for cell in frozen_plan(folder).cells)
    with watched(*named(folder)) as page:
        trained, cost = page.state()["lines"]
    assert "(100%)" in trained
    assert f"; {seconds:,.2f} dollars so far at 3600 an hour" in cost


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as left:
            main(["watch", "experiment=demo", f"runs_dir={tmp_path}", f"port={port}"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"isoflop: port: {port} cannot be had")
    assert "port=NUMBER, or port=0" in said
    assert said.count("\n") == 1


def test_a_comparison_names_its_arms(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_jobs(tmp_path, text_folder, "name=small-one")
    told = [*overrides(tmp_path, text_folder), "+arms.one=[]", "+arms.two=[]"]
    with pytest.raises(SystemExit) as left:
        main(["watch", *told])
    assert left.value.code == 2
    assert "watch one of them: name=small-one\n" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_peace(planned: SweepFolder, number: signal.Signals) -> None:
    with watched(*named(planned)) as page:
        page.get("/")
        page.process.send_signal(number)
        said, wrong = page.process.communicate(timeout=60)
    assert (page.process.returncode, wrong) == (0, "")
    assert said.endswith("no longer watched; training goes on\n")


def test_killed_at_random_it_leaves_the_folder_as_it_was(planned: SweepFolder) -> None:
    """With a dead claim in it, at which a look has to take a lock."""
    finish(planned, slice(0, 9))
    waiting = planned.cell(frozen_plan(planned).cells[9].run_id)
    script = (
        f"from pathlib import Path; from harness.runs.claim import take; take(Path({str(waiting.path)!r})); "
    )
    killed = [sys.executable, "-c", script + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL
    before = everything(planned.path)
    seed = random.randrange(1_000_000)
    rng = random.Random(seed)
    for _ in range(4):
        with watched(*named(planned)) as page:
            killer = threading.Timer(rng.uniform(0, 3), page.process.kill)
            killer.start()
            with suppress(OSError, http.client.HTTPException):
                while True:
                    page.get("/")
                    page.get()
            killer.join()
        assert everything(planned.path) == before, f"seed {seed}"
    claim = take(waiting.path)
    assert claim is not None, "nobody's look is in the way of who follows"
    claim.release()


@pytest.mark.slow
def test_a_sweep_is_watched_while_it_trains_and_after(tmp_path: Path, text_folder: Path) -> None:
    told = overrides(
        tmp_path, text_folder, "launcher.workers=1", "grid.budgets=[2e8,2e10]", "data.max_epochs=1e4"
    )
    with watched(*told) as page:
        sweep = start("sweep", *told)
        try:
            seen = page.until(
                lambda state: any(run["state"] == "running" and 0 < run["done"] < 1 for run in state["runs"])
            )
            (running,) = (run for run in seen["runs"] if run["state"] == "running")
            assert running["loss"].endswith("(training)")
            assert "ETA" in running["detail"]
            assert "ETA" in seen["lines"][0]
            curve = seen["fragments"]["live-curves"]
            assert curve.count("<circle") == 1, "the run that runs has an end that moves"
            later = page.until(lambda state: state["fragments"]["live-curves"] != curve)
            assert page.get("/").count('<section id="live"') == 1
            assert not later["complete"]
            printed, _ = sweep.communicate(timeout=300)
            assert sweep.returncode == 0, printed
        finally:
            sweep.kill()
        end = page.until(lambda state: state["complete"] and "6 of 6 runs" in state["below"])
        assert end["counts"] == {"finished": 6}
        assert end["fragments"]["live-profiles"].count("<circle") == 6
        assert "to come</title>" not in end["fragments"]["live-profiles"]
        folder = SweepFolder(tmp_path / "runs" / "small")
        records = {cell.run_id: folder.cell(cell.run_id).record for cell in frozen_plan(folder).cells}
        losses = {run_id: json.loads(path.read_text())["loss"] for run_id, path in records.items()}
        assert {run["run_id"]: run["loss"] for run in end["runs"]} == {
            run_id: f"{loss:.4f}" for run_id, loss in losses.items()
        }
        before = everything(folder.path)
        assert "the sweep is complete" in page.get("/")
        page.get()
        assert everything(folder.path) == before
        assert page.process.poll() is None, "it is still served"


@pytest.mark.slow
def test_a_sweep_on_slurm_is_watched_without_a_word_to_the_queue(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = lying_slurm.install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    told = overrides(tmp_path, text_folder, "launcher=slurm", "launcher.memory=1000M", ON_CPU)
    main(["sweep", *told])
    folder = tmp_path / "runs" / "small"
    before, jobs = everything(folder), lying_slurm.jobs(tmp_path / "slurm")
    (array,) = (number for number, job in jobs.items() if "array-" in job["command"])
    with watched(*told) as page:
        state = page.state()
        assert state["counts"] == {"queued": 6}
        assert all(f"job {array}_" in run["detail"] for run in state["runs"])
        assert any("continues after them" in line for line in state["lines"])
        lying_slurm.lie(tmp_path / "slurm", "down")
    assert everything(folder) == before
    with watched(*told) as page:
        state = page.state()
        assert any("the queue is not known" in one or "did not answer" in one for one in state["warnings"])
        assert "<html" in page.get("/")
    assert everything(folder) == before
    assert lying_slurm.jobs(tmp_path / "slurm") == jobs


@needs_browser
@pytest.mark.slow
def test_an_open_page_follows_without_being_loaded_again(planned: SweepFolder, tmp_path: Path) -> None:
    finish(planned, slice(0, 2))
    with watched(*named(planned)) as page:
        command = [
            *(str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--timeout=20000", "--virtual-time-budget=20000"),
            f"http://127.0.0.1:{page.port}/",
        ]
        assert 'id="live-time">when this page was loaded<' in page.get("/")
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert 'id="live-time">when this page was loaded<' not in done.stdout, "the script was answered"
    assert "2 of 10 runs have ended" in done.stdout
    assert "<title>(2/10) small</title>" in done.stdout
