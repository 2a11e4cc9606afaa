"""How often nominal intervals hold the truth, and how often a sweep doubts itself: many noisy synthetic sweeps.

    python scripts/coverage_study.py --out results/coverage            144 designs x 400 sweeps, approaches 2 and 3
    python scripts/coverage_study.py --designs "span 12, centred" --trials 60
    python scripts/coverage_study.py --methods                         every method on one design
    python scripts/coverage_study.py --set small                       sweeps of the demo's size
    python scripts/coverage_study.py --set recipes                     faults of a recipe: what the checks see of them
    python scripts/coverage_study.py --table results/coverage          the study's file in short, by noise and form
    python scripts/coverage_study.py --alarms                          whole reports of clean sweeps: false alarms

Lines that --out already holds, of as many sweeps, are kept and not made again.

Every trial is a grid of budgets x sizes on a known surface; the intervals asked about are those of a and, at ten times
the largest budget, of N* and L*. A sweep doubts itself where the status of the approach, or of what it predicts there,
is not ok. A design passes where a and N* are held in at least .85 of all sweeps, or at least half of them doubt.
"""

import argparse
import csv
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.fit import Curve, FitOptions, Points, fit_points
from harness.fit.approach_1 import fit_approach_1
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.results import Approach
from harness.fit.table import Array
from scripts.coverage_designs import SETS, Design, sweep

HELD, DOUBTED = 0.85, 0.5


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
    Method("approach 1", _one, {}),
    Method("approach 2", _two, {}),
    Method("approach 3", _three, {}),
    Method("approach 2, bias left in", _two, {"correct_bias": False}),
    Method("approach 2, pairs", _two, {"bootstrap": "pairs"}),
    Method("approach 2, cubic", _two, {"degree": 3}),
    Method("approach 2, robust", _two, {"robust": True}),
    Method("approach 3, plain pairs", _three, {"bootstrap": "pairs"}),
    Method("approach 3, least squares", _three, {"huber_delta": np.inf}),
    Method("approach 3, least squares, wild", _three, {"huber_delta": np.inf, "bootstrap": "wild"}),
    Method("approach 3, variable projection", _three, {"solver": "varpro"}),
)
DEFAULTS = METHODS[:3]


@dataclass(frozen=True)
class Asked:
    """One design of the study: every sweep of it is fitted by all ``methods``, ``trials`` sweeps, ``draws`` in each."""

    design: Design
    methods: tuple[Method, ...]
    trials: int
    draws: int
    level: float
    seed: int


@dataclass(frozen=True)
class Studied:
    """Shares of all sweeps: held is within the interval; doubted has a status that is not ok.

    Attributes:
        trusted: of the sweeps that do not doubt themselves, how many hold N*.
        width: median width of the interval of ln N*.
        bias_a, bias_params: mean error of a, and of ln N* at the target.
        doubts: the statuses met, most frequent first.
    """

    design: str
    method: str
    held_a: float
    held_params: float
    held_loss: float
    doubted: float
    trusted: float
    width: float
    bias_a: float
    bias_params: float
    trials: int
    seconds: float
    doubts: str

    @property
    def passed(self) -> bool:
        return self.doubted >= DOUBTED or min(self.held_a, self.held_params) >= HELD


