"""A response surface over hyperparameters, fitted to all cells of a table together.

In cell c, with h the logs of the hyperparameters and g = (1, ln N, ln D) of the cell,

    L = m_c + s_c/2 (h - A g)' H (h - A g),    s_c = exp(gamma . (ln N, ln D)).

Every cell has its own level m_c; the best values A g follow power laws of N and D; the curvature H is shared, up to a
factor that is a power law too where the runs show one. Expanded it is linear in the products of h with g and with
itself, apart from gamma (a response surface: Box & Wilson 1951; the levels drop out by subtracting each cell's means).
Sparse cells so borrow their shape from full ones. Where losses rise faster on one side, cubes of the distances to the
minimum are added; they have neither slope nor curvature there, so the best values stay the quadratic's.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import fdtrc

from harness.errors import UserError
from harness.fit.budgets import Cells
from harness.fit.misfit import spread
from harness.fit.table import Array

# Of a cell's lowest loss: runs further above the surface's minimum take no part, for no quadratic follows so far. The
# window is halved as long as losses within it are skewed, and the noise leaves something to see.
WINDOW = 0.05
SKEWED = 0.01
NOISES = 8.0  # the window's least width, in standard deviations of a run
FAR = 4.5  # residuals, in standard deviations: diverged, or another cliff than the window finds
ROUNDS = 6
LEAST_VALUES = 3
SPARE = 5  # runs beyond the coefficients and the cells
LARGEST_CONDITION = 1e6
CLUSTERS = 12  # cells from which on their own deviations are seen in the errors
MOST_GAMMA = 2.0
CUBE_ROUNDS = 20
SETTLED = 0.002  # in ln of a hyperparameter
MOST_SKEW = 0.5  # of the curvature: above it the cube outgrows the quadratic within a factor of e


@dataclass(frozen=True, eq=False)
class Sample:
    """What a surface is fitted to.

    Attributes:
        names: of the hyperparameters, (q,).
        h: ln of them over the table's middle, (n, q). loss: nats per token, (n,). cell: (n,), none left out.
        g: 1, ln N and ln D over the table's middle, of every cell, (cells, 3).
    """

    names: tuple[str, ...]
    h: Array
    loss: Array
    cell: Cells
    g: Array

    def select(self, keep: NDArray[np.bool_]) -> "Sample":
        """The runs of a mask (n,), the cells as they are."""
        return replace(self, h=self.h[keep], loss=self.loss[keep], cell=self.cell[keep])


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A quadratic in h whose slopes follow N and D.

    Attributes:
        slopes: (..., q, terms). bend: (..., q, q), symmetric. terms: which columns of g the slopes have.
        gamma: (2,), exponents of N and D in the curvature's factor.
    """

    slopes: Array
    bend: Array
    terms: tuple[int, ...]
    gamma: Array

    def rules(self) -> Array:
        """A, (..., q, 3): the best h is A g; NaN where a draw has no minimum, 0 for terms that are left out."""
        definite = np.linalg.eigvalsh(self.bend)[..., 0] > 0
        safe = np.where(definite[..., None, None], self.bend, np.eye(self.bend.shape[-1]))
        found = np.zeros((*self.slopes.shape[:-1], 3))
        found[..., self.terms] = -np.linalg.solve(safe, self.slopes)
        return np.where(definite[..., None, None], found, np.nan)

    def factor(self, g: Array) -> Array:
        """s of cells g (cells, 3)."""
        return np.asarray(np.exp(g[:, 1:] @ self.gamma))


@dataclass(frozen=True, eq=False)
class ResponseSurface:
    """A fitted surface.

    Attributes:
        coefficients: the estimate. rules: draws of its rules, (draws, q, 3), NaN where one has no minimum.
        best: h of the lowest loss within what was tried, (cells, q); outside: whether the rule lies beyond, (cells, q).
        level, error: the loss there, nats per token, and its standard error, (cells,); NaN where no run takes part.
        used: runs that took part, (n,).
        noise: standard deviation of a run about the surface, nats per token. freedom: behind it.
        width: of the window, as a share of a cell's lowest loss.
        uneven: how many times the variance of the coefficients is, by cells' deviations, what noise alone would give.
    """

    coefficients: Coefficients
    rules: Array
    best: Array
    outside: NDArray[np.bool_]
    level: Array
    error: Array
    used: NDArray[np.bool_]
    noise: float
    freedom: int
    width: float
    uneven: float | None


