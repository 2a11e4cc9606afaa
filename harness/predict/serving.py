"""The cheapest model over its whole life, training and serving (Sardana et al. 2024, arXiv 2401.00448)."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.estimate import FrontierSource, beyond_runs, finite, range_flags
from harness.fit.laws import Optimum
from harness.fit.status import Flag, judge
from harness.fit.surface import ParametricLaw, Surface
from harness.fit.table import Array
from harness.predict.question import unusual_ratio
from harness.predict.search import minimise, searched

REACH = 12.0
"""How far below the training optimum sizes are searched, in ln N, along a law without a closed form."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """The model of a given loss that costs least when it also serves ``inference_tokens``.

    Costs are in FLOPs of training: FLOPs of serving count ``weight`` times.

    Attributes:
        weight: lambda, the cost of an inference FLOP over that of a training FLOP.
        params, tokens, tokens_per_param: the model and its training.
        training_flops, inference_flops: what it spends, unweighted.
        cost: training_flops + weight * inference_flops.
        plain_params, plain_tokens, plain_training_flops, plain_inference_flops, plain_cost: the same for the
            model of that loss that is cheapest to train.
        saving: 1 - cost / plain_cost.
        params_interval, tokens_interval, saving_interval: at ``level``, at the fixed loss.
    """

    approach: str
    loss: float
    inference_tokens: float
    weight: float
    params: float | None = None
    tokens: float | None = None
    tokens_per_param: float | None = None
    training_flops: float | None = None
    inference_flops: float | None = None
    cost: float | None = None
    plain_params: float | None = None
    plain_tokens: float | None = None
    plain_training_flops: float | None = None
    plain_inference_flops: float | None = None
    plain_cost: float | None = None
    saving: float | None = None
    level: float = 0.9
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    saving_interval: Interval | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def serve(law: ParametricLaw, loss: float, inference_tokens: float, weight: float = 1.0) -> Optimum:
    """Minimises C(N, D) + weight * inference FLOPs at a fixed loss (Sardana et al. 2024, section 2).

    A law without a closed form is searched along the sizes that reach the loss, see :func:`_searched`.

    With compute kappa N^p D, serving a token costs kappa N^p / 3, so serving T tokens at weight w is like
    training on wT/3 further ones that teach nothing. Lagrange's condition is
    A/N^alpha = (p beta / alpha) (B/D^beta) (1 + wT/(3D)); with L = loss this leaves one equation in D,
    B/D^beta (1 + (p beta / alpha)(1 + wT/(3D))) = loss - E, whose left side falls monotonically. The training
    optimum bounds its root from below; where both of its parts are at most half the right side, from above.

    Raises:
        UserError: ``loss`` is not above E, or a count is negative.
    """
    if not (np.isfinite(inference_tokens) and inference_tokens >= 0 and np.isfinite(weight) and weight >= 0):
        raise UserError(
            f"inference_tokens and weight must not be negative, got {inference_tokens:g}, {weight:g}"
        )
    if not loss > law.floor:
        raise UserError(f"target_loss: {loss:g} is not above the law's irreducible loss {law.floor:.4g}")
    if isinstance(law, Surface):
        return _searched(law, loss, weight * inference_tokens / 3)
    _, A, B, alpha, beta = (float(value) for value in law.theta[:5])
    excess = float(law.reducible(loss))
    ratio, extra = float(law.size_over_data), weight * inference_tokens / 3
    low = float(np.log(B * (1 + ratio) / excess)) / beta
    if extra == 0:
        log_d = low
    else:
        high = max(
            float(np.log(2 * B * (1 + ratio) / excess)) / beta,
            float(np.log(2 * B * ratio * extra / excess)) / (1 + beta),
        )

        def surplus(log_tokens: float) -> float:
            data_term = B * np.exp(-beta * log_tokens)
            return float(data_term * (1 + ratio * (1 + extra * np.exp(-log_tokens))) / excess - 1)

        # a little wider than the bounds, which rounding can put on the wrong side of the root
        log_d = float(brentq(surplus, low - 1e-6, high + 1e-6, xtol=1e-13, rtol=1e-14))
    tokens = float(np.exp(log_d))
    # From the condition, not from loss - E - B/D^beta, which cancels where little is served.
    params = float((A / (ratio * B * tokens**-beta * (1 + extra / tokens))) ** (1 / alpha))
    return Optimum(params=params, tokens=tokens, flops=float(law.flops(params, tokens)), loss=loss)


def answer_serving(
    source: FrontierSource, loss: float, inference_tokens: float, weight: float = 1.0
) -> Served:
    """:func:`serve` from a source, with the comparison and with intervals from its draws.

    Raises:
        UserError: as :func:`serve`; or the source has no L(N, D).
    """
    law = source.law
    if law is None:
        raise UserError(f"serving needs L(N, D): {source.title} knows only the compute-optimal models")
    life = serve(law, loss, inference_tokens, weight)
    plain = law.at_loss(loss)
    rows = _draws(source.law_draws, loss, inference_tokens, weight)
    spread = {f"{name}_interval": source.interval(column) for name, column in rows.items()}
    inference = float(law.inference_flops(life.params)) * inference_tokens
    cost = float(life.flops) + weight * inference
    plain_cost = total_cost(law, plain, inference_tokens, weight)
    beyond = beyond_runs(source, float(life.params), float(life.tokens))
    flags = [*source.flags, *range_flags(source, float(life.flops)), *beyond]
    if spread["params_interval"] is None:
        flags.append(Flag("no_interval", "no bootstrap draws, so no intervals"))
    if beyond:
        spread = dict.fromkeys(spread)
    flags += unusual_ratio(source, float(life.tokens_per_param), float(plain.tokens_per_param))
    return Served(
        approach=source.name,
        loss=loss,
        inference_tokens=inference_tokens,
        weight=weight,
        params=finite(life.params),
        tokens=finite(life.tokens),
        tokens_per_param=finite(life.tokens_per_param),
        training_flops=finite(life.flops),
        inference_flops=inference,
        cost=cost,
        plain_params=finite(plain.params),
        plain_tokens=finite(plain.tokens),
        plain_training_flops=finite(plain.flops),
        plain_inference_flops=float(law.inference_flops(plain.params)) * inference_tokens,
        plain_cost=plain_cost,
        saving=1 - cost / plain_cost,
        level=source.level,
        **spread,
        **judge(flags),
    )


def _searched(law: Surface, loss: float, extra: float) -> Optimum:
    """The cheapest of the models that reach ``loss``, each also paying for ``extra`` tokens that teach nothing.

    Serving moves the optimum to smaller models only, so sizes are searched from the training optimum downwards.
    """
    plain = law.at_loss(loss)
    if not np.isfinite(plain.flops):
        raise UserError(f"target_loss: {loss:g} is out of reach of the law")

    def cost(log_params: Array) -> Array:
        tokens = law.tokens_for(np.exp(log_params), loss)
        return np.where(np.isfinite(tokens), law.flops(np.exp(log_params), tokens + extra), np.inf)

    largest = float(np.log(plain.params))
    params = float(np.exp(minimise(cost, largest - REACH, largest)))
    tokens = float(law.tokens_for(params, loss))
    return Optimum(params=params, tokens=tokens, flops=float(law.flops(params, tokens)), loss=loss)


def total_cost(law: ParametricLaw, model: Optimum, inference_tokens: float, weight: float = 1.0) -> float:
    """Training FLOPs plus ``weight`` times the FLOPs of serving."""
    return float(model.flops + weight * law.inference_flops(model.params) * inference_tokens)


def _draws(
    laws: ParametricLaw | None, loss: float, inference_tokens: float, weight: float
) -> dict[str, Array | None]:
    """N, D and the saving of every draw; NaN where a draw cannot reach the loss or has no optimum."""
    names = ("params", "tokens", "saving")
    if laws is None:
        return dict.fromkeys(names)
    picked = searched(laws)
    rows = np.full((len(picked), 3), np.nan)
    for i, row in zip(picked, rows, strict=True):
        law = laws.row(i)
        if not (law.usable and loss > law.floor):
            continue
        life, plain = serve(law, loss, inference_tokens, weight), law.at_loss(loss)
        costs = [total_cost(law, model, inference_tokens, weight) for model in (life, plain)]
        row[:] = float(life.params), float(life.tokens), 1 - costs[0] / costs[1]
    return dict(zip(names, rows.T, strict=True))
