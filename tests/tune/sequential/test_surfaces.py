"""The surfaces and the rules of a tuning in rounds against truths that are known."""

from dataclasses import replace

import numpy as np
import pytest

from harness.tune.sequential.next_runs import beyond, expected_excess, least_runs, next_runs, star
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.parts import best_values
from harness.tune.sequential.point_surfaces import PointSurfaces
from harness.tune.sequential.rules import fit_rules
from harness.tune.sequential.surfaces import fit_points
from harness.tune.sequential.terms import Held, Places, further_terms, rule_model
from scripts.tune_study import CENTRE_D, CENTRE_N, POINTS, Simulated, Truth, gridded, outcome, tuned

THREE = ("rate", "batch", "weight_decay")
TWO_POINTS = ((1e4, 3e5), (4e4, 1.2e6))


def fitted(observed: Observed, window: float = 0.15) -> PointSurfaces:
    found = fit_points(observed, window, 0.9, 200, np.random.default_rng(0))
    assert found is not None
    return found


@pytest.mark.parametrize("axes", [("rate", "batch"), THREE, (*THREE, "embedding", "head")])
def test_without_noise_minima_curvature_and_rules_are_exact(axes: tuple[str, ...]) -> None:
    truth = Truth(axes, noise=1e-9)
    made = tuned(truth, 0, rounds=2)
    found = fitted(made.observed, window=10.0)
    minima = np.stack([truth.best(*point) for point in POINTS])
    assert found.best + made.centre == pytest.approx(minima, abs=1e-4)
    assert found.bend == pytest.approx(truth.bend(), abs=1e-5)
    assert found.level == pytest.approx([truth.loss(*p, truth.best(*p)) for p in POINTS], abs=1e-6)
    best = best_values(truth.axes, made.centre, found, np.ones((len(axes), len(POINTS)), dtype=bool))
    rules = fit_rules(best, made.places, found.freedom)
    assert rules.lines == pytest.approx(truth.lines(), abs=1e-3)
    if "weight_decay" in axes:
        names = rules.model.names
        tau, power = (
            rules.theta[names.index(("weight_decay", term))] for term in ("value", "tokens_per_param")
        )
        assert (-tau, power) == pytest.approx((np.log(0.2), -0.5), abs=1e-3)


def test_the_jacobian_is_that_of_the_minima() -> None:
    found = fitted(tuned(Truth(THREE), 0, rounds=1).observed)
    design, q = found.solved.design, 3

    def minima(beta: np.ndarray) -> np.ndarray:
        rules = design.coefficients(beta, q, found.solved.gamma).rules()
        return np.asarray(rules[:, 3:].T.reshape(-1))

    beta, columns = found.solved.beta, []
    for k in range(len(beta)):
        step = np.zeros(len(beta))
        step[k] = 1e-6
        columns.append((minima(beta + step) - minima(beta - step)) / 2e-6)
    assert found.jacobian() == pytest.approx(np.stack(columns, axis=1), rel=1e-4, abs=1e-4)


def test_few_runs_find_what_a_grid_of_three_times_as_many_finds_and_intervals_hold() -> None:
    truth = Truth(("rate", "embedding", "weight_decay"))
    few = [outcome(tuned(truth, seed, rounds=5, tolerance=0.001)) for seed in range(20)]
    many = [outcome(gridded(truth, seed)) for seed in range(5)]
    assert np.mean([one.runs for one in few]) < many[0].runs / 4
    assert np.mean([one.before for one in few]) > 0.01
    assert np.mean([one.excess for one in few]) < 0.0015
    assert np.mean([one.excess for one in many]) < 0.0005
    held = [low <= true <= high for one in few for (low, high), true in one.intervals.values()]
    assert len(held) > 100
    assert 0.82 < np.mean(held) <= 1.0


@pytest.mark.parametrize("points", [TWO_POINTS, TWO_POINTS[:1]])
def test_a_minimum_far_off_the_recipe_is_walked_to(points: tuple[tuple[float, float], ...]) -> None:
    truth = Truth(("rate", "batch"), noise=0.003)
    walked = tuned(truth, 11, rounds=6, points=points, off=2.2)
    assert walked.surfaces is not None
    result = outcome(walked)
    assert result.before > 0.1
    assert result.excess < 0.02


def test_an_axis_that_the_loss_does_not_depend_on_is_said_to_be_flat() -> None:
    curvature = Truth().curvature | {"embedding": 0.0}
    truth = Truth(("rate", "embedding"), curvature=curvature)
    flat = 0
    for seed in range(10):
        made = tuned(truth, seed, rounds=3)
        assert made.surfaces is not None
        flat += not made.surfaces.active[1]
        assert made.surfaces.active[0]
        # runs go where noise made a loss low and find it higher there: a curvature that is too large, but small
        assert made.surfaces.bend[1, 1] < 0.01
    assert flat >= 4


def test_the_order_in_which_runs_finished_changes_nothing() -> None:
    def shuffled(n: int) -> list[int]:
        return np.random.default_rng(n).permutation(n).tolist()

    truth = Truth(THREE)
    one, other = tuned(truth, 5, rounds=3), tuned(truth, 5, rounds=3, order=shuffled)
    assert one.rounds == other.rounds

    def runs(made: Simulated) -> list[tuple[float, ...]]:
        rows = np.column_stack((made.observed.point, np.round(made.observed.h, 9)))
        return sorted(map(tuple, rows.tolist()))

    assert runs(one) == runs(other)


def test_the_first_round_is_enough_for_a_surface_however_few_axes_and_points() -> None:
    for q in range(1, 7):
        for points in range(1, 8):
            runs = star(np.full(q, 0.7), points)
            assert len(runs) >= least_runs(q, points) or q * points == 0
            assert len({(p, *h.tolist()) for p, h in runs}) == len(runs)
            assert {p for p, _ in runs} == set(range(points))


