"""Which exported models go: never the best of a budget, nothing while a run is missing, whoever looks and whenever."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan.cell import Cell
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze
from harness.runs.models import remove_superseded, superseded
from harness.runs.record import FAILED, Record
from tests.plan.test_plan import plan
from tests.records import fake_record

FIRST = plan().cells[0]
BUDGETS = (1e11, 3e11, 1e12)


def cell(budget: float, seed: int) -> Cell:
    """A run by its seed; the same one may stand at several budgets."""
    return replace(FIRST, budget=budget, spec=replace(FIRST.spec, seed=seed))


def record(of: Cell, outcome: float | str) -> Record:
    """Finished at a loss, diverged, or failed."""
    if outcome == FAILED:
        return replace(fake_record(of, 0.0, diverged=True), status=FAILED)
    return fake_record(of, 0.0, diverged=True) if isinstance(outcome, str) else fake_record(of, outcome)


LOSSES = st.sampled_from([2.0, 2.5, 2.5, 3.0, 4.0])
OUTCOMES = st.one_of(LOSSES, LOSSES, LOSSES, st.sampled_from(["diverged", FAILED, "missing"]))
CELLS = st.lists(st.tuples(st.sampled_from(BUDGETS), st.integers(0, 7)), min_size=1, max_size=12, unique=True)


@given(CELLS, st.data())
def test_of_each_complete_budget_the_best_alone_is_kept(
    named: list[tuple[float, int]], data: st.DataObject
) -> None:
    cells = [cell(*name) for name in named]
    runs = {one.run_id: one for one in cells}
    outcomes = {run_id: data.draw(OUTCOMES) for run_id in sorted(runs)}
    found = {
        run_id: record(runs[run_id], outcome) for run_id, outcome in outcomes.items() if outcome != "missing"
    }
    going = superseded(cells, found)
    assert superseded(cells[::-1], found).keys() == going.keys(), "the plan's order decides nothing"
    columns = {budget: {one.run_id for one in cells if one.budget == budget} for budget in BUDGETS}
    needed = set()
    for column in columns.values():
        losses = [outcome for run_id in column if isinstance(outcome := outcomes[run_id], float)]
        if {FAILED, "missing"} & {outcomes[run_id] for run_id in column}:
            assert not column & going.keys(), "the budget is not complete"
            needed |= column
        elif losses:
            best = [run_id for run_id in column - going.keys() if outcomes[run_id] == min(losses)]
            assert best, "the lowest loss is kept"
            needed |= {min(run_id for run_id in column if outcomes[run_id] == min(losses))}
        else:
            needed |= column  # all diverged: no model is there
    assert runs.keys() - going.keys() == needed, "and nothing else is"
    for run_id, better in going.items():
        assert better not in going
        if isinstance(loss := outcomes[run_id], float):
            assert outcomes[better] <= loss


@given(
    st.lists(st.tuples(st.sampled_from(BUDGETS), LOSSES), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_whatever_looks_when_no_best_model_is_ever_lost(
    runs: list[tuple[float, float]], random: Random
) -> None:
    """Runs end in any order while the plan grows; those who look may see an older plan, and only some records."""
    cells = [cell(budget, seed) for seed, (budget, _) in enumerate(runs)]
    losses = {one.run_id: loss for one, (_, loss) in zip(cells, runs, strict=True)}
    order = cells[:]
    random.shuffle(order)
    found: dict[str, Record] = {}
    models: set[str] = set()

    def best(budget: float) -> str | None:
        column = [one.run_id for one in cells if one.budget == budget and one.run_id in found]
        return min(column, key=lambda run_id: (losses[run_id], run_id), default=None)

    for ended in order:
        models.add(ended.run_id)  # it is there before its record is
        found[ended.run_id] = record(ended, losses[ended.run_id])
        for _ in range(random.randint(0, 2)):
            seen = dict(random.sample(sorted(found.items()), random.randint(0, len(found))))
            planned = random.sample(cells, random.randint(0, len(cells)))
            models -= superseded(planned, seen).keys()
            assert {best(budget) for budget in BUDGETS} - {None} <= models
    models -= superseded(cells, found).keys()
    assert models == {best(budget) for budget in BUDGETS} - {None}


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """A sweep of two budgets of three runs, all of which left a model and a record."""
    made = SweepFolder(tmp_path / "sweep")
    cells = [cell(budget, seed) for budget, seeds in ((1e11, (0, 1, 2)), (3e11, (3, 4, 5))) for seed in seeds]
    freeze(made, Plan("sweep", tuple(cells)), "grid: {}")
    for one in cells:
        end(made, one, 3.0 - 0.1 * one.spec.seed)
    return made


def end(folder: SweepFolder, one: Cell, loss: float) -> None:
    own = folder.cell(one.run_id)
    own.model.mkdir(parents=True)
    (own.model / "model.safetensors").write_bytes(b"weights")
    fake_record(one, loss).write(own.record)


def models(folder: SweepFolder) -> set[str]:
    return {path.parent.name for path in folder.cells.glob("*/model")}


def ids(*seeds: int) -> set[str]:
    return {cell(1e11, seed).run_id for seed in seeds}


def test_nothing_but_models_of_the_plan_is_removed(folder: SweepFolder, tmp_path: Path) -> None:
    beside = cell(1e11, 9)
    end(folder, beside, 9.0)
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder.cell(cell(1e11, 0).run_id).model, elsewhere)
    folder.cell(cell(1e11, 0).run_id).model.symlink_to(elsewhere)

    def others() -> dict[Path, bytes]:
        files = [path for path in tmp_path.rglob("*") if path.is_file() and "model" not in path.parent.parts]
        return {path: path.read_bytes() for path in files}

    before = others()
    assert set(remove_superseded(folder)) == ids(0, 1, 3, 4)
    assert models(folder) == ids(2, 5, 9)
    assert others() == before, "the folder that a link leads to is not this sweep's"
    assert remove_superseded(folder) == []


@pytest.mark.parametrize("missing", ["no record", "a damaged one", "a failed one"])
def test_a_budget_with_a_run_that_has_not_ended_keeps_all(folder: SweepFolder, missing: str) -> None:
    path = folder.cell(cell(1e11, 0).run_id).record
    if missing == "no record":
        path.unlink()
    elif missing == "a damaged one":
        path.write_text(path.read_text().replace("3.0", "2.0", 1))
    else:
        record(cell(1e11, 0), FAILED).write(path)
    remove_superseded(folder)
    assert models(folder) == ids(0, 1, 2, 5)


def test_where_the_best_has_no_model_the_others_stay(folder: SweepFolder) -> None:
    shutil.rmtree(folder.cell(cell(1e11, 2).run_id).model)
    remove_superseded(folder)
    assert models(folder) == ids(0, 1, 5)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_without_a_plan_that_can_be_read_nothing_is_removed(folder: SweepFolder, content: str | None) -> None:
    folder.plan.unlink()
    if content is not None:
        folder.plan.write_text(content)
    assert remove_superseded(folder) == []
    assert models(folder) == ids(0, 1, 2, 3, 4, 5)


def test_many_at_once_remove_the_same(folder: SweepFolder) -> None:
    for run_id in ids(0, 1, 3, 4):
        for number in range(50):
            (folder.cell(run_id).model / f"{number}").write_bytes(b"part")
    with ThreadPoolExecutor(8) as pool:
        found: Sequence[list[str]] = list(pool.map(lambda _: remove_superseded(folder), range(8)))
    assert models(folder) == ids(2, 5)
    assert set().union(*found) == ids(0, 1, 3, 4)


def test_half_a_folder_is_removed_by_the_next(folder: SweepFolder) -> None:
    (folder.cell(cell(1e11, 0).run_id).model / "model.safetensors").unlink()
    remove_superseded(folder)
    assert models(folder) == ids(2, 5)
