"""Choosing runs: what a choice is expected to give is what conditioning a Gaussian gives, within every limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.design.choose import Belief, Offer, choose, variance_of_run

DRAWS = 4000


def linear_belief(
    rng: np.random.Generator, m: int, noise: float = 0.5
) -> tuple[Belief, np.ndarray, np.ndarray]:
    """A belief over three coefficients: the aim and m losses are linear in them. With their vectors."""
    phi = rng.standard_normal((DRAWS, 3))
    phi = (phi - phi.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(phi.T, bias=True)).T)
    aim, losses = rng.standard_normal(3), rng.standard_normal((3, m))
    weight = np.full(DRAWS, 1 / DRAWS)
    alone = np.eye(m)
    return Belief(phi @ aim, phi @ losses, weight, noise, np.zeros(m), alone), aim, losses


def posterior_variance(aim: np.ndarray, losses: np.ndarray, noise: float, counts: np.ndarray) -> float:
    """Of the aim after so many runs of each candidate, exactly; one place shares an error as large as the noise."""
    information = np.eye(3)
    for j, n in enumerate(counts):
        if n:
            information += np.outer(losses[:, j], losses[:, j]) / (noise**2 * (1 + 1 / n))
    return float(aim @ np.linalg.solve(information, aim))


@pytest.mark.parametrize("seed", range(5))
def test_the_variance_expected_is_that_of_a_gaussian_belief(seed: int) -> None:
    rng = np.random.default_rng(seed)
    belief, aim, losses = linear_belief(rng, 6)
    offer = Offer(np.ones(6), np.full(6, 3), np.ones(6, dtype=bool), spend=7.0)
    found = choose(belief, offer)
    counts = np.bincount([one.candidate for one in found], minlength=6)
    exact = posterior_variance(aim, losses, belief.noise, counts)
    assert found[0].before == pytest.approx(belief.moments[0])
    assert found[-1].after == pytest.approx(exact, rel=0.1)  # draws are cut off at four deviations


def test_runs_of_one_place_are_worth_less_and_less() -> None:
    noise = 0.3
    information = np.cumsum(1 / variance_of_run(noise, np.arange(5.0)))
    assert information == pytest.approx([1 / (noise**2 * (1 + 1 / m)) for m in range(1, 6)])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    spend=st.floats(0.1, 30),
    share=st.floats(0, 1),
    spent=st.floats(0, 20),
    near_before=st.floats(0, 1),
)
def test_no_limit_is_crossed(seed: int, spend: float, share: float, spent: float, near_before: float) -> None:
    rng = np.random.default_rng(seed)
    belief, _, _ = linear_belief(rng, 8)
    cost, times = rng.uniform(0.2, 5, 8), rng.integers(0, 4, 8)
    near = rng.random(8) < 0.5
    offer = Offer(cost, times, near, spend, share, spent, spent * near_before)
    chosen = [one.candidate for one in choose(belief, offer)]
    assert cost[chosen].sum() <= spend * (1 + 1e-6)
    assert (np.bincount(chosen, minlength=8) <= times).all()
    far = spent * (1 - near_before) + cost[chosen][~near[chosen]].sum()
    # what was spent before may be over the cap, and then nothing far is added
    assert far <= max((1 - share) * (spent + spend), spent * (1 - near_before)) * (1 + 1e-6)


def test_the_share_near_the_optimum_is_made_up_for() -> None:
    """Far runs alone are worth it; a third of the spend is near all the same."""
    rng = np.random.default_rng(3)
    belief, _, _ = linear_belief(rng, 4)
    near = np.array([True, False, False, False])
    weak = belief.log_loss * np.array([1e-3, 1, 1, 1])
    offer = Offer(np.ones(4), np.full(4, 9), near, spend=9.0, near_share=1 / 3)
    chosen = [
        one.candidate
        for one in choose(Belief(belief.aim, weak, belief.weight, 0.5, np.zeros(4), np.eye(4)), offer)
    ]
    share = np.mean(near[chosen])
    assert 1 / 3 <= share < 1


def test_what_tells_nothing_is_not_chosen() -> None:
    rng = np.random.default_rng(0)
    belief, _, _ = linear_belief(rng, 3)
    blind = Belief(belief.aim, np.zeros((DRAWS, 3)), belief.weight, 0.5, np.zeros(3), np.eye(3))
    assert choose(blind, Offer(np.ones(3), np.ones(3, dtype=int), np.ones(3, dtype=bool), 5.0)) == []


def test_candidates_that_must_come_first_do() -> None:
    belief, _, _ = linear_belief(np.random.default_rng(1), 5)
    offer = Offer(np.ones(5), np.ones(5, dtype=int), np.ones(5, dtype=bool), 3.0)
    best = choose(belief, offer)[0].candidate
    other = (best + 1) % 5
    assert choose(belief, offer, [other])[0].candidate == other


def test_draws_that_ran_away_do_not_lead() -> None:
    """Half a per cent of laws without an optimum near must not decide what is trained."""
    belief, _, _ = linear_belief(np.random.default_rng(2), 5)
    wild = belief.aim.copy()
    wild[:20] = np.where(np.arange(20) % 2, 1e6, np.nan)
    offer = Offer(np.ones(5), np.ones(5, dtype=int), np.ones(5, dtype=bool), 1.0)
    sane = choose(belief, offer)
    found = choose(Belief(wild, belief.log_loss, belief.weight, 0.5, np.zeros(5), np.eye(5)), offer)
    assert found[0].candidate == sane[0].candidate
    assert found[0].before < 2 * sane[0].before