@dataclass(frozen=True, eq=False)
class _Design:
    """Which columns a surface has: slopes along ``terms`` of g, products of pairs of hyperparameters, and, with the
    rules ``origin`` (q, 3), cubes of the distances to these."""

    terms: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...]
    origin: Array | None = None

    def rows(self, h: Array, g: Array) -> Array:
        """Columns (n, k) of h (n, q) in cells g (n, 3)."""
        straight = [h[:, j] * g[:, t] for j in range(h.shape[1]) for t in self.terms]
        bent = [h[:, i] * h[:, j] * (0.5 if i == j else 1.0) for i, j in self.pairs]
        cubes = [] if self.origin is None else [*((h - g @ self.origin.T) ** 3).T]
        return np.stack((*straight, *bent, *cubes), axis=1)

    def coefficients(self, beta: Array, q: int, gamma: Array) -> Coefficients:
        """Of beta (..., k)."""
        n = q * len(self.terms)
        bend = np.zeros((*beta.shape[:-1], q, q))
        for place, (i, j) in enumerate(self.pairs):
            bend[..., i, j] = bend[..., j, i] = beta[..., n + place]
        return Coefficients(
            beta[..., :n].reshape(*beta.shape[:-1], q, len(self.terms)), bend, self.terms, gamma
        )


@dataclass(frozen=True, eq=False)
class _Solved:
    design: _Design
    gamma: Array
    beta: Array
    residual: Array
    rows: Array  # within cells, (n, k), the curvature's factor included


def fit_surface(sample: Sample, draws: int, rng: np.random.Generator) -> ResponseSurface:
    """Fits the surface to the runs near its minimum, with cubes where losses are skewed however near these are.

    Args:
        draws: parametric draws of the coefficients, for the rules' intervals.

    Raises:
        UserError: the runs do not determine it, or a hyperparameter has no best value.
    """
    lowest = np.full(len(sample.g), np.inf)
    np.minimum.at(lowest, sample.cell, sample.loss)
    width = WINDOW
    solved, used = _settled(
        sample, lowest, width, sample.loss - lowest[sample.cell] <= width * lowest[sample.cell]
    )
    skewed, noise = _skewed(sample.select(used), solved)
    while skewed and width / 2 * float(np.median(lowest)) >= NOISES * noise:
        try:
            narrower = _settled(sample, lowest, width / 2, used)
        except UserError:
            break
        (solved, used), width = narrower, width / 2
        skewed, noise = _skewed(sample.select(used), solved)
    near = sample.select(used)
    found = _surface(sample, near, solved, used, width, draws, rng)
    if not skewed or (cubed := _with_cubes(near, solved)) is solved:
        return found
    return _widened(_surface(sample, near, cubed, used, width, draws, rng), found, rng)


def _widened(cubed: ResponseSurface, plain: ResponseSurface, rng: np.random.Generator) -> ResponseSurface:
    """With cubes, where these move the answer: half of that move as a further standard error, for cubes are no more the
    losses' own form than quadratics are."""
    shift = (cubed.coefficients.rules() - plain.coefficients.rules()) / 2
    drawn = cubed.rules + shift * rng.standard_normal((len(cubed.rules), 1, 1))
    return replace(cubed, rules=drawn, error=np.hypot(cubed.error, (cubed.level - plain.level) / 2))


def _with_cubes(sample: Sample, plain: _Solved) -> _Solved:
    """The fit with cubes about its own minimum; ``plain`` where that does not settle or says more of the rim."""
    q, solved = sample.h.shape[1], plain
    for _ in range(CUBE_ROUNDS):
        rules = solved.design.coefficients(solved.beta, q, solved.gamma).rules()
        if not np.isfinite(rules).all():
            return plain
        before = solved.design.origin
        settled = before is not None and np.abs(sample.g @ (rules - before).T).max() < SETTLED
        if settled:
            bend = np.diag(solved.design.coefficients(solved.beta, q, solved.gamma).bend)
            return solved if (np.abs(solved.beta[-q:]) <= MOST_SKEW * bend).all() else plain
        found = _least_squares(sample, replace(plain.design, origin=rules))
        if found is None:
            return plain
        solved = found
    return plain


