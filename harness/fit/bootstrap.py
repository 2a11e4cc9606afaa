"""Random numbers of the bootstrap: which runs a draw holds, or which way its residuals turn."""

import numpy as np

from harness.fit.table import Array


def generator(seed: int, stream: int) -> np.random.Generator:
    """A generator for one approach: adding draws or an approach leaves the others' draws as they were."""
    return np.random.default_rng([seed, stream])


def pair_counts(rng: np.random.Generator, n: int, draws: int) -> Array:
    """How often each of ``n`` runs is in each draw, shape (draws, n): whole runs, with replacement.

    A run is one row, so seeds of a cell are replicates of it and the points of a run's curve stay together.
    """
    return rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(float)


def stratified_counts(rng: np.random.Generator, groups: list[list[int]], n: int, draws: int) -> Array:
    """As ``pair_counts``, but each group (a budget) keeps its number of runs; others have count 0."""
    counts = np.zeros((draws, n))
    for group in groups:
        counts[:, group] = pair_counts(rng, len(group), draws)
    return counts


def wild_signs(rng: np.random.Generator, n: int, draws: int) -> Array:
    """Rademacher signs, shape (draws, n), that residuals are multiplied by."""
    return rng.choice((-1.0, 1.0), size=(draws, n))


def standard_error(draws: Array) -> float | None:
    """Standard deviation of the finite draws (n,); None where fewer than 20 are finite."""
    finite = draws[np.isfinite(draws)]
    if len(finite) < 20:
        return None
    with np.errstate(over="ignore"):
        spread = float(finite.std(ddof=1))
    return spread if np.isfinite(spread) else None
