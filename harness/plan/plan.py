"""From a configuration and a corpus to the frozen list of cells. Nothing here trains or touches a device."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from harness.errors import UserError
from harness.model.counts import all_flops_per_token, count_params, flops_per_token
from harness.model.ladder import check_reach, near, spread
from harness.model.parametrization import check_family
from harness.model.shape import Shape
from harness.plan.base import STANDARD, Base
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.grid import GridConfig, seeds_at, targets
from harness.plan.labels import Labels
from harness.plan.optimizer_flops import step_flops
from harness.plan.recipe import Hyperparameters, apply_recipe
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig
from harness.plan.schedule import ScheduleConfig, resolve
from harness.plan.spec import RunSpec
from harness.text import counted


class CorpusFacts(Protocol):
    """What a plan needs to know of a tokenised corpus."""

    @property
    def name(self) -> str:
        """The corpus's name."""

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""

    @property
    def fingerprint(self) -> str:
        """Hash of the tokenised content."""

    @property
    def train_tokens(self) -> int:
        """Unique tokens of the training split."""


@dataclass(frozen=True)
class AssumedCorpus:
    """A corpus before it is read, or chosen: more text than any run asks for, and a vocabulary."""

    name: str
    vocab_size: int
    fingerprint: str = ""
    train_tokens: int = 1 << 62


LISTED = 8  # cells that an error names


@dataclass(frozen=True)
class Rules:
    """All that turns a shape and a budget into a run."""

    grid: GridConfig
    recipe: RecipeConfig
    schedule: ScheduleConfig
    timing: Timing
    seq_len: int
    eval_tokens: int
    precision: str
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    base: Base = STANDARD