@dataclass
class Tally:
    """Of one method on one design, sweep by sweep: what :class:`Studied` sums up."""

    held: Array = field(default_factory=lambda: np.zeros(3))
    doubted: int = 0
    trusted: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    errors: list[tuple[float, float]] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, fitted: Approach, design: Design, truth: tuple[float, float, float]) -> None:
        """One fit of a sweep whose a, N* and L* are ``truth``."""
        found = fitted.predict(design.target)
        bounds = (fitted.a_interval, found.params_interval, found.loss_interval)
        inside = [
            span is not None and span[0] <= value <= span[1]
            for span, value in zip(bounds, truth, strict=True)
        ]
        self.held = self.held + inside
        flags = set(fitted.flags) | set(found.flags)
        self.doubted += bool(flags)
        self.codes.update(flags)
        if not flags:
            self.trusted.append(inside[1])
        if fitted.a is not None and found.params is not None:
            self.errors.append((fitted.a - truth[0], float(np.log(found.params / truth[1]))))
        if found.params_interval is not None:
            with np.errstate(all="ignore"):
                low, high = found.params_interval
                self.widths.append(float(np.log(high / low)) if low > 0 else np.inf)

    def summary(self, design: str, method: str, trials: int) -> Studied:
        held = self.held / trials
        bias = np.mean(self.errors, axis=0) if self.errors else (np.nan, np.nan)
        return Studied(
            design=design,
            method=method,
            held_a=float(held[0]),
            held_params=float(held[1]),
            held_loss=float(held[2]),
            doubted=self.doubted / trials,
            trusted=float(np.mean(self.trusted)) if self.trusted else float("nan"),
            width=float(np.median(self.widths)) if self.widths else float("nan"),
            bias_a=float(bias[0]),
            bias_params=float(bias[1]),
            trials=trials,
            seconds=self.seconds,
            doubts=" ".join(f"{code}:{count / trials:.2f}" for code, count in self.codes.most_common(4)),
        )


def study(asked: Asked) -> list[Studied]:
    """Many sweeps of one design, each by every method."""
    design = asked.design
    log_n, loss = design.optimum(design.target)
    truth = (design.exponent, float(np.exp(log_n)), loss)
    tallies = [Tally() for _ in asked.methods]
    for trial in range(asked.trials):
        points, curves = sweep(np.random.default_rng([asked.seed, trial]), design)
        for method, tally in zip(asked.methods, tallies, strict=True):
            started = time.perf_counter()
            options = FitOptions(draws=asked.draws, seed=trial, level=asked.level, **method.options)
            tally.add(method.fit(points, options, curves), design, truth)
            tally.seconds += time.perf_counter() - started
    return [
        tally.summary(design.name, method.name, asked.trials)
        for method, tally in zip(asked.methods, tallies, strict=True)
    ]


def alarms(asked: Asked) -> tuple[str, float, float, str]:
    """Of a clean design: the share of whole fits with any doubt at all, and of doubts that something is wrong.

    Approach 1 takes part in the comparison of the three; its own doubt, of envelopes from before the cooldown, is no
    alarm: it holds of every sweep of cosines.
    """
    codes: Counter[str] = Counter()
    any_doubt = wrong = 0
    for trial in range(asked.trials):
        points, curves = sweep(np.random.default_rng([asked.seed, trial]), asked.design)
        fit = fit_points(points, FitOptions(draws=asked.draws, seed=trial, level=asked.level), curves)
        found = {f"{a.name[-1]}:{code}" for a in fit.approaches[1:] for code in a.flags}
        found |= {f"2:{code}" for budget in fit.approach_2.budgets for code in budget.flags}
        found |= {
            f"{name[-1]}:{code}"
            for name, estimate in fit.predict(asked.design.target).items()
            if name != "approach_1"
            for code in estimate.flags
        }
        if fit.agreement.status in ("disagree", "unclear"):
            found.add(fit.agreement.status)
        codes.update(found)
        any_doubt += bool(found)
        wrong += bool([code for code in found if code.split(":")[-1] not in LACKING])
    told = " ".join(f"{code} {count / asked.trials:.3f}" for code, count in codes.most_common(6))
    return asked.design.name, any_doubt / asked.trials, wrong / asked.trials, told


# Doubts that say what the runs do not show, which is true of a sweep that is too small: not that something is wrong.
LACKING = (
    "wide_interval",
    "at_bound",
    "unidentified",
    "unstable",
    "budgets_dropped",
    "too_few_budgets",
    "two_budgets",
    "extrapolation",
    "vertex_outside_range",
    "at_edge",
    "no_floor",
    "unclear",
)


