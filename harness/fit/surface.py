"""The frontier of a law L(N, D) whose optimum has no closed form: the methods of ``laws.Law``, found numerically.

N* is where the loss no longer changes along C = kappa N^p D: dL/dlnN = p dL/dlnD. Everything is solved by bisection or
on a grid that is refined, for all bootstrap draws together.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from harness.fit.forms.form import Place, split
from harness.fit.forms.model import MODELS
from harness.fit.laws import LARGEST_LOG, LAW_COLUMNS, CostLaw, Law, LossSurface, Number, Optimum
from harness.fit.run_range import RunRange
from harness.fit.table import Array

STEP = 1e-4  # of ln N and ln D, in central differences
PLACES = 61  # where a root is first looked for
FINE, NARROWED = 9, 9  # between two of these: points of a grid, and how often it is refined
GRID, ZOOMS = 97, 5
CHUNK = 25  # draws that are solved together where grids are nested
REACH = 15.0  # of ln N, on either side of the runs


def law_columns(form: str) -> tuple[str, ...]:
    """The natural parameters that the frontier of a form needs: the columns of its draws."""
    columns = MODELS[form].form.columns
    return LAW_COLUMNS if dict(MODELS[form].fixed).get("kappa") == 1.0 else columns


def frontier_of(
    form: str, theta: Array, cost: CostLaw, runs: RunRange | None, smallest: float, largest: float
) -> "Law | Surface":
    """The frontier of natural parameters (columns,), or of rows of them (draws, columns).

    Args:
        runs: the range of the runs; ``smallest`` and ``largest`` is that of their compute.
    """
    theta = np.asarray(theta, dtype=float)
    if MODELS[form].form.separable:
        return Law.from_theta(theta, cost)
    sizes = (smallest / 6, largest / 6) if runs is None else (runs.smallest_params, runs.largest_params)
    middle = float(np.mean(np.log(sizes))), float(np.log(smallest * largest) / 2)
    return Surface(form=form, theta=theta, cost=cost, middle=middle, span=float(np.log(largest / smallest)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface(LossSurface):
    """A law of the form ``form``, or one for each bootstrap draw.

    Attributes:
        form: one of :data:`harness.fit.forms.MODELS`.
        theta: natural parameters, (k,) or (draws, k).
        cost: training compute C = kappa N^power D.
        middle: (ln N, ln C) in the middle of the runs: an optimum is looked for around it.
        span: ln of the largest over the smallest compute of the runs.
    """

    form: str
    theta: Array
    cost: CostLaw
    middle: tuple[float, float]
    span: float

    def row(self, index: int) -> "Surface":
        """The law of one draw."""
        return replace(self, theta=self.theta[index])

    def rows(self) -> Iterator["Surface"]:
        """Every draw's law, one after the other."""
        return (self.row(i) for i in range(len(self.theta)))

    @property
    def usable(self) -> bool:
        """Of a single law: whether its numbers are finite and it has an optimum in the middle of the runs."""
        if not np.isfinite(self.theta).all():
            return False
        return bool(np.isfinite(self.log_optimum(float(np.exp(self.middle[1])))[0]))

    @property
    def floor(self) -> float:
        """Of a single law: the loss of a model a million times larger, on as many times more tokens, than the runs'."""
        return float(self.floors)

    @property
    def floors(self) -> Array:
        """The same of every law, () or (draws,)."""
        far = self.middle[0] + np.log(1e6), self.middle[1] - self.middle[0] + np.log(1e6)
        return self.loss_of_logs(*far)

    def loss(self, params: Number, tokens: Number) -> Array:
        """L(N, D), nats per token: of the shape of N and D, of draws (draws, *that) unless that begins with draws."""
        with np.errstate(divide="ignore"):
            return self.loss_of_logs(np.log(params), np.log(tokens))

    def loss_of_logs(self, log_params: Number, log_tokens: Number) -> Array:
        """L(N, D) of ln N and ln D."""
        log_n, log_d = np.broadcast_arrays(np.asarray(log_params, float), np.asarray(log_tokens, float))
        form = MODELS[self.form].form
        theta = form.coordinates(np.atleast_2d(self.theta))
        single = self.theta.ndim == 1
        # One N and D for each draw, or a grid of them; or the same ones for all draws.
        each = not single and log_n.ndim > 0 and len(log_n) == len(theta)
        rows = len(theta) if each else 1
        with np.errstate(all="ignore"):
            place = Place(log_n.reshape(rows, -1), log_d.reshape(rows, -1))
            loss = np.exp(form.evaluate(split(theta), place, derivatives=False)[0])
        return loss.reshape(log_n.shape if single or each else (len(theta), *log_n.shape))

    @property
    def exponents(self) -> tuple[Array, Array]:
        """(a, b): how ln N* and ln D* grow with ln C on average over the compute of the runs."""
        low, high = (float(np.exp(self.middle[1] + sign * max(self.span, 0.1) / 2)) for sign in (-1, 1))
        first, last = self.log_optimum(low), self.log_optimum(high)
        a, b = ((last[i] - first[i]) / np.log(high / low) for i in (0, 1))
        return np.asarray(a), np.asarray(b)

    def log_optimum(self, flops: float) -> tuple[Array, Array, Array]:
        """(ln N*, ln D*, L*) at C = ``flops``, each (draws,) or (); NaN where the loss has no minimum along it."""
        log_c = float(np.log(flops / self.cost.kappa))
        p = self.cost.power
        # N* lies between the runs' and where it would be if all of the further compute went into N
        further = log_c + np.log(self.cost.kappa) - self.middle[1]
        low = self.middle[0] + min(0.0, further / p) - REACH
        high = self.middle[0] + max(0.0, further / p) + REACH
        rows = len(self.theta) if self.theta.ndim == 2 else 1
        ends: Array = np.array([[low, high]] * rows)
        inside = np.ones(rows, dtype=bool)
        for zoom in range(ZOOMS):
            grid: Array = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * np.linspace(0, 1, GRID)
            loss = self.loss_of_logs(*self._shaped(grid, log_c - p * grid)).reshape(rows, GRID)
            best = (
                _lowest_inner(loss)
                if zoom == 0
                else np.argmin(np.where(np.isfinite(loss), loss, np.inf), axis=1)
            )
            inside &= best > 0 if zoom == 0 else True
            beside = np.stack((np.maximum(best - 1, 0), np.minimum(best + 1, GRID - 1)), axis=1)
            ends = np.take_along_axis(grid, beside, axis=1)
        log_n = np.where(inside, ends.mean(axis=1), np.nan)
        log_d = log_c - p * log_n
        lowest = self.loss_of_logs(*self._shaped(log_n[:, None], log_d[:, None])).reshape(rows)
        if self.theta.ndim == 1:
            return log_n[0], log_d[0], lowest[0]
        return log_n, log_d, lowest

    def at_params(self, params: float) -> Optimum:
        """The training for which N parameters are compute-optimal."""
        log_n = self._each(np.log(params))
        return self._model(log_n, self._best_tokens(log_n))

    def at_tokens(self, tokens: float) -> Optimum:
        """The training for which D tokens are compute-optimal."""
        log_d = self._each(np.log(tokens))
        log_n = _root(lambda grid: -self._pull(grid, log_d[..., None]), log_d.shape, self.middle[0])
        return self._model(log_n, log_d)

    def at_loss(self, loss: Number) -> Optimum:
        """The cheapest training that reaches ``loss``; infinite where none does."""
        wanted = self._each(loss)
        if self.theta.ndim == 2 and len(self.theta) > CHUNK:
            parts = [
                replace(self, theta=self.theta[i : i + CHUNK]).at_loss(wanted[i : i + CHUNK])
                for i in range(0, len(self.theta), CHUNK)
            ]
            params, tokens, flops = (
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("params", "tokens", "flops")
            )
            return Optimum.of(params, tokens, flops, wanted)

        def better(grid: Array) -> Array:
            """Positive where the model of this size that is compute-optimal has a lower loss than asked for."""
            return wanted[..., None] - self.loss_of_logs(grid, self._best_tokens(grid))

        log_n = _root(better, wanted.shape, self.middle[0], REACH)
        found = self._model(log_n, self._best_tokens(log_n))
        lost = ~np.isfinite(log_n)
        params, tokens, flops = (
            np.where(lost, np.inf, part) for part in (found.params, found.tokens, found.flops)
        )
        return Optimum.of(params, tokens, flops, wanted)

    def tokens_for(self, params: Number, loss: Number) -> Array:
        """D on which N parameters reach ``loss``; ``inf`` where they never do."""
        log_n, wanted = (self._each(part) for part in np.broadcast_arrays(np.log(params), loss))
        log_d = _root(
            lambda grid: wanted[..., None] - self.loss_of_logs(log_n[..., None], grid),
            log_n.shape,
            self.middle[1] - self.middle[0],
        )
        return np.where(np.isfinite(log_d), np.exp(np.minimum(log_d, LARGEST_LOG)), np.inf)

    def _best_tokens(self, log_n: Array) -> Array:
        """ln D for which sizes of any shape are compute-optimal, of that shape; NaN where none is."""
        middle = self.middle[1] - self.middle[0]
        return _root(lambda grid: self._pull(log_n[..., None], grid), log_n.shape, middle)

    def _pull(self, log_n: Array, log_d: Array) -> Array:
        """Positive where N of this size asks for fewer tokens: p dL/dlnD - dL/dlnN."""
        n, d = np.broadcast_arrays(log_n, log_d)
        by_n = self.loss_of_logs(n + STEP, d) - self.loss_of_logs(n - STEP, d)
        by_d = self.loss_of_logs(n, d + STEP) - self.loss_of_logs(n, d - STEP)
        return self.cost.power * by_d - by_n

    def _model(self, log_n: Array, log_d: Array) -> Optimum:
        params, tokens = np.exp(log_n), np.exp(log_d)
        return Optimum.of(params, tokens, self.flops(params, tokens), self.loss_of_logs(log_n, log_d))

    def _each(self, value: Number) -> Array:
        """A number with one entry a draw; of a single law it stays as it is."""
        found = np.asarray(value, dtype=float)
        return np.full(len(self.theta), float(found)) if self.theta.ndim == 2 and found.ndim == 0 else found

    def _shaped(self, log_n: Array, log_d: Array) -> tuple[Array, Array]:
        """A grid (draws, points), of one law (points,)."""
        return (log_n, log_d) if self.theta.ndim == 2 else (log_n[0], log_d[0])


