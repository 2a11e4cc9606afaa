"""Approach 1: the lower envelope of the training curves, and the power laws along it.

The envelope is, at each compute, the run of lowest training loss there (Hoffmann et al. 2022, section 3.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from harness.fit import bootstrap
from harness.fit.budgets import cells_of, grid_seeds, pairs_kind
from harness.fit.options import FitOptions
from harness.fit.powerlaw import fit_loss_law, fit_power, frontier_fields, frontier_flags
from harness.fit.results import Approach1
from harness.fit.run_range import run_range
from harness.fit.status import Flag, is_void, judge
from harness.fit.table import Array, Curve, Points
from harness.fit.useless import useless_intervals
from harness.text import counted

STREAM = 1
MIN_SIZES = 3
# The law of the loss is fitted at this many of the envelope's computes: it is smooth, and costs a search.
LOSS_POINTS = 40
CHUNK = 256  # draws at a time
EDGE = 0.25  # share of the range that a size at the end may win
LATE = 0.85  # of a run: its learning rate has come down


@dataclass(frozen=True, eq=False)
class Losses:
    """Smoothed losses of every run at common computes.

    Attributes:
        flops: (m,), log-spaced.
        loss: (runs, m); inf where a run's curve does not reach.
        order: (runs, m), at each compute the rows by rising loss: a draw's winner is the first it holds.
        tokens: (runs, m), tokens that a run had seen.
        progress: (runs, m), the same as a fraction of its horizon.
        run: (runs,), each row's index in the table.
    """

    flops: Array
    loss: Array
    order: NDArray[np.intp]
    tokens: Array
    progress: Array
    run: NDArray[np.intp]


def smooth(curve: Curve, steps: float) -> Array:
    """The training loss after a Gaussian filter of ``steps`` optimizer steps (Hoffmann et al. 2022, 3.1: 10).

    Curves logged more coarsely than that are left as they are.
    """
    spacing = float(np.median(np.diff(curve.step))) if len(curve.step) > 1 else np.inf
    width = steps / max(spacing, 1e-9)
    loss = np.asarray(curve.train_loss, dtype=float)
    return gaussian_filter1d(loss, width, mode="nearest") if width > 0.3 else loss


def tabulate(points: Points, curves: Mapping[str, Curve], steps: float, count: int) -> Losses | None:
    """Every run's smoothed loss, interpolated in ln C, at ``count`` log-spaced computes.

    The computes span the runs' final ones. A run's compute along the way is its tokens times the table's
    FLOPs a token, so the curve follows whichever compute convention the table is in. None without curves.
    """
    # A run with several rows has one curve, up to the last of them.
    by_tokens = np.argsort(points.tokens, kind="stable").tolist()
    last = {points.run_id[i]: i for i in by_tokens}
    rows = sorted(i for run, i in last.items() if run in curves and _usable(curves[run]))
    if not rows:
        return None
    flops = np.geomspace(points.flops[rows].min(), points.flops[rows].max(), count)
    loss, tokens = np.full((len(rows), count), np.inf), np.zeros((len(rows), count))
    for row, i in enumerate(rows):
        curve = curves[points.run_id[i]]
        known = np.isfinite(curve.train_loss) & (curve.tokens > 0)
        seen = np.maximum.accumulate(np.asarray(curve.tokens, dtype=float)[known])
        per_token = points.flops[i] / points.tokens[i]
        values = smooth(Curve(curve.step[known], seen, curve.flops[known], curve.train_loss[known]), steps)
        tokens[row] = flops / per_token
        # The last logged step may fall a little short of the horizon: half a percent is nothing missing.
        inside = (tokens[row] >= seen[0]) & (tokens[row] <= seen[-1] * 1.005)
        loss[row, inside] = np.interp(np.log(tokens[row, inside]), np.log(seen), values)
    return Losses(
        flops=flops,
        loss=loss,
        order=np.argsort(loss, axis=0, kind="stable"),
        tokens=tokens,
        progress=tokens / points.tokens[rows][:, None],
        run=np.array(rows),
    )


def winners(losses: Losses, held: NDArray[np.bool_] | None = None) -> NDArray[np.intp]:
    """The row of lowest loss at each compute among those ``held`` (boolean, (runs,)); -1 for none."""
    ordered = losses.order
    if held is None:
        best = ordered[0]
    else:
        first = np.argmax(held[ordered], axis=0)
        best = np.take_along_axis(ordered, first[None], axis=0)[0]
    reached = np.isfinite(np.take_along_axis(losses.loss, best[None], axis=0)[0])
    return np.where(reached, best, -1)


def _usable(curve: Curve) -> bool:
    known = np.isfinite(curve.train_loss) & (np.asarray(curve.tokens) > 0)
    return int(known.sum()) >= 2


def fit_approach_1(
    points: Points, options: FitOptions, curves: Mapping[str, Curve] | None = None
) -> Approach1:
    """Power laws through the runs of lowest training loss at log-spaced computes (Hoffmann et al. 2022, 3.1).

    Every cell counts with one seed: an envelope takes the lowest run, so a cell with more seeds than others would be
    favoured by the lowest of them. Follow-ups of chosen cells are therefore left out; where the whole grid has several
    seeds, each has its own envelope and the laws go through the points of all. Whole cells are resampled: all the
    envelope points of their runs come and go together.

    Status: ``no_curves``; ``too_few_points`` (fewer than three sizes on the envelope); ``at_edge`` (the
    smallest or largest size wins much of the range: the optimum may lie beyond); ``mid_run`` (the median
    winner is less than 85% through its run, before the cooldown of its learning rate, so its loss overstates what a run
    of that horizon reaches).
    """
    common: dict[str, Any] = {
        "level": options.level,
        "smallest_flops": float(points.flops.min()),
        "largest_flops": float(points.flops.max()),
        "runs": run_range(points),
        "extrapolation_limit": options.extrapolation_limit,
    }
    losses = tabulate(points, curves or {}, options.smoothing_steps, options.envelope_points)
    if losses is None:
        return Approach1(**common, **judge([Flag("no_curves", "no training curves: approach 1 reads them")]))
    table = points.select(losses.run)
    cell = cells_of(table)
    seeds = grid_seeds(table, cell)
    common["n_points"] = int(seeds.any(axis=0).sum())
    log_n = np.log(table.params)
    best = _winners(losses, seeds)[None]
    flags = _void_flags(log_n, best)
    if is_void(flags):
        return Approach1(**common, **judge(flags))
    on = np.flatnonzero(best[0] >= 0)
    won = best[0, on]
    at = on % len(losses.flops)
    row = _frontiers(losses, log_n, best)[0]
    draws = None
    # An envelope has no residuals for the wild bootstrap: runs are drawn instead, and ``bootstrap`` says so.
    asked = "auto" if options.bootstrap == "wild" else options.bootstrap
    kind, groups = pairs_kind(table, asked)
    strata = groups or [list(range(len(table)))]
    if options.draws:
        rng = bootstrap.generator(options.seed, STREAM)
        held = bootstrap.stratified_counts(rng, strata, cell, options.draws) > 0
        chunks = np.array_split(held, -(-len(held) // CHUNK))
        draws = np.concatenate(
            [
                _frontiers(losses, log_n, np.stack([_winners(losses, seeds & h) for h in chunk]))
                for chunk in chunks
            ]
        )
    progress = float(np.median(losses.progress[won, at]))
    flags = [*frontier_flags(row, draws), *_shape_flags(log_n, losses, best, progress)]
    flags += useless_intervals(frontier_fields(row, draws, options.level))
    return Approach1(
        **common,
        **frontier_fields(row, draws, options.level),
        bootstrap=kind if options.draws else "none",
        envelope=np.column_stack(
            (losses.flops[at], np.exp(log_n[won]), losses.tokens[won, at], losses.loss[won, at])
        ),
        median_progress=progress,
        **judge(flags),
    )


def _winners(losses: Losses, held: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The winners of one envelope after the other, (seeds * m,); each row of ``held`` (seeds, runs) has its own."""
    return np.concatenate([winners(losses, row) for row in held])


