"""What is made of hyperparameters that vary within one (N, D): bias and coverage on sweeps of a known answer.

    python scripts/cells_study.py                           every design, 20 sweeps each
    python scripts/cells_study.py --only full --repeats 10

A sweep has a grid of learning rates and batches at every (N, D). Its losses are those of a law of N and D, plus a
response to both hyperparameters about best values that are power laws of N and D, plus noise. ``analysis.cells`` is set
to ``mean``, ``best`` and ``surface`` in turn. Of approach 3's a, E and N* (at ten times the largest compute) the error
and how often the 90% interval holds the truth are printed; of the surface also how often the intervals of the best
values, of their exponents and of the cells' losses do.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import UserError
from harness.fit import CostLaw, FitOptions, Points, fit_points
from harness.fit.laws import Law
from harness.fit.options import CELLS
from harness.fit.results import FitResults
from harness.fit.table import Array

LAW = (1.69, 406.4, 410.7, 0.34, 0.28)
# Of ln lr and ln batch: at N = 2e8 and D = 1e10, and the powers of N and D.
RULES = np.array(((np.log(2e-3), -0.7, 0.3), (np.log(64.0), 0.1, 0.55)))
BEND = np.array(((0.06, -0.016), (-0.016, 0.03)))
CLIFF = 1.8  # in ln lr above the best: beyond it runs diverge
BEYOND = 10.0


@dataclass(frozen=True)
class Response:
    """How a sweep is made.

    Attributes:
        sizes, horizons: of the grid; of its cells the first ``cells``, if that is given.
        rates, batches: tried in each cell. seeds: of every recipe.
        noise: standard deviation of a run, nats per token.
        reach: of ln rate and ln batch to either side of the best; the middle is off it by up to 0.3.
        skew: of the loss on the side of high rates, against the other.
        cliff: whether high rates diverge.
        fewer: whether cells are without more of their recipes the larger they are, down to a tenth.
        apart: standard deviation of the cells' own best values about the rules, in ln.
        columns: names of the two hyperparameters.
    """

    sizes: int = 5
    horizons: int = 4
    cells: int | None = None
    rates: int = 5
    batches: int = 4
    seeds: int = 1
    noise: float = 0.0
    reach: tuple[float, float] = (1.2, 1.0)
    skew: float = 0.0
    cliff: bool = False
    fewer: bool = False
    apart: float = 0.0
    columns: tuple[str, str] = ("lr", "batch_size")

    def make(self, seed: int = 0) -> Points:
        """The table of one sweep."""
        rng = np.random.default_rng(seed)
        grid = [
            (float(n), float(d))
            for n in np.geomspace(6e7, 1e9, self.sizes)
            for d in np.geomspace(2e9, 1e11, self.horizons)
        ][: self.cells]
        rows = []
        for n, d in grid:
            best = RULES @ (1.0, np.log(n / 2e8), np.log(d / 1e10))
            shift, own = rng.uniform(-0.3, 0.3, 2), self.apart * rng.standard_normal(2)
            rates = np.linspace(-1, 1, self.rates) * self.reach[0] + shift[0]
            batches = np.linspace(-1, 1, self.batches) * self.reach[1] + shift[1]
            tried = [(float(rate), float(batch)) for rate in rates for batch in batches]
            if self.fewer:
                share = np.interp(np.log(n * d), np.log((6e7 * 2e9, 1e9 * 1e11)), (1.0, 0.1))
                tried = [tried[i] for i in rng.permutation(len(tried))[: max(4, int(share * len(tried)))]]
            for off in tried:
                values, away = np.exp(best + np.array(off)), np.array(off) - own
                rows += [(n, d, *values, *away, s) for s in range(self.seeds)]
        n, d, lr, size, *offs, seeds = np.array(rows).T
        loss = self.truth(n, d) + self.rise(np.stack(offs, axis=1)) + self.noise * rng.standard_normal(len(n))
        extra = dict(zip(self.columns, (lr, size), strict=True))
        return Points(n, d, 6 * n * d, loss, extra=extra, seed=seeds if self.seeds > 1 else None)

    def rise(self, off: Array) -> Array:
        """How far the loss lies above the best recipe's, off (n, 2) in ln rate and ln batch from it, (n,)."""
        found = 0.5 * np.einsum("ni,ij,nj->n", off, BEND, off)
        found += 0.5 * BEND[0, 0] * self.skew * off[:, 0] ** 2 * np.tanh(off[:, 0])
        return np.asarray(found + 2.0 * self.cliff * np.maximum(off[:, 0] - CLIFF, 0.0))

    @staticmethod
    def truth(params: Array, tokens: Array) -> Array:
        """The loss of the best recipe, nats per token."""
        return Law.from_theta(np.array(LAW)).loss_of_logs(np.log(params), np.log(tokens))


