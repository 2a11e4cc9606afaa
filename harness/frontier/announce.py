"""Where a model that someone announces stands: against the optimum of its compute, and of its loss."""

from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.predict import below_6nd
from harness.fit.results import Interval
from harness.fit.status import judge
from harness.frontier.answer import extrapolation, finite, range_flags
from harness.frontier.interval import interval
from harness.frontier.source import Source

NEAR = 1.1


@dataclass(frozen=True)
class Announced:
    """A model: N, D, and the training FLOPs it is said to have used (None: by the cost law)."""

    params: float
    tokens: float
    flops: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (np.isfinite(value) and value > 0):
                raise UserError(f"{name}: must be a positive number, got {value:g}")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """N parameters on D tokens, judged by one source; intervals at ``level``, None where it cannot say.

    Attributes:
        params, tokens, flops: the model and the compute it used, as announced or by the source's cost law.
        loss: expected from L(N, D); None for approaches 1 and 2, which know only the best models.
        best_params, best_tokens, best_loss: the compute-optimal model of the same compute; ``loss_kind`` says whether
            its loss is ``held-out`` or, by approach 1, ``training``.
        params_ratio: N over ``best_params``: 4 is four times too many parameters for its compute.
        same_loss_flops: the cheapest training that reaches ``loss``.
        overspent: flops over ``same_loss_flops``.
        verdict: one sentence.
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
    overspent: float | None = None
    loss_interval: Interval | None = None
    best_params_interval: Interval | None = None
    params_ratio_interval: Interval | None = None
    overspent_interval: Interval | None = None
    extrapolation: float | None = None
    verdict: str = ""
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def announce(source: Source, model: Announced) -> Standing:
    """Judges a model against the optimum of its compute and of its loss."""
    law, draws = source.law, source.draws
    cost = law.cost if law is not None else source.cost
    params, tokens = model.params, model.tokens
    flops = model.flops or cost.kappa * params**cost.power * tokens
    flags = list(source.flags)
    if source.frontier is None:
        verdict = "this approach has no number"
        return Standing(
            approach=source.name,
            level=source.level,
            params=params,
            tokens=tokens,
            flops=flops,
            verdict=verdict,
            **judge(flags),
        )
    best = source.frontier.at_flops(flops)
    ratio = params / float(best.params)
    with np.errstate(all="ignore"):
        ratio_draws = None if draws is None else params / draws.at_flops(flops).params
        ratio_interval = interval(ratio_draws, source.level)
        best_interval = interval(None if draws is None else draws.at_flops(flops).params, source.level)
        loss = same = overspent_interval = loss_interval = None
        if law is not None:
            loss = float(law.loss(params, tokens))
            same = float(law.at_loss(loss).flops)
        if (laws := source.law_draws) is not None:
            losses = laws.loss(params, tokens)
            loss_interval = interval(losses, source.level)
            overspent_interval = interval(flops / laws.at_loss(losses).flops, source.level)
    return Standing(
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
        overspent=None if same is None else flops / same,
        loss_interval=loss_interval,
        best_params_interval=best_interval,
        params_ratio_interval=ratio_interval,
        overspent_interval=overspent_interval,
        extrapolation=extrapolation(source, flops),
        verdict=_verdict(ratio, ratio_interval),
        **judge(
            flags
            + range_flags(source, flops)
            + ([] if law is None else below_6nd(law.cost, float(best.params)))
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
