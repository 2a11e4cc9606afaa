"""How far beyond its runs a fitted law can be believed: forecasts of runs that were made, by their distance.

    python scripts/forecast_study.py                       every table and the synthetic surfaces
    python scripts/forecast_study.py --only published      one table

A table is cut in C, N, D or D/N. Approach 3 is fitted to the runs on one side of the cut and asked for the loss of
those on the other, at their own N and D. A run's distance is how many times beyond the fitted runs it lies. The error
is ln(measured / forecast); it is set against the law's interval, widened by the scatter of single runs about the fit.

The synthetic surfaces have a known optimum: their forecasts are of N* and L* beyond the budgets, and of the loss at
D/N beyond the runs' at the largest budget, where the law has the right form and where an interaction term is missing.
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from harness.fit import FitOptions, Points, read_points
from harness.fit.approach_3 import fit_approach_3
from harness.fit.laws import Law
from harness.fit.reader import VARIABLE
from harness.fit.results import Approach3
from harness.fit.status import is_void
from harness.fit.table import Array

RESULTS = ("cpu_frontier", "demo", "ablations-adamw", "ablations-muon", "domains-code", "kaplan-fixed")
DISTANCES = (1.0, 3.0, 10.0, 30.0, 100.0)
CUTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LEAST = 12  # runs to fit
Z = float(ndtri(0.95))

QUANTITIES: dict[str, Callable[[Points], Array]] = {
    "C": lambda p: p.flops,
    "N": lambda p: p.params,
    "D": lambda p: p.tokens,
    "D/N": lambda p: p.tokens / p.params,
    "D/N, below": lambda p: p.params / p.tokens,
}


@dataclass(frozen=True)
class Forecast:
    """One quantity that was forecast.

    Attributes:
        distance: how many times beyond the runs. error: ln(true / forecast). half: of the interval, in ln.
        trusted: whether the fit's own status is ``ok``.
    """

    distance: float
    error: float
    half: float
    trusted: bool


def forecasts(points: Points, quantity: str, options: FitOptions) -> Iterator[Forecast]:
    """Every run beyond every cut, by a fit of the runs within."""
    value = QUANTITIES[quantity](points)
    for cut in np.unique(np.quantile(value, CUTS, method="lower")):
        within = value <= cut * (1 + 1e-9)
        if within.sum() < LEAST or within.all():
            continue
        fit = fit_approach_3(points.select(within), options)
        if fit.a is None or fit.draws is None or is_void(fit.source().flags):
            continue
        kept = points.select(within)
        scatter = float(np.std(np.log(kept.loss / fit.loss(kept.params, kept.tokens))))
        beyond = points.select(~within)
        told, half = _forecast(fit, beyond.params, beyond.tokens)
        errors = np.log(beyond.loss) - told
        halves = np.hypot(half, Z * scatter)
        for distance, error, width in zip(value[~within] / cut, errors, halves, strict=True):
            yield Forecast(float(distance), float(error), float(width), fit.status == "ok")


def _forecast(fit: Approach3, params: Array, tokens: Array) -> tuple[Array, Array]:
    """ln L and half its 90% interval, each of the shape of ``params``."""
    assert fit.draws is not None
    usable = fit.draws[np.isfinite(fit.draws).all(axis=1)]
    with np.errstate(all="ignore"):
        drawn = Law.from_theta(usable[:, None, :]).loss_of_logs(np.log(params), np.log(tokens))
    low, high = np.nanquantile(np.log(drawn), (0.05, 0.95), axis=0)
    return np.log(fit.loss(params, tokens)), (high - low) / 2


HEADINGS = (
    *("of", "cut in, or what", "times beyond", "forecasts", "median error", "90% of errors", "half interval"),
    *("held", "of trusted fits", "held"),
)


def show(name: str, what: str, found: list[Forecast]) -> None:
    """A row for each range of distances."""
    for low, high in zip(DISTANCES, (*DISTANCES[1:], np.inf), strict=True):
        mine = [one for one in found if low <= one.distance < high]
        if len(mine) < 3:
            continue
        error, half = np.abs([f.error for f in mine]), np.array([f.half for f in mine])
        held, trusted = error <= half, np.array([f.trusted for f in mine])
        of_trusted = f"{held[trusted].mean():.2f}" if trusted.any() else "–"
        to = f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}"
        print(
            f"| {name} | {what} | {to} | {len(mine)} | {np.median(error):.2%} | {np.quantile(error, 0.9):.2%} "
            f"| {np.median(half):.2%} | {held.mean():.2f} | {trusted.sum()} | {of_trusted} |",
            flush=True,
        )


# Hoffmann et al. 2022, section 3.3, as published; and a law of the other symmetry.
TRUTH = (1.69, 406.4, 410.7, 0.34, 0.28)
BUDGETS = tuple(np.geomspace(1e18, 1e20, 5))
WIDTH, SIZES = 12**0.5, 7
FACTORS = (1.5, 3.0, 10.0, 30.0, 100.0)


PUBLISHED = Law.from_theta(np.array(TRUTH))


@dataclass(frozen=True)
class Surface:
    """L(N, D) with an interaction term, c/(N^(alpha/2) D^(beta/2)), that is ``share`` of A/N^alpha + B/D^beta there.

    There is the optimum of the middle budget. A share of 0 is the law itself.
    """

    share: float
    law: Law = PUBLISHED

    def loss(self, log_n: Array, log_d: Array) -> Array:
        """Nats per token."""
        law = self.law
        middle = law.at_flops(float(np.median(BUDGETS)))
        n, d = float(middle.params), float(middle.tokens)
        reducible = float(middle.loss) - float(law.E)
        scale = self.share * reducible * n ** (law.alpha / 2) * d ** (law.beta / 2)
        return law.loss_of_logs(log_n, log_d) + scale * np.exp(-law.alpha / 2 * log_n - law.beta / 2 * log_d)

    def optimum(self, flops: float) -> tuple[float, float]:
        """(ln N*, L*) at C = 6ND = ``flops``, on a fine grid about the law's own."""
        centre = float(self.law.log_optimum(flops)[0])
        log_n = centre + np.linspace(-3, 3, 60001)
        loss = self.loss(log_n, np.log(flops / 6) - log_n)
        best = int(np.argmin(loss))
        return float(log_n[best]), float(loss[best])


