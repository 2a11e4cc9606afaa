"""Tunings in rounds of losses that are known functions of a run's specification."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.plan.cell import Cell
from harness.plan.plan import Rules
from harness.tune.config import TuneConfig
from harness.tune.sequential.fit import fit_rounds
from harness.tune.sequential.make_points import make_trainer
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.results import RoundsFit
from harness.tune.sequential.rounds import Rounds, known_rounds
from tests.tune.test_design import SHAPES, Facts

FACTS = Facts()
Loss = Callable[[Cell], float | None]


def noise(cell: Cell, size: float = 0.002, seed: int = 0) -> float:
    """The run's own, nats."""
    return size * float(np.random.default_rng(int(cell.run_id, 16) + seed).standard_normal())


def answers(loss: Loss) -> Callable[[list[Cell]], Any]:
    """Records of runs that ended with ``loss``, or diverged where it is None."""

    def found(cells: list[Cell]) -> dict[str, Any]:
        return {
            cell.run_id: SimpleNamespace(
                loss=(value := loss(cell)), status="diverged" if value is None else "finished", data={}
            )
            for cell in cells
        }

    return found


def trainer_of(tune: TuneConfig, rules: Rules, facts: Facts = FACTS) -> Trainer:
    """Of the tests' ladder."""
    return make_trainer(SHAPES, tune, rules, facts, 1.0)


def tuned(tune: TuneConfig, rules: Rules, loss: Loss) -> tuple[Trainer, Rounds, RoundsFit]:
    """All rounds, and the fit."""
    made = trainer_of(tune, rules)
    rounds = known_rounds(made, tune, answers(loss), {})
    return made, rounds, fit_rounds("t", made, rounds, tune)
