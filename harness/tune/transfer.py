"""Whether the best learning rate transfers: its ratio between two sizes of one tuning, with an interval."""

from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.table import Array
from harness.tune.fit import LEAST_RUNS
from harness.tune.results import Interval, TuneFit
from harness.tune.rules import quantiles
from harness.tune.surface import BATCH, RATE
from harness.tune.surface_fit import Sample, fit_surfaces, near_minimum, values_along


@dataclass(frozen=True)
class RateRatios:
    """Best learning rates of the sizes of a tuning over that of one of them.

    Attributes:
        rates: of each size, at its surface's minimum. rate_intervals: of these; None where there is none.
        ratios: over that of the size ``reference``. ratio_intervals: of these; None of the reference itself.
        statuses: of each ratio, a key of ``harness.tune.results.STATUSES``: that of its size, or where that is ``ok``
            the reference's. A ratio with another one is that of borders, no measurement. A size whose runs are best at
            the lowest or highest rate is ``edge_rate`` here even where the fitted minimum lies between the rates: the
            curvature that puts it there is that of the other sizes.
    """

    reference: int
    rates: tuple[float, ...]
    rate_intervals: tuple[Interval | None, ...]
    ratios: tuple[float, ...]
    ratio_intervals: tuple[Interval | None, ...]
    statuses: tuple[str, ...]


def rate_ratios(fit: TuneFit, reference: int = 0) -> RateRatios:
    """The ratios at the tuning's own level, window, draws and seed.

    A size's runs have noise of their own, but all sizes share their surfaces' curvature and so part of their error:
    the surfaces are fitted again together, and an interval is that of the draws' ratios, not one of two intervals.

    Args:
        reference: which size, from 0, the others are compared to.

    Raises:
        UserError: the rate was not varied, or the runs determine no surface or no noise.
    """
    sample, centres = _sample(fit)
    found = fit_surfaces(sample, fit.skewed, fit.draws, np.random.default_rng(fit.seed))
    if RATE not in sample.axes or found is None or found.draws is None:
        raise UserError(
            f"tuning '{fit.name}': its runs do not determine best learning rates with intervals; name more tune.rates "
            "or tune.seeds"
        )
    best = found.estimate.box_minimum(sample.low, sample.high)[:, RATE] + centres
    draws = found.draws.vertex()[..., RATE] + centres
    order = range(len(centres))
    own = [_status(fit, i) for i in order]
    return RateRatios(
        reference=reference,
        rates=tuple(float(np.exp(one)) for one in best),
        rate_intervals=tuple(_interval(draws[:, i], fit.level) for i in order),
        ratios=tuple(float(np.exp(one - best[reference])) for one in best),
        ratio_intervals=tuple(
            None if i == reference else _interval(draws[:, i] - draws[:, reference], fit.level) for i in order
        ),
        statuses=tuple(own[reference] if status == "ok" else status for status in own),
    )


def _status(fit: TuneFit, i: int) -> str:
    """Of size ``i``: the tuning's own, or that its runs do not bracket the best rate."""
    losses: dict[float, list[float]] = {}
    for trial in fit.trials:
        if trial.size == i:
            losses.setdefault(trial.rate, []).append(np.inf if trial.loss is None else trial.loss)
    best = min(losses, key=lambda rate: float(np.mean(losses[rate])))
    at_border = best in (min(losses), max(losses))
    return "edge_rate" if at_border and fit.sizes[i].status == "ok" else fit.sizes[i].status


def _sample(fit: TuneFit) -> tuple[Sample, Array]:
    """The runs near each size's minimum, as ``fit_tuning`` takes them, and ln of each size's centre of rates."""
    each = [[trial for trial in fit.trials if trial.size == i] for i in range(len(fit.sizes))]
    z = [
        np.log([[t.rate / size.recipe_rate, t.batch_tokens / size.recipe_batch] for t in trials]).reshape(
            -1, 2
        )
        for size, trials in zip(fit.sizes, each, strict=True)
    ]
    loss = [np.array([np.nan if t.loss is None else t.loss for t in trials]) for trials in each]
    together = np.concatenate(z)
    axes = tuple(axis for axis in (RATE, BATCH) if values_along(together, axis) > 1)
    used = [near_minimum(a, b, axes, fit.window, LEAST_RUNS) for a, b in zip(z, loss, strict=True)]
    finished = [a[np.isfinite(b)] for a, b in zip(z, loss, strict=True)]
    if not all(len(one) for one in finished):
        raise UserError(f"tuning '{fit.name}': at one of its sizes no run finished, so there is no ratio")
    return Sample(
        z=np.concatenate([a[u] for a, u in zip(z, used, strict=True)]),
        loss=np.concatenate([a[u] for a, u in zip(loss, used, strict=True)]),
        size=np.concatenate([np.full(int(u.sum()), i) for i, u in enumerate(used)]),
        low=np.stack([one.min(axis=0) for one in finished]),
        high=np.stack([one.max(axis=0) for one in finished]),
        axes=axes,
    ), np.log([size.recipe_rate for size in fit.sizes])


def _interval(draws: Array, level: float) -> Interval | None:
    found = quantiles(draws, level)
    return None if found is None else (float(np.exp(found[0])), float(np.exp(found[1])))
