"""IsoFLOP sweeps on a known surface L = E + A/N^alpha + B/D^beta."""

from collections.abc import Sequence

import numpy as np

from harness.fit import CostLaw, Curve, Points
from harness.fit.laws import Law

CHINCHILLA = (1.69, 406.4, 410.7, 0.34, 0.28)
# alpha / beta = 3 with the same alpha + beta, as in Czech et al. 2026.
ASYMMETRIC = (1.69, 406.4, 410.7, 0.465, 0.155)
FIVE = (1e17, 1e18, 1e19, 1e20, 1e21)


def sweep(
    law: Sequence[float] = CHINCHILLA,
    budgets: Sequence[float] = FIVE,
    sizes: int = 15,
    width: float = 4.0,
    drift: float = 1.0,
    noise: float = 0.0,
    seed: int = 0,
) -> Points:
    """Sizes within ``width`` x of a centre that drifts to ``drift`` x the optimum at the largest budget."""
    theta = np.array(law)
    log_n, flops = [], []
    for budget, share in zip(budgets, np.linspace(0, 1, len(budgets)), strict=True):
        centre = float(Law.from_theta(theta, CostLaw()).log_optimum(budget)[0]) + share * np.log(drift)
        log_n += list(centre + np.linspace(-np.log(width), np.log(width), sizes))
        flops += [budget] * sizes
    n, c = np.array(log_n), np.array(flops)
    d = np.log(c / 6) - n
    off = noise * np.random.default_rng(seed).standard_normal(len(n))
    names = tuple(f"run-{i}" for i in range(len(n)))
    return Points(
        np.exp(n), np.exp(d), c, Law.from_theta(theta).loss_of_logs(n, d) * np.exp(off), names, budget=c
    )


def curves(points: Points, law: Sequence[float] = CHINCHILLA, logged: int = 80) -> dict[str, Curve]:
    """Training curves that lie on the surface all along."""
    found = {}
    for i, run in enumerate(points.run_id):
        tokens = points.tokens[i] * np.geomspace(0.01, 1, logged)
        size = np.full(logged, np.log(points.params[i]))
        step = np.round(1e4 * tokens / points.tokens[i])
        flops = tokens * points.flops[i] / points.tokens[i]
        found[run] = Curve(
            step, tokens, flops, Law.from_theta(np.array(law)).loss_of_logs(size, np.log(tokens))
        )
    return found


def optimum(flops: float, law: Sequence[float] = CHINCHILLA) -> tuple[float, float]:
    """True (N*, D*)."""
    log_n, log_d, _ = Law.from_theta(np.array(law), CostLaw()).log_optimum(flops)
    return float(np.exp(log_n)), float(np.exp(log_d))
