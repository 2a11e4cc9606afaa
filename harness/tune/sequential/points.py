"""The points (N, D) of a tuning in rounds, what the recipe says at each, and the runs about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.fit.table import Array
from harness.model.counts import flops_per_token
from harness.model.shape import Shape
from harness.plan.cell import Cell
from harness.plan.plan import CorpusFacts, Rules, plan_cell
from harness.plan.recipe_rules import Rule, significant
from harness.runs.record import Record
from harness.text import count
from harness.tune.axes import AXES, Axis
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.terms import Held, Places


@dataclass(frozen=True)
class TunePoint:
    """One N and D of a tuning.

    Attributes:
        params: N as the recipe counts it; ``read_params``: what rules other than the batch's read: the base's N under a
            parametrization. ``params_total``: all of them.
        tokens: D aimed at; a run's own differs by less than a step.
        capped: whether the corpus, not the rule, set it.
        centre: what the recipe says there, by axis; batch and rate are always among them.
    """

    shape: Shape
    params: int
    read_params: float
    params_total: int
    tokens: float
    capped: bool
    centre: Mapping[str, float]

    def read(self, axis: str) -> float:
        """The N that the rule of ``axis`` reads."""
        return self.params if axis == "batch" else self.read_params


@dataclass(frozen=True)
class Trainer:
    """Makes runs of a tuning's points.

    Attributes:
        left_out: the points that were asked for and are none, and why.
    """

    points: tuple[TunePoint, ...]
    axes: tuple[Axis, ...]
    rules: Rules
    corpus: CorpusFacts
    max_epochs: float
    min_steps: int
    left_out: tuple[str, ...] = ()

    def cell(self, p: int, h: Array, seed: int) -> Cell:
        """The run of point ``p`` at ln multiples h (q,) of its centre."""
        point = self.points[p]
        values = dict(point.centre) | {
            axis.name: float(np.exp(h[j])) * point.centre[axis.name] for j, axis in enumerate(self.axes)
        }
        recipe = replace(self.rules.recipe, min_steps=1)
        for name in {"rate", "batch", *(axis.name for axis in self.axes)}:
            recipe = AXES[name].into(recipe, Rule(value=_whole(values[name], self.rules.seq_len, name)))
        per_token = flops_per_token(point.shape, self.rules.seq_len, self.rules.grid.count)
        return plan_cell(
            point.shape, point.tokens * per_token, seed, replace(self.rules, recipe=recipe), self.corpus
        )

    def allowed(self, p: int, h: Array) -> bool:
        """Whether it has steps enough, and text enough."""
        return not self.refused(p, h)

    def refused(self, p: int, h: Array) -> str:
        """Why a run of point ``p`` at h (q,) cannot be trained; empty where it can."""
        cell = self.cell(p, h, 0)
        if cell.spec.steps < self.min_steps:
            return f"fewer steps than tune.min_steps={self.min_steps}"
        return "more text than there is (data.max_epochs)" if cell.epochs > self.max_epochs else ""

    def place(self, p: int, cell: Cell) -> Array:
        """h of a cell of point ``p``, (q,): batches are whole sequences, and the rest is rounded."""
        centre = self.points[p].centre
        return np.array([np.log(axis.value(cell.spec) / centre[axis.name]) for axis in self.axes])

    def places(self) -> Places:
        """Where the points are, for the rules."""
        n = np.log([point.params for point in self.points])
        read = np.log([point.read_params for point in self.points])
        d = np.log([point.tokens for point in self.points])
        own, base, tokens = reference(self.points)
        x, base_x, y = n - np.log(own), read - np.log(base), d - np.log(tokens)
        held = {}
        for axis in {AXES["rate"], AXES["batch"], *self.axes}:
            rule = axis.before(self.rules.recipe)
            at, log_n = (own, x) if axis.name == "batch" else (base, base_x)
            said = np.log([self.said(rule, axis.name, point) for point in self.points])
            held[axis.name] = Held.through(rule, at, tokens, log_n, y, said)
        return Places(
            x=x,
            read=base_x,
            d=y,
            tokens_at=float(np.log(tokens)),
            batch=np.log([point.centre["batch"] for point in self.points]),
            rate=np.log([point.centre["rate"] for point in self.points]),
            held=held,
            at_base=self.rules.base.params is not None,
        )

    def said(self, rule: Rule, axis: str, point: TunePoint) -> float:
        """What a rule says at a point; a batch shrinks before the run has fewer steps than the recipe's least."""
        value = rule(point.read(axis), point.tokens)
        return min(value, point.tokens / self.rules.recipe.min_steps) if axis == "batch" else value


def reference(points: Sequence[TunePoint]) -> tuple[float, float, float]:
    """About which N, N that rules read, and D the rules are written: geometric means, to three digits."""
    own, read, tokens = (
        significant(float(np.exp(np.mean(np.log(values)))), 3)
        for values in (
            [point.params for point in points],
            [point.read_params for point in points],
            [point.tokens for point in points],
        )
    )
    return own, read, tokens


def label(point: TunePoint) -> str:
    """As tables and notes name it."""
    return f"N={count(point.params)} D={count(point.tokens)}"


def observed_of(
    trainer: Trainer, cells: Sequence[tuple[int, Cell]], records: Mapping[str, Record]
) -> Observed:
    """The runs (point, cell) that have a record, in order of their points and ids: whichever finished first."""
    runs = sorted(
        ((p, cell) for p, cell in cells if cell.run_id in records), key=lambda run: (run[0], run[1].run_id)
    )
    losses = [records[cell.run_id].loss for _, cell in runs]
    return Observed(
        names=tuple(axis.name for axis in trainer.axes),
        h=np.array([trainer.place(p, cell) for p, cell in runs]).reshape(-1, len(trainer.axes)),
        loss=np.array([np.nan if loss is None else loss for loss in losses], dtype=float),
        point=np.array([p for p, _ in runs], dtype=np.intp),
        log_params=np.log([point.params for point in trainer.points]),
        log_tokens=np.log([point.tokens for point in trainer.points]),
    )


def _whole(value: float, seq_len: int, name: str) -> float:
    return float(max(1, round(value / seq_len)) * seq_len) if name == "batch" else significant(value)
