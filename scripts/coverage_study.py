"""How often nominal intervals hold the truth: many noisy synthetic sweeps, each fitted and bootstrapped.

    python scripts/coverage_study.py                       the table in the documentation (a few minutes)
    python scripts/coverage_study.py --trials 40 --only "approach 3"

Every trial is a grid of --budgets x --sizes runs on a known surface L = E + A/N^alpha + B/D^beta, with normal
noise on ln L; the intervals asked about are those of a and of N* at ten times the largest budget.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.fit import CostLaw, Curve, FitOptions, Points
from harness.fit.approach_1 import fit_approach_1
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.results import Approach
from harness.fit.surface import exponents, frontier, loss

# Hoffmann et al. 2022, section 3.3, as published.
TRUTH = np.array((1.69, 406.4, 410.7, 0.34, 0.28))
CURVE_POINTS = 60


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


def sweep(
    rng: np.random.Generator, budgets: int, sizes: int, width: float, noise: float
) -> tuple[Points, dict]:
    """One synthetic sweep, 1e18 to 1e20 FLOPs, sizes within ``width`` x of the optimum, and its curves."""
    flops = np.repeat(np.geomspace(1e18, 1e20, budgets), sizes)
    best = np.array([frontier(TRUTH, c, CostLaw())[0] for c in flops])
    log_n = best + np.tile(np.linspace(-np.log(width), np.log(width), sizes), budgets)
    log_d = np.log(flops / 6) - log_n
    off = noise * rng.standard_normal(len(flops))
    names = tuple(f"run-{i}" for i in range(len(flops)))
    points = Points(
        np.exp(log_n), np.exp(log_d), flops, loss(TRUTH, log_n, log_d) * np.exp(off), names, budget=flops
    )
    curves = {}
    for i, name in enumerate(names):
        # A run keeps its offset all along; what remains of the batch noise after smoothing is a fifth of it.
        share = np.geomspace(0.02, 1, CURVE_POINTS)
        along = loss(TRUTH, np.full(CURVE_POINTS, log_n[i]), log_d[i] + np.log(share))
        wobble = 0.2 * noise * rng.standard_normal(CURVE_POINTS)
        tokens = np.exp(log_d[i]) * share
        curves[name] = Curve(
            1000 * share, tokens, 6 * np.exp(log_n[i]) * tokens, along * np.exp(off[i] + wobble)
        )
    return points, curves


def study(method: Method, args: argparse.Namespace) -> str:
    """One row of the table: coverage of a and N*, with the bias that bounds it."""
    true_a = float(exponents(TRUTH, CostLaw())[0])
    target = 1e21
    true_n = float(np.exp(frontier(TRUTH, target, CostLaw())[0]))
    held_a, held_n, widths, errors, started = 0, 0, [], [], time.perf_counter()
    for trial in range(args.trials):
        points, curves = sweep(
            np.random.default_rng([args.seed, trial]), args.budgets, args.sizes, args.width, args.noise
        )
        options = FitOptions(draws=args.draws, seed=trial, level=args.level, **method.options)
        fitted = method.fit(points, options, curves)
        prediction = fitted.predict(target)
        if fitted.a is None or fitted.a_interval is None:
            continue
        if prediction.params is None or prediction.params_interval is None:
            continue
        low, high = prediction.params_interval
        held_a += fitted.a_interval[0] <= true_a <= fitted.a_interval[1]
        held_n += low <= true_n <= high
        widths.append(fitted.a_interval[1] - fitted.a_interval[0])
        errors.append((fitted.a - true_a, np.log(prediction.params / true_n)))
    bias_a, bias_n = np.mean(errors, axis=0)
    spent = time.perf_counter() - started
    return (
        f"| {method.name} | {held_a / args.trials:.3f} | {held_n / args.trials:.3f} "
        f"| {np.median(widths):.3f} "
        f"| {bias_a:+.4f} | {100 * np.expm1(bias_n):+.1f}% | {len(widths)}/{args.trials} | {spent:.0f} s |"
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
    args = parser.parse_args()
    print(
        f"{args.trials} sweeps of {args.budgets} x {args.sizes} runs, 1e18 to 1e20 FLOPs, sizes within "
        f"{args.width:g} x, noise {args.noise:g}; {args.draws} draws, nominal {args.level:.0%}; N* at 1e21\n"
    )
    print("| method | covers a | covers N* | width of a | bias of a | bias of N* | fitted | time |")
    print("|---|---|---|---|---|---|---|---|")
    for method in METHODS:
        if args.only in method.name:
            print(study(method, args), flush=True)


if __name__ == "__main__":
    main()
