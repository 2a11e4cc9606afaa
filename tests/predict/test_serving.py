"""Serving counted in: the numbers of Sardana et al. 2024, optimality, and the limits."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.fit.laws import CostLaw, Law
from harness.predict.assess import most_smaller, overtrain, tokens_for
from harness.predict.serving import answer_serving, serve, total_cost
from tests.predict.laws import HOFFMANN, SARDANA, laws, volumes


# Computed with the authors' own code, from the constants of configs/law/sardana2024.yaml.
@pytest.mark.parametrize(
    ("quality", "inference", "params", "tokens_ratio", "saving"),
    [
        (30e9, 1e13, 13.6e9, 2.845, 0.280),
        (70e9, 1e13, 41.55e9, 1.862, 0.119),
        (7e9, 1e11, 6.00e9, 1.176, 0.0085),
    ],
)
def test_the_papers_examples(
    quality: float, inference: float, params: float, tokens_ratio: float, saving: float
) -> None:
    plain = SARDANA.at_params(quality)
    life = serve(SARDANA, plain.loss, inference)
    assert life.params == pytest.approx(params, rel=2e-3)
    assert life.tokens / plain.tokens == pytest.approx(tokens_ratio, abs=6e-4)
    ratio = total_cost(SARDANA, life, inference) / total_cost(SARDANA, plain, inference)
    assert 1 - ratio == pytest.approx(saving, abs=6e-4)


def test_the_papers_70b_quality_needs_7923b_tokens() -> None:
    assert serve(SARDANA, SARDANA.at_params(70e9).loss, 1e13).tokens == pytest.approx(7.923e12, rel=1e-4)


def test_the_papers_target_loss() -> None:
    life, plain = serve(SARDANA, 1.947, 2e12), SARDANA.at_loss(1.947)
    assert life.params == pytest.approx(24.18e9, rel=2e-4)
    assert life.tokens == pytest.approx(2.657e12, rel=1e-4)
    ratio = total_cost(SARDANA, life, 2e12) / total_cost(SARDANA, plain, 2e12)
    assert ratio == pytest.approx(0.9522, abs=5e-5)


@given(laws(), st.floats(0.01, 1), volumes, st.floats(0.01, 100), st.floats(-0.5, 0.5))
def test_no_other_model_of_that_loss_is_cheaper(
    law: Law, excess: float, inference: float, weight: float, step: float
) -> None:
    loss = law.E + excess
    life = serve(law, loss, inference, weight)
    assert law.loss(life.params, life.tokens) - law.E == pytest.approx(excess, rel=1e-6)
    params = life.params * np.exp(step)
    tokens = tokens_for(law, loss, params)
    cost = law.flops(params, tokens) + weight * law.inference_flops(params) * inference
    assert cost >= total_cost(law, life, inference, weight) * (1 - 1e-7)


@given(laws(), st.floats(0.01, 1))
def test_without_serving_it_is_the_training_optimum(law: Law, excess: float) -> None:
    plain = law.at_loss(law.E + excess)
    none = serve(law, law.E + excess, 0.0)
    little = serve(law, law.E + excess, 1e-9 * plain.tokens)
    for found in (none, little):
        assert found.params == pytest.approx(plain.params, rel=1e-6)
        assert found.tokens == pytest.approx(plain.tokens, rel=1e-6)


@given(laws(), st.floats(0.01, 1), volumes, st.floats(1.5, 100))
def test_more_serving_wants_a_smaller_model_longer_trained(
    law: Law, excess: float, inference: float, times: float
) -> None:
    less, more = (serve(law, law.E + excess, t) for t in (inference, times * inference))
    assert more.params <= less.params * (1 + 1e-9)
    assert more.tokens >= less.tokens * (1 - 1e-9)


@given(laws(), st.floats(0.01, 1), volumes, st.floats(0.01, 100))
def test_weight_and_volume_are_one_number(law: Law, excess: float, inference: float, weight: float) -> None:
    weighed = serve(law, law.E + excess, inference, weight)
    assert weighed.params == pytest.approx(serve(law, law.E + excess, weight * inference).params, rel=1e-9)


@pytest.mark.parametrize("inference", [10.0**e for e in range(8, 17)])
@pytest.mark.parametrize("quality", [1e6, 1e9, 1e12])
def test_the_root_is_found_over_the_whole_range(quality: float, inference: float) -> None:
    plain = SARDANA.at_params(quality)
    life = serve(SARDANA, plain.loss, inference)
    assert SARDANA.loss(life.params, life.tokens) == pytest.approx(plain.loss, abs=1e-9)
    assert plain.params / most_smaller(SARDANA) < life.params <= plain.params * (1 + 1e-9)


@pytest.mark.parametrize(
    ("loss", "inference", "weight"), [(1.69, 1e12, 1), (1.0, 1e12, 1), (2, -1, 1), (2, 1, -1)]
)
def test_impossible_questions_are_refused(loss: float, inference: float, weight: float) -> None:
    with pytest.raises(UserError):
        serve(SARDANA, loss, inference, weight)


def test_draws_give_intervals_and_skip_those_that_cannot_reach_the_loss() -> None:
    rng = np.random.default_rng(0)
    theta = HOFFMANN.theta * np.exp(0.01 * rng.standard_normal((200, 5)))
    theta[:3, 0] = 5.0
    source = FrontierSource(name="approach_3", frontier=HOFFMANN, draws=Law.from_theta(theta, CostLaw()))
    served = answer_serving(source, 2.0, 1e12)
    assert served.params_interval is not None
    assert served.params_interval[0] < served.params < served.params_interval[1]
    assert served.saving is not None
    assert 0 < served.saving < 1
    assert served.cost == pytest.approx(served.training_flops + served.inference_flops)


@given(laws(), st.floats(0.01, 1), st.floats(1.1, 5))
def test_the_price_list_of_smaller_models(law: Law, excess: float, factor: float) -> None:
    assume(factor < 0.9 * most_smaller(law))
    optimum, small = overtrain(law, law.E + excess, [1.0, factor])
    assert optimum.break_even_tokens == 0
    assert small.tokens is not None
    assert law.loss(small.params, small.tokens) - law.E == pytest.approx(excess, rel=1e-6)
    assert small.extra_training is not None
    assert small.extra_training > 0
    # at the break-even volume both cost the same
    volume = small.break_even_tokens
    assert volume is not None
    assert small.training_flops is not None
    assert optimum.training_flops is not None
    both = [row.training_flops + law.inference_flops(row.params) * volume for row in (optimum, small)]
    assert both[0] == pytest.approx(both[1], rel=1e-6)


def test_beyond_the_smallest_model_there_is_none() -> None:
    limit = most_smaller(SARDANA)
    row = overtrain(SARDANA, 2.0, [1.001 * limit])[0]
    assert row.tokens is None
    assert row.break_even_tokens is None
    assert overtrain(SARDANA, 2.0, [0.999 * limit])[0].tokens is not None
    with pytest.raises(UserError, match="factor"):
        overtrain(SARDANA, 2.0, [0.0])
