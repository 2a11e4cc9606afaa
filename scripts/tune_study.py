"""How few runs a tuning in rounds needs (``tune=sequential``): tunings of known surfaces, in rounds and as full grids.

    python scripts/tune_study.py                      every set of axes, 60 tunings each
    python scripts/tune_study.py --repeats 10 --skew 1 --axes 3

Losses of six points (three sizes at two horizons) are quadratic in the logs of the hyperparameters about best values
that follow known rules, plus noise; the recipe tuned from is off by up to a factor of two along every axis. Printed:
runs a point, loss of the rules and of the recipe over the minimum (mean of points and tunings, nats per token), and how
often the 90% intervals of the rules' coefficients hold the truth.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.fit.table import Array
from harness.tune.axes import AXES
from harness.tune.results import Interval
from harness.tune.rules import quantiles
from harness.tune.sequential.exploring import exploring_surfaces
from harness.tune.sequential.fit import SURE
from harness.tune.sequential.next_runs import Asked, beyond, expected_excess, next_runs, runs_each, star
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.parts import best_values
from harness.tune.sequential.point_surfaces import PointSurfaces
from harness.tune.sequential.rules import fit_rules
from harness.tune.sequential.surfaces import fit_points
from harness.tune.sequential.terms import Held, Places

CENTRE_N, CENTRE_D = 3e4, 1e6
RULES = {  # ln value at the centre, exponents of N and D
    "rate": (np.log(0.008), -0.5, -0.3),
    "batch": (np.log(700.0), 0.0, 0.4),
    "embedding": (np.log(3.0), 0.0, 0.0),
    "head": (np.log(1.5), 0.0, 0.0),
}
TAU = (np.log(0.2), -0.5)  # ln of B / (rate lambda D) at the centre, exponent of D / N
CURVATURE = {"rate": 0.16, "batch": 0.06, "weight_decay": 0.02, "embedding": 0.03, "head": 0.02}
WINDOW = 0.15
TOLERANCES = (0.001, 0.0003)
SETS = (
    ("rate", "batch"),
    ("rate", "embedding", "weight_decay"),
    ("rate", "batch", "weight_decay", "embedding", "head"),
)
POINTS = tuple((n, n / CENTRE_N * CENTRE_D * share) for n in (1e4, 3e4, 9e4) for share in (0.3, 1.0))


@dataclass(frozen=True)
class Truth:
    """Minima by :data:`RULES` (weight decay by :data:`TAU`); a valley along which rate goes with batch.

    ``skew`` steepens the side of high rates and flattens the other. Runs at high rates that would end ``diverges``
    nats above the minimum are lost.
    """

    axes: tuple[str, ...] = ("rate", "batch")
    noise: float = 0.01
    skew: float = 0.0
    diverges: float = 0.9
    curvature: dict[str, float] = field(default_factory=lambda: dict(CURVATURE))

    def lines(self) -> Array:
        """(c, a, b) of every axis about the centre, (q, 3)."""
        c, p = TAU
        rate, batch = np.array(RULES["rate"]), np.array(RULES["batch"])
        batch *= (
            (1.0, 0.0, 0.0) if "batch" not in self.axes else (1.0, 1.0, 1.0)
        )  # else it is the same for all runs
        decay = batch - rate - np.array([c + np.log(CENTRE_D), -p, 1 + p])
        return np.array([decay if axis == "weight_decay" else RULES[axis] for axis in self.axes])

    def best(self, n: float, d: float) -> Array:
        """ln of the best values, (q,)."""
        return self.lines() @ np.array([1.0, np.log(n / CENTRE_N), np.log(d / CENTRE_D)])

    def bend(self) -> Array:
        """H, (q, q)."""
        h = np.diag([self.curvature[axis] for axis in self.axes])
        for one, other, share in (
            ("rate", "batch", -0.5),
            ("rate", "weight_decay", 0.3),
            ("rate", "embedding", 0.3),
        ):
            if one in self.axes and other in self.axes:
                i, j = self.axes.index(one), self.axes.index(other)
                h[i, j] = h[j, i] = share * np.sqrt(h[i, i] * h[j, j])
        return h

    def excess(self, n: float, d: float, values: Array) -> float:
        """Nats above the minimum at ln values (q,)."""
        off = values - self.best(n, d)
        i = self.axes.index("rate")
        u = float(off[i])
        rise = 0.5 * float(off @ self.bend() @ off)
        rate = 0.5 * self.bend()[i, i]
        if u > 0:
            return rise + 0.5 * self.skew * rate * u**3
        return rise + rate * u**2 * (1 / (1 + 0.25 * self.skew * -u) - 1)

    def loss(self, n: float, d: float, values: Array) -> float:
        """Nats per token without noise."""
        return 1.5 + (n / 1e3) ** -0.2 + (d / 1e4) ** -0.25 + self.excess(n, d, values)


@dataclass(frozen=True, eq=False)
class Simulated:
    """A tuning that is simulated: the runs so far, and how many there were after each round."""

    truth: Truth
    points: tuple[tuple[float, float], ...]
    centre: Array  # ln values, (points, q)
    observed: Observed
    surfaces: PointSurfaces | None
    places: Places
    rounds: tuple[int, ...]


def places_of(truth: Truth, points: Sequence[tuple[float, float]], centre: Array) -> Places:
    """With the centres' own values as the rules tuned from."""
    n, d = np.log(np.array(points)).T
    x, y = n - np.log(CENTRE_N), d - np.log(CENTRE_D)
    held = {axis: Held(float(centre[:, j].mean()), 0.0, 0.0) for j, axis in enumerate(truth.axes)}
    batch = RULES["batch"][0]
    held = {"batch": Held(batch, 0.0, 0.0)} | held
    same = np.full(len(points), batch)
    return Places(x, x, y, float(np.log(CENTRE_D)), same, np.zeros(len(points)), held)


