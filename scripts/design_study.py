"""Which run next, replayed: how wide the interval of N* is for what was spent, by four ways to choose runs.

    python scripts/design_study.py surfaces --trials 60 --out results/design      # known surfaces, free cells
    python scripts/design_study.py tables --trials 20 --out results/design        # finished runs, each cell once

On surfaces (``scripts/coverage_designs.py``) the full grid is five budgets of seven sizes; N* is asked for at ten
times the largest. ``active`` is what an experiment with ``design=active design.reach=5`` does: an initial design, then
rounds of ``harness.design.advice``. ``cheapest`` and ``random`` take cells of the grid, by rising compute or in any
order. Lines have, for each design and way, the share of the grid's compute after which the interval is as narrow as
that of the whole grid, and at shares of it the width over the whole grid's, the error of ln N*, and how often the
interval holds the truth. On tables the same at 5, 10 and 33% of their compute, where a cell can be run once, and what
should be held is N* of the whole table; every trial leaves out a fifth of the cells at random.
"""

import argparse
import csv
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from harness.design.advice import Advice, Question, advise, near_optimum
from harness.design.candidates import Candidates, free_candidates
from harness.design.config import DesignConfig
from harness.design.first import SPAN as FIRST_SPAN
from harness.design.first import first_sizes
from harness.design.possible_laws import PossibleLaws, possible_laws
from harness.design.rounds import round_share
from harness.fit import FitOptions, Points, read_published
from harness.fit.approach_3 import fit_approach_3
from harness.fit.budgets import group_budgets
from harness.fit.cost_law import fit_cost_law
from harness.fit.pipeline import prepare
from harness.library.sweep import load_sweep
from scripts.coverage_designs import LAWS, Design

SHARES = (0.05, 0.1, 0.2, 0.33)
OPTIONS = FitOptions(draws=200, backtest=False)
ROUNDS, REACH, SPAN, SIZES = DesignConfig.rounds, 5.0, 12.0, 7
GUESS = 1.5  # the initial design lies about so many times N*: nobody knows N* before
FIVE = tuple(np.geomspace(1e18, 1e20, 5))
DESIGNS = (
    *(
        Design(f"{law}, noise {noise:g}", FIVE, noise=noise, truth=LAWS[law])
        for law in LAWS
        for noise in (0.002, 0.006)
    ),
    *(Design(f"{law}, wrong form", FIVE, noise=0.003, truth=LAWS[law], interaction=0.3) for law in LAWS),
    Design("Hoffmann, heavy tails", FIVE, noise=0.003, kind="heavy tails"),
)
"""Three laws in two noises, the same with a term more than the fitted form has, and outliers."""


@dataclass(frozen=True)
class State:
    """After some spending: its share of the whole, the width of the interval of ln N*, and whether it holds the truth.

    Attributes:
        error: how far the estimate of ln N* is off, absolute.
        doubted: whether the fit's status is not ``ok``.
        expected: times the width of the state before that were forecast; NaN where nothing was.
    """

    share: float
    width: float
    error: float
    holds: bool
    doubted: bool
    expected: float = np.nan


@dataclass
class World:
    """A surface from which runs can be had, with noise."""

    design: Design
    rng: np.random.Generator

    def runs(self, params: np.ndarray, flops: np.ndarray) -> Points:
        """Runs of N and C, (n,)."""
        cost = self.design.cost
        tokens = flops / (cost.kappa * params**cost.power)
        noise = self.rng.standard_normal(len(params))
        if self.design.kind == "heavy tails":
            noise = self.rng.standard_t(3, len(params))
        loss = self.design.loss(np.log(params), np.log(tokens)) * np.exp(self.design.noise * noise)
        return Points(params=params, tokens=tokens, flops=flops, loss=loss, budget=flops)

    def sizes(self, flops: float, k: int, span: float, off: float = 1.0) -> np.ndarray:
        """``k`` sizes over ``span`` about ``off`` times N*."""
        return np.exp(self.design.optimum(flops)[0]) * off * np.geomspace(span**-0.5, span**0.5, k)


def joined(parts: list[Points]) -> Points:
    """One table of several."""

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(one, name) for one in parts])

    return Points(
        params=column("params"),
        tokens=column("tokens"),
        flops=column("flops"),
        loss=column("loss"),
        budget=column("budget"),
    )


def state(points: Points, total: float, target: float, truth: float) -> State:
    """What approach 3 says of ln N* at ``target``; an interval without an end is infinitely wide."""
    fit = fit_approach_3(points, OPTIONS)
    drawn = fit.source().draws
    if fit.a is None or drawn is None:
        return State(float(points.flops.sum()) / total, np.inf, np.inf, True, True)
    with np.errstate(all="ignore"):
        sizes = np.asarray(drawn.log_optimum(target)[0])
    low, high = np.quantile(sizes[np.isfinite(sizes)], (0.05, 0.95))
    theta = fit.theta()
    assert theta is not None
    return State(
        share=float(points.flops.sum()) / total,
        width=float(high - low),
        error=abs(float(fit.optimum(theta, target)[0]) - truth),
        holds=bool(low <= truth <= high),
        doubted=fit.status != "ok",
    )


