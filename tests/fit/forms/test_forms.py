"""Functional forms: their derivatives, restrictions and solutions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit import Points
from harness.fit.bootstrap import generator, pair_counts
from harness.fit.forms import MODELS, RESIDUALS, Misfit, Model, redraw, restricted, solve
from harness.fit.forms.data import Data
from harness.fit.forms.form import Place, split
from harness.fit.forms.power_form import KaplanForm
from harness.fit.forms.solver import polish
from tests.fit.synthetic import sweep

LAW = np.array((0.5, -0.4, -0.5, 0.34, 0.28))
NAMES = tuple(MODELS)


def data_of(points: Points, z: np.ndarray | None = None) -> Data:
    return Data.of(points.params, points.tokens, points.loss, z)


def moved(name: str) -> Model:
    """The form with two covariates, where it can have them."""
    slopes = (("A", 0), ("B", 1)) if "A" in MODELS[name].form.columns else ()
    return Model(name, MODELS[name].form, MODELS[name].fixed, MODELS[name].tied, slopes)


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_those_of_the_form(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y, z = rng.normal(size=30), rng.normal(size=30), rng.normal(size=(30, 2))
    bound = moved(name).bind(Data(x, y, np.ones(30), 20.0, 24.0, z))
    q = bound.basis.shape[1]
    phi = bound.starts([LAW])[0] + 0.02 * rng.normal(size=q)
    step = 1e-6 * np.eye(q)
    above, below = (bound.evaluate(phi + sign * step, z, derivatives=False)[0] for sign in (1, -1))
    assert bound.evaluate(phi[None], z)[1][0] == pytest.approx(((above - below) / 2e-6).T, abs=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_natural_parameters_are_those_of_the_formula(name: str) -> None:
    """The form evaluated by them, about means of zero, is the form evaluated by its coordinates."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=30), rng.normal(size=30)
    bound = MODELS[name].bind(Data(x, y, np.ones(30), 20.0, 24.0))
    phi = bound.starts([LAW])[0]
    form = MODELS[name].form
    raw = split(form.coordinates(bound.natural(phi))[None])
    shown = form.evaluate(raw, Place(x + 20.0, y + 24.0), derivatives=False)[0]
    assert shown[0] == pytest.approx(bound.evaluate(phi[None], derivatives=False)[0][0], abs=1e-11)


def test_the_formulas_by_hand() -> None:
    """Every formula written out with numbers, at one N and D."""
    n, d = 1e8, 2e9
    place = Place(np.array([np.log(n)]), np.array([np.log(d)]))
    by_hand = {
        "standard": ((1.7, 400, 410, 0.34, 0.28, 1), 1.7 + 400 / n**0.34 + 410 / d**0.28),
        "tied": ((1.7, 400, 410, 0.3, 0.3, 1), 1.7 + 400 / n**0.3 + 410 / d**0.3),
        "kappa": ((1.7, 400, 410, 0.34, 0.28, 0.8), 1.7 + (400 / n**0.34 + 410 / d**0.28) ** 0.8),
        "interaction": (
            (1.7, 400, 410, 0.34, 0.28, 5.0, 0.1, 0.05),
            1.7 + 400 / n**0.34 + 410 / d**0.28 + 5 / (n**0.1 * d**0.05),
        ),
        "farseer": (
            (6.3, -0.085, -0.28, 850, -0.245, 2.9, 9.2, -0.05, -4.2),
            np.exp(6.3 * n**-0.085 - 0.28)
            + np.exp(850 * n**-0.245 + 2.9) * d ** -np.exp(9.2 * n**-0.05 - 4.2),
        ),
        "kaplan": ((0, 1e10, 5.4e13, 0.8, 1, 0.095), ((1e10 / n**0.8) + 5.4e13 / d) ** 0.095),
    }
    assert set(by_hand) == set(MODELS)
    for name, (natural, expected) in by_hand.items():
        form = MODELS[name].form
        found = form.evaluate(
            split(form.coordinates(np.array([natural], dtype=float))), place, derivatives=False
        )
        assert np.exp(found[0][0, 0]) == pytest.approx(expected, rel=1e-12), name
    papers = KaplanForm.papers(np.array(by_hand["kaplan"][0], dtype=float))
    assert papers["alphaN"] == pytest.approx(0.8 * 0.095)
    assert papers["Nc"] ** 0.8 == pytest.approx(1e10)


