"""One stage after the other, each by a dependent job, on a fake Slurm: nothing twice or lost, nothing for ever."""

import csv
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import main
from harness.commands import fit, report, reproduce
from harness.commands.invocation import Invocation
from harness.launch.launcher import Outcome
from harness.launch.ledger import Ledger
from harness.launch.slurm import client
from harness.launch.submission import Submission
from harness.plan.cell import Cell
from harness.runs.ablations import read_ablations
from harness.runs.files import SweepFolder
from harness.runs.record import Record
from harness.workflow.training import submitted_config
from tests.device import ON_CPU
from tests.launch.slurm import fake_slurm
from tests.launch.slurm.fake_slurm import FakeSlurm, slurm
from tests.records import fake_record
from tests.train.small import overrides

__all__ = ["slurm"]

SLURM = ("launcher=slurm", "grid.budgets=[2e8]", "analysis.draws=20", ON_CPU)  # no GPU is asked for
FOLLOWUP = ("followup.seeds=[1]", "followup.rates=[0.5]", "followup.horizons=[2]")


@pytest.fixture
def told(tmp_path: Path, text_folder: Path) -> list[str]:
    """Overrides of the tiny experiment on Slurm, with one of each follow-up."""
    return overrides(tmp_path, text_folder, *SLURM, *FOLLOWUP)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was fitted and reported, in place of doing it."""
    calls: list[str] = []
    monkeypatch.setattr(fit, "run", lambda asked: calls.append(f"fit {asked.config.name}"))
    monkeypatch.setattr(report, "run", lambda asked: calls.append(f"report {asked.config.name}"))
    return calls


def ledger(folder: Path, name: str = "small") -> list[Submission]:
    return Ledger(folder / "runs" / name / "slurm").read()


def test_follow_ups_come_after_the_grid_and_the_fit_after_them(
    slurm: FakeSlurm,
    made: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["reproduce", *told])
    main(["reproduce", *told])
    assert "0 to submit\njob 2 continues" in capsys.readouterr().out
    assert list(slurm.scripts) == ["1", "2"], "nothing is submitted twice"
    slurm.step()
    slurm.step()
    assert made == []
    grid, later = ledger(tmp_path)
    assert len(grid.run_ids) == 3
    assert len(later.run_ids) == 3, "a seed, a rate, a horizon"
    main(["status", *told])
    shown = capsys.readouterr().out
    assert shown.count("(ablation)") == 2
    assert "dependent job 4 continues after them: pending" in shown

    assert slurm.drain() == [0]
    assert made == ["fit small", "report small"]
    folder = SweepFolder(tmp_path / "runs" / "small")
    assert {(one.changed, one.factor) for one in read_ablations(folder.ablations)} == {
        ("rates", 0.5),
        ("horizons", 2.0),
    }
    with folder.table.open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["0", "0", "0", "1"]
    main(["reproduce", *told])
    assert made == ["fit small", "report small"] * 2, "what is left is done here"
    assert len(slurm.scripts) == 4


def test_a_cell_that_failed_is_left_to_the_user(
    slurm: FakeSlurm,
    made: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slurm.fails = lambda cell: cell.spec.shape.width == 8
    main(["reproduce", *told])
    assert slurm.drain() == [1]
    assert "1 of 3 cells is missing" in capsys.readouterr().out
    assert made == ["fit small", "report small"], "of what there is"
    assert len(slurm.scripts) == 2

    # by hand: first the cell, then, with a replicate and an ablation that fail, the follow-ups
    slurm.fails = lambda cell: cell.spec.seed == 1 or cell.spec.schedule.steps > cell.spec.steps
    main(["reproduce", *told])
    assert [len(one.run_ids) for one in ledger(tmp_path)] == [3, 1]
    assert slurm.drain() == [0, 1]
    assert [len(one.run_ids) for one in ledger(tmp_path)] == [3, 1, 3]
    assert len(read_ablations(tmp_path / "runs" / "small" / "controls.json")) == 1
    slurm.fails = lambda cell: False
    main(["reproduce", *told])
    assert len(ledger(tmp_path)[-1].run_ids) == 2, "both at once"
    assert slurm.drain() == [0]


def test_a_cluster_that_takes_no_jobs_from_jobs_loses_nothing(
    slurm: FakeSlurm,
    made: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["reproduce", *told])
    slurm.refuses = True
    assert slurm.drain() == [1]
    said = capsys.readouterr().out
    assert "3 cells are not submitted: sbatch: Access denied; run the same command again by hand" in said
    assert made == ["fit small", "report small"], "the grid is fitted as it was without follow-ups"
    slurm.refuses = False
    main(["reproduce", *told])
    assert slurm.drain() == [0]
    assert len(read_ablations(tmp_path / "runs" / "small" / "controls.json")) == 2


def test_the_newest_submission_waits_for_all_and_goes_on_alone(
    slurm: FakeSlurm,
    made: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["reproduce", *told])
    main(["reproduce", *told, "grid.budgets=[2e8,5e8]"])
    assert slurm.waits_for("4") == {"1", "2", "3"}
    plan = (tmp_path / "runs" / "small" / "plan.json").read_text()
    slurm.step()
    assert slurm.step() == "2"
    assert "submission 0002 is newer: job 4 continues" in capsys.readouterr().out
    assert (tmp_path / "runs" / "small" / "plan.json").read_text() == plan, "an older plan does not come back"
    assert slurm.drain() == [0, 0]
    assert [len(one.run_ids) for one in ledger(tmp_path)] == [3, 3, 6]


def test_who_is_faster_than_the_dependent_job_takes_its_place(
    slurm: FakeSlurm,
    made: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["reproduce", *told])
    slurm.step()
    main(["reproduce", *told])
    assert slurm.waits_for("4") == {"2", "3"}
    config, yaml = submitted_config(tmp_path / "runs" / "small" / "slurm" / "0001")
    capsys.readouterr()
    # as if it ran already when the follow-ups were submitted by hand
    assert reproduce.run(Invocation(config, yaml, Console(), submission="0001")) is Outcome.QUEUED
    assert "submission 0002 is newer: job 4 continues" in capsys.readouterr().out
    assert slurm.drain() == [0, 0]
    assert made == ["fit small", "report small"]
    assert len(slurm.scripts) == 4


def test_without_a_dependent_job_the_user_continues(
    slurm: FakeSlurm,
    made: list[str],
    told: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = [*told, "launcher.report=false"]
    main(["reproduce", *told])
    main(["reproduce", *told])
    assert "run the same command again when they have ended" in capsys.readouterr().out
    assert slurm.drain() == []
    main(["reproduce", *told])
    assert slurm.drain() == []
    assert made == []
    main(["reproduce", *told])
    assert made == ["fit small", "report small"]
    assert len(slurm.scripts) == 2


def test_the_text_may_be_gone_when_the_dependent_job_runs(
    slurm: FakeSlurm, made: list[str], tmp_path: Path
) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for i in range(40):
        (text / f"{i}.txt").write_text(f"{i}: words and words. " * 100)
    main(["reproduce", *overrides(tmp_path, text, *SLURM, "followup.seeds=[1]")])
    for path in text.iterdir():
        path.unlink()
    assert slurm.drain() == [0, 0]
    assert made == ["fit small", "report small"]


def test_a_comparison_waits_for_its_arms_and_for_what_comes_after_them(
    slurm: FakeSlurm, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = ("+arms.cut=['schedule.horizon=4','followup.seeds=[1]']", "+arms.whole=[]")
    told = overrides(tmp_path, text_folder, *SLURM, *arms)
    main(["compare", *told])
    assert slurm.waits_for("5") == {"1", "2", "3", "4"}
    main(["compare", *told])
    assert "job 5 compares when the arms have ended" in capsys.readouterr().out
    assert len(slurm.scripts) == 5, "nothing is submitted twice"
    main(["status", *told])
    shown = capsys.readouterr().out
    assert "small-cut\n" in shown
    assert "small-whole\n" in shown
    assert shown.count("3 … queued") == 2
    assert "dependent job 5 continues after them" in shown

    assert slurm.drain() == [0, 0, 0, 0, 0]
    assert len(slurm.scripts) == 8, "a follow-up, its dependent job, another comparison"
    assert slurm.waits_for("8") == {"6", "7"}
    found = json.loads((tmp_path / "runs" / "small" / "compare.json").read_text())
    assert [(arm["name"], arm["runs"]) for arm in found["arms"]] == [("cut", 4), ("whole", 3)]
    main(["compare", *told])
    assert len(slurm.scripts) == 8


def test_a_comparison_of_an_incomplete_arm_is_none(
    slurm: FakeSlurm,
    made: list[str],
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arms = ("+arms.cut=['schedule.horizon=4']", "+arms.whole=[]")
    told = overrides(tmp_path, text_folder, *SLURM, *arms)
    slurm.fails = lambda cell: cell.spec.schedule.steps > cell.spec.steps and cell.spec.shape.width == 8
    main(["compare", *told])
    assert slurm.drain() == [1, 0, 1]
    assert "not compared: cells are missing in cut" in capsys.readouterr().out
    assert len(slurm.scripts) == 5
    assert not (tmp_path / "runs" / "small" / "compare.json").exists()


def test_a_tuning_with_holes_gives_no_recipe(
    slurm: FakeSlurm,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tune = ("tune.params=[7000]", "tune.rates=[0.5,1,2,4]", "tune.batches=[1]", "tune.tokens_per_param=2")
    experiment = overrides(tmp_path, text_folder, *SLURM)
    told = [*experiment, *tune, "tune.min_steps=5", "write=mine"]
    cells: list[str] = []
    slurm.fails = lambda cell: not cells and not cells.append(cell.run_id)  # type: ignore[func-returns-value]
    main(["tune", *told])
    assert slurm.drain() == [1]
    assert "1 of 4 cells is missing" in capsys.readouterr().out
    assert not (tmp_path / "configs").exists()
    main(["status", *experiment, "name=small-tune"])
    assert "3 ✔ finished" in capsys.readouterr().out
    assert len(ledger(tmp_path, "small-tune")) == 1


def test_a_tuning_in_rounds_submits_each_round_from_the_dependent_job_of_the_one_before(
    slurm: FakeSlurm,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tune = ("tune=sequential", "tune.axes=[rate,embedding]", "tune.params=[4000,7000]", "tune.horizons=[1]")
    more = (
        "tune.tokens_per_param=2",
        "tune.min_steps=5",
        "tune.rounds=3",
        "tune.tolerance=0",
        "tune.draws=100",
    )
    told = [*overrides(tmp_path, text_folder, *SLURM), *tune, *more, "write=mine"]

    def record(cell: Cell, loss: float) -> Record:
        """With a minimum over the two learning rates, and a loss that is the last digits of the run's id apart."""
        rate, embedding = math.log(cell.spec.optimizer.lr / 0.03), math.log(cell.spec.groups.embedding.lr / 2)
        noise = 0.01 * (int(cell.run_id[-3:], 16) / 4096 - 0.5)
        return fake_record(cell, loss + 0.1 * rate**2 + 0.05 * embedding**2 + noise)

    monkeypatch.setattr(fake_slurm, "fake_record", record)
    main(["tune", *told])
    main(["tune", *told])
    assert list(slurm.scripts) == ["1", "2"], "nothing is submitted twice"
    assert not (tmp_path / "configs").exists()
    assert slurm.drain() == [0, 0, 0]
    rounds = [len(one.run_ids) for one in ledger(tmp_path, "small-tune")]
    tuned = json.loads((tmp_path / "runs" / "small-tune" / "tune.json").read_text())
    assert rounds == tuned["rounds"]
    assert len(rounds) == 3
    assert "name: mine" in (tmp_path / "configs" / "recipe" / "mine.yaml").read_text()
    main(["tune", *told])
    assert len(slurm.scripts) == 6
    capsys.readouterr()
    main(["status", *overrides(tmp_path, text_folder, *SLURM), "name=small-tune"])
    assert f"{sum(rounds)} ✔ finished" in capsys.readouterr().out


def test_cancel_takes_the_dependent_jobs_first_and_those_of_the_arms(
    slurm: FakeSlurm,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancelled: list[str] = []
    monkeypatch.setattr(client, "cancel", cancelled.extend)
    told = overrides(tmp_path, text_folder, *SLURM, "+arms.cut=['schedule.horizon=4']", "+arms.whole=[]")
    main(["compare", *told])
    main(["cancel", *told])
    assert cancelled == ["5", "2", "1", "4", "3"]


def test_an_arm_whose_ledger_is_broken_keeps_no_other_from_being_cancelled(
    slurm: FakeSlurm,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancelled: list[str] = []
    monkeypatch.setattr(client, "cancel", cancelled.extend)
    told = overrides(tmp_path, text_folder, *SLURM, "+arms.cut=['schedule.horizon=4']", "+arms.whole=[]")
    main(["compare", *told])
    (tmp_path / "runs" / "small-cut" / "slurm" / "submitted.json").write_text("null")
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["cancel", *told])
    assert cancelled == ["5", "4", "3"]
    said = capsys.readouterr()
    assert "cancelled: 5, 3, 4" in said.out
    assert "small-cut/slurm/submitted.json: not what was written" in said.err
    assert said.err.count("\n") == 1