def _frontiers(losses: Losses, log_n: Array, best: NDArray[np.intp]) -> Array:
    """Rows of ``Approach.draw_columns``, (draws, 7), from the winners of each draw, ``best`` (draws, seeds * m)."""
    m = len(losses.flops)
    columns = np.arange(best.shape[1]) % m
    reached = best >= 0
    log_c = np.log(losses.flops)[columns]
    sizes = np.where(reached, log_n[best], np.nan)
    tokens = np.where(reached, np.log(losses.tokens[best, columns]), np.nan)
    loss = np.where(reached, losses.loss[best, columns], np.nan)
    thin = np.flatnonzero(np.isin(columns, np.linspace(0, m - 1, LOSS_POINTS).astype(int)))
    return np.column_stack(
        (*fit_power(log_c, sizes), *fit_power(log_c, tokens), fit_loss_law(log_c[thin], loss[:, thin]))
    )


def _void_flags(log_n: Array, best: NDArray[np.intp]) -> list[Flag]:
    sizes = len(np.unique(log_n[best[best >= 0]]))
    if sizes >= MIN_SIZES:
        return []
    return [
        Flag(
            "too_few_points",
            f"{counted(sizes, 'size is', 'sizes are')} ever the best; a power law needs {MIN_SIZES}",
        )
    ]


def _shape_flags(log_n: Array, losses: Losses, best: NDArray[np.intp], progress: float) -> list[Flag]:
    won = best[best >= 0]
    flags = []
    for size, name in ((log_n.min(), "smallest"), (log_n.max(), "largest")):
        share = float(np.mean(log_n[won] == size))
        if share > EDGE:
            flags.append(Flag("at_edge", f"the {name} size wins {share:.0%} of the range"))
    if progress < LATE:
        flags.append(Flag("mid_run", f"the median envelope point is {progress:.0%} through its run"))
    reach = 1 - len(won) / best.size
    if reach > 0.05:
        flags.append(Flag("budgets_dropped", f"no curve reaches {reach:.0%} of the range of compute"))
    return flags
