"""How often the interval of a saving holds the truth, and how often a saving is found where there is none.

    python -m scripts.saving_study --trials 50 --out results/saving_study/saving_study.csv
    python -m scripts.saving_study --alarms 1200 --out results/saving_study/alarms.csv

Two arms on known laws: the second reaches with C what the first reaches with ratio x C; with a trend the ratio shrinks
from 1.4 at the lowest budget. Cells and seeds are shared, and so is part of the noise. What is counted is the ratio by
pairs at every budget: whether its 90% interval holds the truth, and whether 'saves' or 'costs' stands after Holm's
correction at any budget.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.compare.arm import Arm
from harness.compare.assess import Asked, assess
from harness.compare.difference import DIFFER
from harness.compare.looks import corrected
from harness.compare.paired import at_minima, pair, runs_of
from harness.compare.results import ArmSaving
from harness.fit import FitOptions, Points, fit_points
from harness.fit.laws import CostLaw, Law
from harness.fit.table import Array

LAW = np.array((1.69, 406.4, 410.7, 0.34, 0.28))
BUDGETS = (1e18, 3.16e18, 1e19, 3.16e19, 1e20)
LEVEL, DRAWS, WIDTH = 0.9, 100, 4.0


@dataclass(frozen=True)
class Design:
    """Budgets x sizes x seeds that both arms train."""

    budgets: tuple[float, ...]
    sizes: int
    seeds: int

    def __str__(self) -> str:
        return f"{len(self.budgets)}x{self.sizes}x{self.seeds}"


DESIGNS = (
    Design(BUDGETS[::2], 5, 1),
    Design(BUDGETS[::2], 7, 1),
    Design(BUDGETS[::2], 7, 3),
    Design(BUDGETS, 6, 2),
)
NOISES, CORRELATIONS, TRUTHS = (0.003, 0.02), (0.0, 0.8), ("1", "1.1", "1.4", "1.4, shrinking")


def second_law(truth: str) -> Array:
    """The law of the second arm: every term is at C as the first arm's at ratio x C."""
    ratio = float(truth.partition(",")[0])
    floor, size, data, alpha, beta = LAW
    if "shrinking" in truth:
        # the excess loss falls more slowly with C, so that of the lowest budget is met by less and less more compute
        alpha, beta = 0.98 * alpha, 0.98 * beta
        log_n, log_d, _ = Law.from_theta(LAW, CostLaw()).log_optimum(BUDGETS[0])
        size, data = size * np.exp((alpha - LAW[3]) * log_n), data * np.exp((beta - LAW[4]) * log_d)
    return np.array((floor, size * ratio ** (-alpha / 2), data * ratio ** (-beta / 2), alpha, beta))


def true_ratio(law: Array, flops: float) -> float:
    """C that the first law needs for what ``law`` reaches with ``flops``, over that."""
    loss = float(Law.from_theta(law, CostLaw()).log_optimum(flops)[2])
    return float(Law.from_theta(LAW, CostLaw()).at_loss(loss).flops) / flops


def runs(law: Array, design: Design, noise: Array) -> Points:
    """One run for each budget, size and seed; ``noise`` is of ln L, (budgets, sizes, seeds)."""
    cells = []
    for i, budget in enumerate(design.budgets):
        centre = float(Law.from_theta(LAW, CostLaw()).log_optimum(budget)[0])
        for j, off in enumerate(np.linspace(-np.log(WIDTH), np.log(WIDTH), design.sizes)):
            log_n = centre + off
            log_d = np.log(budget / 6) - log_n
            loss = float(Law.from_theta(law).loss_of_logs(log_n, log_d))
            for k in range(design.seeds):
                cells.append((np.exp(log_n), np.exp(log_d), budget, loss * np.exp(noise[i, j, k]), k))
    n, d, c, loss, seed = np.array(cells).T
    return Points(n, d, c, loss, tuple(f"{i}" for i in range(len(n))), budget=c, seed=seed)


def arm(name: str, points: Points, draws: int) -> Arm:
    fit = fit_points(points, FitOptions(draws=draws, backtest=False, level=LEVEL))
    return replace(Arm(name, fit, "text", "text", None, "text"), runs=runs_of(points))


def trials(design: Design, noise: float, correlation: float, n: int) -> Iterator[dict[str, ArmSaving]]:
    """For each trial what is found of each truth, the first arm being one and the noise of the second, too."""
    shape = (len(design.budgets), design.sizes, design.seeds)
    for trial in range(n):
        rng = np.random.default_rng([trial, len(design.budgets), design.sizes, design.seeds])
        shared, one, two = rng.standard_normal((3, *shape))
        first, second = (
            noise * (np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own) for own in (one, two)
        )
        base = arm("first", runs(LAW, design, first), DRAWS)
        found = {}
        for truth in TRUTHS:
            other = arm("second", runs(second_law(truth), design, second), 0)
            asked = Asked(level=LEVEL, flops=design.budgets[-1])
            _, (found[truth],) = assess([base, other], asked)
        yield found