def test_more_runs_leave_less_and_the_next_ones_are_new() -> None:
    truth = Truth(THREE)
    made = tuned(truth, 1, rounds=1)
    found = fitted(made.observed)
    before = expected_excess(made.observed, found, made.places)
    steps = np.log([2.0, 2.0, 4.0])
    more = next_runs(made.observed, found, made.places, steps, 2, lambda p, h: True)
    assert [p for p, _ in more] == [*range(6), *range(6)]
    for p, h in more:
        others = made.observed.h[made.observed.point == p]
        assert (np.abs(others - h) >= 0.1).any(axis=1).all()
    assert next_runs(made.observed, found, made.places, steps, 2, lambda p, h: False) == []
    later = tuned(truth, 1, rounds=2)
    assert later.surfaces is not None
    assert 0 < expected_excess(later.observed, later.surfaces, made.places) < before


def test_nothing_is_tried_that_a_diverged_run_says_diverges() -> None:
    truth = Truth(("rate", "batch"), diverges=0.1)
    made = tuned(truth, 7, rounds=4, off=1.5)
    gone = np.isnan(made.observed.loss)
    first = made.rounds[0]
    for i in range(first, len(gone)):
        earlier = gone[:first] & (made.observed.point[:first] == made.observed.point[i])
        worse = (made.observed.h[:first, 0] <= made.observed.h[i, 0]) & (
            made.observed.h[:first, 1] >= made.observed.h[i, 1]
        )
        assert not (earlier & worse).any()


def test_a_slope_at_the_end_of_what_was_tried_is_beyond_it() -> None:
    made = tuned(Truth(("rate", "batch"), noise=1e-4), 2, rounds=1, off=0.0)
    found = fitted(made.observed)
    steps = np.log([2.0, 2.0])
    assert not beyond(made.observed, found, steps).any()
    moved = replace(found, best=found.best + np.array([1.5, 0.0]))
    assert beyond(made.observed, moved, steps).tolist() == [[True, False]] * len(POINTS)


def places(n: list[float], d: list[float]) -> Places:
    x, y = np.log(n) - np.log(CENTRE_N), np.log(d) - np.log(CENTRE_D)
    held = {axis: Held(0.0, -0.5, 0.2) for axis in ("rate", "batch", "weight_decay", "head")}
    return Places(x, x, y, float(np.log(CENTRE_D)), np.zeros(len(n)), np.zeros(len(n)), held)


@pytest.mark.parametrize(
    ("n", "d", "rate", "batch"),
    [
        ([1e4, 4e4, 1e4, 4e4], [1e5, 4e5, 1e6, 4e6], ["value", "params", "tokens"], ["value", "tokens"]),
        ([1e4, 4e4, 9e4], [1e5, 4e5, 9e5], ["value", "params"], ["value", "tokens"]),
        ([1e4, 1e4], [1e5, 4e5], ["value", "tokens"], ["value", "tokens"]),
        ([1e4, 4e4], [1e5, 1e5], ["value", "params"], ["value"]),
        ([1e4], [1e5], ["value"], ["value"]),
    ],
)
def test_a_rule_has_the_powers_that_the_points_tell_apart(
    n: list[float], d: list[float], rate: list[str], batch: list[str]
) -> None:
    axes = ("rate", "batch", "head")
    model = rule_model(axes, np.ones((3, len(n)), dtype=bool), places(n, d))
    for axis, terms in (("rate", rate), ("batch", batch), ("head", ["value"])):
        assert [term for name, term in model.names if name == axis] == terms
        more = further_terms(axis, np.ones(len(n), dtype=bool), places(n, d))
        assert not set(more) & set(terms)
        assert len(more) <= (0 if axis == "rate" else 1 if axis == "batch" else 2)
    if rate == ["value"]:  # the exponents are those of the recipe tuned from
        assert model.constant[0].tolist() == [0.0, -0.5, 0.2]


def test_a_power_that_a_constant_or_the_batch_lacks_is_tested() -> None:
    truth = Truth(("rate", "batch", "head"), noise=0.003)
    made = tuned(truth, 0, rounds=3)
    assert made.surfaces is not None
    usable = np.ones((3, len(POINTS)), dtype=bool)
    best = best_values(truth.axes, made.centre, made.surfaces, usable)
    plain = fit_rules(best, made.places, made.surfaces.freedom)
    assert plain.tested.keys() == {("batch", "params"), ("head", "params"), ("head", "tokens")}
    assert not any(tested.taken for tested in plain.tested.values())
    off = 0.6 * np.array([np.log(n / CENTRE_N) for n, _ in POINTS])
    turned = replace(best, y=best.y + off, drawn=best.drawn + off)
    bent = fit_rules(turned, made.places, made.surfaces.freedom)
    assert bent.tested["head", "params"].taken
    assert not bent.tested["head", "tokens"].taken
    assert bent.lines[2, 1] == pytest.approx(0.6, abs=0.15)
    assert bent.lines[2, 2] == 0
    assert bent.tested["batch", "params"].p < 0.01
    assert not bent.tested["batch", "params"].taken, "it is said, and the rule stays one of D"
    assert bent.lines[1, 1] == 0

    later = -0.5 * np.array([np.log(d / CENTRE_D) for _, d in POINTS])
    bent = fit_rules(
        replace(best, y=best.y + later, drawn=best.drawn + later), made.places, made.surfaces.freedom
    )
    assert bent.tested["head", "tokens"].taken
    assert not bent.tested["head", "params"].taken
    assert bent.lines[2, 2] == pytest.approx(-0.5, abs=0.15)
    assert bent.lines[2, 1] == 0