# 41 cells of 66 recipes are about the size of a public sweep of 2,702 runs.
FULL = Response(7, 6, 41, 11, 6, noise=0.003, reach=(2.4, 1.7))
DESIGNS = {
    "full": FULL,
    "skewed, with a cliff": replace(FULL, skew=0.4, cliff=True),
    "noisy": replace(FULL, noise=0.01),
    "seeds": replace(FULL, rates=7, batches=4, seeds=3, noise=0.01),
    "uneven": replace(FULL, fewer=True, noise=0.01),
    "cells apart": replace(FULL, apart=0.3),
    "small": Response(5, 4, None, 4, 3, noise=0.003),
}


def rule_at(params: float, tokens: float) -> Array:
    """The true best rate and batch."""
    return np.asarray(np.exp(RULES @ (1.0, np.log(params / 2e8), np.log(tokens / 1e10))))


@dataclass(frozen=True)
class Errors:
    """Estimate less truth, and whether the interval holds it; by quantity."""

    error: dict[str, float]
    held: dict[str, float]
    trusted: bool


def errors(points: Points, cells: str, draws: int) -> Errors:
    """Of one sweep's fit with ``analysis.cells=cells``; no numbers where the fit has none."""
    try:
        fit = fit_points(points, FitOptions(cells=cells, draws=draws, backtest=False))
    except UserError:
        return Errors({}, {}, False)
    law, target = Law.from_theta(np.array(LAW), CostLaw()), BEYOND * float(points.flops.max())
    found = fit.approach_3
    optimum = found.predict(target)
    if found.a is None or found.E is None or optimum.params is None:
        return Errors({}, {}, False)
    true = float(law.log_optimum(target)[0])
    error = {
        "a": found.a - LAW[4] / (LAW[3] + LAW[4]),
        "E": found.E - LAW[0],
        "ln N*": float(np.log(optimum.params)) - true,
    }
    held = {
        "a": _holds(found.a_interval, LAW[4] / (LAW[3] + LAW[4])),
        "E": _holds(found.E_interval, LAW[0]),
        "ln N*": _holds(optimum.params_interval, float(np.exp(true))),
    }
    return Errors(error | _cell_errors(fit), held | _rules_held(fit), found.status == "ok")


def _holds(interval: tuple[float, float] | None, truth: float) -> float:
    return float("nan") if interval is None else float(interval[0] <= truth <= interval[1])


def _cell_errors(fit: FitResults) -> dict[str, float]:
    if fit.cells is None or not fit.cells.optima:
        return {}
    off = [
        one.loss - float(Response.truth(_row(one.params), _row(one.tokens))[0]) for one in fit.cells.optima
    ]
    found = {"loss": float(np.mean(off))}
    for j, rule in enumerate(fit.cells.rules):
        found[f"ln {rule.column}"] = float(np.log(rule.value / rule_at(rule.params, rule.tokens)[j]))
    return found


def _rules_held(fit: FitResults) -> dict[str, float]:
    held: dict[str, float] = {}
    cells = fit.cells
    if cells is None or not cells.rules:
        return held
    for j, rule in enumerate(cells.rules):
        held[f"ln {rule.column}"] = _holds(rule.value_interval, rule_at(rule.params, rule.tokens)[j])
        ends = (rule.params_exponent_interval, rule.tokens_exponent_interval)
        held[f"exponents of {rule.column}"] = float(
            np.mean([_holds(end, true) for end, true in zip(ends, RULES[j, 1:], strict=True)])
        )
    held["loss"] = float(
        np.mean(
            [
                _holds(one.loss_interval, float(Response.truth(_row(one.params), _row(one.tokens))[0]))
                for one in cells.optima
            ]
        )
    )
    return held


def _row(value: float) -> Array:
    return np.array([value])


def study(design: Response, cells: str, repeats: int, draws: int) -> list[str]:
    """The lines of a table: every quantity's mean error, its standard deviation, and the interval's coverage."""
    found = [errors(design.make(seed), cells, draws) for seed in range(repeats)]
    got = [one for one in found if one.error]
    lines = [f"  {cells}: {len(got)} of {repeats} fitted, {sum(one.trusted for one in got)} ok"]
    for name in dict.fromkeys(name for one in got for name in (*one.error, *one.held)):
        off = np.array([one.error.get(name, np.nan) for one in got])
        held = np.array([one.held.get(name, np.nan) for one in got])
        told = "" if np.isnan(off).all() else f"error {np.nanmean(off):+.4f}, sd {np.nanstd(off):.4f}"
        told += "" if np.isnan(held).all() else f"   held {np.nanmean(held):.2f}"
        lines.append(f"    {name:24}{told}")
    return lines


def main() -> None:
    """Prints the study."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=tuple(DESIGNS))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--draws", type=int, default=100)
    asked = parser.parse_args()
    for name, design in DESIGNS.items():
        if asked.only not in (None, name):
            continue
        print(f"{name}: {len(design.make())} runs", flush=True)
        for cells in CELLS:
            print("\n".join(study(design, cells, asked.repeats, asked.draws)), flush=True)


if __name__ == "__main__":
    main()
