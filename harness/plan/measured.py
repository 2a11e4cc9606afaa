"""How far cells lie outside of the N and D over which their recipe was measured: there its rules extrapolate."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log

from harness.plan.cell import Cell
from harness.plan.labels import Labels
from harness.plan.recipe_rules import MuonRules, RecipeConfig
from harness.text import count, counted

TOLERANCE = 1.01
"""A ratio to the nearest measured value that is still inside: those in recipes are rounded."""


@dataclass(frozen=True)
class Outside:
    """A cell's N and D over the nearest that the recipe was measured at; 1 inside, or where nothing is known."""

    params: float = 1.0
    tokens: float = 1.0

    def __bool__(self) -> bool:
        return (self.params, self.tokens) != (1.0, 1.0)

    def __str__(self) -> str:
        """``3.1x N, 0.4x D``; empty inside."""
        ratios = ((self.params, "N"), (self.tokens, "D"))
        return ", ".join(f"{ratio:.2g}x {letter}" for ratio, letter in ratios if ratio != 1)

    @property
    def farthest(self) -> tuple[float, str]:
        """The one of the two that is farther away, and its letter."""
        return max((self.params, "N"), (self.tokens, "D"), key=lambda one: abs(log(one[0])))


def outside(cell: Cell, recipe: RecipeConfig) -> Outside:
    """How far ``cell`` is from where ``recipe`` was measured, its N as the recipe counts it."""
    return Outside(
        _beyond(cell.params.count(recipe.count), recipe.measured.params),
        _beyond(cell.tokens, recipe.measured.tokens),
    )


def _beyond(value: float, ends: Sequence[float]) -> float:
    if not ends:
        return 1.0
    ratio = value / min(max(value, ends[0]), ends[1])
    return ratio if abs(log(ratio)) > log(TOLERANCE) else 1.0


def measured_at(recipe: RecipeConfig) -> str:
    """``9.66k to 41.6k parameters and 300k to 1.57M tokens``; empty where the recipe does not say."""
    ranges = ((recipe.measured.params, "parameters"), (recipe.measured.tokens, "tokens"))
    return " and ".join(f"{count(ends[0])} to {count(ends[1])} {what}" for ends, what in ranges if ends)


def how_far(recipe: RecipeConfig, cells: Collection[Cell]) -> str:
    """One sentence: where ``recipe`` was measured, how many of ``cells`` are outside of that, and the farthest."""
    where = measured_at(recipe)
    unmeasured = ""
    if recipe.muon == MuonRules() and any(cell.spec.optimizer.muon for cell in cells):
        unmeasured = "; its learning rate of Muon is the program's own and measured nowhere"
    if not where:
        return f"recipe {recipe.name} does not say over which sizes it was measured{unmeasured}"
    off = {cell.run_id: found for cell in cells if (found := outside(cell, recipe))}
    text = f"recipe {recipe.name} was measured at {where}; "
    if not off:
        return f"{text}{counted(len(cells), 'cell is', 'cells are all')} inside{unmeasured}"
    far = max(
        (cell for cell in cells if cell.run_id in off), key=lambda c: abs(log(off[c.run_id].farthest[0]))
    )
    ratio, letter = off[far.run_id].farthest
    times = f"{ratio:.2g} times larger" if ratio > 1 else f"{1 / ratio:.2g} times smaller"
    return (
        f"{text}{len(off)} of {counted(len(cells), 'cell is', 'cells are')} outside, the farthest "
        f"({far.spec.shape.label} at {Labels.of(cells).budget(far)}) {times} in {letter}{unmeasured}"
    )