def recipe_of(
    truth: Truth, points: Sequence[tuple[float, float]], off: float, rng: np.random.Generator
) -> Array:
    """ln of what a recipe says at the points, (points, q): off by up to ``off``, with exponents a third too small."""
    lines = truth.lines()
    tilt = np.stack([lines[:, 1:] @ np.log([n / CENTRE_N, d / CENTRE_D]) for n, d in points])
    return np.asarray(truth.best(CENTRE_N, CENTRE_D) + rng.uniform(-off, off, len(truth.axes)) + tilt / 1.5)


def drawn_runs(
    truth: Truth,
    points: Sequence[tuple[float, float]],
    centre: Array,
    asked: Sequence[Asked],
    rng: np.random.Generator,
) -> Array:
    """Losses of runs, NaN where one diverges."""
    found = []
    rate = truth.axes.index("rate")
    for p, h in asked:
        values = centre[p] + h
        gone = (
            truth.excess(*points[p], values) > truth.diverges and values[rate] > truth.best(*points[p])[rate]
        )
        noise = truth.noise * float(rng.standard_normal())
        found.append(np.nan if gone else truth.loss(*points[p], values) + noise)
    return np.array(found)


def observed_of(
    truth: Truth, points: Sequence[tuple[float, float]], asked: Sequence[Asked], loss: Array
) -> Observed:
    """As a tuning has them."""
    n, d = np.log(np.array(points)).T
    h = np.stack([h for _, h in asked])
    return Observed(truth.axes, h, loss, np.array([p for p, _ in asked]), n, d)


def tuned(
    truth: Truth,
    seed: int,
    rounds: int = 4,
    each: int = 0,
    tolerance: float = 0.0,
    points: Sequence[tuple[float, float]] = POINTS,
    off: float = 0.7,
    order: Callable[[int], Sequence[int]] = range,
) -> Simulated:
    """A tuning in rounds about a recipe that is wrong by up to ``off`` in every axis, the same at all points.

    Args:
        order: of the runs that finished, of so many.
    """
    rng = np.random.default_rng(seed)
    q = len(truth.axes)
    steps = np.log([AXES[axis].factor for axis in truth.axes])
    centre = recipe_of(truth, points, off, rng)
    places = places_of(truth, points, centre)
    asked = star(steps, len(points))
    loss = drawn_runs(truth, points, centre, asked, rng)
    counts = []
    for number in range(rounds):
        counts.append(len(asked))
        turn = list(order(len(asked)))
        observed = observed_of(truth, points, [asked[i] for i in turn], loss[turn])
        last = number == rounds - 1
        found = exploring_surfaces(observed, WINDOW, steps)
        enough = (
            found is not None
            and tolerance > 0
            and expected_excess(observed, found, places) <= tolerance
            and not beyond(observed, found, steps).any()
        )
        if last or enough:
            break
        more = next_runs(observed, found, places, steps, each or runs_each(q, len(points)), lambda p, h: True)
        loss = np.concatenate((loss, drawn_runs(truth, points, centre, more, rng)))
        asked = [*asked, *more]
    found = fit_points(observed, WINDOW, SURE, 400, np.random.default_rng(0))
    return Simulated(truth, tuple(points), centre, observed, found, places, tuple(counts))


