"""The study of forecasts: what is fitted, what is forecast, and how far beyond it lies."""

import numpy as np
import pytest

from harness.fit import FitOptions
from harness.fit.laws import Law
from scripts import forecast_study as study


@pytest.mark.parametrize("quantity", study.QUANTITIES)
def test_runs_are_forecast_from_those_within_the_cut(quantity: str) -> None:
    points = study.sweep(study.Surface(0.0), noise=0.002, seed=1)
    found = list(study.forecasts(points, quantity, FitOptions(draws=40)))
    assert len(found) > 20
    values = study.QUANTITIES[quantity](points)
    assert 1 < max(one.distance for one in found) < values.max() / values.min()
    assert all(one.distance > 1 for one in found)
    # The form is the truth's own: forecasts miss by the noise of a run and what the fit does not know.
    assert np.median([abs(one.error) for one in found]) < 0.01
    assert np.mean([abs(one.error) <= one.half for one in found]) > 0.6


def test_the_optimum_of_a_surface_is_the_laws_where_nothing_interacts() -> None:
    law = Law.from_theta(np.array(study.TRUTH))
    log_n, loss = study.Surface(0.0).optimum(1e20)
    assert log_n == pytest.approx(float(law.log_optimum(1e20)[0]), abs=1e-3)
    assert loss == pytest.approx(float(law.at_flops(1e20).loss), rel=1e-6)
    assert study.Surface(0.3).optimum(1e20)[1] > loss + 0.05


def test_a_missing_term_is_seen_in_forecasts_far_beyond_the_runs() -> None:
    options = FitOptions(draws=40)
    right, wrong = (study.synthetic(study.Surface(share), 0.002, 3, options) for share in (0.0, 0.3))
    for name in ("L* in C", "L in D/N"):
        far = [[abs(one.error) for one in found[name] if one.distance == 100] for found in (right, wrong)]
        assert len(far[0]) == len(far[1]) == 3
        assert np.median(far[1]) > 3 * np.median(far[0])
