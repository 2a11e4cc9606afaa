"""Sweeps on a known surface, for the studies of how often an interval holds the truth."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from scipy.optimize import minimize_scalar

from harness.fit import CostLaw, Curve, Points
from harness.fit.laws import Law

# E, A, B, alpha, beta: Hoffmann et al. 2022, section 3.3, as published; and two strongly asymmetric published surfaces,
# on which approach 2's parabola is known to be biased.
LAWS = {
    "Hoffmann": (1.69, 406.4, 410.7, 0.34, 0.28),
    "asymmetric 1": (3.169, 215_886.0, 4750.0, 0.684, 0.439),
    "asymmetric 2": (2.158, 381_773.0, 4659.0, 0.710, 0.372),
}
SPANS = (4.0, 12.0, 100.0)
DRIFTS = {"centred": 1.0, "drifting": 3.0}
NOISES = ("normal", "heavy tails", "by run", "by budget")
FORMS = {"right": 0.0, "wrong": 0.3}
CURVE_POINTS = 60
ROWS = (0.25, 0.5, 1.0)
"""Where along its horizon a run is evaluated, in the designs with several rows a run."""


@dataclass(frozen=True)
class Design:
    """A sweep to be repeated: budgets x sizes on a known surface.

    Attributes:
        truth: (E, A, B, alpha, beta). cost: training compute of N and D.
        interaction: weight of a further term, the geometric mean of A/N^alpha and B/D^beta: a wrong form where not 0.
        flops: the budgets. sizes: of each. span: largest over smallest.
        drift: the centre of the sizes goes from 1/drift to drift times the optimum as the budgets rise.
        noise: standard deviation of ln L. kind: ``normal``; ``heavy tails`` (Student's t, 3 degrees of freedom);
            ``by run`` (every run has three rows, which share all but a quarter of its noise); ``by budget`` (a budget's
            runs share a noise of the same size besides their own).
        cell_noise: of what the seeds of a cell share. seeds: of every cell.
        follow: further seeds of each budget's lowest cell.
        fault: what a recipe does to losses, one of ``FAULTS``; the truth asked for is that without it.
    """

    name: str
    flops: tuple[float, ...]
    sizes: int = 7
    span: float = 12.0
    drift: float = 1.0
    noise: float = 0.002
    kind: str = "normal"
    truth: tuple[float, ...] = LAWS["Hoffmann"]
    interaction: float = 0.0
    cost: CostLaw = field(default_factory=CostLaw)
    cell_noise: float = 0.0
    seeds: int = 1
    follow: int = 0
    fault: str = ""

    @property
    def target(self) -> float:
        """The compute that predictions are asked for: ten times the largest budget."""
        return 10 * self.flops[-1]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong with it: a doubt is a false alarm."""
        return self.interaction == 0 and self.kind == "normal" and self.cell_noise == 0 and not self.fault

    def loss(self, log_n: np.ndarray, log_d: np.ndarray) -> np.ndarray:
        """L without noise, of the shape of its arguments."""
        E, A, B, alpha, beta = self.truth
        size, tokens = A * np.exp(-alpha * log_n), B * np.exp(-beta * log_d)
        return np.asarray(E + size + tokens + self.interaction * np.sqrt(size * tokens))

    def optimum(self, flops: float) -> tuple[float, float]:
        """(ln N*, L*) of the surface, its interaction included."""
        start = float(Law.from_theta(np.array(self.truth), self.cost).log_optimum(flops)[0])
        log_c = np.log(flops / self.cost.kappa)

        def along(log_n: float) -> float:
            return float(self.loss(np.array(log_n), np.array(log_c - self.cost.power * log_n)))

        found = minimize_scalar(
            along, bounds=(start - 5, start + 5), method="bounded", options={"xatol": 1e-10}
        )
        return float(found.x), float(found.fun)

    @property
    def exponent(self) -> float:
        """a: the slope of ln N* from the smallest budget to the target; with an interaction it is no constant."""
        low, high = self.flops[0], self.target
        return (self.optimum(high)[0] - self.optimum(low)[0]) / float(np.log(high / low))


def grid(noise: float = 0.002) -> tuple[Design, ...]:
    """Three laws x spans x centred and drifting x four kinds of noise x the right and a wrong form."""
    five = tuple(np.geomspace(1e18, 1e20, 5))
    return tuple(
        Design(
            f"{law}, span {span:g}, {drift}, {kind}, {form} form",
            five,
            span=span,
            drift=DRIFTS[drift],
            noise=noise,
            kind=kind,
            truth=LAWS[law],
            interaction=FORMS[form],
        )
        for law, span, drift, kind, form in product(LAWS, SPANS, DRIFTS, NOISES, FORMS)
    )


def small() -> tuple[Design, ...]:
    """Sweeps of the size that a laptop affords, on the law of results/demo with the scatter of its seeds."""
    three, four = (1e11, 2.5e11, 6e11), (2e11, 6e11, 1.8e12, 5.4e12)
    law = (1.374, 140.4, 5209.0, 0.6074, 0.7339)
    cost = CostLaw(31.07, 0.8784)
    return (
        Design("demo: 3 x 7", three, noise=0.0094, truth=law, cost=cost),
        Design(
            "3 x 7, two more seeds of the best cells", three, noise=0.0094, truth=law, cost=cost, follow=2
        ),
        Design("4 x 7 x 3 seeds", four, noise=0.0094, truth=law, cost=cost, seeds=3),
        Design(
            "4 x 7 x 3 seeds, cells .0077 besides",
            four,
            noise=0.0094,
            truth=law,
            cost=cost,
            seeds=3,
            cell_noise=0.0077,
        ),
    )


def recipes() -> tuple[Design, ...]:
    """Sweeps whose recipe suits some of their runs worse than others: by a step, at ends of profiles, or smoothly."""
    five = tuple(np.geomspace(1e18, 1e20, 5))
    return tuple(Design(fault, five, fault=fault) for fault in FAULTS)


@dataclass(frozen=True)
class _Cells:
    """Where cells lie, each (n,).

    Attributes:
        budget: from 0, the lowest. place: in the budget, from 1, the largest model.
        size, tokens: ln N and ln D, from 0 to 1.
    """

    budget: np.ndarray
    place: np.ndarray
    size: np.ndarray
    tokens: np.ndarray


# What is added to ln L, by what the recipe does.
FAULTS: dict[str, Callable[[_Cells], np.ndarray]] = {
    "the three largest models of the last budget diverge, 1 to 2.5%": lambda at: np.where(
        at.budget == at.budget.max(), np.select([at.place == k for k in (3, 2, 1)], (0.01, 0.017, 0.025)), 0.0
    ),
    "the two largest models of every budget end 1% too high": lambda at: 0.01 * (at.place <= 2),
    "the larger half of the sizes ends 1% too high": lambda at: 0.01 * (at.size > np.median(at.size)),
    "tuned at the middle size, 2% too high at both ends": lambda at: 0.02 * (2 * at.size - 1) ** 2,
    "tuned at the smallest size, 2% too high at the largest": lambda at: 0.02 * at.size**2,
    "one batch for all, 2% too high where tokens are fewest": lambda at: 0.02 * (1 - at.tokens),
}


def _cells(log_n: np.ndarray, log_d: np.ndarray, sizes: int) -> _Cells:
    """Of cells (n,) that lie budget by budget, their ``sizes`` rising."""
    cell = np.arange(len(log_n))
    return _Cells(cell // sizes, sizes - cell % sizes, *((v - v.min()) / np.ptp(v) for v in (log_n, log_d)))


SETS = {"grid": grid, "small": small, "recipes": recipes}


def sweep(rng: np.random.Generator, design: Design) -> tuple[Points, dict[str, Curve]]:
    """One synthetic sweep and its curves (those of runs without rows of their own)."""
    flops = np.repeat(design.flops, design.sizes)
    budgets, half = len(design.flops), np.log(design.span) / 2
    shift = np.log(design.drift) * np.linspace(-1, 1, budgets) if budgets > 1 else np.zeros(1)
    best = np.array([design.optimum(c)[0] for c in design.flops]) + shift
    log_n = np.repeat(best, design.sizes) + np.tile(np.linspace(-half, half, design.sizes), budgets)
    log_d = np.log(flops / design.cost.kappa) - design.cost.power * log_n
    off = np.stack([_noise(rng, design, len(flops)) for _ in range(design.seeds)])
    if design.cell_noise:
        off = off + design.cell_noise * rng.standard_normal(len(flops))
    cell, seed = np.tile(np.arange(len(flops)), design.seeds), np.repeat(np.arange(design.seeds), len(flops))
    log_loss, offs = np.log(design.loss(log_n, log_d)), off.ravel()
    if design.fault:
        log_loss = log_loss + FAULTS[design.fault](_cells(log_n, log_d, design.sizes))
    for extra in range(1, design.follow + 1):
        lowest = np.array(
            [np.flatnonzero(flops == c)[np.argmin((log_loss + off[0])[flops == c])] for c in design.flops]
        )
        cell, seed = np.append(cell, lowest), np.append(seed, np.full(len(lowest), extra))
        offs = np.append(offs, _noise(rng, design, len(lowest)))
    if design.kind == "by run":
        return _rows(rng, design, log_n, log_d, flops, offs), {}
    size, data, spent = log_n[cell], log_d[cell], flops[cell]
    names = tuple(f"run-{i}" for i in range(len(cell)))
    loss = np.exp(log_loss[cell] + offs)
    points = Points(np.exp(size), np.exp(data), spent, loss, names, budget=spent, seed=seed.astype(float))
    return points, _curves(rng, design, points, offs)


def _noise(rng: np.random.Generator, design: Design, n: int) -> np.ndarray:
    if design.kind == "heavy tails":
        return np.asarray(design.noise * rng.standard_t(3, n) / 3**0.5)
    if design.kind == "by budget":
        shared = np.repeat(rng.standard_normal(len(design.flops)), design.sizes)
        return np.asarray(design.noise * (rng.standard_normal(n) + shared))
    return np.asarray(design.noise * rng.standard_normal(n))


def _rows(
    rng: np.random.Generator,
    design: Design,
    log_n: np.ndarray,
    log_d: np.ndarray,
    flops: np.ndarray,
    luck: np.ndarray,
) -> Points:
    """Every run three times, at a quarter, half and all of its horizon, with its luck in each."""
    share = np.tile(np.array(ROWS), len(flops))
    run = np.repeat(np.arange(len(flops)), len(ROWS))
    size, data, spent = log_n[run], log_d[run] + np.log(share), flops[run] * share
    offs = luck[run] + 0.25 * design.noise * rng.standard_normal(len(run))
    loss = design.loss(size, data) * np.exp(offs)
    return Points(np.exp(size), np.exp(data), spent, loss, tuple(f"run-{i}" for i in run))


def _curves(rng: np.random.Generator, design: Design, points: Points, offs: np.ndarray) -> dict[str, Curve]:
    """A run keeps its offset all along; what remains of the batch noise after smoothing is a fifth of it."""
    curves = {}
    for i, name in enumerate(points.run_id):
        share = np.geomspace(0.02, 1, CURVE_POINTS)
        along = design.loss(np.full(CURVE_POINTS, np.log(points.params[i])), np.log(points.tokens[i] * share))
        wobble = 0.2 * design.noise * rng.standard_normal(CURVE_POINTS)
        curves[name] = Curve(
            1000 * share, points.tokens[i] * share, points.flops[i] * share, along * np.exp(offs[i] + wobble)
        )
    return curves