def _settled(
    sample: Sample, lowest: Array, width: float, used: NDArray[np.bool_]
) -> tuple[_Solved, NDArray[np.bool_]]:
    """The fit to the runs within a window above its own minimum; noise in their losses does not choose them."""
    solved = _solve(sample.select(used))
    for _ in range(ROUNDS):
        now = _near(sample, solved, lowest, width, used)
        if (now == used).all():
            break
        solved, used = _solve(sample.select(now)), now
    return solved, used


def _near(
    sample: Sample, solved: _Solved, lowest: Array, width: float, used: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The runs within the window by the fit, those far off it left out, (n,); ``used`` where it has no minimum."""
    q = sample.h.shape[1]
    coefficients = solved.design.coefficients(solved.beta, q, solved.gamma)
    rules = coefficients.rules()
    if not np.isfinite(rules).all():
        return used
    off = sample.h - (sample.g @ rules.T)[sample.cell]
    rise = 0.5 * np.einsum("ni,ij,nj->n", off, coefficients.bend, off)
    rise *= coefficients.factor(sample.g)[sample.cell]
    inside = rise <= width * lowest[sample.cell]
    above = sample.loss - rise
    # A cell's level by its median: what diverged does not move it.
    level = np.full(len(sample.g), np.nan)
    near = used & inside
    near = np.where(np.bincount(sample.cell[near], minlength=len(lowest))[sample.cell] > 0, near, used)
    for c, rows in _grouped(sample.cell, near):
        level[c] = np.median(above[rows])
    residual = above - level[sample.cell]
    typical = spread(residual[inside & used]) if (inside & used).sum() > 3 else 0.0
    return np.asarray(inside & (np.abs(residual) <= FAR * max(typical, 1e-9 * float(np.median(lowest)))))


def _grouped(cell: Cells, mask: NDArray[np.bool_]) -> list[tuple[int, Cells]]:
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(cell[rows], kind="stable")]
    cells, starts = np.unique(cell[rows], return_index=True)
    return list(zip(cells.tolist(), np.split(rows, starts[1:]), strict=True))


def _solve(sample: Sample) -> _Solved:
    """Least squares with the richest design that the runs determine."""
    q = sample.h.shape[1]
    for j, name in enumerate(sample.names):
        values = {round(value, 6) for value in sample.h[:, j].tolist()}
        if len(values) < LEAST_VALUES:
            raise UserError(
                f"analysis.cells=surface: column {name} has {len(values)} different values near the best losses; a "
                f"minimum needs {LEAST_VALUES}: fit one value of it, or take analysis.cells=best"
            )
    crossed = [(i, j) for i in range(q) for j in range(i, q)]
    alone = [(i, i) for i in range(q)]
    needed = 0
    for terms in ((0, 1, 2), (0, 1), (0, 2), (0,)):
        for pairs in (crossed, alone) if q > 1 else (alone,):
            design = _Design(terms, tuple(pairs))
            if (solved := _least_squares(sample, design)) is not None:
                return solved
            needed = q * len(terms) + len(pairs)
    cells = len(np.unique(sample.cell))
    raise UserError(
        f"analysis.cells=surface: {len(sample.loss)} runs near the best of {cells} cells do not determine a surface "
        f"over {', '.join(sample.names)}: it needs at least {cells + needed + SPARE} that vary these independently; "
        "take analysis.cells=best"
    )


def _least_squares(sample: Sample, design: _Design) -> _Solved | None:
    rows = _within(design.rows(sample.h, sample.g[sample.cell]), sample.cell)
    y = _within(sample.loss[:, None], sample.cell)[:, 0]
    n, k = rows.shape
    if n < len(np.unique(sample.cell)) + k + SPARE:
        return None
    scale = np.linalg.norm(rows, axis=0)
    if (scale <= 0).any() or np.linalg.cond(rows / scale) > LARGEST_CONDITION:
        return None
    where = sample.g[sample.cell][:, 1:]

    def solved(gamma: Array) -> _Solved:
        bent = rows * np.exp(where @ gamma)[:, None]
        size = np.linalg.norm(bent, axis=0)
        beta = np.linalg.lstsq(bent / size, y, rcond=None)[0] / size
        return _Solved(design, gamma, beta, y - bent @ beta, bent)

    plain = solved(np.zeros(2))
    squares = float(plain.residual @ plain.residual)
    varying = [t for t in design.terms if t]
    if not varying or squares <= 1e-16 * float(y @ y) or n < len(np.unique(sample.cell)) + k + 4 * SPARE:
        return plain

    def objective(part: Array) -> float:
        gamma = np.zeros(2)
        gamma[[t - 1 for t in varying]] = np.clip(part, -MOST_GAMMA, MOST_GAMMA)
        left = solved(gamma).residual
        return float(np.log(max(float(left @ left), 1e-300)))

    found: Any = minimize(
        objective, np.zeros(len(varying)), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9}
    )
    # By the Bayesian information criterion: a factor that the runs do not show would only widen the intervals.
    if n * (np.log(squares) - found.fun) <= len(varying) * np.log(n):
        return plain
    gamma = np.zeros(2)
    gamma[[t - 1 for t in varying]] = np.clip(found.x, -MOST_GAMMA, MOST_GAMMA)
    return solved(gamma)


def _within(columns: Array, cell: Cells) -> Array:
    count = np.maximum(np.bincount(cell), 1)[:, None]
    sums = np.stack([np.bincount(cell, column, minlength=len(count)) for column in columns.T], axis=1)
    return np.asarray(columns - (sums / count)[cell])


def _freedom(sample: Sample, solved: _Solved) -> int:
    return len(sample.loss) - len(np.unique(sample.cell)) - len(solved.beta) - int((solved.gamma != 0).sum())


def _skewed(sample: Sample, solved: _Solved) -> tuple[bool, float]:
    """Whether cubes of the distances to the minimum explain more of the losses than noise would (F test); and the noise
    that they leave, nats per token."""
    q = sample.h.shape[1]
    rules = solved.design.coefficients(solved.beta, q, solved.gamma).rules()
    freedom = _freedom(sample, solved) - q
    total = float(solved.residual @ solved.residual)
    if not np.isfinite(rules).all() or freedom < SPARE or total <= 1e-16 * float(sample.loss @ sample.loss):
        return False, 0.0
    off = sample.h - (sample.g @ rules.T)[sample.cell]
    columns = np.concatenate((solved.rows, _within(off**3, sample.cell)), axis=1)
    size = np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
    left = solved.residual - columns @ (
        np.linalg.lstsq(columns / size, solved.residual, rcond=None)[0] / size
    )
    unexplained = float(left @ left)
    ratio = (total - unexplained) / q / max(unexplained / freedom, 1e-300)
    return float(fdtrc(q, freedom, max(ratio, 0.0))) < SKEWED, float(np.sqrt(unexplained / freedom))


def _surface(
    sample: Sample,
    kept: Sample,
    solved: _Solved,
    used: NDArray[np.bool_],
    width: float,
    draws: int,
    rng: np.random.Generator,
) -> ResponseSurface:
    q = sample.h.shape[1]
    coefficients = solved.design.coefficients(solved.beta, q, solved.gamma)
    rules = coefficients.rules()
    if not np.isfinite(rules).all():
        flat = [name for j, name in enumerate(sample.names) if coefficients.bend[j, j] <= 0] or list(
            sample.names
        )
        raise UserError(
            f"analysis.cells=surface: the loss has no minimum along {', '.join(flat)}: near the best of the cells it "
            "does not curve upwards; take analysis.cells=best, or train a wider range of it"
        )
    freedom = _freedom(kept, solved)
    noise = float(np.sqrt(solved.residual @ solved.residual / freedom))
    covariance, uneven = _covariance(kept, solved, noise)
    root = np.linalg.cholesky(covariance + np.diag(1e-14 * np.diag(covariance) + 1e-300))
    clusters = len(np.unique(kept.cell)) - 1 if uneven is not None else freedom
    tail = np.sqrt(clusters / rng.chisquare(clusters, size=(draws, 1)))
    beta = solved.beta + tail * (rng.standard_normal((draws, len(root))) @ root.T)
    drawn = solved.design.coefficients(beta, q, solved.gamma).rules()
    low, high = _tried(sample)
    free = sample.g @ rules.T
    outside = (free < low - 1e-9) | (free > high + 1e-9)
    best = _in_box(free, coefficients.bend, low, high)
    factor = coefficients.factor(sample.g)
    there = solved.design.rows(best, sample.g) * factor[:, None]
    each = solved.design.rows(kept.h, sample.g[kept.cell]) * factor[kept.cell][:, None]
    runs = np.bincount(kept.cell, minlength=len(sample.g)).astype(float)
    with np.errstate(all="ignore"):
        means = (
            np.stack([np.bincount(kept.cell, column, minlength=len(runs)) for column in each.T], axis=1)
            / runs[:, None]
        )
        away = there - means
        level = np.bincount(kept.cell, kept.loss, minlength=len(runs)) / runs + away @ solved.beta
        error = np.sqrt(noise**2 / runs + np.einsum("ci,ij,cj->c", away, covariance, away))
    return ResponseSurface(
        coefficients, drawn, best, outside, level, error, used, noise, freedom, width, uneven
    )


def _covariance(sample: Sample, solved: _Solved, noise: float) -> tuple[Array, float | None]:
    """Of the coefficients, (k, k): with enough cells by leaving out each (the jackknife of clusters; MacKinnon & White
    1985), for its best values may differ from the rules by more than noise; and how many times the noise's that is.
    """
    varying = [t for t in (1, 2) if solved.gamma[t - 1] != 0]
    bent = solved.rows @ solved.beta
    rows = np.column_stack((solved.rows, *(bent * sample.g[sample.cell, t] for t in varying)))
    k, size = len(solved.beta), np.linalg.norm(rows, axis=0)
    scaled = rows / size
    bread = np.linalg.pinv(scaled.T @ scaled)
    plain = noise**2 * bread
    cells = len(np.unique(sample.cell))
    scale = np.outer(size, size)
    if cells < CLUSTERS or cells <= len(solved.beta):
        return (plain / scale)[:k, :k], None
    gram, off = scaled.T @ scaled, []
    for _, mine in _grouped(sample.cell, np.ones(len(sample.loss), dtype=bool)):
        own = scaled[mine]
        off.append(np.linalg.pinv(gram - own.T @ own) @ (own.T @ solved.residual[mine]))
    robust = (cells - 1) / cells * np.array(off).T @ np.array(off)
    slopes = slice(0, sample.h.shape[1] * len(solved.design.terms))
    with np.errstate(all="ignore"):
        uneven = float(np.median(np.diag(robust)[slopes] / np.diag(plain)[slopes]))
    # With few cells it may by chance come out too low: never below what noise gives.
    wider = np.sqrt(np.maximum(np.diag(plain) / np.maximum(np.diag(robust), 1e-300), 1.0))
    covariance = robust * np.outer(wider, wider) / scale
    return covariance[:k, :k], uneven if np.isfinite(uneven) else None


def _tried(sample: Sample) -> tuple[Array, Array]:
    """The least and the largest h that were tried, (cells, q): in the cell, or where it has fewer than three values
    of a column anywhere."""
    cells, q = len(sample.g), sample.h.shape[1]
    low, high = np.full((cells, q), np.inf), np.full((cells, q), -np.inf)
    np.minimum.at(low, sample.cell, sample.h)
    np.maximum.at(high, sample.cell, sample.h)
    for j in range(q):
        pairs = np.unique(np.stack((sample.cell, np.round(sample.h[:, j], 6))), axis=1)
        few = np.bincount(pairs[0].astype(np.intp), minlength=cells) < LEAST_VALUES
        low[few, j], high[few, j] = sample.h[:, j].min(), sample.h[:, j].max()
    return low, high


def _in_box(free: Array, bend: Array, low: Array, high: Array) -> Array:
    """Where the quadratic is lowest between low and high, (cells, q): coordinate by coordinate until it settles."""
    best = np.clip(free, low, high)
    for _ in range(200):
        before = best.copy()
        for j in range(free.shape[1]):
            others = (best - free) @ bend[j] - bend[j, j] * (best[:, j] - free[:, j])
            best[:, j] = np.clip(free[:, j] - others / bend[j, j], low[:, j], high[:, j])
        if np.abs(best - before).max(initial=0.0) < 1e-12:
            break
    return best
