"""The direct law: its shape, what it recovers, and when it asks for a constant."""

import numpy as np
import pytest

from harness.fit.table import Array
from harness.fit.tasks.direct import fit_direct
from tests.fit.tasks.synthetic import CHANCE, direct_law, sweep


def test_parameters_are_recovered() -> None:
    found = [fit_direct(sweep(direct_law, np.random.default_rng(s)), draws=0) for s in range(30)]
    assert np.median([one.alpha for one in found]) == pytest.approx(0.25, abs=0.02)
    assert np.median([one.beta for one in found]) == pytest.approx(0.3, abs=0.02)
    assert np.median([one.log_a - one.alpha * np.log(3e7) for one in found]) == pytest.approx(
        np.log(1.1), abs=0.1
    )
    assert np.median([one.log_b - one.beta * np.log(6e8) for one in found]) == pytest.approx(
        np.log(0.9), abs=0.1
    )
    assert np.mean([one.constant_fixed for one in found]) >= 0.9


@pytest.mark.parametrize("seed", range(3))
def test_it_rises_with_parameters_and_tokens_from_chance(seed: int) -> None:
    fit = fit_direct(sweep(direct_law, np.random.default_rng(seed), sd=0.02), draws=0)
    many = np.geomspace(1, 1e20, 400)
    for accuracy in (fit.accuracy(many, 1e9), fit.accuracy(1e8, many)):
        assert (np.diff(accuracy) >= 0).all()
        assert (accuracy >= CHANCE).all()
        assert (accuracy <= 1).all()
    assert float(fit.accuracy(1.0, 1.0)) == pytest.approx(CHANCE, abs=1e-3)


def test_a_cap_is_seen_where_runs_reach_it() -> None:
    def capped(n: Array, d: Array) -> Array:
        return np.asarray(
            CHANCE + (1 - CHANCE) * np.exp(-(0.5 * (3e7 / n) ** 0.9 + 0.5 * (6e8 / d) ** 0.9 + 0.4))
        )

    fit = fit_direct(sweep(capped, np.random.default_rng(0), sd=0.004), draws=0)
    assert not fit.constant_fixed
    assert fit.constant == pytest.approx(0.4, abs=0.06)


def test_a_law_of_parameters_alone_has_its_other_term_at_a_bound() -> None:
    def of_params(n: Array, d: Array) -> Array:
        return np.asarray(CHANCE + (1 - CHANCE) * np.exp(-1.5 * (3e7 / n) ** 0.4))

    fit = fit_direct(sweep(of_params, np.random.default_rng(1)), draws=50)
    assert fit.status == "at_bound"
    assert "D" in " ".join(fit.notes) or "beta" in " ".join(fit.notes)
