"""Over-training as a choice with a price: smaller models of the same loss, and when they pay."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.frontier.law import Law

FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True, kw_only=True)
class Overtrained:
    """A model ``smaller`` times below the compute-optimal one of the same loss; None where none reaches it.

    Attributes:
        params, tokens, tokens_per_param: the model and the tokens it needs.
        training_flops: what its training costs.
        extra_training: that over the optimum's, less 1: 0.2 is 20% more.
        inference_saved: share of the FLOPs of every served token.
        break_even_tokens: served tokens from which it is the cheaper of the two; 0 for the optimum itself.
    """

    smaller: float
    params: float
    tokens: float | None = None
    tokens_per_param: float | None = None
    training_flops: float | None = None
    extra_training: float | None = None
    inference_saved: float | None = None
    break_even_tokens: float | None = None


def tokens_for(law: Law, loss: float, params: float) -> float:
    """Tokens on which ``params`` parameters reach ``loss``; ``inf`` where they never do."""
    left = loss - float(law.E + law.A * params ** (-law.alpha))
    return float((law.B / left) ** (1 / law.beta)) if left > 0 else float("inf")


def params_for(law: Law, loss: float, tokens: float) -> float:
    """Parameters that reach ``loss`` on ``tokens`` tokens; ``inf`` where none do."""
    left = loss - float(law.E + law.B * tokens ** (-law.beta))
    return float((law.A / left) ** (1 / law.alpha)) if left > 0 else float("inf")


def most_smaller(law: Law) -> float:
    """How many times below the optimum a model of the same loss can be at all, on endless data.

    The whole of loss - E is then A/N^alpha, of which the optimum's is a fixed share: the same at every loss.
    """
    return float((1 + 1 / law.size_over_data) ** (1 / law.alpha))


def overtrain(
    law: Law, loss: float, factors: Sequence[float] = FACTORS, weight: float = 1.0
) -> tuple[Overtrained, ...]:
    """The price list of smaller models at one loss.

    Args:
        law: a single law, not draws.
        loss: what all of them reach (nats per token).
        factors: how many times smaller than the compute-optimal model.
        weight: price of an inference FLOP over that of a training FLOP.

    Raises:
        UserError: ``loss`` is not above E, or a factor is not positive.
    """
    if not loss > float(law.E):
        raise UserError(f"target_loss: {loss:g} is not above the law's irreducible loss {float(law.E):.4g}")
    if any(not (np.isfinite(k) and k > 0) for k in factors):
        raise UserError(f"smaller: every factor must be positive, got {list(factors)}")
    optimum = law.at_loss(loss)
    return tuple(_row(law, loss, float(optimum.params), float(optimum.flops), k, weight) for k in factors)


def _row(law: Law, loss: float, params: float, flops: float, factor: float, weight: float) -> Overtrained:
    small = params / factor
    tokens = tokens_for(law, loss, small)
    if not np.isfinite(tokens):
        return Overtrained(smaller=factor, params=small)
    training = float(law.flops(small, tokens))
    saved = float(law.inference_flops(params) - law.inference_flops(small)) * weight
    # At factor 1 both differences are rounding; below 1 the larger model saves nothing and never pays.
    extra = max(0.0, training - flops)
    pays = extra / saved if saved > 0 else (0.0 if factor == 1 else None)
    return Overtrained(
        smaller=factor,
        params=small,
        tokens=tokens,
        tokens_per_param=tokens / small,
        training_flops=training,
        extra_training=0.0 if factor == 1 else training / flops - 1,
        inference_saved=1 - factor ** (-law.cost.power),
        break_even_tokens=pays,
    )
