"""The fit of a tuning against surfaces whose minima are known."""

import json
from dataclasses import replace
from textwrap import indent
from types import SimpleNamespace

import numpy as np
import pytest

from harness.config.frozen import load_recipe
from harness.errors import UserError
from harness.model.parametrization import Parametrization
from harness.plan.base import STANDARD, Base
from harness.plan.recipe_rules import MeasuredRange, OptimizerConfig, RecipeConfig, Rule
from harness.report.figures.response_surfaces import draw_tuning
from harness.report.style import figure_style
from harness.tune.config import TuneConfig
from harness.tune.design import TunePlan
from harness.tune.fit import check_fittable, fit_tuning
from harness.tune.measured_under import measured_under
from harness.tune.recipe import recipe_text, source_line, tuned_recipe
from harness.tune.results import RULE_STATUSES, STATUSES, TuneFit
from harness.tune.rules import BestValues, power_rule
from harness.tune.surface_fit import near_minimum
from harness.tune.tables import rule_text
from tests.plan.test_plan import RULES, plan
from tests.records import fake_record
from tests.tune.synthetic import Truth, runs, sizes

PARAMS = (6e3, 2e4, 6e4)
BEFORE = RecipeConfig(lr=Rule(0.009, -0.6, 2.5e4), batch_tokens=Rule(512))
TUNE = TuneConfig(draws=400)


def fitted(
    truth: Truth,
    off: tuple[float, float] = (1.2, 0.7),
    seed: int = 0,
    tune: TuneConfig = TUNE,
    params: tuple[float, ...] = PARAMS,
    before: RecipeConfig = BEFORE,
) -> TuneFit:
    chosen = sizes(truth, params, off)
    trials = runs(truth, chosen, np.random.default_rng(seed), tune.rates, tune.batches)
    return fit_tuning("synthetic", chosen, trials, before, tune)


@pytest.mark.parametrize("skewed", [False, True])
def test_a_parabola_without_noise_is_recovered_exactly(skewed: bool) -> None:
    truth = Truth(noise=0.0)
    fit = fitted(truth, tune=replace(TUNE, skewed=skewed))
    for size in fit.sizes:
        rate, batch = truth.minimum(size.params)
        assert size.status == "ok"
        assert size.rate_opt == pytest.approx(rate, rel=5e-3)
        assert size.batch_opt == pytest.approx(batch, rel=5e-3)
        assert size.loss_opt == pytest.approx(truth.loss(size.params, rate, batch), abs=1e-4)
        expected = truth.excess(size.params, size.recipe_rate, size.recipe_batch)
        assert size.recipe_excess == pytest.approx(expected, abs=1e-4)
        assert size.rule_excess == pytest.approx(0, abs=1e-4)
    assert fit.rate.rule.params == pytest.approx(-0.5, abs=0.01)
    assert fit.batch.rule.params == pytest.approx(0.3, abs=0.01)
    assert fit.rate.rule(3e4, 1) == pytest.approx(0.008, rel=0.01)


def test_under_a_parametrization_the_rate_is_one_constant_at_the_base() -> None:
    """A recipe's rule is read at the base's N for every size then: a power of N would be read at the wrong one."""
    truth = Truth(noise=0.0)
    chosen = sizes(truth, PARAMS, (1.2, 0.7))
    trials = runs(truth, chosen, np.random.default_rng(0), TUNE.rates, TUNE.batches)
    fit = fit_tuning("synthetic", chosen, trials, BEFORE, TUNE, base_params=1e4)
    best = np.exp(np.mean(np.log([truth.minimum(size.params)[0] for size in fit.sizes])))
    assert fit.rate.rule == replace(fit.rate.rule, params=0.0, params_at=1e4, tokens=0.0)
    assert fit.rate.rule(1e4, 1) == pytest.approx(best, rel=0.01)
    assert any("as N^-0.5" in note for note in fit.notes), "and how far that is from transferring"
    assert fit.rate.status == "constant"
    assert fit.rate.exponent_interval is None
    trials = runs(replace(truth, noise=0.003), chosen, np.random.default_rng(0), TUNE.rates, TUNE.batches)
    fit = fit_tuning("synthetic", chosen, trials, BEFORE, TUNE, base_params=1e4)
    assert fit.rate.scatter is not None
    assert fit.rate.scatter > 10, "rates that go as N^-0.5 are no constant"
    assert fit.rate.value_interval is not None
    assert fit.rate.value_interval[0] < best / 1.3
    assert fit.rate.value_interval[1] > best * 1.3, "it is as wide as they scatter"
    for text in (rule_text(fit.rate), source_line(fit, BEFORE, {}).partition("; batch")[0]):
        assert "exponent" not in text
        assert "power law" not in text
        assert "all sizes" in text