def _root(
    rising: Callable[[Array], Array], shape: tuple[int, ...], middle: float, reach: float = 2 * REACH
) -> Array:
    """Where functions of one number each, of ``shape``, rise through 0 nearest to ``middle``; NaN where they do not.

    Far from the runs a form may do anything, so of several places the nearest is taken.

    Args:
        rising: of a grid (*shape, points), of that shape.
    """
    places = middle + np.linspace(-reach, reach, PLACES)
    far = np.abs((places[:-1] + places[1:]) / 2 - middle)
    with np.errstate(all="ignore"):
        values = rising(np.broadcast_to(places, (*shape, PLACES)))
        crosses = (values[..., :-1] < 0) & (values[..., 1:] > 0)
        first = np.argmin(np.where(crosses, far, np.inf), axis=-1)
        low, high = places[first], places[first + 1]
        for _ in range(NARROWED):
            grid = low[..., None] + (high - low)[..., None] * np.linspace(0, 1, FINE)
            above = rising(grid) > 0
            above[..., -1] = True
            at = np.maximum(np.argmax(above, axis=-1), 1)[..., None]
            low, high = (np.take_along_axis(grid, at - back, axis=-1)[..., 0] for back in (1, 0))
    return np.where(crosses.any(axis=-1), (low + high) / 2, np.nan)


ParametricLaw = Law | Surface
"""L(N, D) of any form."""


def _lowest_inner(loss: Array) -> Array:
    """The lowest local minimum inside of each row (rows, points), by its index; 0 where there is none."""
    inner = (loss[:, 1:-1] < loss[:, :-2]) & (loss[:, 1:-1] <= loss[:, 2:])
    best = 1 + np.argmin(np.where(inner, loss[:, 1:-1], np.inf), axis=1)
    return np.where(inner.any(axis=1), best, 0)