def rows(n: int, designs: Sequence[Design]) -> Iterator[dict[str, str | float | int]]:
    for design in designs:
        for noise in NOISES:
            for correlation in CORRELATIONS:
                made = list(trials(design, noise, correlation, n))
                for truth in TRUTHS:
                    savings = [found[truth] for found in made if found[truth].rows]
                    yield {
                        "design": str(design),
                        "noise": noise,
                        "correlation": correlation,
                        "ratio": truth,
                        "trials": n,
                        **summary(savings, second_law(truth)),
                    }


def summary(savings: Sequence[ArmSaving], law: Array) -> dict[str, float]:
    """Shares over budgets and trials (``held``), or over trials."""
    held, widths, saves, costs, trends, shrinks = [], [], [], [], [], []
    for found in savings:
        truths = [np.log(true_ratio(law, row.flops)) for row in found.rows]
        slope = np.polyfit(np.log([row.flops for row in found.rows]), truths, 1)[0]
        for row, truth in zip(found.rows, truths, strict=True):
            low, high = row.log_ratio.interval or (-np.inf, np.inf)
            held.append(low <= truth <= high)
            widths.append(high - low)
        judged = [row.log_ratio for row in found.rows if row.log_ratio.verdict == DIFFER]
        saves.append(any(one.value > 0 for one in judged if one.value is not None))
        costs.append(any(one.value < 0 for one in judged if one.value is not None))
        low, high = (found.trend and found.trend.interval) or (-np.inf, np.inf)
        trends.append(low <= slope <= high)
        shrinks.append(high < 0)
    return {
        "held": round(float(np.mean(held)), 3),
        "median_factor": round(float(np.exp(np.median(widths))), 3),
        "saves": round(float(np.mean(saves)), 3),
        "costs": round(float(np.mean(costs)), 3),
        "trend_held": round(float(np.mean(trends)), 3),
        "shrinks": round(float(np.mean(shrinks)), 3),
    }


def alarms(n: int, designs: Sequence[Design]) -> Iterator[dict[str, str | float | int]]:
    """How often equal arms are said to differ at some budget, in either direction."""
    for design in designs:
        shape = (len(design.budgets), design.sizes, design.seeds)
        for noise in NOISES:
            found = []
            for trial in range(n):
                first, second = np.random.default_rng([7, trial]).standard_normal((2, *shape))
                one, two = runs(LAW, design, noise * first), runs(LAW, design, noise * second)
                cells = pair(runs_of(one), runs_of(two), lambda run: run.loss)
                minima = at_minima(cells, {cell.budget: middle(one, two, cell.budget) for cell in cells})
                assert minima is not None, "there are cells enough"
                judged = [minima.at(i).judged(LEVEL, 1.0) for i in range(len(minima.budgets))]
                told = [
                    one for one in corrected(judged, LEVEL) if one.verdict == DIFFER and one.value is not None
                ]
                found.append(
                    (any((one.value or 0) < 0 for one in told), any((one.value or 0) > 0 for one in told))
                )
            saves, costs = np.mean(found, axis=0)
            yield {
                "design": str(design),
                "noise": noise,
                "trials": n,
                "saves": round(float(saves), 4),
                "costs": round(float(costs), 4),
            }


def middle(one: Points, two: Points, budget: float) -> float:
    """ln N midway between the minima of both arms' parabolas; an end of the sizes where one has none inside."""
    found = []
    for points in (one, two):
        mine = np.isclose(points.flops, budget, rtol=1e-2)
        x = np.log(points.params[mine])
        curvature, slope, _ = np.polyfit(x - x.mean(), points.loss[mine], 2)
        off = -slope / 2 / curvature if curvature > 0 else 0.0
        found.append(float(x.mean() + np.clip(off, -np.log(WIDTH), np.log(WIDTH))))
    return sum(found) / 2


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--trials", type=int, default=60)
    asked.add_argument("--alarms", type=int, help="trials of equal arms, in place of the others")
    asked.add_argument("--out", type=Path)
    given = asked.parse_args()
    made = []
    for row in alarms(given.alarms, DESIGNS) if given.alarms else rows(given.trials, DESIGNS):
        made.append(row)
        print(*row.values(), sep="\t", flush=True)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        with given.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(made[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(made)


if __name__ == "__main__":
    main()
