"""The frontier of forms without a closed form, and of laws with a kappa."""

import numpy as np
import pytest

from harness.fit.laws import CostLaw, Law
from harness.fit.surface import Surface, frontier_of

LAW = Law(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37, cost=CostLaw(7.0, 0.98))
# The same law as an interaction whose further term is nothing.
SAME = Surface(
    form="interaction",
    theta=np.array((1.8, 480.0, 2100.0, 0.35, 0.37, 1e-12, 0.1, 0.1)),
    cost=LAW.cost,
    middle=(20.0, 48.0),
    span=4.0,
)


@pytest.mark.parametrize(
    ("method", "value"),
    [("at_flops", 1e18), ("at_flops", 1e24), ("at_params", 1e9), ("at_tokens", 1e10), ("at_loss", 2.2)],
)
def test_a_surface_agrees_with_the_closed_form(method: str, value: float) -> None:
    found, exact = getattr(SAME, method)(value), getattr(LAW, method)(value)
    for name in ("params", "tokens", "flops", "loss"):
        assert getattr(found, name) == pytest.approx(getattr(exact, name), rel=1e-6)


def test_many_draws_are_solved_as_each_alone() -> None:
    rows = np.tile(SAME.theta, (7, 1))
    rows[:, 1] *= np.linspace(0.7, 1.4, 7)
    many = Surface(form="interaction", theta=rows, cost=LAW.cost, middle=(20.0, 48.0), span=4.0)
    for method, value in (("at_flops", 1e21), ("at_params", 1e9), ("at_tokens", 1e10), ("at_loss", 2.2)):
        together = getattr(many, method)(value)
        alone = [getattr(many.row(i), method)(value) for i in range(7)]
        for name in ("params", "tokens", "flops", "loss"):
            assert getattr(together, name) == pytest.approx([getattr(one, name) for one in alone], rel=1e-9)
    a, _ = many.exponents
    assert a == pytest.approx([float(many.row(i).exponents[0]) for i in range(7)], rel=1e-9)
    assert float(a[0]) == pytest.approx(float(LAW.exponents[0]), rel=1e-5)


def test_what_no_model_reaches_takes_infinite_compute() -> None:
    assert SAME.at_loss(1.5).flops == np.inf
    assert SAME.tokens_for(1e6, 2.3) == np.inf
    assert LAW.tokens_for(1e6, 2.3) == np.inf
    assert SAME.tokens_for(1e9, 2.5) == pytest.approx(float(LAW.tokens_for(1e9, 2.5)), rel=1e-8)
    assert SAME.usable
    assert SAME.floor == pytest.approx(1.8, abs=0.02)


def test_a_loss_that_rises_with_size_has_no_optimum() -> None:
    rising = Surface(
        form="interaction",
        theta=np.array((1.8, 480.0, 2100.0, -0.35, 0.37, 1e-12, 0.1, 0.1)),
        cost=LAW.cost,
        middle=(20.0, 48.0),
        span=4.0,
    )
    assert not rising.usable
    assert np.isnan(rising.at_flops(1e21).params)


@pytest.mark.parametrize("kappa", [0.6, 0.8, 1.0, 1.3])
def test_a_law_with_kappa_is_at_its_optimum(kappa: float) -> None:
    """At N* a size a little off has a higher loss at the same compute, and at_loss undoes at_flops."""
    law = Law(E=1.8, A=480.0, B=2100.0, alpha=0.35, beta=0.37, kappa=kappa, cost=CostLaw(7.0, 0.98))
    best = law.at_flops(1e21)
    for off in (0.98, 1.02):
        params = best.params * off
        tokens = 1e21 / (7.0 * params**0.98)
        assert law.loss(params, tokens) > best.loss
    again = law.at_loss(best.loss)
    assert (again.params, again.tokens) == pytest.approx((best.params, best.tokens), rel=1e-9)
    assert float(law.tokens_for(best.params, best.loss)) == pytest.approx(best.tokens, rel=1e-9)
    assert Law.from_theta(law.theta, law.cost) == law
    assert (len(law.theta) == 5) == (kappa == 1.0)


def test_kaplans_optimum_by_its_paper() -> None:
    """Kaplan et al. 2020, section 6.1: N* ~ C^(alphaD/(alphaN+alphaD)) of their L(N, D)."""
    alpha_n, alpha_d, n_c, d_c = 0.076, 0.103, 6.4e13, 1.8e13
    theta = np.array((0.0, n_c ** (alpha_n / alpha_d), d_c, alpha_n / alpha_d, 1.0, alpha_d))
    law = frontier_of("kaplan", theta, CostLaw(), None, 1e18, 1e21)
    assert isinstance(law, Law)
    assert float(law.exponents[0]) == pytest.approx(alpha_d / (alpha_n + alpha_d))
    assert law.loss(1e9, 1e10) == pytest.approx(((n_c / 1e9) ** (alpha_n / alpha_d) + d_c / 1e10) ** alpha_d)
    assert law.usable
