"""The bootstrap of approach 2: the losses, counts and laws of every draw, for all budgets at once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from harness.fit import bootstrap
from harness.fit.budget_profile import BudgetProfile
from harness.fit.budgets import Cells, count_cells
from harness.fit.forms import redraw as redraw_law
from harness.fit.law_check import LawCheck
from harness.fit.laws import Law
from harness.fit.options import FitOptions
from harness.fit.table import Array, Points

STREAM = 2


@dataclass(frozen=True, eq=False)
class Redrawn:
    """The tables of a bootstrap: for the law and for every budget the losses and counts of each draw.

    Attributes:
        losses: by budget, its losses for the polynomials in ln N and in ln D, each (draws or 1, n).
        weights: by budget, how often each of its runs is drawn, (draws, n); None where every draw has each once.
        laws: the law of each draw; None without a correction.
        law_losses: by budget, the losses of these laws at its runs, (draws, n).
        shared: what the runs of a budget are off together in ln L, (draws, rows of the table); None: nothing.
    """

    losses: list[tuple[Array, Array]]
    weights: list[Array | None]
    laws: Law | None
    law_losses: list[Array]
    shared: Array | None = None


def redraw(
    profiles: list[BudgetProfile],
    check: LawCheck | None,
    points: Points,
    unit: Cells,
    kind: str,
    options: FitOptions,
) -> Redrawn:
    """The bootstrap's tables. Wild: residuals, less what the law says is structure, with the signs of whole units."""
    rng = bootstrap.generator(options.seed, STREAM)
    shared = None if check is None else check.shared_noise(options.draws, options.seed)
    if kind == "pairs":
        losses = [(p.points.loss[None], p.points.loss[None]) for p in profiles]
        counts = _pair_counts(rng, profiles, unit, options.draws)
        weights: list[Array | None] = [counts[:, p.rows] for p in profiles]
        measured = np.log(points.loss)[None]
        return Redrawn(losses, weights, *_laws(check, measured, counts, profiles), shared)
    signs = bootstrap.wild_signs(rng, count_cells(unit), options.draws)[:, unit]
    losses, off = _flipped(profiles, check, signs, options.level)
    turned = None
    if check is not None:
        law = np.exp(check.fitted)
        turned = np.log(np.maximum(law + signs * off, 1e-3 * law))
    return Redrawn(losses, [None] * len(profiles), *_laws(check, turned, None, profiles), shared)


def _flipped(
    profiles: list[BudgetProfile], check: LawCheck | None, signs: Array, level: float
) -> tuple[list[tuple[Array, Array]], Array]:
    """Losses of the profiles in N and in D with flipped residuals, each (draws, n); residuals of all runs, (n,).

    Args:
        signs: of every run in every draw, (draws, n).
    """
    law = None if check is None else np.exp(check.fitted)
    # Runs in no budget: their residuals about the law itself.
    off = np.zeros(signs.shape[1]) if check is None or law is None else np.expm1(check.residual) * law
    losses = []
    for profile in profiles:
        # The size of residuals is known from few degrees of freedom, which percentiles would pass over: Student's
        # quantile over the normal one makes up for it.
        tail = (1 + level) / 2
        student = float(stdtrit(profile.freedom, tail) / ndtri(tail))
        loss, drawn = profile.points.loss, []
        for column in (0, 1):
            smooth = profile.smooth(column, loss[None])[0]
            departure = np.zeros(len(loss))
            if law is not None:
                mine = law[profile.rows]
                departure = mine - profile.smooth(column, mine[None])[0]
            turned = student * profile.perturbation(column, loss, departure)
            drawn.append(smooth + signs[:, profile.rows] * turned)
            if column == 0:
                off[profile.rows] = turned
        losses.append((drawn[0], drawn[1]))
    return losses, off


def _laws(
    check: LawCheck | None, log_loss: Array | None, counts: Array | None, profiles: list[BudgetProfile]
) -> tuple[Law | None, list[Array]]:
    """The law of every draw and its losses at the runs of each budget; without a law, none.

    Args:
        log_loss: ln L, (draws, n) or (1, n). counts: how often each run is in each draw, (draws, n); None: once.
    """
    if check is None or log_loss is None:
        return None, []
    weights = check.weights[None] if counts is None else counts * check.weights
    return laws_at(check, redraw_law(check.fit, check.objective, log_loss, weights).phi, profiles)


def laws_at(check: LawCheck, phi: Array, profiles: list[BudgetProfile]) -> tuple[Law, list[Array]]:
    """Laws from free parameters (draws, 5), and their losses at the runs of each budget, (draws, n)."""
    with np.errstate(all="ignore"):
        losses = np.exp(check.fit.bound.evaluate(phi, derivatives=False)[0])
        return Law.from_theta(check.fit.bound.natural(phi)[:, :5]), [losses[:, p.rows] for p in profiles]


def _pair_counts(rng: np.random.Generator, profiles: list[BudgetProfile], unit: Cells, draws: int) -> Array:
    """How often each row is in each draw, (draws, n): units within their budget, at large where one has several."""
    groups = [profile.rows.tolist() for profile in profiles]
    within = sum(count_cells(unit[group]) for group in groups)
    rows = np.concatenate([profile.rows for profile in profiles])
    if within > count_cells(unit[rows]):
        return bootstrap.pair_counts(rng, count_cells(unit), draws)[:, unit]
    counts = bootstrap.stratified_counts(rng, groups, unit, draws)
    counts[:, np.setdiff1d(np.arange(len(unit)), rows)] = 1.0
    return counts
