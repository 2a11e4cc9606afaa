"""The ratio of best learning rates between sizes: synthetic tunings whose ratios are known."""

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UserError
from harness.plan.recipe_rules import RecipeConfig
from harness.tune.config import TuneConfig
from harness.tune.fit import fit_tuning
from harness.tune.results import TuneFit
from harness.tune.transfer import rate_ratios
from tests.tune import synthetic
from tests.tune.synthetic import Truth

PARAMS = (3e4, 1.2e5)
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
TUNE = TuneConfig(rates=list(RATES), batches=[1.0], draws=400)
ROOT = 2**0.5


def tuned(exponent: float, seed: int, off: float = 1.0, rates: tuple[float, ...] = RATES) -> TuneFit:
    """Two runs a rate at two sizes; the best rate is a power of N."""
    truth = Truth(rate_exponent=exponent)
    sizes = [
        synthetic.size(n, off * truth.rate, round(truth.batch * (n / 3e4) ** truth.batch_exponent))
        for n in PARAMS
    ]
    rng = np.random.default_rng(seed)
    trials = [one for _ in range(2) for one in synthetic.runs(truth, sizes, rng, rates, (1.0,))]
    return fit_tuning("t", sizes, trials, RecipeConfig(), replace(TUNE, rates=list(rates)))


def test_the_interval_holds_the_ratio_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        found = rate_ratios(tuned(-0.5, seed))
        assert found.statuses == ("ok", "ok")
        interval = found.ratio_intervals[1]
        assert interval is not None
        held += interval[0] <= 0.5 <= interval[1]
        assert found.ratio_intervals[0] is None
    assert 0.8 <= held / 60 <= 0.98


def test_what_transfers_and_what_does_not_are_told_apart() -> None:
    same, moved = (rate_ratios(tuned(exponent, 2)).ratio_intervals[1] for exponent in (0.0, -0.8))
    assert same is not None
    assert moved is not None
    assert 1 / ROOT < same[0] < 1 < same[1] < ROOT
    assert moved[1] < 1 / ROOT


def test_best_rates_are_those_of_the_tuning_itself() -> None:
    fit = tuned(-0.5, 3)
    found = rate_ratios(fit)
    for size, rate, interval in zip(fit.sizes, found.rates, found.rate_intervals, strict=True):
        assert size.rate_opt == pytest.approx(rate, rel=1e-6)
        assert size.rate_interval == pytest.approx(interval, rel=1e-6)
    assert rate_ratios(TuneFit.from_json(fit.to_json())) == found, "and so are those of the file"


def test_a_ratio_of_borders_says_so() -> None:
    """All rates are below the best one of the small size: its border is no minimum."""
    found = rate_ratios(tuned(-1.0, 0, off=0.1))
    assert found.statuses[0] == "edge_rate"
    assert found.statuses[1] != "ok", "and whatever is compared with it is none either"


def test_a_minimum_that_only_the_other_sizes_show_is_none() -> None:
    """The large size's best rate is the lowest tried; the curvature that all share puts a minimum above it."""
    fit = tuned(0.0, 2)
    lowest = min(trial.rate for trial in fit.trials)
    trials = [
        replace(trial, loss=1.0 + 0.05 * np.log(trial.rate / lowest)) if trial.size == 1 else trial
        for trial in fit.trials
    ]
    found = rate_ratios(replace(fit, trials=tuple(trials)))
    assert fit.sizes[1].status == "ok"
    assert found.statuses == ("ok", "edge_rate")


def test_as_many_runs_as_coefficients_have_no_intervals() -> None:
    truth = Truth()
    sizes = synthetic.sizes(truth, PARAMS)
    trials = synthetic.runs(truth, sizes, np.random.default_rng(0), (0.5, 1.0), (1.0,))
    fit = fit_tuning("t", sizes, trials, RecipeConfig(), TUNE)
    with pytest.raises(UserError, match=r"more tune\.rates"):
        rate_ratios(fit)
