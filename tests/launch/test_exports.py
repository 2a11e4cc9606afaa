"""``train.export=best`` in real sweeps: what is kept after a whole one, a killed one, array tasks and single runs."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from harness.cli import main
from harness.launch import pool
from harness.launch.ledger import write_task
from harness.launch.slurm.task import run_task
from harness.runs import models
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.table import records
from tests.train.small import overrides, small_jobs
from tests.workers import FORKED, forked

BEST = "train.export=best"


def kept(folder: Path) -> set[str]:
    return {path.parent.name for path in (folder / "runs" / "small" / "cells").glob("*/model")}


def best(folder: Path) -> set[str]:
    """The runs of the lowest losses at each budget of the frozen plan, all of whose runs have ended."""
    sweep = SweepFolder(folder / "runs" / "small")
    plan = frozen_plan(sweep)
    losses = {run_id: record.loss for run_id, record in records(sweep, plan).items()}
    budgets = {cell.budget for cell in plan.cells}
    columns = [[cell.run_id for cell in plan.cells if cell.budget == budget] for budget in budgets]
    assert all(len(column) > 2 for column in columns)
    return {min(column, key=lambda run_id: losses[run_id]) for column in columns}


def every(folder: Path) -> set[str]:
    return {cell.run_id for cell in frozen_plan(SweepFolder(folder / "runs" / "small")).cells}


def test_a_sweep_keeps_the_best_model_of_each_budget_whatever_stands_beside_it(
    tmp_path: Path, text_folder: Path
) -> None:
    followup = ("followup.seeds=[1]", "followup.rates=[0.9]", "launcher.workers=2")
    main(["sweep", *overrides(tmp_path, text_folder, BEST, *followup)])
    assert kept(tmp_path) == best(tmp_path)
    assert len(best(tmp_path)) == 2
    assert len(every(tmp_path)) == 8, "three sizes and a replicate at each budget"
    trained = {path.parent.name for path in tmp_path.glob("runs/small/cells/*/record.json")}
    assert len(trained - every(tmp_path)) == 2, "and an ablation, which leaves none"
    for run_id in kept(tmp_path):
        AutoModelForCausalLM.from_pretrained(tmp_path / "runs" / "small" / "cells" / run_id / "model")


def _killed(arguments: Sequence[str]) -> None:
    """A sweep that is killed as it is about to remove its first model."""
    pool.multiprocessing = FORKED  # type: ignore[assignment]
    models.remove = lambda path: os.kill(os.getpid(), signal.SIGKILL)
    main(arguments)


def test_a_kill_between_record_and_removal_loses_no_model_and_the_next_sweep_tidies(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["sweep", *overrides(tmp_path, text_folder, BEST, "launcher.workers=1")]
    process = forked(_killed, told)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    ended = {path.parent.name for path in tmp_path.glob("runs/small/cells/*/record.json")}
    assert kept(tmp_path) >= ended
    assert len(ended) >= 3, "a budget was complete"
    main(told)
    assert kept(tmp_path) == best(tmp_path)


def test_a_sweep_that_has_nothing_to_train_tidies(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["sweep", *overrides(tmp_path, text_folder, "train.export=True", "launcher.workers=2")])
    assert kept(tmp_path) == every(tmp_path), "all are kept"
    for export in ("none", "all"):
        main(["sweep", *overrides(tmp_path, text_folder, f"train.export={export}")])
        assert kept(tmp_path) == every(tmp_path), "and stay"
    main(["sweep", *overrides(tmp_path, text_folder, BEST)])
    assert "nothing to train" in capsys.readouterr().out
    assert kept(tmp_path) == best(tmp_path)


def _task(folder: Path, index: int) -> None:
    pool.multiprocessing = FORKED  # type: ignore[assignment]
    raise SystemExit(run_task(folder, index))


def test_array_tasks_that_end_together_keep_the_best(tmp_path: Path, text_folder: Path) -> None:
    jobs = small_jobs(tmp_path, text_folder, BEST)[1]
    submission = tmp_path / "runs" / "small" / "slurm" / "0001"
    for index in range(2):  # each has runs of every budget
        write_task(submission, index, jobs[index::2], {"workers": 1})
    processes = [forked(_task, submission, index) for index in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert kept(tmp_path) == best(tmp_path)
    assert len(best(tmp_path)) == 2


def test_an_array_task_that_runs_again_removes_what_it_could_not(tmp_path: Path, text_folder: Path) -> None:
    jobs = small_jobs(tmp_path, text_folder, BEST)[1]
    submission = tmp_path / "runs" / "small" / "slurm" / "0001"
    write_task(submission, 0, jobs, {"workers": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.launch.exports.remove_superseded", lambda folder: [])
        assert run_task(submission, 0) == 0
    assert kept(tmp_path) == every(tmp_path)
    assert run_task(submission, 0) == 0
    assert kept(tmp_path) == best(tmp_path)


def test_single_runs_keep_all_until_the_last_of_a_budget(tmp_path: Path, text_folder: Path) -> None:
    told = overrides(tmp_path, text_folder, BEST, "grid.budgets=[2e8]")
    ids = [job.cell.run_id for job in small_jobs(tmp_path, text_folder, BEST, "grid.budgets=[2e8]")[1]]
    for number, run_id in enumerate(ids[:-1], start=1):
        main(["train", *told, f"run={run_id}"])
        assert kept(tmp_path) == set(ids[:number])
    main(["train", *told, f"run={ids[-1]}"])
    assert kept(tmp_path) == best(tmp_path)
    assert len(kept(tmp_path)) == 1


def test_the_pool_removes_as_soon_as_a_budget_is_complete(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another still to train, which fails: that one keeps all of its own."""
    broken = small_jobs(tmp_path, text_folder, BEST)[1][-1].cell
    path = tmp_path / "runs" / "small" / "cells" / broken.run_id
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file where its folder belongs")
    monkeypatch.setattr("harness.workflow.training.remove_superseded", lambda folder: [])
    with pytest.raises(SystemExit):
        main(["sweep", *overrides(tmp_path, text_folder, BEST, "launcher.workers=2")])
    sweep = SweepFolder(tmp_path / "runs" / "small")
    own = {cell.run_id for cell in frozen_plan(sweep).cells if cell.budget == broken.budget}
    assert len(kept(tmp_path) - own) == 1, "the complete budget has its best"
    assert kept(tmp_path) & own == own - {broken.run_id}, "the other has all that were trained"
