"""The page of a sweep on a real Slurm: what the queue knows is there, and nothing is asked of the jobs or written."""

from pathlib import Path

import pytest

from tests.commands.test_watch import watched
from tests.launch.slurm.sweeps import SLURM, Sweep, call, wait_for
from tests.launch.slurm.test_cluster import LONG
from tests.train.small import overrides

pytestmark = pytest.mark.slow


def test_a_page_follows_a_sweep_on_the_cluster_to_its_end(
    cluster: Path, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_by_one = ("launcher.task_minutes=0.01", "launcher.throttle=1", "launcher.report=false")
    told = overrides(tmp_path, text_folder, *LONG, *SLURM, *one_by_one)
    sweep = Sweep(tmp_path, told, capsys)
    sweep.isoflop("sweep")
    call("scontrol", "hold", f"{sweep.last.job}_1")  # it waits for the first
    ledger = {path: path.read_bytes() for path in (sweep.path / "slurm").glob("*.json")}
    assert ledger
    with watched(*told) as page:
        page.until(lambda now: any("(training)" in run["loss"] for run in now["runs"]))
        state = page.until(lambda now: now["counts"] == {"finished": 1, "queued": 1})
        waiting = next(run for run in state["runs"] if run["state"] == "queued")
        assert f"job {sweep.last.job}_1" in waiting["detail"]

        call("scancel", f"{sweep.last.job}_1")  # by somebody else, while the page is open
        end = page.until(lambda now: now["counts"] == {"finished": 1, "cancelled": 1})
        assert not end["complete"]
        assert "1 of 2 runs has ended" in end["summary"]
        assert {path: path.read_bytes() for path in ledger} == ledger

        sweep.isoflop("sweep")
        wait_for("the second is trained", lambda: sweep.state(0).running or not sweep.state(0).waiting)
        end = page.until(lambda now: now["complete"])
        assert end["counts"] == {"finished": 2}
        assert end["summary"].endswith("the sweep is complete")
        assert end["warnings"] == []
