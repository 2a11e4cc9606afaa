"""No two cells of a sweep are shown alike, and one that varies nothing at one size and budget has no further column."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.followup import FollowupConfig, ablations, replicates
from harness.plan.labels import Labels
from tests.plan.test_plan import plan


def optimizer(cell: Cell, **values: float) -> Cell:
    return replace(cell, spec=replace(cell.spec, optimizer=replace(cell.spec.optimizer, **values)))


def shown(labels: Labels, cell: Cell) -> tuple[str, ...]:
    return (labels.budget(cell), cell.spec.shape.label, *labels.values(cell))


VARIED: dict[str, Callable[[Cell], Cell]] = {
    "seed": lambda cell: replace(cell, spec=replace(cell.spec, seed=7)),
    "lr": lambda cell: optimizer(cell, lr=cell.spec.optimizer.lr * 1.0001),
    "batch": lambda cell: replace(
        cell, spec=replace(cell.spec, batch_sequences=cell.spec.batch_sequences + 1)
    ),
    "horizon": lambda cell: ablations([cell], FollowupConfig(horizons=[1.5]))[0].cell,
    "embedding lr ×": lambda cell: ablations([cell], FollowupConfig(embedding_rates=[3]))[0].cell,
    "head lr ×": lambda cell: ablations([cell], FollowupConfig(head_rates=[3]))[0].cell,
    "weight_decay": lambda cell: optimizer(cell, weight_decay=0.05),
    "decay_share": lambda cell: replace(
        cell, spec=replace(cell.spec, schedule=replace(cell.spec.schedule, decay_share=0.5))
    ),
    "heads": lambda cell: replace(
        cell, spec=replace(cell.spec, shape=replace(cell.spec.shape, heads=cell.spec.shape.heads * 2))
    ),
}


def test_an_ordinary_sweep_has_no_further_column() -> None:
    made = plan()
    labels = Labels.of(made.cells)
    assert labels.headings == ()
    assert labels.pairs(made.cells[0]) == []
    assert labels.name(made.cells[0]) == f"{made.cells[0].spec.shape.label} at {made.cells[0].budget:.3g}"
    assert len({shown(labels, cell) for cell in made.cells}) == len(made.cells)


@pytest.mark.parametrize("heading", VARIED)
def test_what_is_varied_is_the_column(heading: str) -> None:
    cells = [*plan().cells, VARIED[heading](plan().cells[0])]
    labels = Labels.of(cells)
    assert labels.headings == (heading,)
    assert len({shown(labels, cell) for cell in cells}) == len(cells)
    assert labels.pairs(cells[-1]) == [f"{heading} {labels.value(heading, cells[-1])}"]


def test_followups_differ_in_what_they_vary() -> None:
    best = plan().cells[:1]
    made = ablations(best, FollowupConfig(rates=[0.5, 2], horizons=[1.1, 1.5], batches=[2]))
    cells = [*plan().cells, *replicates(best, [1, 2]), *(one.cell for one in made)]
    labels = Labels.of(cells)
    assert labels.headings == ("seed", "batch", "lr", "horizon")
    assert len({shown(labels, cell) for cell in cells}) == len(cells)


def test_budgets_that_round_alike_have_more_digits() -> None:
    one, two = replace(plan().cells[0], budget=1.0001e11), replace(plan().cells[0], budget=1.0002e11)
    labels = Labels.of([one, VARIED["seed"](two)])
    assert (labels.budget(one), labels.budget(two)) == ("1.0001e+11", "1.0002e+11")


def test_an_ambiguous_id_lists_what_tells_the_cells_apart() -> None:
    made = plan()
    with pytest.raises(UserError, match="did you mean run=") as unknown:
        made.cell(made.cells[3].run_id[:-1] + "x")
    assert made.cells[3].run_id in str(unknown.value)
    twins = replace(made, cells=(made.cells[0], VARIED["seed"](made.cells[0])))
    with pytest.raises(UserError, match="matches 2 cells") as several:
        twins.cell("")
    label, budget = made.cells[0].spec.shape.label, f"{made.cells[0].budget:.3g}"
    assert f"({label} at {budget}, seed 0)" in str(several.value)
    assert f"({label} at {budget}, seed 7)" in str(several.value)