GRID = {"rate": (0.25, 0.5, 1.0, 2.0, 4.0), "batch": (0.5, 1.0, 2.0, 4.0)}
OTHERS = (1 / 3, 1.0, 3.0)


def gridded(
    truth: Truth, seed: int, points: Sequence[tuple[float, float]] = POINTS, off: float = 0.7
) -> Simulated:
    """The same as a full grid: five rates, four batches, three values of every other axis at every point."""
    rng = np.random.default_rng(seed)
    centre = recipe_of(truth, points, off, rng)
    multiples = [np.log(GRID.get(axis, OTHERS)) for axis in truth.axes]
    lattice = np.stack([values.reshape(-1) for values in np.meshgrid(*multiples, indexing="ij")], axis=1)
    asked = [(p, h) for p in range(len(points)) for h in lattice]
    observed = observed_of(truth, points, asked, drawn_runs(truth, points, centre, asked, rng))
    found = fit_points(observed, WINDOW, SURE, 400, np.random.default_rng(0))
    return Simulated(
        truth, tuple(points), centre, observed, found, places_of(truth, points, centre), (len(asked),)
    )


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a simulated tuning came to.

    Attributes:
        excess: of the rules over the minimum, nats, the mean of the points; ``before``: of the recipe tuned from.
        intervals: by (axis, coefficient), its interval and the truth.
    """

    runs: int
    excess: float
    before: float
    intervals: dict[tuple[str, str], tuple[Interval, float]]


def outcome(made: Simulated, level: float = 0.9) -> Outcome:
    """The rules of a simulated tuning against the truth; axes without a minimum stay as they are."""
    truth, found = made.truth, made.surfaces
    values, intervals = made.centre.copy(), {}
    if found is not None:
        steps = np.log([AXES[axis].factor for axis in truth.axes])
        usable = ~beyond(made.observed, found, steps).T
        best = best_values(truth.axes, made.centre, found, usable)
        rules = fit_rules(best, made.places, found.freedom)
        lines = truth.lines()
        for row, axis in enumerate(best.axes):
            if not best.usable[row].any():
                continue
            j = truth.axes.index(axis)
            values[:, j] = rules.values[row]
            wider = max(1.0, float(np.nan_to_num(rules.scatter[row], nan=1.0)))
            for k, name in enumerate(("value", "params", "tokens")):
                drawn = rules.drawn[:, row, k]
                ends = quantiles(drawn, level)
                if ends is not None and ends[1] - ends[0] > 1e-9:
                    middle = rules.lines[row, k]
                    wide = (middle - wider * (middle - ends[0]), middle + wider * (ends[1] - middle))
                    intervals[axis, name] = (wide, float(lines[j, k]))
    excess, before = (
        float(np.mean([truth.excess(*point, row) for point, row in zip(made.points, rows, strict=True)]))
        for rows in (values, made.centre)
    )
    return Outcome(len(made.observed.loss), excess, before, intervals)


def row(name: str, outcomes: Sequence[Outcome], points: int) -> str:
    """One line of the table."""
    held = [low <= true <= high for one in outcomes for (low, high), true in one.intervals.values()]
    runs, excess, before = (
        np.array([getattr(one, key) for one in outcomes]) for key in ("runs", "excess", "before")
    )
    return (
        f"| {name} | {runs.mean() / points:.1f} | {before.mean():.4f} | {excess.mean():.4f} | "
        f"{np.median(excess):.4f} | {np.quantile(excess, 0.95):.4f} | {np.mean(held):.2f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--skew", type=float, default=0.0)
    parser.add_argument("--axes", type=int, default=0, help="of sets with so many axes alone")
    parser.add_argument("--noise", type=float, default=0.01)
    asked = parser.parse_args()
    print("| axes, design | runs a point | recipe's excess | rules' excess: mean | median | 95% | held |")
    print("|---|---|---|---|---|---|---|")
    for axes in (one for one in SETS if asked.axes in (0, len(one))):
        truth, seeds = Truth(axes, asked.noise, asked.skew), range(asked.repeats)
        label = ", ".join(axes)
        for tolerance in TOLERANCES:
            made = [outcome(tuned(truth, seed, rounds=5, tolerance=tolerance)) for seed in seeds]
            print(row(f"{label}: rounds, tolerance {tolerance:g}", made, len(POINTS)), flush=True)
        if len(axes) <= 3:
            print(
                row(f"{label}: full grid", [outcome(gridded(truth, seed)) for seed in seeds], len(POINTS)),
                flush=True,
            )


if __name__ == "__main__":
    main()