@dataclass(frozen=True)
class Skipped:
    """A cell the plan leaves out, and why."""

    budget: float
    params: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """The cells of a sweep, by budget, then size, then seed."""

    name: str
    cells: tuple[Cell, ...]
    skipped: tuple[Skipped, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The content of ``plan.json``."""
        return {
            "name": self.name,
            "cells": [cell.to_json() for cell in self.cells],
            "skipped": [vars(skipped) for skipped in self.skipped],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Plan":
        """Inverse of :meth:`to_json`."""
        cells = tuple(Cell.from_json(cell) for cell in data["cells"])
        return cls(data["name"], cells, tuple(Skipped(**skipped) for skipped in data["skipped"]))

    def cell(self, run_id: str) -> Cell:
        """The cell of that id, or of a beginning of it that no other cell shares.

        Raises:
            UserError: there is none, or more than one.
        """
        found = [cell for cell in self.cells if cell.run_id.startswith(run_id)]
        if len(found) == 1:
            return found[0]
        if found:
            labels = Labels.of(self.cells)
            listed = ", ".join(f"{cell.run_id} ({labels.name(cell)})" for cell in found[:LISTED])
            more = " …" if len(found) > LISTED else ""
            problem = (
                f"matches {len(found)} cells of the plan '{self.name}': {listed}{more}; give more of the id"
            )
        else:
            close = difflib.get_close_matches(run_id, [cell.run_id for cell in self.cells], n=1)
            hint = f"did you mean run={close[0]}?" if close else "'isoflop plan' lists them"
            problem = f"matches no cell of the plan '{self.name}'; {hint}"
        raise UserError(f"run={run_id}: {problem}")


def plan_cell(
    shape: Shape,
    budget: float,
    seed: int,
    rules: Rules,
    corpus: CorpusFacts,
    recipe_tokens: float | None = None,
) -> Cell:
    """The run of ``shape`` whose whole steps come nearest to ``budget``.

    Args:
        recipe_tokens: the horizon that the recipe reads; None is the run's own.
    """
    spec = plan_spec(shape, budget, seed, rules, corpus, recipe_tokens)
    per_token = all_flops_per_token(shape, rules.seq_len)
    return Cell(
        budget=budget,
        count=rules.grid.count,
        spec=spec,
        params=count_params(shape),
        flops_by_count={count: value * spec.tokens for count, value in per_token.items()},
        unique_tokens=corpus.train_tokens,
        estimate=rules.timing.run(spec, rules.timing.choose_mode([spec])),
        count_optimizer=rules.grid.count_optimizer,
    )


def plan_spec(
    shape: Shape,
    budget: float,
    seed: int,
    rules: Rules,
    corpus: CorpusFacts,
    recipe_tokens: float | None = None,
) -> RunSpec:
    """The specification of the run that :func:`plan_cell` plans, which no device changes."""
    check_family(rules.base.parametrization, shape)
    per_token = flops_per_token(shape, rules.seq_len, rules.grid.count)
    wanted = budget / per_token
    hyper = _hyperparameters(rules, shape, recipe_tokens or wanted)
    if rules.grid.count_optimizer:
        # the recipe reads the tokens, which depend on the optimizer's share, and that on the recipe's batch, hardly
        wanted = budget / (per_token + _optimizer_per_token(rules, shape, hyper))
        hyper = _hyperparameters(rules, shape, recipe_tokens or wanted)
        # of this batch exactly: the budget is met whatever the recipe says at other tokens
        wanted = budget / (per_token + _optimizer_per_token(rules, shape, hyper))
    batch_tokens = hyper.batch_sequences * rules.seq_len
    steps = max(1, round(wanted / batch_tokens))
    return RunSpec(
        shape=shape,
        seq_len=rules.seq_len,
        batch_sequences=hyper.batch_sequences,
        steps=steps,
        optimizer=hyper.optimizer,
        schedule=resolve(rules.schedule, steps, hyper.warmup_tokens, batch_tokens),
        init_std=hyper.init_std,
        seed=seed,
        data=corpus.fingerprint,
        eval_tokens=rules.eval_tokens,
        precision=rules.precision,
        groups=hyper.groups,
        parametrization=rules.base.parametrization,
    )


def _hyperparameters(rules: Rules, shape: Shape, tokens: float) -> Hyperparameters:
    return apply_recipe(rules.recipe, shape, tokens, rules.seq_len, rules.base, rules.optimizer)


def _optimizer_per_token(rules: Rules, shape: Shape, hyper: Hyperparameters) -> float:
    return step_flops(shape, hyper.optimizer.muon) / (hyper.batch_sequences * rules.seq_len)


def make_plan(name: str, shapes: Sequence[Shape], rules: Rules, corpus: CorpusFacts) -> Plan:
    """Expand the grid over the ladder's ``shapes``.

    With ``schedule.share_trunk`` the recipe reads, for every run of a shape, the shortest horizon at which that
    shape is trained (:func:`_trunk_tokens`).

    Raises:
        UserError: no budgets, or more sizes than the ladder has.
    """
    grid = rules.grid
    if not grid.budgets:
        raise UserError("grid.budgets: empty; name at least one budget, e.g. 'grid.budgets=[1e11,3e11,1e12]'")
    chosen = {budget: _sizes(shapes, grid, budget) for budget in sorted(grid.budgets)}
    trunk_tokens = _trunk_tokens(chosen, rules, corpus) if rules.schedule.share_trunk else {}
    cells: list[Cell] = []
    skipped: list[Skipped] = []
    for budget, sizes in chosen.items():
        for shape, seeds in zip(sizes, seeds_at(grid, budget, len(sizes)), strict=True):
            for seed in seeds:
                cell = plan_cell(shape, budget, seed, rules, corpus, trunk_tokens.get(shape))
                reason = unfit(cell, rules)
                if reason:
                    skipped.append(Skipped(budget, cell.params.total, reason))
                else:
                    cells.append(cell)
    return Plan(name, tuple(_timed(cells, rules.timing)), tuple(skipped))


def _timed(cells: Sequence[Cell], timing: Timing) -> list[Cell]:
    """``cells`` with their estimates, all of a shape in one mode of execution: the best for all of them together."""
    modes = timing.modes_of(cell.spec for cell in cells)
    return [replace(cell, estimate=timing.run(cell.spec, modes[cell.spec.shape])) for cell in cells]


def _sizes(shapes: Sequence[Shape], grid: GridConfig, budget: float) -> list[Shape]:
    """The shapes of one column.

    Raises:
        UserError: the ladder has none near a size that was named, or near any of those around the guess.
    """
    aims = targets(grid, budget)
    if grid.params:
        for aim in aims:
            near(shapes, aim)
    else:
        check_reach(shapes, aims, f"grid: at {budget:.3g} FLOPs")
    return spread(shapes, aims)


def _trunk_tokens(
    chosen: Mapping[float, Sequence[Shape]], rules: Rules, corpus: CorpusFacts
) -> dict[Shape, float]:
    """For each shape the shortest of its horizons that makes a run, in tokens: what the recipe of its trunk reads.

    Runs that share a trunk share warm-up, batch and learning rate, so rules that depend on D need one D. The limits
    of the recipe (a warm-up of at most a share of the horizon, at least so many steps) hold for every branch when they
    hold for the shortest; and a sweep that grows to larger budgets keeps its runs, as it would not with the longest.
    Where a rule has an exponent in tokens, the longer runs get the shortest one's value: that is what sharing costs.
    """
    horizons: dict[Shape, float] = {}
    for budget, sizes in sorted(chosen.items(), reverse=True):
        for shape in sizes:
            cell = plan_cell(shape, budget, rules.grid.seeds[0], rules, corpus)
            if not unfit(cell, rules):
                asked = budget / flops_per_token(shape, rules.seq_len, rules.grid.count)
                horizons[shape] = cell.tokens if rules.grid.count_optimizer else asked
    return horizons


def unfit(cell: Cell, rules: Rules) -> str:
    """Why a cell would not be training in any useful sense; empty where it would."""
    if cell.spec.steps < rules.recipe.min_steps // 2:
        return f"{counted(cell.spec.steps, 'step')} only, less than half of recipe.min_steps={rules.recipe.min_steps}"
    if cell.tokens < rules.grid.min_tokens_per_param * cell.params.total:
        return f"{cell.tokens / cell.params.total:.2g} tokens per parameter"
    return ""


def check_corpus(plan: Plan, corpus_name: str, max_epochs: float) -> None:
    """Refuse a plan that would repeat the corpus more than ``max_epochs`` times.

    Raises:
        UserError: names every cell that is too long, with its epochs, and what to do.
    """
    long = [cell for cell in plan.cells if cell.epochs > max_epochs]
    if not long:
        return
    listed = ", ".join(
        f"{cell.spec.shape.label} at {cell.budget:.3g}: {cell.epochs:.2f}" for cell in long[:6]
    ) + (f", … {len(long) - 6} more" if len(long) > 6 else "")
    raise UserError(
        f"corpus '{corpus_name}' is too small: {long[0].unique_tokens:,} unique training tokens; {len(long)} of "
        f"{len(plan.cells)} cells need more than {max_epochs:g} {'epoch' if max_epochs == 1 else 'epochs'} ({listed}). "
        "Use a larger corpus, smaller budgets or larger models, or allow repetition with data.max_epochs=N"
    )
