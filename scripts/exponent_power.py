"""What it takes to tell the scaling exponents of two arms apart: how far a of N* ~ C^a scatters, by design and cost.

    python -m scripts.exponent_power results/cpu_frontier
    python -m scripts.exponent_power results/kaplan-matched --base 2e11 --trials 400 --out power.csv
    python -m scripts.exponent_power results/cpu_frontier --design 3,20,8,12,3
    python -m scripts.exponent_power results/domains-prose --design own

A finished sweep says what its runs are like: the law fitted by approach 3, the noise of a seed, by budget, from cells
that were trained with several, what the cells miss of the law beyond that, and the seconds a FLOP takes. Each design is
simulated on that law, and fitted by approaches 2 and 3 as a sweep would be. The sizes of a design lie evenly around the
law's optimum; a real grid's, which is planned before the optimum is known and loses runs to ``where=``, tell less:
``own`` simulates the runs of the table as they are. Two arms trained by one design differ in a
with a standard error of sqrt(2) times its standard deviation, if nothing in them is shared; a difference is seen with a
probability of ``POWER`` in an interval of 90% where it is 1.645 + 0.842 = 2.49 of these.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import norm

from harness.errors import UserError
from harness.fit import FitOptions, Points, load_fit, read_points
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.budgets import cells_of
from harness.fit.noise import fit_log_variance, within_cells
from harness.fit.results import Approach3
from harness.fit.surface import ParametricLaw
from harness.text import counted

POWER, LEVEL = 0.8, 0.9
SEEN = float(norm.ppf((1 + LEVEL) / 2) + norm.ppf(POWER))
OWN = "own"
Design = tuple[tuple[int, float], int, float, int]
# How many, and the largest over the smallest.
BUDGETS = ((3, 6.0), (3, 20.0), (4, 20.0), (4, 100.0), (5, 100.0))
SIZES, SPANS, SEEDS = (7, 11), (12.0, 40.0), (1, 3, 6)
CORES = 2


@dataclass(frozen=True)
class Sweep:
    """What a finished sweep says of runs like its own.

    Attributes:
        law: of their losses.
        noise: standard deviation of ln L between seeds is ``noise[0]`` at 1 FLOP and goes as C^``noise[1]``.
        misfit: standard deviation of ln L of cells about the law, beyond their seeds.
        seconds: of training per FLOP, as a power of C: coefficient and exponent.
        options: how it was fitted, and simulated sweeps are.
    """

    law: ParametricLaw
    noise: tuple[float, float]
    misfit: float
    seconds: tuple[float, float]
    options: FitOptions = field(default_factory=lambda: FitOptions(draws=0, backtest=False))


@dataclass(frozen=True)
class Line:
    """One design, and what it can tell.

    Attributes:
        ratio: largest budget over the smallest. sizes, seeds: of each budget and cell; of ``own`` the most.
        span: largest size over the smallest, of each budget; of ``own`` the widest.
        flops, hours: of one arm; hours on ``CORES`` cores.
        sd_2, sd_3: standard deviation of a, by approaches 2 and 3. seen: difference of a that two arms show with a
            probability of ``POWER``, by the better one.
        failed: share of sweeps without an exponent, by either.
    """

    budgets: int
    ratio: float
    sizes: int
    span: float
    seeds: int
    flops: float
    hours: float
    sd_2: float
    sd_3: float
    seen: float
    failed: float


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate every design and print, and with ``--out`` write, a line of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", type=Path, help="of a finished and fitted sweep with several seeds in some cells"
    )
    parser.add_argument(
        "--design",
        action="append",
        type=design_of,
        help="BUDGETS,RATIO,SIZES,SPAN,SEEDS, or own, once or several times, in place of the table",
    )
    parser.add_argument("--base", type=float, help="smallest budget, FLOPs; by default the sweep's own")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    fit = load_fit(args.folder)
    points = read_points(args.folder / "runs.csv", fit.rows, fit.columns, fit.where)
    sweep = describe(args.folder, points, fit.approach_3)
    level, slope = sweep.noise
    print(
        f"noise of a seed in ln L: {level * 1e12**slope:.4f} at 1e12 FLOPs, as C^{slope:.2f}; "
        f"cells miss the law by {sweep.misfit:.4f} besides; a = {float(sweep.law.exponents[0]):.3f}"
    )
    base = args.base or float(points.flops.min())
    rng = np.random.default_rng(args.seed)
    lines = []
    for design in args.design or product(BUDGETS, SIZES, SPANS, SEEDS):
        runs = points if design == OWN else designed(sweep.law, base, design)
        lines.append(simulate(rng, sweep, runs, args.trials))
        print(shown(lines[-1]), flush=True)
    if args.out:
        with args.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(asdict(lines[0])))
            writer.writeheader()
            writer.writerows(asdict(line) for line in lines)


def design_of(text: str) -> Design | str:
    """The design that ``--design`` names."""
    if text == OWN:
        return OWN
    try:
        budgets, ratio, sizes, span, seeds = text.split(",")
        return (int(budgets), float(ratio)), int(sizes), float(span), int(seeds)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither BUDGETS,RATIO,SIZES,SPAN,SEEDS nor own"
        ) from None


def describe(folder: Path, points: Points, fit: Approach3) -> Sweep:
    """What the runs of ``folder`` are like, whose law is ``fit``'s.

    Raises:
        UserError: its fit has no law, no cell has two seeds, or its table has no seconds.
    """
    law = fit.source().law
    if law is None:
        raise UserError(f"{folder}: its fit has no L(N, D) to simulate")
    if points.budget is None or "seconds" not in points.extra:
        raise UserError(f"{folder}/runs.csv: needs the columns budget and seconds")
    squares, freedom, first = within_cells(points)
    if not squares.sum() > 0:
        raise UserError(
            f"{folder}/runs.csv: no cell was trained with two seeds, so the noise of a seed is not known"
        )
    log_c = np.log(points.flops[first])
    middle, several = log_c.mean(), bool(np.ptp(log_c) > 0.1)
    design = np.column_stack([np.ones(len(log_c)), log_c - middle][: 1 + several])
    level, *slopes = fit_log_variance(design, squares, freedom) / 2
    slope = float(slopes[0]) if slopes else 0.0
    noise = (float(np.exp(level - slope * middle)), slope)
    cell, means = cells_of(points), []
    predicted = np.log(law.loss(points.params, points.tokens))
    for c in np.unique(cell):
        own = cell == c
        seeds = noise[0] ** 2 * float(points.flops[own][0]) ** (2 * slope) / own.sum()
        means.append(float((np.log(points.loss) - predicted)[own].mean()) ** 2 - seeds)
    misfit = max(0.0, sum(means) / max(len(means) - fit.free, 1)) ** 0.5
    time = np.polyfit(np.log(points.flops), np.log(points.extra["seconds"] / points.flops), 1)
    options = FitOptions(draws=0, backtest=False, form=fit.form, objective=fit.minimised)
    return Sweep(law, noise, misfit, (float(np.exp(time[1])), float(time[0])), options)


def designed(law: ParametricLaw, base: float, design: Design) -> Points:
    """The runs of a design, with the losses of ``law``: sizes spread about its optimum at each budget from ``base``."""
    (budgets, ratio), sizes, span, seeds = design
    flops = np.repeat(np.geomspace(base, base * ratio, budgets), sizes)
    offsets = np.tile(np.linspace(-0.5, 0.5, sizes) * np.log(span), budgets)
    log_n = np.array([float(law.log_optimum(float(c))[0]) for c in flops]) + offsets
    log_d = np.log(flops / law.cost.kappa) - law.cost.power * log_n
    params, tokens, spent = (np.tile(one, seeds) for one in (np.exp(log_n), np.exp(log_d), flops))
    names = tuple(f"run-{i}" for i in range(len(spent)))
    seed = np.repeat(np.arange(float(seeds)), len(flops))
    return Points(params, tokens, spent, np.asarray(law.loss(params, tokens)), names, budget=spent, seed=seed)


def simulate(rng: np.random.Generator, sweep: Sweep, runs: Points, trials: int) -> Line:
    """Tables of ``runs`` with the losses that ``sweep`` says, and what their fits scatter by."""
    options = sweep.options
    found = np.array(
        [
            [exponent if exponent is not None else np.nan for exponent in (two.a, three.a)]
            for points in _tables(rng, sweep, runs, trials)
            for two, three in [(fit_approach_2(points, options), fit_approach_3(points, options))]
        ],
        dtype=float,
    )
    spread = np.nanstd(found, axis=0, ddof=1)
    budget = runs.flops if runs.budget is None else runs.budget
    own = [runs.params[budget == one] for one in np.unique(budget)]
    seconds = float(np.sum(sweep.seconds[0] * runs.flops ** (1 + sweep.seconds[1])))
    return Line(
        budgets=len(own),
        ratio=float(budget.max() / budget.min()),
        sizes=max(len(np.unique(sizes)) for sizes in own),
        span=max(float(sizes.max() / sizes.min()) for sizes in own),
        seeds=int(np.bincount(cells_of(runs)).max()),
        flops=float(runs.flops.sum()),
        hours=seconds / CORES / 3600,
        sd_2=float(spread[0]),
        sd_3=float(spread[1]),
        seen=float(SEEN * 2**0.5 * spread.min()),
        failed=float(np.isnan(found).any(axis=1).mean()),
    )


def _tables(rng: np.random.Generator, sweep: Sweep, runs: Points, trials: int) -> Iterator[Points]:
    """``runs`` with the law's losses, noise of each run and what each cell misses the law by."""
    log_loss = np.log(sweep.law.loss(runs.params, runs.tokens))
    cell = cells_of(runs)
    for _ in range(trials):
        own = sweep.noise[0] * runs.flops ** sweep.noise[1] * rng.standard_normal(len(runs))
        shared = sweep.misfit * rng.standard_normal(int(cell.max()) + 1)[cell]
        yield replace(runs, loss=np.exp(log_loss + own + shared))


def shown(line: Line) -> str:
    """One line of text."""
    seeds = f"{counted(line.seeds, 'seed'):8}"
    grid = f"{line.budgets} budgets x{line.ratio:.3g}, {line.sizes} sizes x{line.span:.3g}, {seeds}"
    cost = f"{line.flops:8.2g} FLOPs {line.hours:6.2f} h an arm"
    failed = f"; {line.failed:.0%} without a" if line.failed else ""
    return f"{grid} {cost}; sd of a {line.sd_2:.3f}, {line.sd_3:.3f}; seen from {line.seen:.3f}{failed}"


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"exponent_power: {error}")