@pytest.mark.parametrize("name", NAMES)
def test_a_form_recovers_its_own_surface(name: str) -> None:
    data = data_of(sweep(sizes=9))
    bound = MODELS[name].bind(data)
    truth = bound.starts([solve(MODELS["standard"], data, Misfit()).theta[:5]])[-1] + 0.02
    own = Data(data.x, data.y, bound.evaluate(truth[None], derivatives=False)[0][0], data.mean_x, data.mean_y)
    solved = solve(MODELS[name], own, Misfit(np.inf))
    assert np.sqrt(2 * solved.objective / len(data.x)) < 2e-5


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("delta", [np.inf, 1e-3, 1e-6])
@pytest.mark.parametrize("name", ["standard", "tied"])
def test_variable_projection_reaches_the_same_minimum(name: str, delta: float, residual: str) -> None:
    if residual == "log":
        with pytest.raises(UserError, match="residual=relative"):
            solve(MODELS[name], data_of(sweep(sizes=7)), Misfit(delta, residual), projected=True)
        return
    data = data_of(sweep(sizes=7, noise=0.004))
    both = [solve(MODELS[name], data, Misfit(delta, residual), projected=p) for p in (False, True)]
    assert both[1].objective == pytest.approx(both[0].objective, rel=1e-5)
    assert both[1].natural == pytest.approx(both[0].natural, rel=2e-2 if delta == 1e-6 else 1e-3)


def test_projection_needs_a_form_that_is_linear_in_its_levels() -> None:
    with pytest.raises(UserError, match="form kappa is not linear"):
        solve(MODELS["kappa"], data_of(sweep(sizes=7)), Misfit(np.inf, "relative"), projected=True)


RESTRICTIONS = [
    ({"E": 1.69}, ()),
    ({"alpha": 0.34}, ()),
    ({"A": 406.4}, ()),
    ({"A": 406.4, "alpha": 0.34, "E": 1.69}, ()),
    ({}, ("alpha", "beta")),
    ({"B": 410.7}, ("alpha", "beta")),
    ({"alpha": 0.3}, ("alpha", "beta")),
]


@pytest.mark.parametrize(("fix", "tie"), RESTRICTIONS)
@pytest.mark.parametrize("projected", [False, True])
def test_what_is_fixed_or_tied_stays_so(fix: dict[str, float], tie: tuple[str, ...], projected: bool) -> None:
    model = restricted("standard", fix, tie)
    data = data_of(sweep(sizes=9, noise=0.003))
    solved = solve(model, data, Misfit(np.inf, "relative"), projected=projected)
    found = dict(zip(model.columns, solved.natural, strict=True))
    for name, value in fix.items():
        assert found[name] == pytest.approx(value, rel=1e-9)
    if tie:
        assert found["alpha"] == pytest.approx(found["beta"], rel=1e-9)
    assert model.free == len(solved.phi)
    free = solve(MODELS["standard"], data, Misfit(np.inf, "relative"))
    assert solved.objective >= free.objective
    counts = pair_counts(generator(0, 1), len(data.x), 40)
    drawn = solved.bound.natural(redraw(solved, Misfit(np.inf, "relative"), data.log_loss[None], counts).phi)
    for name, value in fix.items():
        assert drawn[:, model.columns.index(name)] == pytest.approx(value, rel=1e-9)


