"""The report's page of a sweep of many runs: its size, and the time that it takes.

    python -m scripts.bench_page            # 5,000 runs: 50 budgets of 100 sizes, each with a training curve
    python -m scripts.bench_page --runs 500
    python -m scripts.bench_page --records  # as a sweep's own: a table with all columns and a plan

The runs are made up from the law of Hoffmann et al. 2022 with noise. Times are of the clock, on whatever machine this
is: compare sizes, and times of one session with each other.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.fit import Curve, FitOptions, Points, fit_points
from harness.plan.plan import Plan
from harness.report.data import ReportData
from harness.report.files import write_report
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import Record, read_record

LAW = (1.69, 406.4, 410.7, 0.34, 0.28)  # E, A, B, alpha, beta
SIZES = 100
STEPS = 2000


def made_up(budgets: int) -> tuple[Points, dict[str, Curve]]:
    """``budgets`` profiles of :data:`SIZES` runs each, with their training curves."""
    rng = np.random.default_rng(0)
    flops = np.repeat(np.geomspace(1e17, 1e21, budgets), SIZES)
    params = 0.09 * flops**0.5 * np.tile(np.geomspace(1 / 6, 6, SIZES), budgets)
    tokens = flops / (6 * params)
    E, A, B, alpha, beta = LAW
    loss = (E + A / params**alpha + B / tokens**beta) * np.exp(0.002 * rng.standard_normal(len(flops)))
    names = tuple(f"run{i:05d}" for i in range(len(flops)))
    curves = {}
    step = np.unique(np.geomspace(1, STEPS, 300).astype(int)).astype(float)
    for i, name in enumerate(names):
        seen = tokens[i] * step / STEPS
        trained = np.minimum(E + A / params[i] ** alpha + B / seen**beta + 0.05 * (1 - step / STEPS), 10.8)
        noisy = trained * np.exp(0.01 * rng.standard_normal(len(step)))
        curves[name] = Curve(step, seen, flops[i] * step / STEPS, noisy)
    return Points(params, tokens, flops, loss, run_id=names, budget=flops), curves


def recorded(
    points: Points, curves: dict[str, Curve]
) -> tuple[Plan, dict[str, Record], Points, dict[str, Curve]]:
    """The same runs as if this harness had trained them: one committed run, with a seed and a rate for each."""
    sweep = SweepFolder(Path(__file__).parents[1] / "results" / "demo")
    first = frozen_plan(sweep).cells[0]
    record = read_record(sweep.cell(first.run_id).record, first.run_id)
    assert record is not None
    cells, found = [], {}
    for i, loss in enumerate(points.loss):
        rate = replace(first.spec.optimizer, lr=first.spec.optimizer.lr * (1 + i / len(points)))
        budget = float(points.flops[i])
        cell = replace(first, budget=budget, spec=replace(first.spec, seed=i, optimizer=rate))
        cells.append(cell)
        found[cell.run_id] = replace(
            record, run_id=cell.run_id, spec=cell.spec.to_json(), budget=budget, loss=float(loss)
        )
    names = tuple(cell.run_id for cell in cells)
    named = dict(zip(points.run_id, names, strict=True))
    return (
        Plan("many runs", tuple(cells)),
        found,
        replace(points, run_id=names),
        {named[name]: curve for name, curve in curves.items()},
    )


def main() -> None:
    """Print what a page takes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--records", action="store_true")
    asked = parser.parse_args()
    points, curves = made_up(max(2, asked.runs // SIZES))
    plan: Plan | None = None
    records: dict[str, Record] = {}
    if asked.records:
        plan, records, points, curves = recorded(points, curves)
    begun = time.perf_counter()
    fit = fit_points(points, FitOptions(draws=100), curves)
    fitted = time.perf_counter()
    data = ReportData(
        name="many runs", fit=fit, points=points, table=points, curves=curves, plan=plan, records=records
    )
    with tempfile.TemporaryDirectory() as folder:
        written = write_report(data, Path(folder))
        size = written.html.stat().st_size / 1e6
    done = time.perf_counter()
    print(f"{len(points)} runs: fit {fitted - begun:.1f} s, report {done - fitted:.1f} s, page {size:.2f} MB")


if __name__ == "__main__":
    main()
