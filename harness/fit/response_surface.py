"""A response surface over hyperparameters, fitted to all cells of a table together.

In cell c, with h the logs of the hyperparameters and g = (1, ln N, ln D) of the cell,

    L = m_c + s_c/2 (h - A g)' H (h - A g),    s_c = exp(gamma . (ln N, ln D)).

Every cell has its own level m_c; the best values A g follow power laws of N and D; the curvature H is shared, up to a
factor that is a power law too where the runs show one. Expanded it is linear in the products of h with g and with
itself, apart from gamma (a response surface: Box & Wilson 1951; the levels drop out by subtracting each cell's means).
Sparse cells so borrow their shape from full ones. Where losses rise faster on one side, cubes of the distances to the
minimum are added; they have neither slope nor curvature there, so the best values stay the quadratic's.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from harness.errors import UserError
from harness.fit.misfit import spread
from harness.fit.own_minima import own_minima
from harness.fit.surface_design import (
    CLUSTERS,
    SPARE,
    ResponseSurface,
    Sample,
    Solved,
    freedom_of,
    grouped,
    in_box,
    least_squares,
    less_means,
    solve,
    tried,
)
from harness.fit.table import Array

# Of a cell's lowest loss: runs further above the surface's minimum take no part, for no quadratic follows so far. The
# window is halved as long as losses within it are skewed, and the noise leaves something to see.
WINDOW = 0.05
SKEWED = 0.01
NOISES = 8.0  # the window's least width, in standard deviations of a run
FAR = 4.5  # residuals, in standard deviations: diverged, or another cliff than the window finds
ROUNDS = 6
UNEVEN = 2.0  # standard errors of the rules over what noise gives: beyond it cells have minima of their own
CUBE_ROUNDS = 20
SETTLED = 0.002  # in ln of a hyperparameter
MOST_SKEW = 0.5  # of the curvature: above it the cube outgrows the quadratic within a factor of e


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


def _with_cubes(sample: Sample, plain: Solved) -> Solved:
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
        found = least_squares(sample, replace(plain.design, origin=rules))
        if found is None:
            return plain
        solved = found
    return plain


def _settled(
    sample: Sample, lowest: Array, width: float, used: NDArray[np.bool_]
) -> tuple[Solved, NDArray[np.bool_]]:
    """The fit to the runs within a window above its own minimum; noise in their losses does not choose them."""
    solved = solve(sample.select(used))
    for _ in range(ROUNDS):
        now = _near(sample, solved, lowest, width, used)
        if (now == used).all():
            break
        solved, used = solve(sample.select(now)), now
    return solved, used


def _near(
    sample: Sample, solved: Solved, lowest: Array, width: float, used: NDArray[np.bool_]
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
    for c, rows in grouped(sample.cell, near):
        level[c] = np.median(above[rows])
    residual = above - level[sample.cell]
    typical = spread(residual[inside & used]) if (inside & used).sum() > 3 else 0.0
    return np.asarray(inside & (np.abs(residual) <= FAR * max(typical, 1e-9 * float(np.median(lowest)))))


def _skewed(sample: Sample, solved: Solved) -> tuple[bool, float]:
    """Whether cubes of the distances to the minimum explain more of the losses than noise would (F test); and the noise
    that they leave, nats per token."""
    q = sample.h.shape[1]
    rules = solved.design.coefficients(solved.beta, q, solved.gamma).rules()
    freedom = freedom_of(sample, solved) - q
    total = float(solved.residual @ solved.residual)
    if not np.isfinite(rules).all() or freedom < SPARE or total <= 1e-16 * float(sample.loss @ sample.loss):
        return False, 0.0
    off = sample.h - (sample.g @ rules.T)[sample.cell]
    columns = np.concatenate((solved.rows, less_means(off**3, sample.cell)), axis=1)
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
    solved: Solved,
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
    freedom = freedom_of(kept, solved)
    noise = float(np.sqrt(solved.residual @ solved.residual / freedom))
    covariance, uneven = _covariance(kept, solved, noise)
    root = np.linalg.cholesky(covariance + np.diag(1e-14 * np.diag(covariance) + 1e-300))
    clusters = len(np.unique(kept.cell)) - 1 if uneven is not None else freedom
    tail = np.sqrt(clusters / rng.chisquare(clusters, size=(draws, 1)))
    beta = solved.beta + tail * (rng.standard_normal((draws, len(root))) @ root.T)
    drawn = solved.design.coefficients(beta, q, solved.gamma).rules()
    low, high = tried(sample)
    free = sample.g @ rules.T
    outside = (free < low - 1e-9) | (free > high + 1e-9)
    best = in_box(free, coefficients.bend, low, high)
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
    found = ResponseSurface(
        coefficients, drawn, best, outside, level, error, used, noise, freedom, width, uneven
    )
    return found if uneven is None or uneven < UNEVEN**2 else own_minima(found, sample, kept, solved)


def _covariance(sample: Sample, solved: Solved, noise: float) -> tuple[Array, float | None]:
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
    for _, mine in grouped(sample.cell, np.ones(len(sample.loss), dtype=bool)):
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
