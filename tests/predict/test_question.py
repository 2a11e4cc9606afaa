"""Questions, intervals, warnings and the assessment of given models."""

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit import FitOptions, Points, fit_points
from harness.fit.bootstrap import percentile_interval
from harness.fit.estimate import FrontierSource
from harness.fit.laws import CostLaw, Law, PowerLaws
from harness.fit.status import Flag
from harness.predict.assess import GivenModel, assess
from harness.predict.question import Question, ask
from harness.predict.source import choose, from_fit
from tests.fit.synthetic import sweep
from tests.predict.laws import HOFFMANN, SMALL


def _draws(law: Law, spread: float = 0.01, count: int = 400) -> Law:
    rng = np.random.default_rng(0)
    return Law.from_theta(law.theta * np.exp(spread * rng.standard_normal((count, 5))), law.cost)


POWERS = PowerLaws(
    log_params_scale=float(np.log(0.0992)), a=0.498, log_tokens_scale=float(np.log(1.7)), b=0.502
)
SURFACE = FrontierSource(
    name="approach_3", frontier=HOFFMANN, draws=_draws(HOFFMANN), smallest_flops=6e18, largest_flops=3e21
)
PROFILES = FrontierSource(name="approach_2", frontier=POWERS, largest_flops=3e21)


@pytest.mark.parametrize(
    "question",
    [Question("flops", 1e21), Question("params", 3e9), Question("tokens", 1e11), Question("loss", 2.1)],
)
def test_every_question_has_an_answer_inside_its_interval(question: Question) -> None:
    found = ask(SURFACE, question)
    for name in ("params", "tokens", "flops", "loss", "tokens_per_param"):
        spread = getattr(found, f"{name}_interval")
        if name == question.kind:
            assert spread is None  # what was given is exact
            assert getattr(found, name) == pytest.approx(question.value)
        else:
            assert spread[0] <= getattr(found, name) <= spread[1]


def test_far_beyond_the_runs_is_said() -> None:
    inside, outside = ask(SURFACE, Question("flops", 1e21)), ask(SURFACE, Question("flops", 1e25))
    assert inside.status == "ok"
    assert outside.extrapolation == pytest.approx(1e25 / 3e21)
    assert "extrapolation" in outside.flags
    assert "x the largest budget" in outside.notes[-1]
    assert "extrapolation" in ask(SURFACE, Question("flops", 1e15)).flags


def test_a_loss_that_some_draws_cannot_reach_has_an_open_interval() -> None:
    loss = HOFFMANN.E * 1.005
    found = ask(SURFACE, Question("loss", loss))
    assert found.unreachable > 0.1
    assert found.flops_interval is not None
    assert found.flops_interval[1] == np.inf
    assert "unidentified" in found.flags


def test_a_loss_that_nothing_reaches_is_no_number() -> None:
    found = ask(SURFACE, Question("loss", 1.6))
    assert found.params is None
    assert found.status == "no_optimum"
    assert "1.693" in found.notes[0]
    assert ask(PROFILES, Question("loss", 2.0)).status == "no_optimum"


def test_a_loss_law_without_a_floor_is_marked_beyond_the_runs() -> None:
    powers = PowerLaws(
        log_params_scale=0.0,
        a=0.5,
        log_tokens_scale=0.0,
        b=0.5,
        loss_floor=0.0,
        log_loss_scale=3.0,
        loss_exponent=0.05,
    )
    draws = PowerLaws.from_theta(powers.theta + 0.001 * np.random.default_rng(0).standard_normal((60, 7)))
    source = FrontierSource(name="approach_2", frontier=powers, draws=draws, largest_flops=1e18)
    beyond, within = (ask(source, Question("flops", c)) for c in (1e19, 1e17))
    assert "no_floor" in beyond.flags
    assert (beyond.loss_interval, beyond.params_interval is None) == (None, False)
    assert "no_floor" not in within.flags
    assert within.loss_interval is not None


def test_a_cost_law_below_6nd_is_a_warning() -> None:
    """22N^0.91 a token is 6N at two million parameters: a model beyond costs more than the law says."""
    law = Law(E=0.857, A=13.0, B=634.4, alpha=0.3057, beta=0.5343, cost=CostLaw(22.14, 0.9099))
    source = FrontierSource(name="approach_3", frontier=law)
    for flops, doubted in ((1e13, False), (1e16, True)):
        found = ask(source, Question("flops", flops))
        assert (found.params > 2.0e6) == doubted
        assert ("approximate_cost" in found.flags) == doubted
    assert "approximate_cost" not in ask(SURFACE, Question("flops", 1e26)).flags, "6ND is 6ND"
    own = Law(E=1.2, A=60, B=300, alpha=0.3, beta=0.4, cost=CostLaw(9.0, 0.95, least=4.0))
    assert (
        "approximate_cost"
        not in ask(FrontierSource(name="approach_3", frontier=own), Question("flops", 1e14)).flags
    )


def test_nonsense_is_refused() -> None:
    for kind, value in (("flops", -1.0), ("flops", float("nan")), ("loss", 0.0), ("cost", 1.0)):
        with pytest.raises(UserError):
            Question(kind, value)
    with pytest.raises(UserError, match="params"):
        GivenModel(0.0, 1e9)