def test_a_parameter_fixed_at_the_truth_leaves_the_truth() -> None:
    data = data_of(sweep(sizes=9))
    solved = solve(restricted("standard", {"E": 1.69, "beta": 0.28}), data, Misfit())
    assert solved.natural[:5] == pytest.approx((1.69, 406.4, 410.7, 0.34, 0.28), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "fix", "tie", "told"),
    [
        ("standrad", {}, (), "is none of standard"),
        ("standard", {"gamma": 1.0}, (), "has no parameter 'gamma'; it has E, A, B, alpha, beta"),
        ("standard", {"kappa": 0.5}, (), "form standard has kappa = 1; choose another form"),
        ("standard", {"E": -1.0}, (), "must be a finite number, not below 0"),
        ("standard", {"A": 0.0}, (), "must be positive"),
        ("standard", {"E": float("nan")}, (), "must be a finite number"),
        ("standard", {}, ("alpha",), "name two parameters or more"),
        ("standard", {}, ("alpha", "gamma"), "no parameter 'gamma'"),
        ("standard", dict.fromkeys(("E", "A", "B", "alpha", "beta"), 1.0), (), "nothing of form"),
    ],
)
def test_a_restriction_that_makes_no_sense_is_refused(
    name: str, fix: dict[str, float], tie: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        restricted(name, fix, tie)


@pytest.mark.parametrize(
    ("name", "fix", "tie", "told"),
    [
        ("farseer", {"a1": 1.0}, (), "a1: this parameter of farseer cannot be fixed"),
        ("standard", {}, ("E", "alpha"), "E and alpha cannot be tied"),
        ("standard", {"alpha": 0.3, "beta": 0.4}, ("alpha", "beta"), "contradict"),
    ],
)
def test_a_restriction_that_cannot_be_met_is_refused(
    name: str, fix: dict[str, float], tie: tuple[str, ...], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        restricted(name, fix, tie).bind(data_of(sweep(sizes=7)))


def test_covariates_move_what_they_should() -> None:
    """A share of code that lowers E and raises B: both slopes are found, and the law at its reference value."""
    points = sweep(sizes=9)
    share = np.random.default_rng(3).uniform(size=len(points))
    n, d = points.params, points.tokens
    at = 0.25
    loss = 1.69 * np.exp(-0.2 * (share - at)) + 406.4 / n**0.34 + 410.7 * np.exp(0.3 * (share - at)) / d**0.28
    data = Data.of(n, d, loss, np.stack((share - at, share - at), axis=1))
    model = Model("standard", MODELS["standard"].form, MODELS["standard"].fixed, (), (("E", 0), ("B", 1)))
    solved = solve(model, data, Misfit())
    found = dict(zip(model.columns, solved.natural, strict=True))
    assert found["E_slope"] == pytest.approx(-0.2, rel=1e-4)
    assert found["B_slope"] == pytest.approx(0.3, rel=1e-4)
    assert [found[name] for name in ("E", "A", "B", "alpha", "beta")] == pytest.approx(
        (1.69, 406.4, 410.7, 0.34, 0.28), rel=1e-3
    )


@pytest.mark.parametrize("delta", [1e-3, np.inf])
@pytest.mark.parametrize("name", ["standard", "kappa", "farseer"])
def test_draws_together_are_those_one_by_one(name: str, delta: float) -> None:
    """Each draw's objective is that of L-BFGS from the same start, or lower."""
    data = data_of(sweep(sizes=9, noise=0.004))
    solved = solve(MODELS[name], data, Misfit(delta))
    counts = pair_counts(generator(0, 3), len(data.x), 12)
    together = redraw(solved, Misfit(delta), data.log_loss[None], counts)
    assert together.settled.all()
    for row, weights in zip(together.objective, counts, strict=True):
        alone = polish(solved.bound, data, Misfit(delta), weights, solved.phi)
        assert row <= alone.objective * (1 + 2e-3)


def test_one_law_fits_a_draw_that_misses_a_size() -> None:
    """Weights of zero leave a run out."""
    data = data_of(sweep(sizes=9, noise=0.004))
    solved = solve(MODELS["standard"], data, Misfit(np.inf))
    held = np.ones((1, len(data.x)))
    held[0, :9] = 0
    again = redraw(solved, Misfit(np.inf), data.log_loss[None], held)
    apart = solve(MODELS["standard"], data.take(np.arange(9, len(data.x))), Misfit(np.inf))
    assert again.phi[0] == pytest.approx(apart.phi, rel=1e-4, abs=1e-6)
