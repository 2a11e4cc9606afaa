"""How far cells lie outside of where their recipe was measured, and what is unlike there: its rules extrapolate."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log

from harness.model.parametrization import Parametrization, trained_as
from harness.plan.cell import Cell
from harness.plan.labels import Labels
from harness.plan.recipe_rules import MeasuredRange, MuonRules, RecipeConfig
from harness.text import count, counted

TOLERANCE = 1.05
"""A ratio to the nearest measured value that is still inside: over a twentieth a rule hardly changes."""

BASE_OF = {
    "standard": (),
    "mup": ("base_width", "base_head_dim"),
    "completep": ("base_width", "base_layers", "base_head_dim"),
}
"""What of its base changes a run, by parametrization."""


@dataclass(frozen=True)
class Outside:
    """A cell's N, D and D/N over the nearest that the recipe was measured at; 1 inside, or where nothing is known."""

    params: float = 1.0
    tokens: float = 1.0
    tokens_per_param: float = 1.0

    def __bool__(self) -> bool:
        return any(ratio != 1 for ratio, _ in self._ratios)

    def __str__(self) -> str:
        """``3.1x N, 0.4x D``, with the ratio in D/N where that is the farthest; empty inside."""
        farthest = self.farthest[1]
        shown = [one for one in self._ratios if one[1] != "D/N" or one[1] == farthest]
        return ", ".join(f"{ratio:.2g}x {name}" for ratio, name in shown if ratio != 1)

    @property
    def farthest(self) -> tuple[float, str]:
        """The one that is farthest away, and its name."""
        return max(self._ratios, key=lambda one: abs(log(one[0])))

    @property
    def _ratios(self) -> tuple[tuple[float, str], ...]:
        return (self.params, "N"), (self.tokens, "D"), (self.tokens_per_param, "D/N")


def outside(cell: Cell, recipe: RecipeConfig) -> Outside:
    """How far ``cell`` is from where ``recipe`` was measured, its N as the recipe counts it."""
    params, measured = cell.params.count(recipe.count), recipe.measured
    return Outside(
        _beyond(params, measured.params),
        _beyond(cell.tokens, measured.tokens),
        _beyond(cell.tokens / params, measured.tokens_per_param),
    )


def _beyond(value: float, ends: Sequence[float]) -> float:
    if not ends:
        return 1.0
    ratio = value / min(max(value, ends[0]), ends[1])
    return ratio if abs(log(ratio)) > log(TOLERANCE) else 1.0


def measured_at(recipe: RecipeConfig) -> str:
    """``9.66k to 41.6k parameters, 300k to 1.57M tokens and 31 to 39 tokens per parameter``; empty if not known."""
    measured = recipe.measured
    found = [
        f"{count(ends[0])} to {count(ends[1])} {what}"
        for ends, what in ((measured.params, "parameters"), (measured.tokens, "tokens"))
        if ends
    ]
    if ends := measured.tokens_per_param:
        found.append(f"{ends[0]:.3g} to {ends[1]:.3g} tokens per parameter")
    return " and ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)


def unlike(recipe: RecipeConfig, cells: Collection[Cell]) -> str:
    """``completep with base 32x4 (here standard), optimizer adamw (here muon)``: with what ``recipe`` was measured.

    Only that in which ``cells`` differ; empty where they do not, or where the recipe does not say.
    """
    measured, specs = recipe.measured, [cell.spec for cell in cells]
    found = []
    bases = [one for one in dict.fromkeys(spec.parametrization for spec in specs) if _differs(one, measured)]
    if bases:
        known = Parametrization(
            measured.parametrization, measured.base_width, measured.base_layers, measured.base_head_dim
        )
        heads = any((b.base_width, b.base_layers) == (known.base_width, known.base_layers) for b in bases)
        here = ", ".join(_base_text(base, heads) for base in bases)
        found.append(f"{_base_text(known, heads)} (here {here})")
    optimizers = dict.fromkeys("muon" if spec.optimizer.muon else "adamw" for spec in specs)
    if measured.optimizer and (others := [one for one in optimizers if one != measured.optimizer]):
        found.append(f"optimizer {measured.optimizer} (here {', '.join(others)})")
    families = dict.fromkeys(
        spec.shape.family
        for spec in specs
        if trained_as(spec.shape.family, spec.parametrization.kind)
        != trained_as(measured.family, measured.parametrization or spec.parametrization.kind)
    )
    if measured.family and families:
        found.append(f"model {measured.family} (here {', '.join(families)})")
    return ", ".join(found)


def _differs(one: Parametrization, measured: MeasuredRange) -> bool:
    """Whether it is of another kind than ``measured``, or has another base as far as that is known."""
    if not measured.parametrization or one.kind != measured.parametrization:
        return bool(measured.parametrization)
    sides = {name: (getattr(one, name), getattr(measured, name)) for name in BASE_OF[one.kind]}
    return any(known and own != known for own, known in sides.values())


def _base_text(one: Parametrization, heads: bool) -> str:
    """``completep with base 32x4``; with ``heads`` their size as well."""
    if one.is_standard or not one.base_width:
        return one.kind
    depth = f"x{one.base_layers}" if one.base_layers else ""
    size = f" with heads of {one.base_head_dim}" if heads and one.base_head_dim else ""
    return f"{one.kind} with base {one.base_width}{depth}{size}"


def how_far(recipe: RecipeConfig, cells: Collection[Cell]) -> str:
    """One sentence: where ``recipe`` was measured, how many of ``cells`` are outside of that, and what is unlike."""
    where, also = measured_at(recipe), _also(recipe, cells)
    if not where:
        return f"recipe {recipe.name} does not say over which sizes it was measured{also}"
    off = {cell.run_id: found for cell in cells if (found := outside(cell, recipe))}
    text = f"recipe {recipe.name} was measured at {where}; "
    if not off:
        return f"{text}{counted(len(cells), 'cell is', 'cells are all')} inside{also}"
    far = max(
        (cell for cell in cells if cell.run_id in off), key=lambda c: abs(log(off[c.run_id].farthest[0]))
    )
    ratio, name = off[far.run_id].farthest
    times = f"{ratio:.2g} times larger" if ratio > 1 else f"{1 / ratio:.2g} times smaller"
    return (
        f"{text}{len(off)} of {counted(len(cells), 'cell is', 'cells are')} outside, the farthest "
        f"({far.spec.shape.label} at {Labels.of(cells).budget(far)}) {times} in {name}{also}"
    )


def warns(recipe: RecipeConfig, cells: Collection[Cell]) -> bool:
    """Whether :func:`how_far` has more to say than where the recipe was measured, if that is known."""
    return bool(_also(recipe, cells)) or any(outside(cell, recipe) for cell in cells)


def _also(recipe: RecipeConfig, cells: Collection[Cell]) -> str:
    text = ""
    if recipe.muon == MuonRules() and any(cell.spec.optimizer.muon for cell in cells):
        text = "; its learning rate of Muon is the program's own and measured nowhere"
    under = unlike(recipe, cells)
    return f"{text}; it was measured under {under}" if under else text
