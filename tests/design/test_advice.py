"""What to train next, on surfaces that are known."""

from dataclasses import replace

import numpy as np
import pytest

from harness.design.advice import MISFIT_SHARE, NEAR_SHARE, Advice, Question, advise, is_collinear
from harness.design.candidates import NEAR, Candidates, budgets_of, free_candidates, further
from harness.design.possible_laws import LEAST_WEIGHT, PossibleLaws, possible_laws
from harness.fit import FitOptions, Points
from harness.fit.approach_3 import fit_approach_3
from harness.fit.cost_law import fit_cost_law
from harness.fit.laws import Law

LAW = Law(E=1.69, A=406.4, B=410.7, alpha=0.34, beta=0.28)
BUDGETS = (1e18, 4e18, 1.6e19, 6.4e19)
OPTIONS = FitOptions(draws=100, backtest=False)


def best(flops: float) -> float:
    return float(np.exp(LAW.log_optimum(flops)[0]))


def runs(params: np.ndarray, flops: np.ndarray, noise: float, seed: int) -> Points:
    tokens = flops / 6 / params
    noises = np.exp(noise * np.random.default_rng(seed).standard_normal(len(params)))
    return Points(
        params=params,
        tokens=tokens,
        flops=flops,
        loss=np.asarray(LAW.loss(params, tokens)) * noises,
        budget=flops,
    )


def grid(
    noise: float = 0.002,
    seed: int = 0,
    off: float = 1.0,
    sizes: int = 5,
    budgets: tuple[float, ...] = BUDGETS,
    half: float = 3.0,
) -> Points:
    params = np.concatenate([best(c) * off * np.geomspace(1 / half, half, sizes) for c in budgets])
    return runs(params, np.repeat(budgets, sizes), noise, seed)


def laws_of(points: Points) -> PossibleLaws:
    found = possible_laws(points, OPTIONS)
    assert found is not None
    return found


def candidates_for(points: Points, laws: PossibleLaws, extend: float = 1.0) -> Candidates:
    budgets = np.array(budgets_of(points, extend))
    optimum = dict(zip(budgets.tolist(), np.exp(laws.log_params(budgets)).tolist(), strict=True))
    return free_candidates(points, optimum, 5.0, fit_cost_law(points))


def asked(
    points: Points, spend: float, extend: float = 1.0, aim: str = "params"
) -> tuple[Candidates, Advice]:
    laws = laws_of(points)
    candidates = candidates_for(points, laws, extend)
    return candidates, advise(points, laws, candidates, Question(aim, 6.4e20, spend, spend))


def test_laws_that_are_possible_hold_the_truth() -> None:
    laws = laws_of(grid())
    standard = next(form for form in laws.forms if form.model.name == "standard")
    assert standard.weight >= LEAST_WEIGHT
    assert sum(form.weight for form in laws.forms) == pytest.approx(1)
    low, high = np.quantile(standard.aim("params", 6.4e20), (0.01, 0.99))
    assert low < np.log(best(6.4e20)) < high
    assert 0.5 < laws.noise / 0.002 < 1.6
    assert laws.log_params(np.array([4e18]))[0] == pytest.approx(np.log(best(4e18)), abs=0.15)


def test_few_runs_leave_no_law() -> None:
    assert possible_laws(grid().select([0, 3, 7, 12, 18]), OPTIONS) is None


def test_the_next_runs_narrow_the_interval_as_they_say() -> None:
    """Over noise: the interval after the runs is about as wide as was forecast, and narrower than before."""
    said, came = [], []
    for seed in range(8):
        points = grid(seed=seed)
        candidates, advice = asked(points, 2e20)
        chosen = [pick.candidate for pick in advice.picks]
        more = runs(candidates.params[chosen], candidates.flops[chosen], 0.002, 100 + seed)
        both = Points(
            params=np.concatenate([points.params, more.params]),
            tokens=np.concatenate([points.tokens, more.tokens]),
            flops=np.concatenate([points.flops, more.flops]),
            loss=np.concatenate([points.loss, more.loss]),
        )
        before, after = (
            fit_approach_3(one, OPTIONS).predict(6.4e20).params_interval for one in (points, both)
        )
        assert before is not None
        assert after is not None
        said.append(advice.factor)
        came.append(np.log(after[1] / after[0]) / np.log(before[1] / before[0]))
    assert np.median(came) < 0.85
    assert 0.7 < np.median(came) / np.median(said) < 1.4