Step = tuple[Points, float]
"""The runs so far, and the factor by which the last round was expected to narrow the interval; NaN of the first."""


def states(steps: Iterator[Step], total: float, target: float, truth: float) -> list[State]:
    """The state after each step."""
    return [replace(state(points, total, target, truth), expected=factor) for points, factor in steps]


def active(world: World, total: float, target: float) -> Iterator[Step]:
    """The table after the initial design, and after every round, up to a third of ``total``."""
    spend = total / 3
    budgets = list(world.design.flops)
    first = first_sizes(budgets, spend)
    points = joined(
        [world.runs(world.sizes(c, k, FIRST_SPAN, GUESS), np.full(k, c)) for c, k in first.items()]
    )
    yield points, np.nan
    for done in range(ROUNDS):
        laws = possible_laws(points, OPTIONS)
        if laws is None:
            return
        optimum = dict(zip(budgets, np.exp(laws.log_params(np.array(budgets))), strict=True))
        candidates = free_candidates(points, optimum, REACH, fit_cost_law(points))
        advice = advised(points, laws, candidates, spend, target, done)
        chosen = [pick.candidate for pick in advice.picks]
        if chosen:
            points = joined([points, world.runs(candidates.params[chosen], candidates.flops[chosen])])
            yield points, advice.factor


def advised(
    points: Points, laws: PossibleLaws, candidates: Candidates, spend: float, target: float, done: int
) -> Advice:
    """What the round after ``done`` rounds is to train."""
    spent = float(points.flops.sum())
    question = Question(
        aim="params",
        flops=target,
        spend=spend - spent,
        round_spend=(spend - spent) * round_share(done, ROUNDS),
        spent=spent,
        spent_near=float(points.flops[near_optimum(points, laws)].sum()),
    )
    return advise(points, laws, candidates, question)


def prefixes(whole: Points, order: np.ndarray, shares: tuple[float, ...]) -> Iterator[Points]:
    """The runs of ``order`` whose compute together is at most each share."""
    spent = np.cumsum(whole.flops[order]) / whole.flops.sum()
    for share in shares:
        yield whole.select(order[spent <= share + 1e-9])


def surface_trial(design: Design, seed: int) -> dict[str, list[State]]:
    """The states of every way to choose, by rising share; of ``full`` one."""
    world = World(design, np.random.default_rng([seed, 7]))
    target, truth = design.target, design.optimum(design.target)[0]
    grid = joined([world.runs(world.sizes(c, SIZES, SPAN), np.full(SIZES, c)) for c in design.flops])
    total = float(grid.flops.sum())
    shares = (*SHARES, 0.5, 0.66, 0.8, 0.9, 1.0)
    orders = {
        "cheapest": np.argsort(grid.flops, kind="stable"),
        "random": world.rng.permutation(len(grid)),
    }
    return {
        "full": [state(grid, total, target, truth)],
        "active": states(active(world, total, target), total, target, truth),
        **{
            name: [state(one, total, target, truth) for one in prefixes(grid, order, shares) if len(one) > 5]
            for name, order in orders.items()
        },
    }


def at(states: list[State], share: float) -> State | None:
    """The last state that has spent no more than ``share``."""
    within = [one for one in states if one.share <= share + 0.005]
    return within[-1] if within else None


def reached(states: list[State], width: float) -> float:
    """The share at which the interval is as narrow as ``width`` and stays so; infinite where it never is."""
    narrow = np.inf
    for one in reversed(states):
        if one.width > width:
            break
        narrow = one.share
    return float(narrow)


def summary(
    name: str, trials: list[dict[str, list[State]]], shares: tuple[float, ...]
) -> list[dict[str, object]]:
    """A line for each way to choose."""
    lines = []
    full = np.array([trial["full"][0].width for trial in trials])
    for way in trials[0]:
        line: dict[str, object] = {"design": name, "way": way, "trials": len(trials)}
        needed = [reached(t[way], w) for t, w in zip(trials, full, strict=True)]
        line["share until as narrow"] = round(float(np.median(needed)), 3)
        for share in shares if way != "full" else (1.0,):
            found = [at(trial[way], share) for trial in trials]
            widths = [np.inf if one is None else one.width for one in found]
            ratio = np.median(np.array(widths) / full)
            line[f"width at {share:g}"] = round(float(ratio), 3)
            known = [one for one in found if one is not None and np.isfinite(one.width)]
            if known:
                line[f"error at {share:g}"] = round(float(np.median([one.error for one in known])), 4)
                line[f"holds at {share:g}"] = round(float(np.mean([one.holds for one in known])), 3)
                line[f"doubted at {share:g}"] = round(float(np.mean([one.doubted for one in known])), 3)
        pairs = [pair for trial in trials for pair in pairwise(trial[way])]
        realised = [two.width / (one.width * two.expected) for one, two in pairs if np.isfinite(one.width)]
        if way == "active" and np.isfinite(realised).any():
            line["width over forecast"] = round(float(np.nanmedian(realised)), 3)
        lines.append(line)
    return lines


