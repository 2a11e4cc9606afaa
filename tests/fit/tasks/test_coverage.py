"""How often 90% intervals hold the truth at five times the largest budget, where the law is the right one."""

import numpy as np
import pytest

from harness.fit.tasks import fit_task
from tests.fit.tasks.synthetic import BUDGETS, SEED_SD, Law, direct_law, sigmoid_law, sweep, task_loss

SWEEPS = 120
C = 5 * BUDGETS[-1]
N = float(np.sqrt(C / 120))
D = C / 6 / N
LOSS_SE = 0.004  # of the expected task loss, as its law predicts it


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "method", "kinds"),
    [
        (sigmoid_law(), "two_step", {"sd": 0.005}),
        (sigmoid_law(), "two_step", {"sd": 0.01}),
        (sigmoid_law(), "two_step", {"cell_sd": 0.005}),
        (sigmoid_law(0.85), "two_step", {}),
        (sigmoid_law(0.7), "two_step", {}),
        (sigmoid_law(1.0, 0.5), "two_step", {}),
        (sigmoid_law(), "known_loss", {}),
        (sigmoid_law(0.85), "known_loss", {}),
        (direct_law, "direct", {"sd": 0.005}),
        (direct_law, "direct", {"sd": 0.01}),
    ],
)
def test_intervals_cover(law: Law, method: str, kinds: dict[str, float]) -> None:
    params, tokens = np.array([N]), np.array([D])
    truth, loss = float(law(params, tokens)[0]), float(task_loss(params, tokens)[0])
    one_sd = float(np.hypot(kinds.get("sd", SEED_SD), kinds.get("cell_sd", 0.0)))
    held = []
    for seed in range(SWEEPS):
        rng = np.random.default_rng([7, seed])
        fit = fit_task(sweep(law, rng, **kinds), draws=200, seed=seed)  # type: ignore[arg-type]
        point = loss + (LOSS_SE * rng.standard_normal() if method == "two_step" else 0.0)
        said = (
            fit.predict_direct(N, D)
            if method == "direct"
            else fit.predict_two_step(
                point + (method == "two_step") * LOSS_SE * rng.standard_normal(200), point
            )
        )
        run = truth + one_sd * rng.standard_normal()
        assert said.interval is not None
        assert said.run_interval is not None
        held.append(
            (
                said.interval[0] <= truth <= said.interval[1],
                said.run_interval[0] <= run <= said.run_interval[1],
            )
        )
    expected, of_run = np.mean(held, axis=0)
    assert 0.80 <= expected <= 0.97
    assert 0.84 <= of_run <= 0.98
