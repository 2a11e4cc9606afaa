"""Where a size's loss is lowest, and whether that is a minimum or the border of what was tried."""

from dataclasses import dataclass

import numpy as np

from harness.fit.table import Array
from harness.text import count
from harness.tune.design import TuneSize
from harness.tune.surface import BATCH, RATE, Surface

SURE = 0.9  # share of draws that must be bowls
SAME_BATCH = 0.5 * np.log(
    2
)  # half a doubling: a run that diverged bounds the rate at its batch and smaller ones


@dataclass(frozen=True, eq=False)
class Ground:
    """The runs of one size: z (n, 2) over the size's centre; loss (n,), NaN where diverged."""

    z: Array
    loss: Array

    @property
    def _finished(self) -> Array:
        seen = self.z[np.isfinite(self.loss)]
        return seen if len(seen) else self.z[:1]

    @property
    def low(self) -> Array:
        """Lowest ln rate and ln batch of finished runs, (2,)."""
        return np.asarray(self._finished.min(axis=0))

    @property
    def high(self) -> Array:
        """Highest, (2,)."""
        return np.asarray(self._finished.max(axis=0))

    def bound(self, batch: float) -> float | None:
        """The lowest ln rate that diverged at about ln batch ``batch`` or above, where training is steadier."""
        gone = self.z[np.isnan(self.loss) & (self.z[:, BATCH] >= batch - SAME_BATCH)]
        return float(gone[:, RATE].min()) if len(gone) else None


@dataclass(frozen=True, eq=False)
class Minimum:
    """The lowest point of a surface within the range tried.

    Attributes:
        z: (2,), ln rate and ln batch over the centre.
        draws: (draws, 2) of the vertex, NaN where a draw has none; rates no higher than ``bound``.
        axes: along which it is a minimum and not a value that was set.
        status: a key of ``harness.tune.results.STATUSES``: the first of ``flags``, or ``ok``.
        bound: lowest ln rate that diverged near this batch.
    """

    z: Array
    draws: Array | None
    axes: tuple[int, ...]
    status: str
    flags: tuple[str, ...]
    notes: tuple[str, ...]
    bound: float | None


def find_minimum(
    surface: Surface,
    draws: Surface | None,
    ground: Ground,
    size: TuneSize,
    axes: tuple[int, ...],
    batch: float | None = None,
) -> Minimum:
    """The minimum of one size's surface; with ``batch``, of its cut at that ln batch.

    An edge is an edge of the finished runs. Diverged runs have no loss to fit, but they end the range: where
    loss still falls at the highest rate that trains and higher ones diverge, the best rate is bracketed, which
    is another thing than a grid that was too low; and no draw may claim a rate that diverged.
    """
    low, high = ground.low, ground.high
    if batch is None:
        z = surface.box_minimum(low, high)
        vertices = None if draws is None else draws.vertex()
        sure = bool(surface.is_bowl())
    else:
        axes, cut = (RATE,), np.array([0.0, batch])
        lowest = float(surface.lowest_along(RATE, cut))
        sure = bool(np.isfinite(lowest))
        z = (
            np.array([np.clip(lowest, low[RATE], high[RATE]), batch])
            if sure
            else _lower_end(surface, low, high, batch)
        )
        vertices = None
        if draws is not None:
            along = draws.lowest_along(RATE, np.broadcast_to(cut, (len(draws.level), 2)))
            vertices = np.stack((along, np.full_like(along, batch)), axis=-1)
    bound = ground.bound(float(z[BATCH]))
    found: list[tuple[str, str]] = []
    if not sure or (vertices is not None and np.isfinite(vertices).all(axis=1).mean() < SURE):
        found.append(
            ("not_a_bowl", "the losses do not surely curve upwards; rerun with a wider grid or more seeds")
        )
    if RATE in axes:
        z, flag = _judge_rate(z, ground, size, bound)
        found += flag
    if BATCH in axes:
        found += _judge_batch(z, low, high, size)
    if vertices is not None and bound is not None:
        vertices = np.stack((np.minimum(vertices[:, RATE], bound), vertices[:, BATCH]), axis=-1)
    flags, notes = tuple(code for code, _ in found), tuple(note for _, note in found)
    return Minimum(z, vertices, axes, flags[0] if flags else "ok", flags, notes, bound)


def _lower_end(surface: Surface, low: Array, high: Array, batch: float) -> Array:
    ends = [np.array([end[RATE], batch]) for end in (low, high)]
    return min(ends, key=lambda end: float(surface.value(end)))


def _judge_rate(
    z: Array, ground: Ground, size: TuneSize, bound: float | None
) -> tuple[Array, list[tuple[str, str]]]:
    at_high = z[RATE] >= ground.high[RATE] - 1e-9
    if bound is not None and (z[RATE] >= bound or at_high):
        rates = ground.z[np.isfinite(ground.loss), RATE]
        below = rates[rates < bound]
        last = float(below.max()) if len(below) else float(rates.min())
        highest, gone = np.exp(last) * size.rate, np.exp(bound) * size.rate
        note = f"loss falls up to a learning rate of {highest:.3g}, and {gone:.3g} diverges"
        return np.array([min(last, z[RATE]), z[BATCH]]), [("cliff", note)]
    if at_high or z[RATE] <= ground.low[RATE] + 1e-9:
        which, where = ("highest", "higher") if at_high else ("lowest", "lower")
        note = (
            f"the {which} learning rate tried, {np.exp(z[RATE]) * size.rate:.3g}, is best; try {where} ones"
        )
        return z, [("edge_rate", note)]
    return z, []


def _judge_batch(z: Array, low: Array, high: Array, size: TuneSize) -> list[tuple[str, str]]:
    if low[BATCH] + 1e-9 < z[BATCH] < high[BATCH] - 1e-9:
        return []
    largest = z[BATCH] >= high[BATCH] - 1e-9
    which, where = ("largest", "larger") if largest else ("smallest", "smaller")
    tokens = count(float(np.exp(z[BATCH]) * size.batch_tokens))
    return [("edge_batch", f"the {which} batch tried, {tokens} tokens, is best; try {where} ones")]