def test_a_recipe_that_leaves_nothing_is_not_said_to_leave_something() -> None:
    """Excesses of draws over their own minima are never below zero: only an upper bound can be told of them."""
    truth, held = Truth(), []
    for seed in range(12):
        for size in fitted(truth, (1.0, 1.0), seed).sizes:
            if size.recipe_excess_interval is not None:
                expected = truth.excess(size.params, size.recipe_rate, size.recipe_batch)
                assert size.recipe_excess_interval[0] == 0
                held.append(expected <= size.recipe_excess_interval[1])
    assert len(held) > 20
    assert np.mean(held) >= 0.85


def test_intervals_cover_the_truth() -> None:
    truth, hits, widths = Truth(), [], []
    for seed in range(60):
        off = tuple(np.exp(np.random.default_rng(1000 + seed).uniform(-0.5, 0.5, 2)))
        fit = fitted(truth, off, seed)
        for result, exponent in ((fit.rate, -0.5), (fit.batch, 0.3)):
            assert result.exponent_interval is not None
            low, high = result.exponent_interval
            hits.append(low <= exponent <= high)
            widths.append(high - low)
        for size in fit.sizes:
            if size.rate_interval and size.batch_interval:
                rate, batch = truth.minimum(size.params)
                hits.append(size.rate_interval[0] <= rate <= size.rate_interval[1])
                hits.append(size.batch_interval[0] <= batch <= size.batch_interval[1])
    assert 0.84 < np.mean(hits) < 0.98
    assert np.median(widths) < 0.3


def test_a_skewed_minimum_biases_a_parabola_more_than_a_skewed_surface() -> None:
    truth = Truth(skew=1.0)

    def bias(skewed: bool) -> float:
        errors = [
            np.log(size.rate_opt / truth.minimum(size.params)[0])
            for seed in range(12)
            for size in fitted(truth, (1.0, 0.7), seed, replace(TUNE, skewed=skewed)).sizes
            if size.rate_opt
        ]
        assert len(errors) > 25
        return float(np.mean(errors))

    assert bias(False) < -0.15
    assert abs(bias(True)) < 0.1


@pytest.mark.parametrize(
    ("off", "status", "words"),
    [
        ((0.1, 0.7), "edge_rate", "try higher ones"),
        ((8.0, 0.7), "edge_rate", "try lower ones"),
        ((1.0, 4.0), "edge_batch", "try smaller ones"),
        ((1.0, 0.12), "edge_batch", "try larger ones"),
    ],
)
def test_a_minimum_outside_the_grid_is_an_edge_and_no_number(
    off: tuple[float, float], status: str, words: str
) -> None:
    fit = fitted(Truth(diverges=np.inf), off)
    for size in fit.sizes:
        assert status in size.flags
        assert any(words in note for note in size.notes)
        assert size.rate_opt is None
        assert size.batch_opt is None
        assert size.rate_best is not None
    assert fit.batch.status == "at_edge"
    assert {reason for _, reason in fit.batch.excluded} <= STATUSES.keys()
    assert fit.batch.rule.params == BEFORE.batch_tokens.params


def test_an_edge_in_batch_still_gives_the_best_rate_at_that_batch() -> None:
    truth = Truth()
    fit = fitted(truth, (1.0, 3.0))
    assert fit.batch.status == "at_edge"
    assert fit.rate.status == "ok"
    for size in fit.sizes:
        assert size.rate_at_rule_status == "ok"
        rate, batch = truth.minimum(size.params)
        # the rule's batch goes through the edges, or where it is below the grid, whose smallest is 1.5 times the best,
        # the smallest
        assert size.rule_batch is not None
        along_valley = rate * (max(size.rule_batch, 0.5 * size.recipe_batch) / batch) ** 0.5
        assert size.rate_at_rule == pytest.approx(along_valley, rel=0.15)


