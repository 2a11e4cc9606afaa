"""The laws that finished runs leave possible: draws of every form that the runs do not tell apart from the best.

A design for one law is optimal for that law alone. Draws of several forms differ where the runs have not decided
between them, so that what would tell the forms apart is worth as much as what would narrow one form's parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.design.goal import EXPONENT, PARAMS
from harness.fit.approach_3 import Asked, parametric
from harness.fit.bootstrap import generator
from harness.fit.budgets import count_cells, units_of
from harness.fit.forms import MODELS, Model, Solved
from harness.fit.forms.form import Place
from harness.fit.law_check import LawCheck, check_law
from harness.fit.law_flags import too_few
from harness.fit.misfit import constant_loss
from harness.fit.options import FitOptions
from harness.fit.table import Array, Points

STREAM = 21
DRAWS = 400
FORMS = ("standard", "kappa", "interaction")
"""The forms that are weighed, beside the one that is asked for: the standard law, and two with one parameter more that
bend it in different ways. Others take as many runs as a whole sweep to determine."""

ALIKE = 6.0
"""Differences in AICc from the best form: what lies beyond has considerably less support than it (Burnham & Anderson
2002, *Model Selection and Multimodel Inference*, section 2.6: 4 to 7)."""

LEAST_WEIGHT = 0.5
"""Of the form that the fit is asked for: the interval that is to become narrow is by that form, whatever its rivals."""

FAR = 1000.0
"""A law whose optimum lies so many times beyond the sizes that were run says nothing of where to run next."""

PLACES = 9


@dataclass(frozen=True, eq=False)
class FormDraws:
    """One form fitted to the runs, and laws that their noise would have given instead.

    Attributes:
        weight: its share among the forms (Akaike weights).
        solved: the fit. phi: free parameters of the draws, (draws, q).
        asked: how the form's frontier is made.
    """

    model: Model
    weight: float
    solved: Solved
    phi: Array
    asked: Asked

    def log_loss(self, params: Array, tokens: Array) -> Array:
        """ln L at N and D, each (m,), by every draw: (draws, m)."""
        data = self.solved.data
        place = Place(np.log(params) - data.mean_x, np.log(tokens) - data.mean_y, data.mean_x, data.mean_y)
        with np.errstate(all="ignore"):
            return replace(self.solved.bound, place=place).evaluate(self.phi, None, derivatives=False)[0]

    def aim(self, aim: str, flops: float) -> Array:
        """What is asked for by every draw, (draws,): ln N* or ln L* at C = ``flops``, or a."""
        return _aim(self, self.phi, aim, flops)

    def aim_of_fit(self, aim: str, flops: float) -> float:
        """The same by the fit itself."""
        return float(_aim(self, self.solved.phi[None], aim, flops)[0])

    def log_params(self, flops: Array) -> Array:
        """ln N* by the fit at each C of ``flops``, (m,): on straight lines between some of them, in logarithms."""
        logs = np.log(flops)
        ends = float(logs.min()), float(logs.max())
        places = np.linspace(*ends, PLACES if ends[1] > ends[0] else 1)
        known = [self.aim_of_fit(PARAMS, float(np.exp(place))) for place in places]
        return np.interp(logs, places, known)


def _aim(form: FormDraws, phi: Array, aim: str, flops: float) -> Array:
    frontier = form.asked.frontier(form.asked.shown(form.solved.bound.natural(phi)))
    with np.errstate(all="ignore"):
        if aim == EXPONENT:
            return np.asarray(frontier.exponents[0])
        log_n, _, loss = frontier.log_optimum(flops)
        return np.asarray(log_n if aim == PARAMS else np.log(loss))


@dataclass(frozen=True, eq=False)
class PossibleLaws:
    """Every form that the runs leave possible.

    Attributes:
        forms: the best first. noise: standard deviation of ln L from run to run.
        rejected: names of forms that the runs speak against, or that they cannot determine.
        check: the standard law's residuals, which say whether it describes the runs.
    """

    forms: tuple[FormDraws, ...]
    noise: float
    rejected: tuple[str, ...]
    check: LawCheck

    def log_params(self, flops: Array) -> Array:
        """ln N* at each C of ``flops``, (m,): the mean of the forms, by their weights."""
        values = np.array([form.log_params(flops) for form in self.forms])
        weights = np.array([[form.weight] for form in self.forms]) * np.isfinite(values)
        with np.errstate(all="ignore"):
            return np.sum(weights * np.nan_to_num(values), axis=0) / np.sum(weights, axis=0)


def possible_laws(points: Points, options: FitOptions, forms: Sequence[str] = FORMS) -> PossibleLaws | None:
    """Fits every form; None where none of them has an optimum, or the runs are too few for any.

    Args:
        points: the runs that a fit uses.
        options: of the fit: its objective, the seed of its draws, its own form.
    """
    if constant_loss(points):
        return None
    units = count_cells(units_of(points))
    models = {name: MODELS[name] for name in dict.fromkeys((*forms, options.form)) if name in MODELS}
    models[options.form] = options.model
    tried: list[tuple[float, Model, Solved, LawCheck]] = []
    rejected = []
    for name, model in models.items():
        if units < model.free + 2 or too_few(points, model):
            rejected.append(name)
            continue
        with np.errstate(all="ignore"):
            check = check_law(points, model)
            fit = check.fit
        tried.append((_aicc(fit, check.weights, units), model, fit, check))
    made = []
    best = min((aicc for aicc, *_ in tried), default=np.inf)
    rng = generator(options.seed, STREAM)
    noise = np.inf
    for aicc, model, fit, check in sorted(tried, key=lambda one: one[0]):
        asked = Asked.of(points, options, model)
        own = model == options.model
        if not _has_optimum(asked, fit, points) or (aicc - best > ALIKE and not own):
            rejected.append(model.name)
            continue
        with np.errstate(all="ignore"):
            moved = parametric(fit, check.unit, check.weights, check.objective, DRAWS, rng)
        made.append(FormDraws(model, float(np.exp((best - aicc) / 2)), fit, fit.phi + moved, asked))
        freedom = max(units - model.free, 1)
        square = float(np.sum(check.weights * (fit.data.log_loss - fit.fitted()) ** 2))
        noise = min(noise, np.sqrt(square / freedom))
    if not made:
        return None
    return PossibleLaws(
        forms=tuple(_weighed(made, options.model)),
        noise=max(float(noise), 1e-5),
        rejected=tuple(rejected),
        check=check_law(points),
    )


def _has_optimum(asked: Asked, fit: Solved, points: Points) -> bool:
    """Whether the law has an optimum, and within :data:`FAR` of the sizes that were run at their own compute."""
    frontier = asked.frontier(asked.shown(fit.natural))
    if not frontier.usable:
        return False
    ends = np.array([frontier.log_optimum(float(c))[0] for c in (points.flops.min(), points.flops.max())])
    sizes = np.log((points.params.min() / FAR, points.params.max() * FAR))
    return bool(np.isfinite(ends).all() and (ends > sizes[0]).all() and (ends < sizes[1]).all())


def _weighed(forms: Sequence[FormDraws], own: Model) -> list[FormDraws]:
    """``forms`` with weights that sum to 1, that of the fit's own form at least :data:`LEAST_WEIGHT`."""
    weights = np.array([form.weight for form in forms])
    weights /= weights.sum()
    mine = np.array([form.model == own for form in forms])
    if mine.any() and not mine.all() and weights[mine].sum() < LEAST_WEIGHT:
        weights = np.where(mine, LEAST_WEIGHT, weights * (1 - LEAST_WEIGHT) / weights[~mine].sum())
    return [replace(form, weight=float(weight)) for form, weight in zip(forms, weights, strict=True)]


def _aicc(fit: Solved, weights: Array, units: int) -> float:
    residual = fit.data.log_loss - fit.fitted()
    n, k = units, len(fit.phi) + 1
    square = max(float(np.sum(weights * residual**2)) / len(residual), 1e-12)
    small = 2 * k * (k + 1) / (n - k - 1) if n > k + 1 else 100.0
    return n * np.log(square) + 2 * k + small
