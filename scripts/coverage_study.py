"""How often nominal intervals hold the truth: many noisy synthetic sweeps, each fitted and bootstrapped.

    python scripts/coverage_study.py                       the table in the documentation (a few minutes)
    python scripts/coverage_study.py --small               sweeps of the demo's size, with and without replicates
    python scripts/coverage_study.py --trials 40 --only "approach 3"

Every trial is a grid of --budgets x --sizes runs on a known surface L = E + A/N^alpha + B/D^beta, with normal
noise on ln L; the intervals asked about are those of a and of N* (and L*) at ten times the largest budget.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.fit import CostLaw, Curve, FitOptions, Points
from harness.fit.approach_1 import fit_approach_1
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.laws import Law
from harness.fit.results import Approach

CURVE_POINTS = 60


@dataclass(frozen=True)
class Design:
    """A sweep to be repeated: budgets x sizes on a known surface.

    Attributes:
        truth: (E, A, B, alpha, beta). cost: training compute of N and D.
        flops: the budgets. sizes: of each, within ``width`` x of its optimum.
        noise: standard deviation of ln L from seed to seed; cell_noise: of what the seeds of a cell share.
        seeds: of every cell. follow: further seeds of each budget's lowest cell.
    """

    name: str
    flops: tuple[float, ...]
    sizes: int
    width: float
    noise: float
    # Hoffmann et al. 2022, section 3.3, as published.
    truth: tuple[float, ...] = (1.69, 406.4, 410.7, 0.34, 0.28)
    cost: CostLaw = field(default_factory=CostLaw)
    cell_noise: float = 0.0
    seeds: int = 1
    follow: int = 0

    @property
    def target(self) -> float:
        """The compute that predictions are asked for: ten times the largest budget."""
        return 10 * self.flops[-1]


def small_designs() -> tuple[Design, ...]:
    """Sweeps of the size that a laptop affords, on the law of results/demo with the scatter of its seeds."""
    law = {"truth": (1.374, 140.4, 5209.0, 0.6074, 0.7339), "cost": CostLaw(31.07, 0.8784)}
    three, four = (1e11, 2.5e11, 6e11), (2e11, 6e11, 1.8e12, 5.4e12)
    common: dict[str, Any] = {"sizes": 7, "width": 12**0.5, "noise": 0.0094, **law}
    return (
        Design("demo: 3 x 7", three, **common),
        Design("3 x 7, two more seeds of the best cells", three, follow=2, **common),
        Design("4 x 7 x 3 seeds", four, seeds=3, **common),
        Design("4 x 7 x 3 seeds, cells .0077 besides", four, seeds=3, cell_noise=0.0077, **common),
    )


@dataclass(frozen=True)
class Method:
    """A way to get intervals: its name, the options it takes, and the approach it fits."""

    name: str
    fit: Callable[[Points, FitOptions, dict[str, Curve]], Approach]
    options: dict[str, Any]


def _one(points: Points, options: FitOptions, curves: dict[str, Curve]) -> Approach:
    return fit_approach_1(points, options, curves)


def _two(points: Points, options: FitOptions, curves: dict[str, Curve]) -> Approach:
    return fit_approach_2(points, options)


def _three(points: Points, options: FitOptions, curves: dict[str, Curve]) -> Approach:
    return fit_approach_3(points, options)


METHODS = (
    Method("approach 1, pairs within budgets (default)", _one, {}),
    Method("approach 2, parabola, wild (default)", _two, {}),
    Method("approach 2, parabola, pairs", _two, {"bootstrap": "pairs"}),
    Method("approach 2, cubic, wild", _two, {"degree": 3}),
    Method("approach 2, robust parabola, pairs", _two, {"robust": True}),
    Method("approach 3, Huber 1e-3, pairs within budgets (default)", _three, {}),
    Method("approach 3, Huber 1e-3, pairs", _three, {"bootstrap": "pairs"}),
    Method("approach 3, least squares, pairs", _three, {"huber_delta": np.inf}),
    Method("approach 3, least squares, wild", _three, {"huber_delta": np.inf, "bootstrap": "wild"}),
    Method("approach 3, variable projection, pairs", _three, {"solver": "varpro"}),
)


def sweep(rng: np.random.Generator, design: Design) -> tuple[Points, dict[str, Curve]]:
    """One synthetic sweep and its curves."""
    theta, log_width = np.array(design.truth), np.log(design.width)
    flops = np.repeat(design.flops, design.sizes)
    best = np.array([float(Law.from_theta(theta, design.cost).log_optimum(c)[0]) for c in flops])
    log_n = best + np.tile(np.linspace(-log_width, log_width, design.sizes), len(design.flops))
    log_d = np.log(flops / design.cost.kappa) - design.cost.power * log_n
    shared = (
        design.cell_noise * rng.standard_normal(len(flops)) if design.cell_noise else np.zeros(len(flops))
    )
    off = shared[None] + design.noise * rng.standard_normal((design.seeds, len(flops)))
    log_loss = np.log(Law.from_theta(theta).loss_of_logs(log_n, log_d))
    cell, seed = np.tile(np.arange(len(flops)), design.seeds), np.repeat(np.arange(design.seeds), len(flops))
    offs = off.ravel()
    for extra in range(1, design.follow + 1):
        lowest = [
            np.flatnonzero(flops == c)[np.argmin((log_loss + off[0])[flops == c])] for c in design.flops
        ]
        cell, seed = np.append(cell, lowest), np.append(seed, np.full(len(lowest), extra))
        offs = np.append(offs, shared[lowest] + design.noise * rng.standard_normal(len(lowest)))
    names = tuple(f"run-{i}" for i in range(len(cell)))
    size, data, spent = log_n[cell], log_d[cell], flops[cell]
    points = Points(
        np.exp(size),
        np.exp(data),
        spent,
        np.exp(log_loss[cell] + offs),
        names,
        budget=spent,
        seed=seed.astype(float),
    )
    curves = {}
    for i, name in enumerate(names):
        # A run keeps its offset all along; what remains of the batch noise after smoothing is a fifth of it.
        share = np.geomspace(0.02, 1, CURVE_POINTS)
        along = Law.from_theta(theta).loss_of_logs(np.full(CURVE_POINTS, size[i]), data[i] + np.log(share))
        wobble = 0.2 * design.noise * rng.standard_normal(CURVE_POINTS)
        curves[name] = Curve(
            1000 * share, np.exp(data[i]) * share, spent[i] * share, along * np.exp(offs[i] + wobble)
        )
    return points, curves


@dataclass(frozen=True)
class Studied:
    """How often the truth was held, as shares of all trials, and by how far estimates miss it on average."""

    a: float
    params: float
    loss: float
    width: float
    bias_a: float
    bias_params: float
    fitted: int
    seconds: float


def study(method: Method, design: Design, args: argparse.Namespace) -> Studied:
    """Many trials of one method on one design."""
    theta, target = np.array(design.truth), design.target
    true_a = float(Law.from_theta(theta, design.cost).exponents[0])
    log_n, _, true_loss = (float(v) for v in Law.from_theta(theta, design.cost).log_optimum(target))
    held, widths, errors, started = np.zeros(3), [], [], time.perf_counter()
    for trial in range(args.trials):
        points, curves = sweep(np.random.default_rng([args.seed, trial]), design)
        options = FitOptions(draws=args.draws, seed=trial, level=args.level, **method.options)
        fitted = method.fit(points, options, curves)
        prediction = fitted.predict(target)
        if fitted.a is None or fitted.a_interval is None:
            continue
        if prediction.params is None or prediction.params_interval is None:
            continue
        for i, (bounds, truth) in enumerate(
            (
                (fitted.a_interval, true_a),
                (prediction.params_interval, np.exp(log_n)),
                (prediction.loss_interval, true_loss),
            )
        ):
            held[i] += bounds is not None and bounds[0] <= truth <= bounds[1]
        widths.append(fitted.a_interval[1] - fitted.a_interval[0])
        errors.append((fitted.a - true_a, np.log(prediction.params) - log_n))
    bias_a, bias_n = np.mean(errors, axis=0)
    return Studied(
        a=float(held[0]) / args.trials,
        params=float(held[1]) / args.trials,
        loss=float(held[2]) / args.trials,
        width=float(np.median(widths)),
        bias_a=float(bias_a),
        bias_params=float(np.expm1(bias_n)),
        fitted=len(widths),
        seconds=time.perf_counter() - started,
    )


def _row(name: str, found: Studied, args: argparse.Namespace, loss: str = "") -> str:
    return (
        f"| {name} | {found.a:.3f} | {found.params:.3f} |{loss} {found.width:.3f} "
        f"| {found.bias_a:+.4f} | {100 * found.bias_params:+.1f}% | {found.fitted}/{args.trials} "
        f"| {found.seconds:.0f} s |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200, help="synthetic sweeps for each method")
    parser.add_argument("--draws", type=int, default=200, help="bootstrap draws in each")
    parser.add_argument("--noise", type=float, default=0.004, help="standard deviation of ln L")
    parser.add_argument("--budgets", type=int, default=7)
    parser.add_argument("--sizes", type=int, default=7)
    parser.add_argument(
        "--width", type=float, default=4.0, help="sizes span 1/width to width times the optimum"
    )
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="methods whose name contains this")
    parser.add_argument(
        "--small", action="store_true", help="sweeps of the demo's size instead, by the defaults"
    )
    args = parser.parse_args()
    if args.small:
        print(
            f"{args.trials} sweeps each, {args.draws} draws, nominal {args.level:.0%}; N* and L* at ten times C\n"
        )
        print(
            "| sweep, approach | covers a | covers N* | covers L* "
            "| width of a | bias of a | bias of N* | fitted | time |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for design in small_designs():
            for method in METHODS:
                if "default" in method.name and args.only in method.name:
                    found = study(method, design, args)
                    name = f"{design.name}; {method.name.split(',')[0]}"
                    loss = " – |" if "approach 1" in name else f" {found.loss:.3f} |"
                    print(_row(name, found, args, loss), flush=True)
        return
    design = Design("grid", tuple(np.geomspace(1e18, 1e20, args.budgets)), args.sizes, args.width, args.noise)
    print(
        f"{args.trials} sweeps of {args.budgets} x {args.sizes} runs, 1e18 to 1e20 FLOPs, sizes within "
        f"{args.width:g} x, noise {args.noise:g}; {args.draws} draws, nominal {args.level:.0%}; N* at 1e21\n"
    )
    print("| method | covers a | covers N* | width of a | bias of a | bias of N* | fitted | time |")
    print("|---|---|---|---|---|---|---|---|")
    for method in METHODS:
        if args.only in method.name:
            print(_row(method.name, study(method, design, args), args), flush=True)


if __name__ == "__main__":
    main()