def main() -> None:
    args = _arguments()
    if args.table:
        print(_table(Path(args.table) / "coverage.csv"))
        return
    if args.methods:
        five = tuple(np.geomspace(1e18, 1e20, 5))
        designs: Sequence[Design] = (Design("5 x 7, span 12, normal noise .002", five),)
        methods: Sequence[Method] = METHODS
    else:
        designs = SETS[args.set]()
        methods = DEFAULTS if args.set == "small" else DEFAULTS[1:]
    if args.alarms:
        designs = [design for design in designs if design.clean]
    wanted = tuple(method for method in methods if args.only in method.name)
    done = _read(Path(args.out), args.trials) if args.out and not args.alarms else []
    asked = [
        Asked(design, wanted, args.trials, args.draws, args.level, args.seed)
        for design in designs
        if all(part in design.name for part in args.designs.split("&"))
        and {(design.name, method.name) for method in wanted} - {(row.design, row.method) for row in done}
    ]
    again = {one.design.name for one in asked}
    done = [row for row in done if row.design not in again]
    print(
        f"{len(asked)} designs of {args.trials} sweeps, {args.draws} draws, nominal {args.level:.0%}"
        + (f"; {len(done)} lines are there\n" if done else "\n"),
        flush=True,
    )
    with ProcessPoolExecutor(args.workers) as pool:
        if args.alarms:
            print("| design | any doubt | that something is wrong | by approach |\n|---|---|---|---|")
            for name, doubt, wrong, told in pool.map(alarms, asked):
                print(f"| {name} | {doubt:.3f} | {wrong:.3f} | {told} |", flush=True)
            return
        print(
            "| design | method | a | N* | L* | doubted | N* of trusted | width of ln N* | bias of ln N* | doubts |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        rows = done
        for found in pool.map(study, asked):
            rows = [*rows, *found]
            print("\n".join(map(_line, found)), flush=True)
            if args.out:
                _write(Path(args.out), rows)
    failed = [row for row in rows if not row.passed]
    print(
        f"\n{len(rows) - len(failed)} of {len(rows)} hold a and N* in {HELD:g}, or doubt in {DOUBTED:g} of their sweeps"
    )


def _line(found: Studied) -> str:
    mark = "" if found.passed else " **!**"
    return (
        f"| {found.design}{mark} | {found.method} | {found.held_a:.3f} | {found.held_params:.3f} "
        f"| {found.held_loss:.3f} | {found.doubted:.3f} | {found.trusted:.3f} | {found.width:.3f} "
        f"| {found.bias_params:+.3f} | {found.doubts} |"
    )


def _write(folder: Path, rows: list[Studied]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "coverage.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, [field.name for field in fields(Studied)], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(row).items()})


def _read(folder: Path, trials: int) -> list[Studied]:
    """Lines of an earlier study of as many sweeps, which are not made again."""
    path = folder / "coverage.csv"
    kinds = get_type_hints(Studied)
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        found = [Studied(**{k: kinds[k](v) for k, v in row.items()}) for row in csv.DictReader(lines)]
    return [row for row in found if row.trials == trials]


def _table(path: Path) -> str:
    """One row for each form, noise and method: the lowest and the highest share over laws, spans and grids."""
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in rows:
        *_, kind, form = row["design"].split(", ")
        groups.setdefault((form, kind, row["method"]), []).append(row)
    lines_out = [
        "| form | noise | method | designs | a | N* | L* | doubted | N* where not doubted |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (form, kind, method), found in sorted(groups.items()):
        columns = [
            _range([float(row[name]) for row in found])
            for name in ("held_a", "held_params", "held_loss", "doubted", "trusted")
        ]
        lines_out.append(f"| {form} | {kind} | {method} | {len(found)} | {' | '.join(columns)} |")
    return "\n".join(lines_out)


def _range(values: list[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    return f"{min(known):.2f} to {max(known):.2f}" if known else "-"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=400, help="synthetic sweeps for each line")
    parser.add_argument("--draws", type=int, default=200, help="bootstrap draws in each")
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="methods whose name contains this")
    parser.add_argument(
        "--designs", default="", help="designs whose name contains this; several parts joined by &"
    )
    parser.add_argument("--methods", action="store_true", help="every method on one design")
    parser.add_argument("--set", choices=SETS, default="grid", help="which designs")
    parser.add_argument(
        "--alarms", action="store_true", help="false alarms of whole fits in the clean designs"
    )
    parser.add_argument("--table", default="", help="folder whose coverage.csv is to be printed in short")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--out", default="", help="folder for coverage.csv")
    return parser.parse_args()


if __name__ == "__main__":
    main()