def table_trial(
    whole: Points, shares: tuple[float, ...], truth: float, target: float, seed: int
) -> dict[str, list[State]]:
    """The same on four fifths of a table's runs."""
    rng = np.random.default_rng([seed, 9])
    mine = whole.select(np.sort(rng.permutation(len(whole))[: round(0.8 * len(whole))]))
    total = float(mine.flops.sum())
    return {
        "full": [state(mine, total, target, truth)],
        "active": [
            states(iter(list(active_of(mine, share * total, target))[-1:]), total, target, truth)[0]
            for share in shares
        ],
        "cheapest": [
            state(one, total, target, truth)
            for one in prefixes(mine, np.argsort(mine.flops, kind="stable"), shares)
            if len(one) > 5
        ],
        "random": [
            state(one, total, target, truth)
            for one in prefixes(mine, rng.permutation(len(mine)), shares)
            if len(one) > 5
        ],
    }


def active_of(whole: Points, spend: float, target: float) -> Iterator[Step]:
    """The chosen rows of ``whole`` after the initial design and every round, within ``spend``."""
    taken = first_rows(whole, spend)
    yield whole.select(sorted(taken)), np.nan
    for done in range(ROUNDS):
        points = whole.select(sorted(taken))
        laws = possible_laws(points, OPTIONS)
        if laws is None:
            return
        rest = np.array([i for i in range(len(whole)) if i not in taken], dtype=int)
        left = whole.select(rest)
        candidates = Candidates(left.params, left.tokens, left.flops, left.flops, left.flops, again=False)
        advice = advised(points, laws, candidates, spend, target, done)
        taken |= set(rest[[pick.candidate for pick in advice.picks]].tolist())
        yield whole.select(sorted(taken)), advice.factor


def first_rows(whole: Points, spend: float) -> set[int]:
    """The initial design: sizes spread evenly over the cheapest budgets, within half of ``spend``."""
    taken: set[int] = set()
    budgets = group_budgets(whole)
    groups = dict(zip(budgets.labels, budgets.groups, strict=True))
    for budget, k in first_sizes(sorted(groups), spend).items():
        rows = sorted(groups[budget], key=lambda i: whole.params[i])
        taken |= {rows[i] for i in np.unique(np.round(np.linspace(0, len(rows) - 1, k)).astype(int))}
    # where that is too much, the cheapest of them, and the cheapest of all to make up for it
    for i in sorted(taken, key=lambda i: -whole.flops[i]):
        if whole.flops[sorted(taken)].sum() > spend / 2:
            taken.discard(i)
    for i in np.argsort(whole.flops, kind="stable").tolist():
        if len(taken) < 9 and whole.flops[sorted(taken | {i})].sum() <= spend:
            taken.add(i)
    return taken


def tables(results: Path) -> Iterator[tuple[str, Points]]:
    """The published points, where they are at hand, and the finished sweep of results/cpu_frontier."""
    if "ISOFLOP_HOFFMANN_POINTS" in os.environ:
        yield (
            "published points",
            prepare(read_published(Path(os.environ["ISOFLOP_HOFFMANN_POINTS"])), OPTIONS),
        )
    yield "cpu_frontier", prepare(load_sweep(results / "cpu_frontier").points, OPTIONS)


def run_surfaces(arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> list[dict[str, object]]:
    """All designs."""
    lines = []
    for design in DESIGNS:
        if arguments.only in design.name:
            trials = list(pool.map(partial(surface_trial, design), range(arguments.trials)))
            lines += shown(summary(design.name, trials, SHARES))
    return lines


def run_tables(arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> list[dict[str, object]]:
    """All tables."""
    lines = []
    shares = (0.05, 0.1, 0.33)
    for name, whole in tables(Path("results")):
        if arguments.only in name:
            target = 10 * float(whole.flops.max())
            fit = fit_approach_3(whole, replace(OPTIONS, draws=0))
            theta = fit.theta()
            assert theta is not None
            truth = float(fit.optimum(theta, target)[0])
            one = partial(table_trial, whole, shares, truth, target)
            lines += shown(summary(name, list(pool.map(one, range(arguments.trials))), shares))
    return lines


def shown(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    """Print them as they come."""
    for line in lines:
        print("  ".join(f"{key} {value}" for key, value in line.items()), flush=True)
    return lines


def main() -> None:
    """Run a part of the study, print its lines and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("surfaces", "tables"))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", default="", help="designs or tables whose name has this")
    parser.add_argument("--out", type=Path, help="folder for surfaces.csv or tables.csv")
    arguments = parser.parse_args()
    with ProcessPoolExecutor(arguments.workers) as pool:
        lines = (run_surfaces if arguments.part == "surfaces" else run_tables)(arguments, pool)
    if arguments.out and lines:
        arguments.out.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(key for line in lines for key in line))
        with (arguments.out / f"{arguments.part}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)


if __name__ == "__main__":
    main()
