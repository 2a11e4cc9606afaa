"""A gate from its plan to its verdict, on tiny models: registered, trained, judged, and refused once it was altered."""

import json
from pathlib import Path

import pytest

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.fit import load_fit
from harness.plan.grid import seeds_at
from harness.runs.registered import read_registered, register
from harness.workflow.gate import _grid
from tests.commands.test_sweep import isoflop
from tests.compare.test_gate import plan
from tests.train.small import overrides

ARMS = (
    "name=small",
    "+arms.plain=[]",
    "+arms.slow=['recipe.lr.value=0.00002']",
    "gate=true",
    "fit=runs/base",
    "analysis.draws=30",
)


def base_fit(folder: Path) -> str:
    """A fit of a law to made-up runs about the gate's budgets: what a plan takes of it is its slope and its sizes."""
    rows = ["params,tokens,flops,loss,budget"]
    for budget in (2e8, 5e8, 1.2e9):
        for size in (0.35, 0.6, 1.0, 1.7, 2.9):
            n = 7000 * size * (budget / 5e8) ** 0.5
            d = budget / 6 / n
            wobble = 1 + 0.004 * ((len(rows) * 7) % 5 - 2)
            rows.append(f"{n},{d},{budget},{(1.5 + 60 * n**-0.4 + 60 * d**-0.4) * wobble},{budget}")
    table = folder / "table.csv"
    table.write_text("\n".join(rows) + "\n")
    made = isoflop(
        "fit", f"points={table}", f"out={folder}/base", "analysis.draws=30", "analysis.backtest=false"
    )
    assert made.returncode == 0, made.stderr
    return f"fit={folder}/base"


@pytest.mark.slow
def test_a_gate_is_planned_registered_trained_and_judged(tmp_path: Path, text_folder: Path) -> None:
    given = [
        *overrides(tmp_path, text_folder, *(one for one in ARMS if not one.startswith("fit="))),
        base_fit(tmp_path),
        "speedup=1.5",
    ]
    done = isoflop("compare", *given)
    assert done.returncode == 1, done.stderr + done.stdout  # an arm that hardly learns saves nothing
    assert "one-sided" in done.stdout
    folder = tmp_path / "runs/small-gate"
    plan = json.loads((folder / "gate-1.json").read_text())
    (verdict,) = json.loads((folder / "gate-result-1.json").read_text())["verdicts"]
    assert verdict["verdict"] == "failed"
    assert verdict["upper"] < 1.5
    assert plan["power"] >= 0.8
    records = {
        name: list((tmp_path / f"runs/small-gate-{name}/cells").glob("*/record.json"))
        for name in ("plain", "slow")
    }
    assert len(records["plain"]) == len(records["slow"]) == 2 * plan["sizes"] * plan["seeds"]
    times = {path: path.stat().st_mtime_ns for paths in records.values() for path in paths}

    again = isoflop("compare", *given)
    assert again.returncode == 1
    assert {path: path.stat().st_mtime_ns for path in times} == times

    told = isoflop("compare", *given, "look=2")
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "look 1 has told" in told.stderr
    other = isoflop("compare", *[one for one in given if not one.startswith("speedup")], "speedup=2")
    assert other.returncode == 2
    assert "was registered as" in other.stderr

    changed = isoflop("compare", *[one.replace("0.00002", "0.00003") for one in given])
    assert changed.returncode == 2, "another change is another gate: it was not what was registered"
    assert "runs.slow" in changed.stderr
    assert {path: path.stat().st_mtime_ns for path in times} == times

    registered = folder / "gate-1.json"
    registered.write_text(registered.read_text().replace('"level": 0.05', '"level": 0.5'))
    altered = isoflop("compare", *given)
    assert (altered.returncode, altered.stderr.count("\n")) == (2, 1)
    assert "altered after it was registered" in altered.stderr


def test_a_gate_without_a_fit_is_one_line(tmp_path: Path, text_folder: Path) -> None:
    asked = isoflop(
        "compare", *overrides(tmp_path, text_folder, *(one for one in ARMS if not one.startswith("fit=")))
    )
    assert (asked.returncode, asked.stderr.count("\n")) == (2, 1)
    assert "fit=runs/NAME" in asked.stderr


def test_what_is_judged_or_goes_on_reads_no_altered_registration(tmp_path: Path) -> None:
    path, hash_path = tmp_path / "gate-1.json", tmp_path / "gate-1.sha256"
    register(path, hash_path, {"alpha": 0.025}, False, "begin again", dict)
    assert read_registered(path, hash_path, "begin again", dict) == {"alpha": 0.025}
    path.write_text(path.read_text().replace("0.025", "0.4"))
    with pytest.raises(UserError, match="altered after it was registered"):
        read_registered(path, hash_path, "begin again", dict)
    hash_path.unlink()
    with pytest.raises(UserError, match="gone"):
        read_registered(path, hash_path, "begin again", dict)


def test_a_gate_has_its_own_seeds_whatever_the_experiment_gives_its_budgets() -> None:
    asked = plan(noise=0.06, speedup=1.2)
    frontier = load_fit(Path(__file__).resolve().parents[2] / "results" / "demo").approach_2
    grid = compose_config(["experiment=cpu_frontier", *_grid(asked, frontier)])[0].grid
    for budget in asked.budgets:
        assert seeds_at(grid, budget, grid.sizes) == [list(range(asked.seeds))] * grid.sizes
