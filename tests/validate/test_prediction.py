"""A prediction from a fit of a known law, and what is said of it afterwards."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit import Fit, FitOptions, Points, fit_points
from harness.fit.encoding import encode
from harness.predict.source import choose, from_fit
from harness.report.style import figure_style
from harness.runs.registered import first_difference
from harness.validate.config import ValidateConfig
from harness.validate.figure import draw
from harness.validate.over_seeds import LOST, NOISE, UNKNOWN, WON
from harness.validate.prediction import FitFacts, PredictionBasis, RegisteredPrediction, predict, scatter
from harness.validate.result import judge
from harness.validate.tables import build
from tests.fit.synthetic import CHINCHILLA, optimum, sweep
from tests.plan.test_plan import plan

NOISE_SCALE = 0.004
BUDGET = 3e20
FACTORS = (0.25, 1.0, 4.0)


@dataclass(frozen=True)
class Made:
    """A fitted synthetic sweep and what it predicts at three times its largest budget."""

    points: Points
    fit: Fit
    prediction: RegisteredPrediction


def made(seed: int = 0, approach: str = "auto", draws: int = 200, lawful: bool = True) -> Made:
    points = sweep(CHINCHILLA, (1e18, 1e19, 1e20), sizes=7, noise=NOISE_SCALE, seed=seed)
    fit = fit_points(points, FitOptions(draws=draws))
    return Made(points, fit, predicted(points, fit, approach=approach, lawful=lawful))


def predicted(
    points: Points, fit: Fit, seeds: int = 1, approach: str = "auto", lawful: bool = True
) -> RegisteredPrediction:
    """What a fit of ``points`` predicts at ``BUDGET`` for ``FACTORS`` of the true optimum."""
    sources = from_fit(fit)
    _, decider = choose(sources, approach)
    law = next(source for source in sources if source.law)
    assert law.law is not None
    facts = FitFacts(n_points=len(points), largest_flops=1e20, count="params", sha256="ab", draws_sha256=None)
    basis = PredictionBasis(
        decider, law, scatter(points, law.law, fit.approach_3.free), facts, fit.approach_3.formula
    )
    if not lawful:
        basis = PredictionBasis(decider, None, None, facts)
    best = optimum(BUDGET)[0]
    entries = {factor: (factor * best, list(_Cells.of(factor * best)) * seeds) for factor in FACTORS}
    return predict("again", "now", basis, BUDGET, entries)


@dataclass(frozen=True)
class _Cells:
    """Cells of any size, in the few things that a prediction reads of them."""

    @staticmethod
    def of(n: float) -> Sequence[object]:
        cell = plan().cells[0]

        class Cell:
            tokens, flops, count, run_id = BUDGET / 6 / n, BUDGET, "6nd", f"run-{n:.4g}"
            spec = cell.spec

        return [Cell]


def loss_at(params: float, tokens: float) -> float:
    E, A, B, alpha, beta = CHINCHILLA
    return float(E + A / params**alpha + B / tokens**beta)


def registered(
    prediction: RegisteredPrediction, values: Mapping[float, Sequence[float | None]]
) -> tuple[RegisteredPrediction, str, dict]:
    """The arguments of ``judge`` for runs that measured ``values``."""
    one, found = losses(prediction, {factor: list(mine) for factor, mine in values.items()})
    return one, "ab", found


def losses(
    prediction: RegisteredPrediction, values: dict[float, list[float | None]]
) -> tuple[RegisteredPrediction, dict]:
    """The prediction with a run for each value, and the losses by run id."""
    data = prediction.to_json()
    found = {}
    for one in data["candidates"]:
        ids = {str(seed): f"{one['factor']}-{seed}" for seed in range(len(values[one["factor"]]))}
        one["run_ids"] = ids
        found |= dict(zip(ids.values(), values[one["factor"]], strict=True))
    return RegisteredPrediction.from_json(data), found


def test_scatter_is_the_noise_that_the_runs_have() -> None:
    found = [made(seed, draws=20).prediction.scatter or 0 for seed in range(12)]
    assert np.mean(found) == pytest.approx(NOISE_SCALE, rel=0.2)


def test_predicted_intervals_hold_a_run_nine_times_in_ten() -> None:
    rng = np.random.default_rng(0)
    truth = np.array(CHINCHILLA)
    inside, inside_law, widths = [], [], []
    for seed in range(25):
        prediction = made(seed, draws=100).prediction
        for one in prediction.candidates:
            true = truth[0] + truth[1] / one.params ** truth[3] + truth[2] / one.tokens ** truth[4]
            measured = true * np.exp(NOISE_SCALE * rng.standard_normal())
            assert one.loss_interval is not None
            assert one.run_interval is not None
            inside.append(one.run_interval[0] <= measured <= one.run_interval[1])
            inside_law.append(one.loss_interval[0] <= true <= one.loss_interval[1])
            widths.append(
                one.run_interval[1] - one.run_interval[0] > one.loss_interval[1] - one.loss_interval[0]
            )
    assert all(widths)
    assert 0.82 <= np.mean(inside) <= 1.0
    assert 0.75 <= np.mean(inside_law) <= 1.0


def test_what_is_measured_lies_in_its_interval_nine_times_in_ten_and_both_gaps_at_once() -> None:
    """Means of three seeds of a law with a lack of fit of its own in every cell, that seeds do not average out."""
    rng = np.random.default_rng(5)
    lack, noise, seeds = 0.003, 0.006, 3
    means, both, each, narrower = [], [], [], []
    for trial in range(60):
        base = sweep(CHINCHILLA, (1e18, 1e19, 1e20), sizes=7, noise=lack, seed=trial)
        rows = np.repeat(np.arange(len(base)), 2)
        points = base.select(rows)
        points = replace(
            points,
            loss=points.loss * np.exp(noise * rng.standard_normal(len(rows))),
            run_id=tuple(f"run-{i}" for i in range(len(rows))),
        )
        fit = fit_points(points, FitOptions(draws=100, backtest=False, huber_delta=np.inf))
        prediction = predicted(points, fit, seeds=seeds)
        measured = {}
        for one in prediction.candidates:
            true = loss_at(one.params, one.tokens)
            own = true * np.exp(lack * rng.standard_normal() + noise * rng.standard_normal(seeds))
            measured[one.factor] = [float(loss) for loss in own]
        result = judge(*registered(prediction, measured))
        means += [one.mean_inside for one in result.candidates]
        both.append(all(gap.inside for gap in result.gaps))
        each += [gap.inside for gap in result.gaps]
        for one in prediction.candidates:
            assert one.run_interval is not None
            assert one.mean_interval is not None
            narrower.append(np.ptp(one.mean_interval) < np.ptp(one.run_interval))
    assert all(narrower)
    assert 0.82 <= np.mean(means) <= 0.97
    assert 0.82 <= np.mean(both) <= 0.99
    assert np.mean(each) > np.mean(both)


def test_what_the_fit_doubts_is_registered_and_told() -> None:
    clean = made().prediction
    assert not any("misfit" in doubt for doubt in clean.doubts or ())
    assert clean.form == "E + A/N^alpha + B/D^beta"
    points = sweep(CHINCHILLA, (1e18, 1e19, 1e20), sizes=7, noise=1e-4, seed=0)
    n, d = (np.log(one / one.min()) for one in (points.params, points.tokens))
    bent = replace(points, loss=points.loss * (1 + 0.01 * (n - n.mean()) * (d - d.mean())))
    prediction = predicted(bent, fit_points(bent, FitOptions(draws=60, backtest=False)))
    assert any("approach 3" in doubt and "misfit" in doubt for doubt in prediction.doubts or ())
    told = build(prediction, judge(*registered(prediction, {f: [2.5, 2.6, 2.7] for f in FACTORS})))[0].note
    assert "misfit" in told
    assert "E + A/N^alpha + B/D^beta" in told


def test_a_mean_that_lacks_a_diverged_seed_is_set_against_no_interval_of_all() -> None:
    values: dict[float, list[float | None]] = {0.25: [2.6, None], 1.0: [2.5, 2.51], 4.0: [2.7, 2.71]}
    result = judge(*registered(made().prediction, values))
    assert next(one.mean_inside for one in result.candidates) is None
    assert [gap.inside is None for gap in result.gaps] == [True, False]


def test_the_law_predicts_the_optimum_to_win() -> None:
    prediction = made().prediction
    assert prediction.winner == 1.0
    assert prediction.params_opt == pytest.approx(optimum(BUDGET)[0], rel=0.2)
    small, best, large = prediction.candidates
    assert best.margin is None
    for other in (small, large):
        assert other.margin is not None
        assert other.margin_interval is not None
        assert 0 < other.margin_interval[0] < other.margin < other.margin_interval[1]
        assert other.margin == pytest.approx((other.loss or 0) - (best.loss or 0))
    assert RegisteredPrediction.from_json(json.loads(json.dumps(prediction.to_json()))) == prediction


def test_another_approach_may_say_the_size_but_not_the_losses() -> None:
    by_3, by_2 = made().prediction, made(approach="approach_2").prediction
    assert (by_2.sizes_by, by_2.losses_by) == ("approach_2", "approach_3")
    assert by_2.params_opt != by_3.params_opt
    assert [one.loss for one in by_2.candidates] == [one.loss for one in by_3.candidates]


def test_without_a_law_there_is_a_size_but_no_losses() -> None:
    base = made(approach="approach_2", lawful=False).prediction
    assert (base.losses_by, base.winner) == (None, 1.0)
    assert all(one.loss is None and one.run_interval is None for one in base.candidates)
    prediction, found = losses(base, {0.25: [2.6, 2.61], 1.0: [2.5, 2.51], 4.0: [2.7, 2.71]})
    result = judge(prediction, "ab", found)
    assert [gap.verdict for gap in result.gaps] == [WON, WON]
    assert "predicted intervals" not in result.verdict
    assert "no losses are predicted" in build(prediction, result)[0].note
    with figure_style():
        assert draw(prediction, result, None).axes


@pytest.mark.parametrize(
    ("values", "verdicts", "says"),
    [
        (
            {0.25: [2.6, 2.61], 1.0: [2.5, 2.51], 4.0: [2.7, 2.71]},
            [WON, WON],
            "As predicted, the predicted optimum won",
        ),
        ({0.25: [2.4, 2.41], 1.0: [2.5, 2.51], 4.0: [2.7, 2.71]}, [LOST, WON], "Against the prediction"),
        ({0.25: [2.6, 2.45], 1.0: [2.5, 2.51], 4.0: [2.7, 2.71]}, [NOISE, WON], "not beyond seed noise"),
        (
            {0.25: [2.3, 2.69], 1.0: [2.5, 2.51], 4.0: [2.7, 2.71]},
            [NOISE, WON],
            "Not the predicted optimum but 0.25 N*",
        ),
        ({0.25: [2.6], 1.0: [2.5], 4.0: [2.7]}, [UNKNOWN, UNKNOWN], "not beyond seed noise"),
        ({0.25: [None, None], 1.0: [2.5, 2.51], 4.0: [2.7, None]}, [WON, UNKNOWN], "diverged"),
        ({0.25: [2.6, 2.6], 1.0: [None, None], 4.0: [2.7, 2.7]}, [LOST, LOST], "Against the prediction"),
        ({0.25: [None], 1.0: [None], 4.0: [None]}, [UNKNOWN, UNKNOWN], "Every run diverged"),
    ],
)
def test_who_won_is_said_as_it_was(values: dict, verdicts: list[str], says: str) -> None:
    prediction, found = losses(made().prediction, values)
    result = judge(prediction, "ab", found)
    assert [gap.verdict for gap in result.gaps] == verdicts
    assert says in result.verdict
    losses_table, gaps_table = build(prediction, result)
    assert len(losses_table.rows) == 3
    assert [row[-1] for row in gaps_table.rows] == verdicts
    json.dumps(encode(result), allow_nan=False)


def test_equal_candidates_are_told_apart_as_seldom_as_the_level_says() -> None:
    rng = np.random.default_rng(3)
    base, verdicts = made().prediction, []
    for _ in range(300):
        values = {factor: list(2.5 + 0.01 * rng.standard_normal(3)) for factor in FACTORS}
        prediction, found = losses(base, values)
        verdicts += [gap.verdict for gap in judge(prediction, "ab", found).gaps]
    assert 0.85 <= verdicts.count(NOISE) / len(verdicts) <= 0.96


def test_runs_outside_their_interval_are_counted() -> None:
    """The registered interval is of one run, so single runs are set against it, not the mean of several."""
    base = made().prediction
    at = {one.factor: one.loss or 0.0 for one in base.candidates}
    prediction, found = losses(base, {factor: [loss, loss + 1e-4] for factor, loss in at.items()})
    assert [one.inside for one in judge(prediction, "ab", found).candidates] == [2] * 3
    prediction, found = losses(base, {factor: [loss + 0.3, loss + 0.3001] for factor, loss in at.items()})
    result = judge(prediction, "ab", found)
    assert [one.inside for one in result.candidates] == [0] * 3
    assert "0 of 6 runs lie in the predicted interval of one run" in result.verdict
    high = {one.factor: (one.run_interval or (0, 0))[1] for one in base.candidates}
    prediction, found = losses(base, {factor: [end - 1e-4, end + 1e-4] for factor, end in high.items()})
    assert [one.inside for one in judge(prediction, "ab", found).candidates] == [1] * 3


def test_rounding_is_no_difference_but_a_digit_is() -> None:
    one = {"a": 1.0, "b": [{"c": 2}], "d": None}
    assert first_difference(one, {"a": 1.0 + 1e-12, "b": [{"c": 2}], "d": None}) is None
    assert first_difference(one, {"a": 1.0, "b": [{"c": 3}], "d": None}) == ("b[0].c", 2, 3)
    assert first_difference(one, {"a": 1.0, "b": [], "d": None}) == ("b", [{"c": 2}], [])
    assert first_difference(one, {"a": 1.0, "b": [{"c": 2}], "d": 1.0}) == ("d", None, 1.0)
    assert first_difference(one, {**one, "e": 1}) == ("e", None, 1)
    assert first_difference(one, {**one, "e": 1}, later=("e", "a")) is None
    assert first_difference({**one, "e": 2}, {**one, "e": 1}, later=("e", "a")) == ("e", 2, 1)


@pytest.mark.parametrize(
    "values",
    [
        {"budget": -1.0},
        {"factors": [0.25, 4.0]},
        {"factors": [1.0]},
        {"factors": [1.0, 1.0]},
        {"factors": [1.0, 0.0]},
        {"seeds": []},
        {"seeds": [1, 1]},
        {"seeds": [-1]},
    ],
)
def test_impossible_validations_are_refused(values: dict) -> None:
    with pytest.raises(UserError, match="validate"):
        ValidateConfig(**values)