def test_a_third_is_near_the_optimum_and_more_where_the_law_misfits() -> None:
    points = grid()
    candidates, advice = asked(points, 2e20)
    laws = laws_of(points)
    assert advice.near_share == NEAR_SHARE
    chosen = np.array([pick.candidate for pick in advice.picks])
    near = np.abs(np.log(candidates.params) - laws.log_params(candidates.flops)) <= np.log(NEAR)
    cost = candidates.cost[chosen]
    assert cost[near[chosen]].sum() >= 0.95 * NEAR_SHARE * cost.sum()  # runs are whole
    many = grid(sizes=9)
    bent = replace(many, loss=many.loss * np.where(many.flops > 1e19, 1.03, 1))
    _, doubtful = asked(bent, 2e20)
    assert doubtful.near_share == MISFIT_SHARE
    assert any("misfit" in note for note in doubtful.notes)


def test_a_column_whose_minimum_lies_outside_is_widened() -> None:
    low, high = (grid(off=1.0, budgets=BUDGETS[:3]), grid(off=1 / 7, budgets=BUDGETS[3:], seed=1))
    points = Points(
        params=np.concatenate([low.params, high.params]),
        tokens=np.concatenate([low.tokens, high.tokens]),
        flops=np.concatenate([low.flops, high.flops]),
        loss=np.concatenate([low.loss, high.loss]),
        budget=np.concatenate([low.flops, high.flops]),
    )
    candidates, advice = asked(points, 5e20)
    widened = [pick for pick in advice.picks if "lies above its sizes" in pick.reason]
    assert len(widened) == 1
    assert candidates.params[widened[0].candidate] > best(6.4e19) * 0.8


def test_larger_budgets_are_used_where_they_are_allowed() -> None:
    points = grid()
    inside, _ = asked(points, 3e20, extend=1.0)
    candidates, advice = asked(points, 3e21, extend=4.0, aim="exponent")
    assert inside.flops.max() <= 6.4e19 * 1.01
    assert candidates.flops.max() == pytest.approx(2.56e20)
    assert any("a larger budget" in pick.reason for pick in advice.picks)


def test_runs_on_one_line_are_told_and_left() -> None:
    """Twenty tokens a parameter everywhere: the first runs lie off that line (arXiv 2605.08541)."""
    n = np.geomspace(1e8, 3e9, 10)
    points = runs(n, 6 * n * 20 * n, 0.002, 0)
    assert is_collinear(points)
    assert not is_collinear(grid())
    candidates, advice = asked(points, float(points.flops.sum()))
    assert any("one line" in note for note in advice.notes)
    j = advice.picks[0].candidate
    assert abs(np.log(candidates.tokens[j] / candidates.params[j] / 20)) > np.log(1.5)


def test_more_of_the_same_is_told_to_be_no_help() -> None:
    """A table that has everything within its budgets many times."""
    points = grid(sizes=9, half=6)
    full = points.select(np.repeat(np.arange(len(points)), 12))
    _, advice = asked(replace(full, run_id=tuple(str(i) for i in range(len(full)))), 1e20)
    assert not advice.picks or any("hardly help" in note for note in advice.notes)


def test_a_cell_has_no_more_seeds_than_asked() -> None:
    points = grid(noise=0.01)
    laws = laws_of(points)
    candidates = candidates_for(points, laws)
    question = Question("params", 6.4e20, 1e21, 1e21, most_seeds=2)
    advice = advise(points, laws, candidates, question)
    counts = np.bincount([pick.candidate for pick in advice.picks])
    assert counts.max() == 2
    assert {pick.seed for pick in advice.picks} == {0, 1}


def test_further_budgets_keep_the_step() -> None:
    assert further([1e18, 3e18], 9.0) == pytest.approx([9e18, 2.7e19])
    assert further([1e18, 3e18], 2.9) == []
    assert further([1e18], 3.0) == pytest.approx([3e18])
