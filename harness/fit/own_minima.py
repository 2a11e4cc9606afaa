"""Minima of the cells' own about a response surface's rules."""

from dataclasses import replace

import numpy as np

from harness.fit.surface_design import (
    CLUSTERS,
    SPARE,
    ResponseSurface,
    Sample,
    Solved,
    grouped,
    in_box,
    least_squares,
    less_means,
    tried,
)
from harness.fit.table import Array

TURNS = 12


def own_minima(found: ResponseSurface, sample: Sample, kept: Sample, solved: Solved) -> ResponseSurface:
    """The surface with minima of the cells' own about the rules, where these differ by more than noise.

    A cell's slopes are the surface's plus b, of which the residuals tell as much as noise leaves (a mixed model: Laird
    & Ware 1982; the variance of b by moments, b and the surface in turn). Its minimum so lies lower, and elsewhere.
    """
    q, cells = sample.h.shape[1], len(sample.g)
    groups = [(c, mine) for c, mine in grouped(kept.cell, np.ones(len(kept.loss), bool)) if len(mine) > q + 1]
    freedom = sum(len(mine) - 1 - q for _, mine in groups)
    if freedom < SPARE or len(groups) < CLUSTERS:
        return found
    inner = [kept.h[mine] - kept.h[mine].mean(axis=0) for _, mine in groups]
    inverse = np.linalg.pinv(np.array([z.T @ z for z in inner]), hermitian=True)
    slope, unknown = np.zeros((cells, q)), np.zeros((cells, q, q))
    variance = found.noise**2
    for _ in range(TURNS):
        left = (
            solved.residual + less_means(np.sum(kept.h * slope[kept.cell], axis=1)[:, None], kept.cell)[:, 0]
        )
        parts = [left[mine] for _, mine in groups]
        own = np.array([i @ (z.T @ e) for i, z, e in zip(inverse, inner, parts, strict=True)])
        squares = [float(np.sum((e - z @ b) ** 2)) for z, e, b in zip(inner, parts, own, strict=True)]
        variance = sum(squares) / freedom
        values, vectors = np.linalg.eigh(own.T @ own / len(own) - variance * inverse.mean(axis=0))
        between = vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T
        for (c, _), gram, b in zip(groups, inverse, own, strict=True):
            shrink = between @ np.linalg.pinv(between + variance * gram)
            slope[c], unknown[c] = shrink @ b, between - shrink @ between
        adjusted = replace(kept, loss=kept.loss - np.sum(kept.h * slope[kept.cell], axis=1))
        again = least_squares(adjusted, solved.design)
        if again is None:
            return found
        solved = again
    coefficients = solved.design.coefficients(solved.beta, q, solved.gamma)
    rules = coefficients.rules()
    if not np.isfinite(rules).all():
        return found
    factor, (low, high) = coefficients.factor(sample.g), tried(sample)
    free = sample.g @ rules.T - np.linalg.solve(coefficients.bend, slope.T).T / factor[:, None]
    best = in_box(free, coefficients.bend, low, high)
    size = np.linalg.norm(solved.rows, axis=0)
    shared = variance * np.linalg.pinv((solved.rows / size).T @ (solved.rows / size)) / np.outer(size, size)
    runs = np.bincount(kept.cell, minlength=cells).astype(float)

    def mean(columns: Array) -> Array:
        return (
            np.stack([np.bincount(kept.cell, column, minlength=cells) for column in columns.T], 1)
            / runs[:, None]
        )

    with np.errstate(all="ignore"):
        each = solved.design.rows(kept.h, sample.g[kept.cell]) * factor[kept.cell][:, None]
        away = solved.design.rows(best, sample.g) * factor[:, None] - mean(each)
        off = best - mean(kept.h)
        level = mean(kept.loss[:, None])[:, 0] + away @ solved.beta + np.sum(off * slope, axis=1)
        error = np.einsum("ci,ij,cj->c", away, shared, away) + np.einsum("ci,cij,cj->c", off, unknown, off)
        error = np.sqrt(variance / runs + error)
    outside = (free < low - 1e-9) | (free > high + 1e-9)
    return replace(
        found, level=level, error=error, best=best, outside=outside, noise=float(np.sqrt(variance))
    )
