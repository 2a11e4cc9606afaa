"""Data that run out: the limits, optimality, and constants from runs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit import Points
from harness.fit.estimate import FrontierSource
from harness.fit.laws import Law, PowerLaws
from harness.predict.data_constrained import answer_data_constrained
from harness.predict.question import Question
from harness.predict.repetition import (
    Repetition,
    effective_params,
    effective_tokens,
    fit_repetition,
    repeated_at_loss,
    repeated_loss,
    repeated_optimum,
    token_worth,
)
from tests.predict.laws import HOFFMANN, laws

PUBLISHED = Repetition()
MUENNIGHOFF = Law(
    E=float(np.exp(0.6254804)),
    A=float(np.exp(6.255414)),
    B=float(np.exp(7.3049974)),
    alpha=0.3526596,
    beta=0.3526596,
)


@given(st.floats(1e3, 1e12), st.floats(0.01, 1.0))
def test_fresh_tokens_count_in_full(unique: float, share: float) -> None:
    assert effective_tokens(share * unique, unique, PUBLISHED) == pytest.approx(share * unique, rel=1e-12)


@given(st.floats(1.0, 1e3), st.floats(1.001, 2.0))
def test_more_passes_teach_more_and_each_less(epochs: float, times: float) -> None:
    less, more = (float(effective_tokens(e * 1e9, 1e9, PUBLISHED)) for e in (epochs, epochs * times))
    assert less <= more <= epochs * times * 1e9
    assert more <= 1e9 * (1 + PUBLISHED.r_tokens) * (1 + 1e-12)
    assert (
        token_worth(epochs * times * 1e9, 1e9, PUBLISHED) < token_worth(epochs * 1e9, 1e9, PUBLISHED) + 1e-15
    )


def test_four_epochs_are_nearly_four_times_the_data() -> None:
    # the paper's headline: up to four epochs repeated tokens are almost as good as new ones
    assert effective_tokens(4e9, 1e9, PUBLISHED) == pytest.approx(3.73e9, rel=2e-3)
    worth = (effective_tokens(1e9 * (1 + 1e-6), 1e9, PUBLISHED) - 1e9) / 1e3
    assert worth == pytest.approx(1.0, rel=1e-3)


def test_after_r_repetitions_a_token_is_worth_one_over_e() -> None:
    assert token_worth((1 + PUBLISHED.r_tokens) * 1e9, 1e9, PUBLISHED) == pytest.approx(np.exp(-1))


@given(laws(), st.floats(1e13, 1e22), st.floats(1.0, 100.0))
@settings(max_examples=50)
def test_a_corpus_that_suffices_changes_nothing(law: Law, flops: float, spare: float) -> None:
    plain = law.at_flops(flops)
    assert repeated_optimum(law, flops, spare * plain.tokens) == plain
    assert repeated_loss(law, plain.params, plain.tokens, spare * plain.tokens) == pytest.approx(plain.loss)


@given(laws(), st.floats(1e13, 1e22), st.floats(0.01, 0.99))
@settings(max_examples=50)
def test_no_other_size_is_better_on_a_small_corpus(law: Law, flops: float, share: float) -> None:
    plain = law.at_flops(flops)
    unique = share * float(plain.tokens)
    best = repeated_optimum(law, flops, unique)
    grid = np.exp(np.linspace(np.log(plain.params) - 6, np.log(plain.params) + 6, 4001))
    losses = repeated_loss(law, grid, flops / (law.cost.kappa * grid**law.cost.power), unique)
    assert float(best.loss) <= float(np.min(losses)) * (1 + 1e-12)
    assert float(best.loss) >= float(plain.loss) * (1 - 1e-12)
    assert float(best.tokens) >= unique * (1 - 1e-6)


def test_limited_data_go_to_more_epochs_before_more_parameters() -> None:
    # Muennighoff et al. 2023, section 5: parameters lose their worth faster than epochs (R_N* < R_D*)
    unique = 1e8
    flops = 100 * float(MUENNIGHOFF.at_tokens(unique).flops)
    best, plain = repeated_optimum(MUENNIGHOFF, flops, unique), MUENNIGHOFF.at_flops(flops)
    assert best.params < plain.params
    assert best.tokens > plain.tokens


def test_the_cheapest_training_for_a_loss_on_a_small_corpus() -> None:
    flops = 1e22
    unique = 0.1 * float(HOFFMANN.at_flops(flops).tokens)
    best = repeated_optimum(HOFFMANN, flops, unique)
    assert repeated_at_loss(HOFFMANN, float(best.loss), unique).flops == pytest.approx(flops, rel=1e-5)
    plain = HOFFMANN.at_loss(2.5)
    assert repeated_at_loss(HOFFMANN, 2.5, 2 * plain.tokens) == plain
    with pytest.raises(UserError, match="out of reach"):
        repeated_at_loss(HOFFMANN, 2.0, 1e7)


def test_the_answer_says_how_many_epochs() -> None:
    rng = np.random.default_rng(1)
    draws = Law.from_theta(HOFFMANN.theta * np.exp(0.005 * rng.standard_normal((60, 5))), HOFFMANN.cost)
    source = FrontierSource(name="approach_3", frontier=HOFFMANN, draws=draws, largest_flops=3e21)
    found = answer_data_constrained(source, Question("flops", 1e22), 5e10)
    assert found.epochs == pytest.approx(found.tokens / 5e10)
    assert found.epochs > 1
    assert found.effective_tokens < found.tokens
    assert found.loss > found.plain_loss
    assert found.epochs_interval is not None
    assert found.epochs_interval[0] < found.epochs < found.epochs_interval[1]
    assert found.extrapolation == pytest.approx(1e22 / 3e21)
    assert float(HOFFMANN.at_flops(found.first_repeat_flops).tokens) == pytest.approx(5e10)
    with pytest.raises(UserError, match="budget or a target_loss"):
        answer_data_constrained(source, Question("params", 1e9), 5e10)


def test_power_laws_cannot_say() -> None:
    powers = PowerLaws(log_params_scale=0.0, a=0.5, log_tokens_scale=0.0, b=0.5)
    with pytest.raises(UserError, match=r"L\(N, D\)"):
        answer_data_constrained(
            FrontierSource(name="approach_2", frontier=powers), Question("flops", 1e20), 1e9
        )


def _runs(law: Law, true: Repetition, oversized: bool) -> Points:
    unique = 1e9
    size = float(law.at_tokens(unique).params)
    sizes = size * np.array([0.3, 1.0, 3.0, 10.0] if oversized else [0.1, 0.3, 0.6, 0.9])
    epochs = np.array([1, 2, 4, 8, 16, 32, 64.0])
    params, tokens = (grid.ravel() for grid in np.meshgrid(sizes, epochs * unique))
    loss = law.loss(effective_params(law, params, unique, true), effective_tokens(tokens, unique, true))
    return Points(
        params=params,
        tokens=tokens,
        flops=6 * params * tokens,
        loss=np.asarray(loss),
        extra={"unique_tokens": np.full(len(params), unique)},
    )


def test_constants_come_back_from_runs_made_with_them() -> None:
    true = Repetition(r_tokens=7.0, r_params=3.0)
    found = fit_repetition(HOFFMANN, _runs(HOFFMANN, true, oversized=True))
    assert found.repetition.r_tokens == pytest.approx(7.0, rel=1e-4)
    assert found.repetition.r_params == pytest.approx(3.0, rel=1e-4)
    assert found.fitted_params
    assert not found.at_bound
    assert found.log_rmse < 1e-6 < found.plain_log_rmse


def test_without_oversized_runs_only_the_tokens_constant_is_fitted() -> None:
    found = fit_repetition(HOFFMANN, _runs(HOFFMANN, Repetition(r_tokens=20.0), oversized=False))
    assert found.repetition.r_tokens == pytest.approx(20.0, rel=1e-4)
    assert found.repetition.r_params == PUBLISHED.r_params
    assert not found.fitted_params


def test_runs_without_repetition_cannot_fit_it() -> None:
    points = _runs(HOFFMANN, PUBLISHED, oversized=False)
    with pytest.raises(UserError, match="repeat"):
        fit_repetition(HOFFMANN, points.select(points.tokens < 1.5e9))
    with pytest.raises(UserError, match="positive"):
        repeated_optimum(HOFFMANN, 1e20, 0.0)
    with pytest.raises(UserError, match="positive"):
        Repetition(r_tokens=0)
