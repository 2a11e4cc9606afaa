"""What tells the cells of a sweep apart where their budgets and shapes do not: seed, batch, peak learning rate, …"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.plan.cell import Cell
from harness.text import count

Key = tuple[float, str]
Format = Callable[[Any], str]


def _digits(value: Any, digits: int) -> str:
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def _whole(value: int) -> str:
    return f"{value:,}"


BUDGET: tuple[Format, ...] = tuple(partial(_digits, digits=digits) for digits in range(3, 18))
RATE: tuple[Format, ...] = tuple(partial(_digits, digits=digits) for digits in range(2, 18))
CAUSES: dict[str, tuple[Callable[[Cell], Any], tuple[Format, ...]]] = {
    "seed": (lambda cell: cell.spec.seed, (str,)),
    "batch": (lambda cell: cell.spec.batch_tokens, (count, _whole)),
    "lr": (lambda cell: cell.spec.optimizer.lr, RATE),
    "embedding lr ×": (lambda cell: cell.spec.groups.embedding.lr, RATE),
    "head lr ×": (lambda cell: cell.spec.groups.head.lr, RATE),
    "horizon": (lambda cell: cell.spec.schedule.steps / cell.spec.steps, RATE),
}
"""By heading, what a sweep varies at one size and budget, and ways to write it, the shortest first. ``horizon`` is the
schedule's length over the run's, ``embedding lr ×`` the factor of one group's learning rate."""


@dataclass(frozen=True)
class Labels:
    """How the cells of one sweep are told apart in tables and lines.

    Attributes:
        headings: of the columns that differ among cells of one budget and shape; most sweeps have none.
    """

    headings: tuple[str, ...]
    _budgets: Mapping[float, str]
    _values: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, cells: Iterable[Cell]) -> "Labels":
        """Of all cells that may be shown together."""
        unique = list({cell.run_id: cell for cell in cells}.values())
        groups: dict[Key, list[Cell]] = {}
        for cell in unique:
            groups.setdefault((cell.budget, cell.spec.shape.label), []).append(cell)
        columns: dict[str, dict[str, str]] = {}
        for heading, (read, formats) in CAUSES.items():
            found = [[read(cell) for cell in group] for group in groups.values()]
            if any(len(set(values)) > 1 for values in found):
                write = _shortest(formats, found)
                columns[heading] = {cell.run_id: write(read(cell)) for cell in unique}
        # what else the specification has, where some are still alike
        leaves = {cell.run_id: dict(_leaves(cell.spec.to_json())) for cell in unique}
        for name in {name: None for one in leaves.values() for name in one}:
            values = {run_id: str(one.get(name, "–")) for run_id, one in leaves.items()}
            if any(_splits(group, columns.values(), values) for group in groups.values()):
                short = name.rpartition(".")[2]
                # the learning rate of a group is not that of the run
                columns[name if short in columns or short in CAUSES else short] = values
        budgets = sorted({cell.budget for cell in unique})
        write = _shortest(BUDGET, [budgets])
        return cls(
            tuple(columns),
            {budget: write(budget) for budget in budgets},
            {cell.run_id: tuple(one[cell.run_id] for one in columns.values()) for cell in unique},
        )

    def budget(self, cell: Cell) -> str:
        """The cell's budget, with as many digits as keep it apart from the others."""
        return self._budgets[cell.budget]

    def values(self, cell: Cell) -> tuple[str, ...]:
        """Under :attr:`headings`."""
        return self._values[cell.run_id]

    def value(self, heading: str, cell: Cell) -> str:
        """Under one of them; empty where there is no such column."""
        return dict(zip(self.headings, self.values(cell), strict=True)).get(heading, "")

    def pairs(self, cell: Cell) -> list[str]:
        """``["seed 1", "lr 0.02"]``; empty in most sweeps."""
        return [f"{heading} {value}" for heading, value in zip(self.headings, self.values(cell), strict=True)]

    def name(self, cell: Cell) -> str:
        """``96x3 at 1e+11, seed 1``."""
        return ", ".join([f"{cell.spec.shape.label} at {self.budget(cell)}", *self.pairs(cell)])


def _shortest(formats: Sequence[Format], groups: Collection[Collection[Any]]) -> Format:
    """The first of ``formats`` that writes different values of a group differently; the last where none does."""
    for write in formats:
        if all(len({write(value) for value in group}) == len(set(group)) for group in groups):
            return write
    return formats[-1]


def _splits(group: Sequence[Cell], columns: Collection[Mapping[str, str]], values: Mapping[str, str]) -> bool:
    """Whether ``values`` differ between two cells of ``group`` that are alike in all ``columns``."""
    seen: dict[tuple[str, ...], str] = {}
    for cell in group:
        alike = tuple(column[cell.run_id] for column in columns)
        if seen.setdefault(alike, values[cell.run_id]) != values[cell.run_id]:
            return True
    return False


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, one in value.items():
        if isinstance(one, Mapping):
            yield from _leaves(one, f"{prefix}{name}.")
        else:
            yield prefix + name, one