def test_one_size_at_an_edge_is_left_out_and_named() -> None:
    truth = Truth()
    chosen = sizes(truth, PARAMS, (1.2, 0.7))
    chosen[2] = sizes(truth, PARAMS, (0.1, 0.7))[2]
    fit = fit_tuning("x", chosen, runs(truth, chosen, np.random.default_rng(0)), BEFORE, TUNE)
    assert [size.status for size in fit.sizes[:2]] == ["ok", "ok"]
    assert "edge_rate" in fit.sizes[2].flags
    assert fit.rate.status == fit.batch.status == "two_sizes"
    assert fit.rate.params == (6000, 20000)
    assert fit.rate.excluded == ((60000, "edge_rate"),)
    assert fit.rate.rule.params == pytest.approx(-0.5, abs=0.15)
    measured = tuned_recipe("x", fit, BEFORE, {}).measured
    assert measured.params == [6000, 20000], "nothing was measured at the size that is left out"
    assert measured.tokens == [fit.sizes[0].tokens, fit.sizes[1].tokens]


def test_a_recipe_says_no_range_that_it_was_not_measured_over() -> None:
    before = replace(BEFORE, measured=MeasuredRange([1e3, 2e3], [1e5, 2e5]))
    beyond = fitted(Truth(diverges=np.inf), (0.01, 1.0))
    assert beyond.rate.status == "at_edge"
    assert tuned_recipe("x", beyond, before, {}).measured == MeasuredRange()


@pytest.mark.parametrize("base", [STANDARD, Base(Parametrization("completep", 32, 4, 8), 2e4)])
def test_a_recipe_says_what_it_was_tuned_under_and_along_which_tokens_per_parameter(base: Base) -> None:
    fit = fitted(Truth(), (1.2, 0.7))
    rules = replace(RULES, base=base, optimizer=OptimizerConfig("muon"))
    record = fake_record(plan(rules).cells[0], 3.0)
    found = tuned_recipe("x", fit, BEFORE, {record.run_id: record}).measured
    ratios = [size.tokens / size.params for size in fit.sizes]
    assert found.tokens_per_param == pytest.approx([min(ratios), max(ratios)], rel=1e-3)
    assert (found.optimizer, found.family) == ("muon", "llama")
    known = found.parametrization, found.base_width, found.base_layers, found.base_head_dim
    assert Parametrization(*known) == base.parametrization
    text = recipe_text(tuned_recipe("x", fit, BEFORE, {record.run_id: record}), "")
    assert load_recipe(f"recipe:\n{indent(text, '  ')}") == tuned_recipe(
        "x", fit, BEFORE, {record.run_id: record}
    )
    # what was measured before, and not anew, was not measured under this
    before = replace(BEFORE, measured=MeasuredRange([1e3, 2e3], [1e5, 2e5]))
    assert measured_under(before.measured, before.measured, {record.run_id: record}) == before.measured


def test_one_usable_size_moves_the_old_rule() -> None:
    truth = Truth(noise=0.0)
    chosen = sizes(truth, (2e4,), (2.0, 0.7))
    before = replace(
        BEFORE,
        lr=Rule(chosen[0].rate, BEFORE.lr.params, 2e4),
        batch_tokens=Rule(chosen[0].batch_tokens),
    )
    fit = fit_tuning("x", chosen, runs(truth, chosen, np.random.default_rng(0)), before, TUNE)
    assert fit.rate.status == fit.batch.status == "level_only"
    assert fit.rate.rule.params == before.lr.params
    assert fit.rate.rule.value == pytest.approx(chosen[0].rate / 2, rel=0.02)
    assert fit.batch.rule.value == pytest.approx(truth.minimum(2e4)[1], rel=0.02)


def test_a_cliff_brackets_the_rate() -> None:
    """Loss falls with the rate until runs diverge: that is not a grid that was too low."""
    truth = Truth(noise=0.003)
    chosen = sizes(truth, PARAMS, (0.25, 1.0))
    trials = [
        replace(trial, loss=None) if trial.rate > 1.5 * chosen[trial.size].rate else trial
        for trial in runs(truth, chosen, np.random.default_rng(0))
    ]
    fit = fit_tuning("x", chosen, trials, BEFORE, TUNE)
    for size, one in zip(fit.sizes, chosen, strict=True):
        assert "cliff" in size.flags
        assert "edge_rate" not in size.flags
        assert size.diverged == 8
        assert size.rate_bound == pytest.approx(2 * one.rate)
        assert size.rate_best == pytest.approx(one.rate)
        assert any("diverges" in note for note in size.notes)
    assert fit.rate.status == "at_edge"


