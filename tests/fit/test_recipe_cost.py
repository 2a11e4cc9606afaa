"""Gains and shifts whose truth is known: a bowl in the logarithm of a multiple, and profiles that move."""

from math import inf, log

import numpy as np
import pytest

from harness.fit.recipe_cost import Noise, Reference, Tried, cell_gains, shift

NOISE = Noise(0.01, 8)


def bowl(factors: tuple[float, ...], best: float, depth: float = 0.1) -> dict[float, float]:
    """Losses about 2 at ``best``."""
    return {factor: 2 + depth * log(factor / best) ** 2 for factor in factors}


def test_the_best_value_is_the_vertex_between_three() -> None:
    losses = bowl((0.5, 1, 2, 4), 1.5)
    made = cell_gains({"rates": Tried(losses)}, Reference(losses.pop(1)), None, 0.9)
    gain = made.gains["rates"]
    assert gain.factor == pytest.approx(1.5)
    assert gain.nats == pytest.approx(0.1 * log(1.5) ** 2)
    assert (gain.at_edge, gain.interval, gain.beyond_noise) == (False, None, False)
    assert made.total.nats == gain.nats


@pytest.mark.parametrize(
    ("losses", "factor", "nats", "at_edge"),
    [
        ({2.0: 1.9, 3.0: 1.8}, 3.0, 0.2, True),
        ({2.0: 2.1, 3.0: 2.2}, 1.0, 0.0, True),
        ({0.5: 2.1, 2.0: 1.9, 4.0: inf}, 2.0, 0.1, False),  # what diverged is no point of a parabola
        ({0.0: 1.9, 2.0: 2.1}, 0.0, 0.1, True),
        ({0.0: 2.3, 0.5: 1.9}, 0.5, 0.1, False),  # nor is what is switched off
        ({0.5: 2.0, 2.0: 2.0}, 0.5, 0.0, True),
        ({2.0: inf}, 1.0, 0.0, True),
        ({0.5: 2.5, 2.0: 2.0}, 1.0, 0.0, False),  # half a nat above is no parabola any more
    ],
)
def test_without_a_vertex_the_best_value_is_one_that_was_tried(
    losses: dict[float, float], factor: float, nats: float, at_edge: bool
) -> None:
    gain = cell_gains({"rates": Tried(losses)}, Reference(2.0), NOISE, 0.9).gains["rates"]
    assert gain.factor == factor
    assert gain.nats == pytest.approx(nats)
    assert gain.at_edge is at_edge
    assert gain.interval is not None
    assert 0 <= gain.interval[0] <= gain.nats <= gain.interval[1] < 1


def test_a_sum_is_of_all_and_says_so() -> None:
    made = cell_gains({"rates": Tried({2.0: 1.9}), "batches": Tried({2.0: 1.8})}, Reference(2.0), NOISE, 0.9)
    assert made.total.nats == pytest.approx(0.3)
    assert made.total.factor is None
    assert made.total.beyond_noise
    assert made.total.interval is not None
    assert made.total.interval[1] > 0.3


def test_the_interval_holds_both_comparisons() -> None:
    """The chosen run was lucky by .05; another value is as good, with or without its luck."""
    same = cell_gains({"rates": Tried({2.0: 2.0})}, Reference(2.0, 2.05, 2), NOISE, 0.9).gains["rates"]
    assert same.interval is not None
    assert same.interval[0] == 0
    assert same.interval[1] > 0.05
    better = cell_gains({"rates": Tried({2.0: 1.9})}, Reference(2.0, 2.05, 2), NOISE, 0.9).gains["rates"]
    assert better.beyond_noise
    assert better.interval is not None
    assert better.interval[0] == pytest.approx(0.1)
    assert better.interval[1] > 0.15


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_noise_is_seldom_taken_for_a_gain(share: float) -> None:
    """No value is better; of the chosen run's luck ``share`` comes with its seed. Each of two values may pass by 5%."""
    rng, found, repetitions = np.random.default_rng(3), 0, 400
    for _ in range(repetitions):
        own = min(0.01 * rng.standard_normal(3))  # the luckiest of three
        others = 0.01 * rng.standard_normal(4)
        fresh = 0.01 * (1 - share**2) ** 0.5
        tried = {f: 2 + share * own + fresh * rng.standard_normal() for f in (0.5, 2.0)}
        noise = Noise(float(others.std(ddof=1)), 3)
        reference = Reference(2 + own, 2 + float(others.mean()), 4)
        found += cell_gains({"rates": Tried(tried)}, reference, noise, 0.9).gains["rates"].beyond_noise
    assert found <= 0.1 * repetitions + 2.3 * (repetitions * 0.09) ** 0.5


@pytest.mark.parametrize("best", [1.0, 1.3, 2.0])
def test_intervals_hold_the_true_gain(best: float) -> None:
    """Nominal 90%: of 200 at least 171 (fewer has a probability below 1%)."""
    rng, held, truth = np.random.default_rng(4), 0, 0.1 * log(best) ** 2
    for _ in range(200):
        losses = {
            factor: loss + 0.01 * rng.standard_normal() for factor, loss in bowl((0.5, 1, 2, 4), best).items()
        }
        own = losses.pop(1)
        interval = cell_gains({"r": Tried(losses)}, Reference(own), NOISE, 0.9).gains["r"].interval
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held >= 171


def test_a_gain_that_depends_on_the_size_moves_the_optimum() -> None:
    """L = L0 + bend/2 (x - 10)^2 less a gain of .1 - .05 (x - 10): the minimum is at 10 - .05 / bend."""
    x, bend = [9.5, 10.0, 10.6], 0.2
    gains = [0.1 - 0.05 * (one - 10) for one in x]
    assert shift(x, gains, [], bend, 0.9).log_params == pytest.approx(-0.05 / bend)
    assert shift(x[:2], gains[:2], [], bend, 0.9).log_params == pytest.approx(-0.05 / bend)
    alike = shift(x, [0.1] * 3, [], bend, 0.9)
    assert alike.log_params == pytest.approx(0)
    assert not alike.beyond_noise
    rng = np.random.default_rng(0)
    draws = [gain + 0.01 * rng.standard_normal(4000) for gain in gains]
    moved = shift(x, gains, draws, bend, 0.9)
    assert moved.interval is not None
    width = 1.645 * 0.01 / bend / np.sqrt(np.sum((np.array(x) - np.mean(x)) ** 2))
    assert moved.interval == pytest.approx((-0.25 - width, -0.25 + width), rel=0.1)
    assert moved.beyond_noise == (width < 0.25)


def test_the_same_question_has_the_same_answer() -> None:
    asked = {"rates": Tried({0.5: 2.1, 2.0: 1.95})}, Reference(2.0, 2.01, 2), NOISE, 0.9
    assert cell_gains(*asked).gains == cell_gains(*asked).gains
