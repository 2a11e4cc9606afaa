"""Which runs are timed, and which number of runs side by side finishes an experiment soonest. Arithmetic only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.model.ladder import log_spaced
from harness.plan.cell import Cell
from harness.plan.duration import Timing, makespan

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


def with_small_batches(cells: Sequence[Cell]) -> list[Cell]:
    """``cells``, and the smallest and the largest of them with a quarter of the batch.

    A recipe's batch grows with N: only another batch tells what a step costs from what its tokens cost.
    """
    ends = [cells[0], cells[-1]] if len(cells) > 1 else [cells[0]]
    return [*cells, *(_quarter(cell) for cell in ends if cell.spec.batch_sequences > 1)]


def _quarter(cell: Cell) -> Cell:
    return replace(cell, spec=replace(cell.spec, batch_sequences=max(1, cell.spec.batch_sequences // 4)))


def span(cells: Sequence[Cell], timing: Timing) -> float:
    """Seconds that one device, or one core for each run, needs for all ``cells`` with ``timing.runs`` at once."""
    modes = timing.modes_of(cell.spec for cell in cells)
    durations = [timing.run(cell.spec, modes[cell.spec.shape]).total for cell in cells]
    return makespan(durations, timing.runs)


def best(spans: Mapping[int, float]) -> int:
    """The number of runs with the shortest makespan; more runs only where they are worth it."""
    chosen = min(spans)
    for runs in sorted(spans):
        if spans[runs] * WORTH < spans[chosen]:
            chosen = runs
    return chosen


def worth_trying_more(spans: Mapping[int, float]) -> bool:
    """Whether the largest number of runs tried was worth it: then still more may be."""
    return len(spans) == 1 or best(spans) == max(spans)