def test_no_interval_reaches_a_rate_that_diverged() -> None:
    truth = Truth(noise=0.02)
    chosen = sizes(truth, PARAMS, (0.7, 0.7))
    trials = [
        replace(trial, loss=None) if trial.rate > 1.3 * truth.minimum(chosen[trial.size].params)[0] else trial
        for trial in runs(truth, chosen, np.random.default_rng(3))
    ]
    for size in fit_tuning("x", chosen, trials, BEFORE, TUNE).sizes:
        assert size.rate_bound is not None
        assert size.rate_interval is None or size.rate_interval[1] <= size.rate_bound * (1 + 1e-9)


def test_losses_that_curve_downwards_have_no_minimum() -> None:
    truth = Truth()
    chosen = sizes(truth, PARAMS)
    trials = [
        replace(t, loss=2 - 0.01 * np.log(t.rate / chosen[t.size].rate) ** 2)
        for t in runs(truth, chosen, np.random.default_rng(0))
    ]
    fit = fit_tuning("x", chosen, trials, BEFORE, TUNE)
    assert all("not_a_bowl" in size.flags and size.rate_opt is None for size in fit.sizes)
    assert fit.rate.status == "at_edge"


def test_too_few_runs_is_said() -> None:
    truth = Truth()
    chosen = sizes(truth, PARAMS)
    every = runs(truth, chosen, np.random.default_rng(0))
    fit = fit_tuning("x", chosen, every[:4], BEFORE, TUNE)
    assert [size.status for size in fit.sizes] == ["too_few_runs"] * 3
    assert fit.rate.rule.value == BEFORE.lr.value
    json.dumps(fit.to_json(), allow_nan=False)
    nothing = fit_tuning("x", chosen, [], BEFORE, TUNE)
    assert nothing.sizes[0].loss_lowest is None
    some = [trial for trial in every if trial.size != 1]
    fit = fit_tuning("x", chosen, some, BEFORE, TUNE)
    assert [size.status for size in fit.sizes] == ["ok", "too_few_runs", "ok"]


def test_rates_alone_can_be_tuned() -> None:
    truth = Truth(noise=0.003)
    fit = fitted(truth, (1.5, 1.0), tune=replace(TUNE, batches=[1.0]))
    assert fit.batch.status == "held"
    assert fit.batch.rule == BEFORE.batch_tokens
    assert all(size.status == "ok" and size.batch_interval is None for size in fit.sizes)
    assert fit.rate.rule.params == pytest.approx(-0.5, abs=0.1)
    assert fit.sizes[1].rate_opt == pytest.approx(truth.minimum(2e4)[0], rel=0.1)


def test_curvatures_that_differ_are_doubted() -> None:
    truth = Truth(noise=0.002)
    chosen = sizes(truth, PARAMS, (1.0, 0.7))
    sharp = [
        trial if trial.size or trial.loss is None else replace(trial, loss=2 + 4 * (trial.loss - 2))
        for trial in runs(truth, chosen, np.random.default_rng(0))
    ]
    fit = fit_tuning("x", chosen, sharp, BEFORE, TUNE)
    assert fit.curvature_p is not None
    assert fit.curvature_p < 0.01
    assert any("curvatures differ" in note for note in fit.notes)
    same = fitted(truth)
    assert same.curvature_p is not None
    assert same.curvature_p > 0.001


def test_the_window_takes_the_near_and_enough() -> None:
    z = np.array([[0, 0], [0, 1], [0, 2], [0, 3], [1, 0], [2, 0]], dtype=float)
    loss = np.array([2.0, 2.1, 2.3, np.nan, 2.05, 5.0])
    near = near_minimum(z, loss, (1,), 0.15, 1)
    assert near.tolist() == [True, True, True, False, True, False], "three batches, the third far"
    assert near_minimum(z, loss, (), 0.15, 1).tolist() == [True, True, False, False, True, False]
    assert near_minimum(z, loss, (), 0.01, 4).tolist() == [True, True, True, False, True, False]
    assert near_minimum(z, loss, (0,), 0.01, 1)[5]
    assert not near_minimum(z[:2], np.array([np.nan, np.nan]), (0,), 0.1, 3).any()


def test_the_same_seed_gives_the_same_fit_and_json_has_no_nan() -> None:
    first, second = (fitted(Truth(skew=1.0), seed=5).to_json() for _ in range(2))
    assert first == second
    assert json.loads(json.dumps(first, allow_nan=False))["rate"]["status"] in RULE_STATUSES


