"""Runs that are chosen as they come, and gates, on a fake Slurm: each stage by the dependent job of the one before."""

import json
import zlib
from pathlib import Path

import pytest

from harness.cli import main
from harness.commands import fit, report
from harness.plan.cell import Cell
from harness.runs.record import Record
from tests.device import ON_CPU
from tests.launch.slurm import fake_slurm
from tests.launch.slurm.fake_slurm import FakeSlurm, slurm
from tests.launch.slurm.test_stages import ledger
from tests.records import fake_record
from tests.train.small import overrides
from tests.workflow.test_gate import base_fit

__all__ = ["slurm"]

SLURM = ("launcher=slurm", "analysis.draws=20", ON_CPU)


def law(cell: Cell, factor: float = 1.0) -> float:
    """A loss with an optimum, as if ``factor`` times the compute were there, and a little noise by the run's id."""
    n, d = cell.params.total, cell.tokens
    noise = zlib.crc32(cell.run_id.encode()) / 2**32 - 0.5
    return float((1.5 + (60 * n**-0.4 + 60 * d**-0.4) * factor**-0.2) * (1 + 0.004 * noise))


def test_an_active_design_submits_each_round_from_the_dependent_job_of_the_one_before(
    slurm: FakeSlurm,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    monkeypatch.setattr(fit, "run", lambda asked: made.append("fit"))
    monkeypatch.setattr(report, "run", lambda asked: made.append("report"))

    def record(cell: Cell, loss: float) -> Record:
        return fake_record(cell, law(cell))

    monkeypatch.setattr(fake_slurm, "fake_record", record)
    grid = ("name=active", "grid.budgets=[2e8,5e8,1.2e9]", "grid.span=6", "design=active", "spend=2e10")
    told = overrides(tmp_path, text_folder, *SLURM, *grid, "design.rounds=3")
    main(["reproduce", *told])
    main(["reproduce", *told])
    assert list(slurm.scripts) == ["1", "2"], "nothing is submitted twice"
    assert not made
    slurm.drain()
    rounds = json.loads((tmp_path / "runs/active/rounds.json").read_text())["rounds"]
    assert [len(one.run_ids) for one in ledger(tmp_path, "active")] == [len(one["cells"]) for one in rounds]
    assert len(rounds) > 1
    plan = json.loads((tmp_path / "runs/active/plan.json").read_text())
    assert sum(cell["flops"] for cell in plan["cells"]) <= 2e10 * 1.001
    assert made == ["fit", "report"]
    before = len(slurm.scripts)
    main(["reproduce", *told])
    assert len(slurm.scripts) == before
    capsys.readouterr()
    main(["status", *told])
    assert f"{len(plan['cells'])} ✔ finished" in capsys.readouterr().out


def test_a_gate_is_judged_by_the_job_that_depends_on_its_arms(
    slurm: FakeSlurm,
    tmp_path: Path,
    text_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = base_fit(tmp_path)
    monkeypatch.setattr(fit, "run", lambda asked: None)
    monkeypatch.setattr(report, "run", lambda asked: None)

    def record(cell: Cell, loss: float) -> Record:
        better = cell.spec.optimizer.weight_decay == 0.05
        return fake_record(cell, law(cell, 2.0 if better else 1.0))

    monkeypatch.setattr(fake_slurm, "fake_record", record)
    arms = ("+arms.plain=[]", "+arms.better=['recipe.weight_decay.value=0.05']", "gate=true", "speedup=1.6")
    told = [*overrides(tmp_path, text_folder, *SLURM, "grid.budgets=[2e8,5e8]", *arms), known]
    main(["compare", *told])
    submitted = len(slurm.scripts)
    main(["compare", *told])
    assert len(slurm.scripts) == submitted, "nothing is submitted twice"
    slurm.drain()
    folder = tmp_path / "runs/small-gate"
    (verdict,) = json.loads((folder / "gate-result-1.json").read_text())["verdicts"]
    assert (verdict["arm"], verdict["verdict"]) == ("better", "passed")
    assert 1.3 < verdict["ratio"] < 3
    assert "passed" in capsys.readouterr().out