def sweep(surface: Surface, noise: float, seed: int) -> Points:
    """Five budgets of seven sizes about the optimum, with normal noise on ln L."""
    flops = np.repeat(BUDGETS, SIZES)
    best = np.repeat([surface.optimum(c)[0] for c in BUDGETS], SIZES)
    log_n = best + np.tile(np.linspace(-np.log(WIDTH), np.log(WIDTH), SIZES), len(BUDGETS))
    log_d = np.log(flops / 6) - log_n
    off = noise * np.random.default_rng(seed).standard_normal(len(flops))
    loss = surface.loss(log_n, log_d) * np.exp(off)
    return Points(np.exp(log_n), np.exp(log_d), flops, loss, budget=flops)


def synthetic(surface: Surface, noise: float, trials: int, options: FitOptions) -> dict[str, list[Forecast]]:
    """Forecasts of N* and L* beyond the budgets, and of L at D/N beyond the runs' at the largest budget."""
    found: dict[str, list[Forecast]] = {
        name: [] for name in ("N* in C", "L* in C", "L in D/N", "L in D/N, below")
    }
    for seed in range(trials):
        points = sweep(surface, noise, seed)
        fit = fit_approach_3(points, options)
        if fit.a is None or fit.draws is None:
            continue
        source = fit.source()
        for factor in FACTORS:
            flops = factor * BUDGETS[-1]
            log_n, loss = surface.optimum(flops)
            assert source.frontier is not None
            assert source.draws is not None
            told_n, _, told_loss = (float(v) for v in source.frontier.log_optimum(flops))
            drawn_n, _, drawn_loss = source.draws.log_optimum(flops)
            for name, error, drawn in (
                ("N* in C", log_n - told_n, drawn_n),
                ("L* in C", np.log(loss / told_loss), np.log(drawn_loss)),
            ):
                low, high = np.nanquantile(drawn, (0.05, 0.95))
                found[name].append(Forecast(factor, float(error), float(high - low) / 2, fit.status == "ok"))
            log_c = np.log(BUDGETS[-1] / 6)
            ratio = points.tokens / points.params
            for name, edge in (
                ("L in D/N", np.log(ratio.max() * factor)),
                ("L in D/N, below", np.log(ratio.min() / factor)),
            ):
                at_n, at_d = np.array([(log_c - edge) / 2]), np.array([(log_c + edge) / 2])
                told, half = _forecast(fit, np.exp(at_n), np.exp(at_d))
                error = np.log(surface.loss(at_n, at_d)) - told
                found[name].append(Forecast(factor, float(error[0]), float(half[0]), fit.status == "ok"))
    return found


def tables() -> Iterator[tuple[str, Points]]:
    """The published points, where the machine has them, and the sweeps in ``results``."""
    if path := os.environ.get(VARIABLE):
        points = read_points(path)
        # The five highest losses left out, as Besiroglu et al. 2024 do.
        yield "published", points.select(points.loss < np.sort(points.loss)[-5])
    folder = Path(__file__).resolve().parents[1] / "results"
    for name in RESULTS:
        yield name, read_points(folder / name / "runs.csv")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=100, help="bootstrap draws of each fit")
    parser.add_argument("--trials", type=int, default=60, help="synthetic sweeps of each surface")
    parser.add_argument("--noise", type=float, default=0.004, help="standard deviation of their ln L")
    parser.add_argument("--only", default="", help="what has this in its name")
    args = parser.parse_args()
    options = FitOptions(draws=args.draws)
    print(f"| {' | '.join(HEADINGS)} |")
    print("|---" * len(HEADINGS) + "|")
    for name, points in tables():
        if args.only in name:
            for quantity in QUANTITIES:
                show(name, quantity, list(forecasts(points, quantity, options)))
    for share in (0.0, 0.1, 0.3):
        name = f"synthetic, interaction {share:.0%}"
        if args.only in name:
            for what, found in synthetic(Surface(share), args.noise, args.trials, options).items():
                show(name, what, found)


if __name__ == "__main__":
    main()
