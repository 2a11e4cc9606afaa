"""The rounds of an active design: each is chosen by what the runs before it have shown, and kept with its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.design.advice import Advice, Question, advise, near_optimum
from harness.design.goal import Goal
from harness.design.ladder_candidates import CellMaker, Column
from harness.design.possible_laws import PossibleLaws, possible_laws
from harness.fit.table import Points
from harness.plan.cell import Cell
from harness.runs.record import FINISHED, Record

LEAST_SHARE = 1 / 3
"""Of what is left, that a round may take at least: the first rounds are cheap, and the last have little to choose."""

OUTWARD = 2.0
"""Where no law can be fitted yet, the next sizes are so many times beyond those that are there."""

FIRST = "the initial design, about the grid's guess"
NO_LAW = "no law can be fitted to the runs yet: sizes beyond those that are there"


@dataclass(frozen=True)
class Round:
    """A round as it was chosen.

    Attributes:
        cells: its runs, in the order of their worth. reasons: of each, why.
        deviation: standard deviation of the aim before it, over the laws that were possible: of ln N*, ln L* or a; None
            of the initial design.
        factor: by which it was expected to narrow the interval.
        forms: weights of the forms of the law. notes: what else was known.
    """

    cells: tuple[Cell, ...]
    reasons: tuple[str, ...]
    deviation: float | None = None
    factor: float | None = None
    forms: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """An entry of ``rounds.json``."""
        return {
            "cells": [cell.to_json() for cell in self.cells],
            "reasons": list(self.reasons),
            "deviation": self.deviation,
            "factor": self.factor,
            "forms": None if self.forms is None else dict(self.forms),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Round":
        """Inverse of :meth:`to_json`.

        Raises:
            ValueError, TypeError, KeyError, AttributeError: it is no round.
        """
        cells = tuple(Cell.from_json(cell) for cell in data["cells"])
        reasons = tuple(map(str, data["reasons"]))
        if len(reasons) != len(cells):
            raise ValueError(f"{len(cells)} runs with {len(reasons)} reasons")
        forms = data["forms"]
        return cls(
            cells=cells,
            reasons=reasons,
            deviation=_number(data["deviation"]),
            factor=_number(data["factor"]),
            forms=None if forms is None else {name: float(weight) for name, weight in forms.items()},
            notes=tuple(map(str, data["notes"])),
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def round_share(done: int, rounds: int) -> float:
    """The share of what is left that the next of ``rounds`` rounds may take, after ``done`` of them; the last all."""
    return max(1 / max(rounds - done, 1), LEAST_SHARE)


@dataclass(frozen=True)
class Proposal:
    """What would be trained next, and what that rests on.

    Attributes:
        cells: in the order of their worth. advice: None where no law can be fitted yet.
        ratios: N of each over N* of its compute, NaN without a law.
    """

    cells: tuple[Cell, ...]
    reasons: tuple[str, ...]
    ratios: tuple[float, ...]
    advice: Advice | None
    laws: PossibleLaws | None

    def as_round(self) -> Round:
        """To be kept."""
        advice, laws = self.advice, self.laws
        return Round(
            cells=self.cells,
            reasons=self.reasons,
            deviation=None if advice is None else advice.deviation,
            factor=None if advice is None else advice.factor,
            forms=None if laws is None else {form.model.name: form.weight for form in laws.forms},
            notes=() if advice is None else advice.notes,
        )


def propose(
    maker: CellMaker,
    points: Points,
    planned: Sequence[Cell],
    found: Mapping[str, Record],
    goal: Goal,
    share: float = 1.0,
    counted: bool = True,
) -> Proposal:
    """The runs to train after ``planned``, all of which have ended.

    Args:
        points: those that have a loss, as the fit counts them.
        found: records, by run id.
        goal: with what may still be spent. share: of that, which these runs may take.
        counted: whether the planned runs are part of what is spent, at least a third of it near the optimum.
    """
    laws = possible_laws(points, maker.options)
    if laws is None:
        cells = _outward(maker, planned, goal.spend * share)
        return Proposal(tuple(cells), (NO_LAW,) * len(cells), (float("nan"),) * len(cells), None, None)
    candidates, cells = maker.candidates(laws.log_params, planned, _diverged(planned, found))
    if not cells:
        return Proposal((), (), (), None, laws)
    spent, near = _spent(maker, points, planned if counted else (), laws)
    question = Question(
        aim=goal.aim,
        flops=goal.flops,
        spend=goal.spend,
        round_spend=goal.spend * share,
        spent=spent,
        spent_near=near,
        most_seeds=maker.design.seeds,
    )
    advice = advise(points, laws, candidates, question)
    chosen = maker.chosen([cells[pick.candidate] for pick in advice.picks], planned)
    return Proposal(
        tuple(chosen),
        tuple(pick.reason for pick in advice.picks),
        tuple(pick.ratio for pick in advice.picks),
        advice,
        laws,
    )


def _diverged(planned: Sequence[Cell], found: Mapping[str, Record]) -> set[Column]:
    return {
        (cell.spec.shape, cell.budget)
        for cell in planned
        if cell.run_id in found and found[cell.run_id].status != FINISHED
    }


def _spent(
    maker: CellMaker, points: Points, planned: Sequence[Cell], laws: PossibleLaws
) -> tuple[float, float]:
    """What the planned runs cost in all, and those of them near the optimum."""
    near = dict(zip(points.run_id, near_optimum(points, laws).tolist(), strict=True))
    costs = {cell.run_id: maker.cost(cell) for cell in planned}
    return sum(costs.values()), sum(cost for run_id, cost in costs.items() if near.get(run_id))


def _outward(maker: CellMaker, planned: Sequence[Cell], spend: float) -> list[Cell]:
    """Sizes beyond the ends of the columns, the cheapest first, within ``spend``."""
    made: list[Cell] = []
    for budget in sorted({cell.budget for cell in planned}):
        sizes = [cell.params.total for cell in planned if cell.budget == budget]
        there = {cell.spec.shape for cell in planned if cell.budget == budget}
        for aim in (min(sizes) / OUTWARD, max(sizes) * OUTWARD):
            free = [shape for shape in maker.shapes if shape not in there]
            if not free:
                continue
            shape = min(free, key=lambda one: abs(np.log(maker.cell(one, budget, 0).params.total / aim)))
            there.add(shape)
            cell = maker.chosen([maker.cell(shape, budget, 0)], planned)[0]
            if maker.cost(cell) + sum(map(maker.cost, made)) <= spend:
                made.append(cell)
    return made
