"""A given model against the optimum of its compute and of its loss, and over-training as a choice with a cost.

The smaller models that reach the same loss cost more to train and less to serve: from so many served tokens they pay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.cost_law import below_6nd
from harness.fit.encoding import json_key
from harness.fit.estimate import FrontierSource, beyond_runs, extrapolation, finite, range_flags
from harness.fit.laws import Law
from harness.fit.status import judge
from harness.fit.surface import ParametricLaw

NEAR = 1.1


@dataclass(frozen=True)
class GivenModel:
    """A model to assess: N, D, and the training FLOPs it is said to have used (None: by the cost law)."""

    params: float
    tokens: float
    flops: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (np.isfinite(value) and value > 0):
                raise UserError(f"{name}: must be a positive number, got {value:g}")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """N parameters on D tokens, assessed by one source; intervals at ``level``, None where it cannot say.

    Attributes:
        params, tokens, flops: the model and the compute it used, as given or by the source's cost law.
        loss: expected from L(N, D); None for approaches 1 and 2, which know only the best models.
        best_params, best_tokens, best_loss: the compute-optimal model of the same compute; ``loss_kind`` says whether
            its loss is ``held-out`` or, by approach 1, ``training``.
        params_ratio: N over ``best_params``: 4 is four times too many parameters for its compute.
        same_loss_flops: the cheapest training that reaches ``loss``.
        compute_overhead: flops over ``same_loss_flops``.
        verdict: one sentence.

    Where the model's N, D or D/N is beyond the runs, its loss and overhead have no interval; where those of the best
    model of its compute are, N over ``best_params`` has none.
    """

    approach: str
    level: float
    params: float
    tokens: float
    flops: float
    loss: float | None = None
    best_params: float | None = None
    best_tokens: float | None = None
    best_loss: float | None = None
    loss_kind: str = "held-out"
    params_ratio: float | None = None
    same_loss_flops: float | None = None
    compute_overhead: float | None = field(default=None, metadata=json_key("overspent"))
    loss_interval: Interval | None = None
    best_params_interval: Interval | None = None
    params_ratio_interval: Interval | None = None
    compute_overhead_interval: Interval | None = field(default=None, metadata=json_key("overspent_interval"))
    extrapolation: float | None = None
    verdict: str = ""
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def assess(source: FrontierSource, model: GivenModel) -> Assessment:
    """Assesses a model against the optimum of its compute and of its loss."""
    law, draws = source.law, source.draws
    cost = law.cost if law is not None else source.cost
    params, tokens = model.params, model.tokens
    flops = model.flops or cost.kappa * params**cost.power * tokens
    flags = list(source.flags)
    if source.frontier is None:
        verdict = "this approach has no number"
        return Assessment(
            approach=source.name,
            level=source.level,
            params=params,
            tokens=tokens,
            flops=flops,
            verdict=verdict,
            **judge(flags),
        )
    best = source.frontier.at_flops(flops)
    beyond = beyond_runs(source, params, tokens)
    best_beyond = beyond_runs(source, float(best.params), float(best.tokens))
    ratio = params / float(best.params)
    with np.errstate(all="ignore"):
        best_draws = None if draws is None else draws.at_flops(flops).params
        ratio_interval = source.interval(None if best_draws is None else params / best_draws)
        best_interval = source.interval(best_draws)
        loss = same = compute_overhead_interval = loss_interval = None
        if law is not None:
            loss = float(law.loss(params, tokens))
            same = float(law.at_loss(loss).flops)
        if (laws := source.law_draws) is not None:
            losses = laws.loss(params, tokens)
            loss_interval = source.interval(losses)
            compute_overhead_interval = source.interval(flops / laws.at_loss(losses).flops)
    if beyond:
        loss_interval = compute_overhead_interval = None
    if best_beyond:
        best_interval = ratio_interval = None
    return Assessment(
        approach=source.name,
        level=source.level,
        params=params,
        tokens=tokens,
        flops=flops,
        loss=loss,
        best_params=finite(best.params),
        best_tokens=finite(best.tokens),
        best_loss=finite(best.loss),
        loss_kind=source.loss_kind,
        params_ratio=ratio,
        same_loss_flops=same,
        compute_overhead=None if same is None else flops / same,
        loss_interval=loss_interval,
        best_params_interval=best_interval,
        params_ratio_interval=ratio_interval,
        compute_overhead_interval=compute_overhead_interval,
        extrapolation=extrapolation(source, flops),
        verdict=_verdict(ratio, ratio_interval),
        **judge(
            flags + beyond + best_beyond + ([] if law is None else below_6nd(law.cost, float(best.params)))
        ),
    )


def _verdict(ratio: float, spread: Interval | None) -> str:
    if spread is not None and spread[0] <= 1 <= spread[1] and not 1 / NEAR <= ratio <= NEAR:
        return "not told apart from compute-optimal: the interval includes it"
    if 1 / NEAR <= ratio <= NEAR:
        return "compute-optimal, within 10% in parameters"
    if ratio > 1:
        return f"trained with {ratio:.3g}x too many parameters for its compute"
    return f"trained with {1 / ratio:.3g}x fewer parameters than the optimum of its compute: cheaper to serve"


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
        status: ``extrapolation`` where it lies beyond the runs, in C, N, D or D/N.
    """

    smaller: float
    params: float
    tokens: float | None = None
    tokens_per_param: float | None = None
    training_flops: float | None = None
    extra_training: float | None = None
    inference_saved: float | None = None
    break_even_tokens: float | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def tokens_for(law: ParametricLaw, loss: float, params: float) -> float:
    """Tokens on which ``params`` parameters reach ``loss``; ``inf`` where they never do."""
    return float(law.tokens_for(params, loss))


def most_smaller(law: ParametricLaw) -> float | None:
    """How many times below the optimum a model of the same loss can be at all, on unlimited data; None: it depends.

    The whole of the reducible loss is then A/N^alpha, of which the optimum's is a fixed share: the same at every loss.
    With other forms it is not.
    """
    return float((1 + 1 / law.size_over_data) ** (1 / law.alpha)) if isinstance(law, Law) else None


def overtrain(
    law: ParametricLaw,
    loss: float,
    factors: Sequence[float] = FACTORS,
    weight: float = 1.0,
    source: FrontierSource | None = None,
) -> tuple[Overtrained, ...]:
    """What smaller models of one loss cost to train, and from where they pay.

    Args:
        law: a single law, not draws.
        loss: what all of them reach (nats per token).
        factors: how many times smaller than the compute-optimal model.
        weight: cost of an inference FLOP over that of a training FLOP.
        source: where the law comes from; models beyond its runs are marked.

    Raises:
        UserError: ``loss`` is not above E, or a factor is not positive.
    """
    if not loss > law.floor:
        raise UserError(f"target_loss: {loss:g} is not above the law's irreducible loss {law.floor:.4g}")
    if any(not (np.isfinite(k) and k > 0) for k in factors):
        raise UserError(f"smaller: every factor must be positive, got {list(factors)}")
    optimum = law.at_loss(loss)
    rows = (_row(law, loss, float(optimum.params), float(optimum.flops), k, weight) for k in factors)
    return tuple(rows) if source is None else tuple(_judged(row, source) for row in rows)


def _judged(row: Overtrained, source: FrontierSource) -> Overtrained:
    if row.tokens is None or row.training_flops is None:
        return row
    return replace(
        row, **judge(range_flags(source, row.training_flops) + beyond_runs(source, row.params, row.tokens))
    )


def _row(
    law: ParametricLaw, loss: float, params: float, flops: float, factor: float, weight: float
) -> Overtrained:
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
