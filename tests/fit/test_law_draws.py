"""All draws at once find the optimum that one descent each finds."""

import numpy as np
import pytest

from harness.fit import law_solver
from harness.fit.huber import huber_sum
from harness.fit.law_draws import predict_draws, refit_draws
from tests.fit.synthetic import sweep


@pytest.mark.parametrize("delta", [1e-3, 0.01, np.inf])
def test_draws_reach_the_optimum_of_single_fits(delta: float) -> None:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=9, noise=0.004, seed=1)
    data = law_solver.Data.of(points.params, points.tokens, points.loss)
    fit = law_solver.fit_lbfgs(data, delta)
    n = len(points)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=40).astype(float)
    together = refit_draws(data, data.log_loss[None], counts, delta, fit.theta)
    single = np.stack(
        [law_solver.refit_lbfgs(data.take(w > 0), delta, w[w > 0], [fit.theta]).theta for w in counts]
    )
    ours, theirs = (
        huber_sum(predict_draws(theta, data) - data.log_loss, delta, counts) for theta in (together, single)
    )
    assert np.all(ours <= theirs * (1 + 1e-5) + 1e-18)


def test_a_parameter_that_a_draw_does_not_see_ends_no_fit() -> None:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=9, noise=0.004)
    data = law_solver.Data.of(points.params, points.tokens, points.loss)
    fit = law_solver.fit_lbfgs(data, np.inf)
    counts = np.zeros((2, len(points)))
    counts[0, :3] = 9
    counts[1] = 1
    found = refit_draws(data, data.log_loss[None], counts, np.inf, fit.theta)
    assert found[1] == pytest.approx(fit.theta, abs=1e-5)
