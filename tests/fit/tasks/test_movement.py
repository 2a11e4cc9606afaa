"""The tests before any fit: how often they raise a false alarm, and how often they see what is there."""

import numpy as np
import pytest

from harness.fit.table import Array
from harness.fit.tasks.movement import movement
from tests.fit.tasks.synthetic import (
    BUDGETS,
    CHANCE,
    QUESTIONS,
    SEED_SD,
    Law,
    at_chance,
    sigmoid_law,
    sweep,
    task_loss,
)

OF_QUESTIONS = float(np.sqrt(CHANCE * (1 - CHANCE) / QUESTIONS))


def rates(law: Law, sweeps: int, **kinds: object) -> tuple[float, float, float, float]:
    """Shares of sweeps above chance, of a significant slope, of a slope that moves, and with the verdict ``ok``."""
    found = []
    for seed in range(sweeps):
        rng = np.random.default_rng([3, seed])
        items = (
            OF_QUESTIONS * rng.standard_normal()
        )  # how hard the questions happen to be: for all runs alike
        moved = movement(sweep(law, rng, items=items, **kinds))  # type: ignore[arg-type]
        found.append(
            (moved.above_chance.above, moved.slope.p < 0.05, moved.slope.moves, moved.verdict == "ok")
        )
    above, significant, moves, good = np.mean(found, axis=0)
    return float(above), float(significant), float(moves), float(good)


@pytest.mark.parametrize(
    "kinds",
    [
        {},
        {"sd": 0.01},
        {"seeds": 1},
        {"cell_sd": SEED_SD},
        {"budgets": BUDGETS[:2], "sizes": 3, "seeds": 2},
    ],
    ids=["seeds", "much scatter", "no seeds", "cells scatter", "six cells"],
)
def test_false_alarms_are_as_many_as_the_level_says(kinds: dict[str, object]) -> None:
    above, significant, moves, good = rates(at_chance, 1000, **kinds)
    assert 0.025 <= above <= 0.07
    assert 0.03 <= significant <= 0.07
    assert moves <= significant
    assert good <= 0.01


def test_the_documents_noise_does_not_average_out_over_runs() -> None:
    one, many = (rates(at_chance, 600, seeds=seeds)[0] for seeds in (1, 8))
    assert many <= one + 0.03
    assert many <= 0.07


def test_a_level_accuracy_above_chance_is_flat() -> None:
    def level(n: Array, d: Array) -> Array:
        return np.full(np.shape(n), 0.4)

    above, significant, moves, good = rates(level, 600)
    assert above == 1
    assert 0.03 <= significant <= 0.07
    assert max(moves, good) <= 0.02


@pytest.mark.parametrize(("rise", "least"), [(0.05, 0.70), (0.08, 0.95)])
def test_a_rise_is_seen(rise: float, least: float) -> None:
    def rising(n: Array, d: Array) -> Array:
        return np.asarray(CHANCE + rise * np.clip((0.9 - task_loss(n, d)) / 0.16, 0, 1))

    above, _, moves, good = rates(rising, 300)
    assert moves == 1
    assert good == above >= least


def test_an_accuracy_that_falls_with_the_loss_is_no_movement() -> None:
    def falling(n: Array, d: Array) -> Array:
        return np.asarray(0.35 + 0.5 * (task_loss(n, d) - 0.7))

    moved = movement(sweep(falling, np.random.default_rng(0)))
    assert moved.verdict == "flat"
    assert moved.slope.p > 0.99


def test_few_cells_or_one_budget_are_too_few() -> None:
    rng = np.random.default_rng(0)
    one_budget = movement(sweep(sigmoid_law(), rng, budgets=BUDGETS[:1]))
    four_cells = movement(sweep(sigmoid_law(), rng, budgets=BUDGETS[:2], sizes=2, seeds=5))
    assert one_budget.verdict == four_cells.verdict == "too_few"
    assert "1 budget" in one_budget.sentence
    assert "4 sizes" in four_cells.sentence