@pytest.mark.parametrize("off", [(1.2, 0.7), (3.0, 0.3), (0.1, 0.7)])
def test_the_surfaces_are_drawn_whatever_was_found(off: tuple[float, float]) -> None:
    fit = fitted(Truth(skew=1.0), off)
    read = TuneFit.from_json(json.loads(json.dumps(fit.to_json())))
    assert read.to_json() == fit.to_json()
    with figure_style():
        figure = draw_tuning(read)
        figure.draw_without_rendering()
    assert len(figure.axes) == 2 * (len(PARAMS) + 1)
    assert "N = 6.00k" in figure.axes[0].get_title(loc="left")


@pytest.mark.parametrize("rates", [(0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0, 4.0)])
def test_four_rates_alone_are_fitted_as_the_help_says(rates: tuple[float, ...]) -> None:
    truth, tune, held, errors = Truth(), replace(TUNE, rates=list(rates), batches=[1.0]), [], []
    for seed in range(30):
        fit = fitted(truth, (1.0, 1.0), seed, tune)
        assert fit.rate.status == "ok"
        assert fit.batch.status == "held"
        for size in fit.sizes:
            assert size.status != "too_few_runs"
            if size.rate_opt is not None and size.rate_interval is not None:
                best = truth.minimum(size.params)[0]
                errors.append(np.log(size.rate_opt / best))
                held.append(size.rate_interval[0] <= best <= size.rate_interval[1])
    assert len(held) > 80
    assert 0.84 < np.mean(held) <= 0.98, "nominal 0.9"
    assert np.sqrt(np.mean(np.square(errors))) < 0.1


def planned(made: list, tune: TuneConfig, batches: tuple[int, ...]) -> TunePlan:
    """The cells of ``made`` at ``batches`` tokens, as a plan has them, without a corpus."""
    cells, sized = [], []
    for size in made:
        ids = []
        for rate in tune.rates:
            for batch in batches:
                run_id = f"{size.params}-{rate}-{batch}"
                spec = SimpleNamespace(
                    optimizer=SimpleNamespace(lr=rate * size.rate), batch_tokens=batch, seed=0
                )
                cells.append(SimpleNamespace(run_id=run_id, spec=spec))
                ids.append(run_id)
        sized.append(replace(size, run_ids=tuple(ids)))
    return TunePlan(SimpleNamespace(cells=cells), tuple(sized))  # type: ignore[arg-type]


def test_a_grid_that_no_surface_can_be_fitted_to_is_refused_before_it_is_trained() -> None:
    made = sizes(Truth(), PARAMS)
    alone = replace(TUNE, rates=[0.25, 0.5, 1.0, 2.0], batches=[1.0])
    check_fittable(planned(made, alone, (512,)), alone)
    check_fittable(planned(made, TUNE, (256, 512, 1024)), TUNE)
    with pytest.raises(
        UserError, match="at most 10 runs a size, at 5 learning rates and 2 batches"
    ) as caught:
        check_fittable(planned(made, TUNE, (256, 512)), TUNE)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="at 5 learning rates and 1 batch \\("):
        check_fittable(planned(made, TUNE, (256,)), TUNE)


LIMITED = Rule(0.0047, -0.3333, 1.08e8, maximum=0.03)


@pytest.mark.parametrize("status", ["ok", "edge_rate"])
def test_a_rule_with_a_limit_is_moved_through_the_point_that_has_a_value(status: str) -> None:
    """Where the limit holds, at the two smaller sizes, the rule's own power is far above what was trained."""
    nan = np.nan
    best = BestValues(
        params=np.array([8e3, 4e4, 1.6e6]),
        value=np.array([0.015, nan, nan]),
        draws=None,
        multiple=np.array([0.5, nan, nan]),
        status=(status, "too_few_runs", "too_few_runs"),
    )
    found = power_rule(best, LIMITED, 0.9)
    assert found.status == ("level_only" if status == "ok" else "at_edge")
    assert LIMITED(8e3, 1e6) == 0.03
    for n in best.params:
        assert found.rule(n, 1e6) == pytest.approx(0.5 * LIMITED(n, 1e6), rel=1e-3)
    held = fitted(Truth(), tune=replace(TUNE, rates=[0.5]), before=replace(BEFORE, lr=LIMITED)).rate
    assert held.status == "held"
    assert held.rule(8e3, 1e6) == pytest.approx(0.015)
