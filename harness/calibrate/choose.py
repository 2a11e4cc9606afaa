"""Which number of runs side by side finishes an experiment soonest. Arithmetic only."""

from collections.abc import Mapping, Sequence

from harness.calibrate.side_by_side import Speed
from harness.plan.cell import Cell
from harness.plan.ladder import log_spaced
from harness.plan.throughput import ThroughputConfig, makespan, seconds

WORTH = 1.03  # fewer runs at once are simpler, use less memory, and lose less when one dies


def spread_cells(cells: Sequence[Cell], sizes: int) -> list[Cell]:
    """About ``sizes`` cells of different N from the smallest to the largest, evenly in log N.

    Of the cells of one size the one in the middle of its horizons is taken, for its batch.
    """
    by_size: dict[int, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.tokens):
        by_size.setdefault(cell.params.total, []).append(cell)
    all_sizes = sorted(by_size)
    aims = log_spaced((all_sizes[0] * all_sizes[-1]) ** 0.5, all_sizes[-1] / all_sizes[0], sizes)
    chosen = {min(all_sizes, key=lambda size: abs(size / aim - 1)) for aim in aims}
    return [by_size[size][len(by_size[size]) // 2] for size in sorted(chosen)]


def throughput_of(alone: Sequence[Speed], speeds: Sequence[Speed]) -> ThroughputConfig:
    """Speeds as time estimates read them; what a run costs beside its steps is always that of one alone.

    Runs that come later find kernels compiled and files in memory: their start is not theirs to compare.
    """
    startups = sorted(speed.startup_seconds for speed in alone)
    return ThroughputConfig(
        params=[float(speed.params) for speed in speeds],
        flops_per_second=[speed.flops_per_second for speed in speeds],
        startup_seconds=startups[len(startups) // 2],
    )


def makespans(cells: Sequence[Cell], measured: Mapping[int, Sequence[Speed]]) -> dict[int, float]:
    """Seconds that one device needs for all ``cells`` with each measured number of runs at once."""
    result = {}
    for runs, speeds in measured.items():
        throughput = throughput_of(measured[1], speeds)
        durations = [
            seconds(throughput, cell.params.total, cell.flops_by_count["appendix_f"]) for cell in cells
        ]
        result[runs] = makespan(durations, runs)
    return result


def best(spans: Mapping[int, float]) -> int:
    """The number of runs with the shortest makespan; more runs only where they are worth it."""
    chosen = min(spans)
    for runs in sorted(spans):
        if spans[runs] * WORTH < spans[chosen]:
            chosen = runs
    return chosen