def test_intervals_keep_infinities_and_leave_out_nan() -> None:
    values = np.arange(100.0)
    assert percentile_interval(values, 0.9, keep_infinite=True) == pytest.approx((4.95, 94.05))
    values[:10] = np.nan
    assert percentile_interval(values, 0.9, keep_infinite=True)[0] > 10
    values[90:] = np.inf
    assert percentile_interval(values, 0.9, keep_infinite=True)[1] == np.inf
    assert percentile_interval(values[:25], 0.9, keep_infinite=True) is None
    assert percentile_interval(None, 0.9, keep_infinite=True) is None


def test_gopher_was_four_times_too_large_for_its_compute() -> None:
    # Hoffmann et al. 2022: 67B on 1.5T for the compute of Gopher's 280B on 300B
    powers = PowerLaws(
        log_params_scale=float(np.log(0.0991589)),
        a=0.4980987,
        log_tokens_scale=float(np.log(1.6960844)),
        b=0.5018543,
    )
    found = assess(FrontierSource(name="approach_1", frontier=powers), GivenModel(280e9, 300e9, 5.76e23))
    assert found.params_ratio == pytest.approx(4.13, abs=0.01)
    assert found.verdict == "trained with 4.13x too many parameters for its compute"
    assert found.loss is None  # power laws say nothing about a model off the frontier
    assert found.compute_overhead is None


def test_a_given_model_is_assessed_by_its_loss_too() -> None:
    found = assess(SURFACE, GivenModel(280e9, 300e9))
    assert found.flops == pytest.approx(6 * 280e9 * 300e9)
    assert found.loss == pytest.approx(float(HOFFMANN.loss(280e9, 300e9)))
    assert found.best_loss is not None
    assert found.best_loss < found.loss
    assert float(HOFFMANN.at_flops(found.same_loss_flops).loss) == pytest.approx(found.loss, rel=1e-9)
    assert found.compute_overhead == pytest.approx(found.flops / found.same_loss_flops)
    assert found.compute_overhead_interval[0] < found.compute_overhead < found.compute_overhead_interval[1]


@pytest.mark.parametrize(("factor", "word"), [(1.0, "compute-optimal"), (0.25, "fewer"), (4.0, "too many")])
def test_verdicts(factor: float, word: str) -> None:
    best = SMALL.at_flops(1e15)
    params = factor * best.params
    tokens = 1e15 / (SMALL.cost.kappa * params**SMALL.cost.power)
    found = assess(FrontierSource(name="approach_3", frontier=SMALL), GivenModel(params, tokens))
    assert found.params_ratio == pytest.approx(factor)
    assert word in found.verdict
    assert found.compute_overhead >= 1 - 1e-9


def test_a_wide_interval_tells_nothing_apart() -> None:
    wide = FrontierSource(name="approach_3", frontier=SMALL, draws=_draws(SMALL, 0.05))
    best = SMALL.at_flops(1e15)
    params = 1.3 * best.params
    found = assess(wide, GivenModel(params, 1e15 / (SMALL.cost.kappa * params**SMALL.cost.power)))
    assert "not told apart" in found.verdict


def test_the_deciding_source() -> None:
    void = FrontierSource(name="approach_3", frontier=None)
    assert choose((PROFILES, SURFACE), "auto")[1] is SURFACE
    assert choose((PROFILES, void), "auto")[1] is PROFILES
    for code in ("misfit", "unstable", "at_bound"):
        doubted = replace(SURFACE, flags=(Flag(code, ""),))
        assert choose((PROFILES, doubted), "auto")[1] is PROFILES
        assert choose((PROFILES, doubted), "auto", surface=True)[1] is doubted
    shaky = replace(PROFILES, flags=(Flag("unstable", ""),))
    assert choose((shaky, replace(SURFACE, flags=(Flag("unidentified", ""),))), "auto")[1] is shaky
    # that of training losses is no better than one of finished runs with a doubt
    checked = replace(PROFILES, flags=(Flag("biased", ""),))
    training = replace(PROFILES, name="approach_1")
    assert choose((training, checked, doubted), "auto")[1] is doubted
    assert choose((training, checked, void), "auto")[1] is checked
    assert choose((training, void), "auto")[1] is training
    assert choose((PROFILES, SURFACE), "approach_2") == ((PROFILES,), PROFILES)
    with pytest.raises(UserError, match="approach_9"):
        choose((PROFILES,), "approach_9")
    with pytest.raises(UserError, match="no frontier"):
        choose((void,), "auto")
    assert ask(void, Question("flops", 1e20)).params is None


def test_every_approach_counts_compute_as_the_runs_do() -> None:
    """A cell of the sweep is assessed at the compute it had, not at 6ND, by all three approaches."""
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=7, noise=0.002)
    measured = 1.4 * points.flops * (points.params / 1e9) ** -0.05
    table = Points(points.params, points.tokens, measured, points.loss, points.run_id)
    sources = from_fit(fit_points(table, FitOptions(draws=0)))
    for source in sources:
        found = assess(source, GivenModel(float(table.params[3]), float(table.tokens[3])))
        assert found.flops == pytest.approx(float(table.flops[3]), rel=1e-6), source.name


def test_the_cost_law_of_the_runs_is_used() -> None:
    plain = Law(E=SMALL.E, A=SMALL.A, B=SMALL.B, alpha=SMALL.alpha, beta=SMALL.beta, cost=CostLaw())
    assert SMALL.at_flops(1e15).params != pytest.approx(plain.at_flops(1e15).params, rel=0.01)
