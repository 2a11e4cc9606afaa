"""An active design trained to its end: stopped, damaged, gone on with, and never spending more or training twice."""

import json
from pathlib import Path

import pytest

from harness.plan.plan import Plan
from harness.runs.files import read_json
from tests.commands.test_sweep import isoflop
from tests.train.small import overrides

ACTIVE = (
    "name=active",
    "design=active",
    "design.rounds=3",
    "spend=7e9",
    "grid.budgets=[2e8,5e8]",
    "grid.span=4",
    "analysis.draws=60",
    "analysis.backtest=false",
)


def runs_of(folder: Path) -> dict[str, float]:
    found = {}
    for path in (folder / "runs/active/cells").glob("*/record.json"):
        found[path.parent.name] = path.stat().st_mtime_ns
    return found


def spent(folder: Path) -> float:
    return sum(
        json.loads(path.read_text())["flops"] for path in (folder / "runs/active/cells").glob("*/record.json")
    )


@pytest.mark.slow
def test_rounds_are_trained_within_the_spend_kept_and_gone_on_with(tmp_path: Path, text_folder: Path) -> None:
    given = overrides(tmp_path, text_folder, *ACTIVE)
    done = isoflop("sweep", *given)
    assert done.returncode == 0, done.stderr
    assert "no further round" in done.stdout
    first = runs_of(tmp_path)
    assert len(first) > 9
    assert spent(tmp_path) <= 7e9 * 1.001
    rounds = json.loads((tmp_path / "runs/active/rounds.json").read_text())["rounds"]
    planned = read_json(tmp_path / "runs/active/plan.json", "", Plan.from_json)
    assert {cell["run_id"] for one in rounds for cell in one["cells"]} == {
        cell.run_id for cell in planned.cells
    }
    assert all(reason for one in rounds for reason in one["reasons"])

    again = isoflop("sweep", *given)
    assert again.returncode == 0
    assert runs_of(tmp_path) == first  # nothing twice, nothing more

    (tmp_path / "runs/active/rounds.json").write_text("{ half")  # the reasons are lost, the runs are not
    damaged = isoflop("sweep", *given, "design.rounds=1")
    assert damaged.returncode == 0, damaged.stderr
    assert "rounds.json" in damaged.stdout
    assert runs_of(tmp_path).items() >= first.items()
    assert spent(tmp_path) <= 7e9 * 1.001

    more = isoflop(
        "sweep", *[one for one in given if not one.startswith("spend")], "spend=9e9", "design.rounds=9"
    )
    assert more.returncode == 0, more.stderr
    assert runs_of(tmp_path).items() >= first.items()
    assert spent(tmp_path) <= 9e9 * 1.001

    told = isoflop("next", *given, "spend=1e9")
    assert told.returncode == 0, told.stderr
    assert "approach 3" in told.stdout
    said = ("near the optimum", "no law", "no run is proposed: the ladder has no further size")
    assert sum(one in told.stdout for one in said) == 1, told.stdout
    answer = json.loads(isoflop("next", *given, "spend=1e9", "--json").stdout)
    assert set(answer["now"]) == {"approach_2", "approach_3"}
    assert sum(run["cost"] for run in answer["runs"]) <= 1e9
    status = isoflop("status", *given)
    assert "pending" not in status.stdout


@pytest.mark.slow
def test_a_grid_that_was_trained_is_where_an_active_design_begins(tmp_path: Path, text_folder: Path) -> None:
    """Its runs are counted, none of them again."""
    grid = overrides(
        tmp_path, text_folder, "name=active", "grid.budgets=[2e8,5e8]", "grid.sizes=5", "grid.span=4"
    )
    assert isoflop("sweep", *grid).returncode == 0
    before = runs_of(tmp_path)
    done = isoflop("sweep", *grid, "design=active", "spend=5e9", "design.rounds=1", "analysis.draws=60")
    assert done.returncode == 0, done.stderr
    assert runs_of(tmp_path).items() >= before.items()
    assert len(runs_of(tmp_path)) > len(before), done.stdout
    assert spent(tmp_path) <= 5e9 * 1.001


def test_a_plan_of_an_active_design_shows_its_first_runs(tmp_path: Path, text_folder: Path) -> None:
    planned = isoflop("plan", *overrides(tmp_path, text_folder, *ACTIVE))
    assert planned.returncode == 0, planned.stderr
    assert "9 cells" in planned.stdout
    assert not runs_of(tmp_path)


@pytest.mark.parametrize(
    ("more", "message"),
    [((), "spend"), (("spend=1e9", "gpu_hours=1"), "give one of them"), (("spend=-1",), "spend")],
)
def test_next_without_what_it_needs_is_one_line(
    tmp_path: Path, text_folder: Path, more: tuple[str, ...], message: str
) -> None:
    assert isoflop("plan", *overrides(tmp_path, text_folder)).returncode == 0
    asked = isoflop("next", *overrides(tmp_path, text_folder, *more))
    assert asked.returncode == 2
    assert message in asked.stderr
    assert asked.stderr.count("\n") == 1


def test_next_of_a_sweep_without_runs_is_one_line(tmp_path: Path, text_folder: Path) -> None:
    assert isoflop("plan", *overrides(tmp_path, text_folder)).returncode == 0
    asked = isoflop("next", *overrides(tmp_path, text_folder, "spend=1e9"))
    assert (asked.returncode, asked.stderr.count("\n")) == (2, 1)
    assert "no run" in asked.stderr


def test_next_of_anyones_table(tmp_path: Path) -> None:
    asked = isoflop("next", "points=results/cpu_frontier/runs.csv", "spend=1e13", "analysis.draws=60")
    assert asked.returncode == 0, asked.stderr
    assert "near the optimum" in asked.stdout
    refused = isoflop("next", "points=results/cpu_frontier/runs.csv", "gpu_hours=1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    few = tmp_path / "few.csv"
    few.write_text("params,tokens,loss\n1e6,2e7,3.1\n2e6,4e7,2.9\n4e6,8e7,2.8\n")
    short = isoflop("next", f"points={few}", "spend=1e13")
    assert (short.returncode, short.stderr.count("\n")) == (2, 1)
    assert "no law with an optimum can be fitted to 3 runs" in short.stderr
