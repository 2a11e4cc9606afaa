"""More seeds and other rates at each budget's best cell, all else equal."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace

import pytest

from harness.errors import UserError
from harness.plan.ablation import HYPERPARAMETERS
from harness.plan.cell import Cell
from harness.plan.followup import FollowupConfig, ablations, best_cells, expected, neighbours, replicates
from harness.plan.spec import Muon, RunSpec
from tests.plan.test_plan import plan


def test_the_best_cell_of_each_budget_is_followed_up() -> None:
    made = plan()
    losses = {cell.run_id: abs(i % 5 - 2) + 1.0 for i, cell in enumerate(made.cells)}
    best = best_cells(made, losses)
    assert [cell.run_id for cell in best] == [made.cells[2].run_id, made.cells[7].run_id]
    more = replicates(best, [0, 1, 2])
    assert [cell.spec.seed for cell in more] == [1, 2, 1, 2], "the seed it has is not trained again"
    assert {cell.run_id for cell in more}.isdisjoint(cell.run_id for cell in made.cells)
    assert replace(more[0].spec, seed=0) == best[0].spec


def test_an_ablation_differs_in_its_rate_alone() -> None:
    made = plan()
    best = best_cells(made, {made.cells[0].run_id: 1.0})
    low, high = ablations(best, FollowupConfig(rates=[0.5, 2.0]))
    assert (low.of, low.changed, low.factor) == (best[0].run_id, "rates", 0.5)
    assert high.cell.spec.optimizer.lr == pytest.approx(2 * best[0].spec.optimizer.lr, rel=1e-3)
    assert replace(high.cell.spec, optimizer=best[0].spec.optimizer) == best[0].spec


def test_a_longer_schedule_differs_in_its_length_alone() -> None:
    made = plan()
    best = best_cells(made, {made.cells[0].run_id: 1.0})
    spec = best[0].spec
    short, long = ablations(best, FollowupConfig(horizons=[1.1, 5.0]))
    assert (short.of, short.changed, short.factor) == (best[0].run_id, "horizons", 1.1)
    assert long.cell.spec.schedule.steps == 5 * spec.steps
    assert long.cell.tokens == best[0].tokens
    assert replace(long.cell.spec, schedule=spec.schedule) == spec
    last, matched = long.cell.spec.schedule.factor(spec.steps), spec.schedule.factor(spec.steps)
    assert last > 0.8 > 0.2 > matched, "the run ends while the rate is still near its peak"


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("weight_decays", lambda spec: spec.optimizer.weight_decay),
        ("embedding_rates", lambda spec: spec.groups.embedding.lr),
        ("head_rates", lambda spec: spec.groups.head.lr),
    ],
)
def test_one_value_is_multiplied_and_nothing_else(key: str, read: Callable[[RunSpec], float]) -> None:
    cell = plan().cells[0]
    (made,) = ablations([cell], FollowupConfig(**{key: [4.0]}))
    assert (made.of, made.changed, made.factor, made.neighbour) == (cell.run_id, key, 4.0, False)
    assert read(made.cell.spec) == pytest.approx(4 * read(cell.spec))
    before, after = (dict(leaves(asdict(one.spec))) for one in (cell, made.cell))
    assert len([name for name in before if before[name] != after[name]]) == 1
    assert replace(made.cell, spec=cell.spec) == cell, "of the same FLOPs and time"


def leaves(value: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, one in value.items():
        if isinstance(one, dict):
            yield from leaves(one, f"{prefix}{name}.")
        else:
            yield prefix + name, one


def test_muon_has_a_rate_and_a_decay_of_its_own() -> None:
    cell = plan().cells[0]
    optimizer = replace(cell.spec.optimizer, muon=Muon(lr=0.02, weight_decay=0.1))
    cell = replace(cell, spec=replace(cell.spec, optimizer=optimizer))
    config = FollowupConfig(rates=[2.0], weight_decays=[0.0], muon_rates=[2.0])
    adamw, decay, muon = (one.cell.spec.optimizer for one in ablations([cell], config))
    assert (adamw.lr, adamw.muon) == (2 * optimizer.lr, optimizer.muon)
    assert muon == replace(optimizer, muon=Muon(lr=0.04, weight_decay=0.1))
    assert decay == replace(optimizer, weight_decay=0.0, muon=Muon(lr=0.02, weight_decay=0.0))


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_another_batch_sees_as_many_tokens(factor: float) -> None:
    cell = plan().cells[0]
    cell = replace(cell, spec=replace(cell.spec, batch_sequences=4))
    (made,) = ablations([cell], FollowupConfig(batches=[factor]))
    spec = made.cell.spec
    assert spec.batch_sequences == 4 * factor
    assert abs(spec.tokens - cell.tokens) <= spec.batch_tokens / 2
    assert spec.schedule.steps == spec.steps
    share = cell.spec.schedule.warmup_steps / cell.spec.steps
    assert spec.schedule.warmup_steps / spec.steps == pytest.approx(share, abs=1 / spec.steps)
    per_token = cell.flops_by_count["6nd"] / cell.tokens
    assert made.cell.flops_by_count["6nd"] == pytest.approx(per_token * spec.tokens)
    assert spec.optimizer == cell.spec.optimizer
    assert Cell.from_json(made.cell.to_json()) == made.cell


def test_a_multiple_that_rounds_to_the_same_is_left_out() -> None:
    cell = plan().cells[0]
    cell = replace(cell, spec=replace(cell.spec, batch_sequences=1))
    made = ablations([cell], FollowupConfig(batches=[0.5, 2.0]))
    assert [one.factor for one in made] == [2.0]


def test_what_a_cell_does_not_have_is_refused_before_anything_is_trained() -> None:
    made = plan()
    cell = made.cells[0]
    with pytest.raises(UserError, match=r"followup\.muon_rates.*optimizer=muon"):
        expected(made, FollowupConfig(muon_rates=[2.0]), ())
    bare = replace(cell, spec=replace(cell.spec, optimizer=replace(cell.spec.optimizer, weight_decay=0.0)))
    with pytest.raises(UserError, match=r"followup\.weight_decays"):
        ablations([bare], FollowupConfig(weight_decays=[2.0]))
    tied = replace(cell, params=replace(cell.params, head=0))
    with pytest.raises(UserError, match="tied"):
        ablations([tied], FollowupConfig(head_rates=[2.0]))


def test_the_sizes_beside_the_best_are_ablated_too() -> None:
    made = plan()
    column = sorted((c for c in made.cells if c.budget == made.cells[0].budget), key=lambda c: c.params.total)
    config = FollowupConfig(rates=[0.5, 2.0], horizons=[2.0], neighbours=True)
    found = ablations([column[2]], config, made.cells)
    assert [(one.of, one.changed) for one in found if not one.neighbour] == [
        (column[2].run_id, key) for key in ("rates", "rates", "horizons")
    ]
    beside = [one for one in found if one.neighbour]
    assert [(one.of, one.factor) for one in beside] == [
        (column[i].run_id, factor) for i in (1, 3) for factor in (0.5, 2.0)
    ], "and no longer schedules"
    assert [one.run_id for one in neighbours(made.cells, [column[0]])] == [column[1].run_id], "at an edge one"
    assert len(expected(made, config, ())) == 7 * len({cell.budget for cell in made.cells})


def test_every_hyperparameter_has_its_key() -> None:
    lists = {one.name for one in fields(FollowupConfig)} - {"seeds", "neighbours"}
    assert lists == set(HYPERPARAMETERS)


def test_expected_followups_are_those_that_each_budget_still_lacks() -> None:
    made = plan()
    asked = FollowupConfig(seeds=[1, 2], rates=[0.5])
    budgets = sorted({cell.budget for cell in made.cells})
    assert [cell.budget for cell in expected(made, asked, ())] == [b for b in budgets for _ in range(3)]
    assert [cell.budget for cell in expected(made, asked, budgets[:1])] == budgets[1:] * 3
    best = best_cells(made, {made.cells[2].run_id: 1.0})
    grown = replace(made, cells=(*made.cells, *replicates(best, asked.seeds)))
    more = expected(grown, asked, ())
    assert [cell.budget for cell in more] == [budgets[0], *(budgets[1:] * 3)], (
        "one has its seeds, the others not"
    )
    assert [cell.spec.seed for cell in more] == [0, *[1, 2, 0] * len(budgets[1:])]


def test_budgets_without_a_finished_cell_have_no_followup() -> None:
    assert best_cells(plan(), {}) == []


@pytest.mark.parametrize(
    "values",
    [
        {"seeds": [-1]},
        {"seeds": [1, 1]},
        {"rates": [1.0]},
        {"rates": [0.0]},
        {"horizons": [1.0]},
        {"horizons": [0.5]},
        {"horizons": [2.0, 2.0]},
        {"batches": [0.0]},
        {"weight_decays": [-1.0]},
        {"neighbours": True},
        {"neighbours": True, "horizons": [2.0]},
    ],
)
def test_impossible_followups_are_refused(values: dict) -> None:
    with pytest.raises(UserError, match="followup"):
        FollowupConfig(**values)


@pytest.mark.parametrize(
    ("sequences", "asked", "became"),
    [
        (3, [0.5, 0.75], [0.6667]),
        (3, [0.75, 0.5, 2.0], [0.6667, 2.0]),
        (5, [0.5, 2.0], [0.4, 2.0]),
        (1, [0.5, 0.75, 2.0], [2.0]),
        (200, [0.502], [0.502]),
    ],
)
def test_a_batch_is_at_the_multiple_that_whole_sequences_make(
    sequences: int, asked: list[float], became: list[float]
) -> None:
    """Three sequences halved are two, .67 times as many; three quarters of three are the same run again."""
    cell = plan().cells[0]
    cell = replace(cell, spec=replace(cell.spec, batch_sequences=sequences))
    made = ablations([cell], FollowupConfig(batches=asked))
    assert [one.factor for one in made] == became
    assert len({one.cell.run_id for one in made}) == len(made)
    for one in made:
        assert one.factor == pytest.approx(one.cell.spec.batch_sequences / sequences, rel=0.01)


def test_a_short_run_s_schedule_is_at_the_multiple_that_whole_steps_make() -> None:
    cell = plan().cells[0]
    short = replace(cell, spec=replace(cell.spec, steps=7))
    assert [one.factor for one in ablations([short], FollowupConfig(horizons=[1.1, 1.15, 2.0]))] == [
        1.143,
        2.0,
    ]
    assert [one.factor for one in ablations([cell], FollowupConfig(horizons=[1.1]))] == [1.1]


def test_the_peak_rate_under_muon_is_that_of_adamw() -> None:
    assert HYPERPARAMETERS["rates"].called(muon=True) == "AdamW's peak learning rate"
    assert HYPERPARAMETERS["rates"].called(muon=False) == "peak learning rate"
    assert HYPERPARAMETERS["batches"].called(muon=True) == "batch"
