"""Rounds of an active design: what is kept of them, and what could be chosen."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.config.compose import compose_config
from harness.design.first import PLANS, SHARE, first_sizes
from harness.design.goal import DOLLARS, FLOPS, HOURS, spend_of
from harness.design.ladder_candidates import CellMaker, counted_flops, counted_params
from harness.design.rounds import LEAST_SHARE, Round, round_share
from harness.errors import UserError
from harness.plan.plan import AssumedCorpus
from harness.workflow.design import cell_maker, known_plan
from harness.workflow.rules import sweep_folder

CORPUS = AssumedCorpus("text", 256)
DEMO = ("experiment=demo", "design=active", "spend=3.3e12")


def maker(*overrides: str, corpus: AssumedCorpus = CORPUS) -> CellMaker:
    return cell_maker(compose_config([*DEMO, *overrides])[0], corpus)


def test_rounds_use_all_that_is_left_and_never_less_than_a_third() -> None:
    left, shares = 1.0, []
    for done in range(5):
        shares.append(round_share(done, 5))
        left -= left * shares[-1]
    assert left == 0
    assert min(shares) >= LEAST_SHARE
    assert round_share(7, 5) == 1


@pytest.mark.parametrize(
    ("spend", "sizes"),
    [(1e13, PLANS[0]), (3.8e12, PLANS[1]), (3.2e12, PLANS[2]), (1e11, PLANS[2])],
)
def test_the_initial_design_saves_where_it_must(spend: float, sizes: tuple[int, ...]) -> None:
    assert tuple(first_sizes([6e11, 1e11, 2.5e11], spend).values()) == sizes
    if spend > 3e12:
        assert sum(c * k for c, k in first_sizes([1e11, 2.5e11, 6e11], spend).items()) <= SHARE * spend


def test_the_first_runs_are_of_the_grid_that_would_be_trained() -> None:
    made = maker()
    first = made.first(3.3e12)
    assert len(first) == 9
    assert all(made.again(cell) for cell in first)
    assert {cell.budget for cell in first} == {1e11, 3.2e11}


def test_a_round_is_read_back_as_it_was_written() -> None:
    first = maker().first(3.3e12)
    before = Round(tuple(first), ("because",) * 9, 0.3, 0.8, {"standard": 1.0}, ("a note",))
    after = Round.from_json(json.loads(json.dumps(before.to_json())))
    assert after == before
    broken = before.to_json() | {"reasons": ["one"]}
    with pytest.raises(ValueError, match="9 runs with 1 reasons"):
        Round.from_json(broken)


@pytest.mark.parametrize(
    "damage",
    [
        {"deviation": "wide"},
        {"deviation": [1]},
        {"factor": {}},
        {"forms": [1]},
        {"forms": "x"},
        {"forms": {"a": None}},
    ],
)
def test_a_round_with_a_value_of_another_type_is_none(damage: dict[str, object]) -> None:
    written = Round((), (), 0.3, 0.8, {"standard": 1.0}).to_json()
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        Round.from_json(written | damage)


def test_candidates_stay_within_ladder_corpus_and_reach() -> None:
    made = maker("design.reach=3", "data.max_epochs=1", corpus=replace(CORPUS, train_tokens=1_000_000))
    best = np.log(30_000.0)
    candidates, cells = made.candidates(lambda c: np.full(len(c), best), [])
    assert len(cells) == len(candidates) > 5
    assert {cell.spec.shape for cell in cells} <= set(made.shapes)
    assert max(cell.epochs for cell in cells) <= 1
    assert np.abs(np.log(candidates.params) - best).max() <= np.log(3)
    assert candidates.flops.max() < 1.01e12
    larger = maker("design.extend=6")
    assert max(larger.budgets) == pytest.approx(1e12 * 3.125, rel=0.01)


def test_what_diverged_is_no_candidate() -> None:
    made = maker()
    _, cells = made.candidates(lambda c: np.full(len(c), np.log(3e4)), [])
    gone = cells[3]
    _, left = made.candidates(lambda c: np.full(len(c), np.log(3e4)), [], {(gone.spec.shape, gone.budget)})
    assert gone.run_id in {cell.run_id for cell in cells} - {cell.run_id for cell in left}


def test_seeds_are_those_of_the_grid_and_then_further_ones() -> None:
    made = maker("grid.seeds=[7,3]")
    cell = made.first(3.3e12)[0]
    assert cell.spec.seed == 7
    seeds = [one.spec.seed for one in made.chosen([cell] * 4, [cell])]
    assert seeds == [3, 0, 1, 2]
    assert len({one.run_id for one in made.chosen([cell] * 4, [cell])}) == 4


def test_candidates_count_as_the_fit_does() -> None:
    cell = maker().first(3.3e12)[0]
    assert counted_params(cell, "params") == cell.params.total
    assert counted_params(cell, "params_non_embedding") == cell.params.count("non_embedding")
    assert counted_flops(cell, "flops_6nd") == 6 * cell.params.total * cell.tokens
    for count, name in ((counted_params, "depth"), (counted_flops, "flops_wrong")):
        with pytest.raises(UserError, match="not trained yet"):
            count(cell, name)


def test_one_spend_is_given() -> None:
    assert spend_of(1e12, None, None) == (1e12, FLOPS)
    assert spend_of(None, 2.0, None) == (2.0, HOURS)
    assert spend_of(None, None, 30.0) == (30.0, DOLLARS)
    for wrong in ((None, None, None), (1e12, 2.0, None)):
        with pytest.raises(UserError, match="spend"):
            spend_of(*wrong)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["spend=1e11"], "the first 9 runs cost"),
        (["grid.budgets=[1e11]"], "two budgets or more"),
        (["grid.budgets=[]"], "grid.budgets"),
        (["schedule.share_trunk=true", "schedule=wsd"], "share_trunk"),
        (["spend=null", "dollars=3"], "dollars_per_hour"),
        (["spend=null"], "spend"),
    ],
)
def test_a_design_that_cannot_be_is_one_line(tmp_path: Path, overrides: list[str], message: str) -> None:
    config = compose_config([*DEMO, f"runs_dir={tmp_path}", *overrides])[0]
    with pytest.raises(UserError, match=message) as found:
        known_plan(config, CORPUS, sweep_folder(config))
    assert "\n" not in str(found.value)


def test_hours_and_dollars_are_of_the_estimated_times() -> None:
    hours, dollars = (
        maker("spend=null", "gpu_hours=1"),
        maker("spend=null", "dollars=9", "design.dollars_per_hour=4"),
    )
    cell = hours.first(1.0)[0]
    assert hours.cost(cell) == pytest.approx(cell.estimate_seconds / 3600)
    assert dollars.cost(cell) == pytest.approx(4 * hours.cost(cell))
