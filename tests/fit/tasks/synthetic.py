"""Synthetic sweeps scored on one task, with a known law of accuracy."""

from collections.abc import Callable

import numpy as np
from scipy.special import expit

from harness.fit.table import Array
from harness.fit.tasks.points import TaskPoints

CHANCE, QUESTIONS, SEED_SD = 0.25, 500, 0.0075
FLOOR = 0.55  # of the task loss
BUDGETS = (1e17, 4e17, 1.6e18)
Law = Callable[[Array, Array], Array]


def task_loss(params: Array, tokens: Array) -> Array:
    """Bits per byte of the right answer: a law of N and D with its best D/N near 20."""
    return np.asarray(FLOOR + (2.4e6 / params) ** 0.34 * 0.35 + (5e7 / tokens) ** 0.34 * 0.35)


def sigmoid_law(top: float = 1.0, middle: float = 0.75, width: float = 0.12) -> Law:
    """Accuracy that goes by the task loss alone."""
    return lambda n, d: np.asarray(CHANCE + (top - CHANCE) * expit((middle - task_loss(n, d)) / width))


def log_law(top: float = 1.0, middle: float = 0.75, width: float = 0.5) -> Law:
    """Accuracy that goes by the logarithm of the reducible task loss."""

    def law(n: Array, d: Array) -> Array:
        u = np.log((task_loss(n, d) - FLOOR) / (middle - FLOOR))
        return np.asarray(CHANCE + (top - CHANCE) * expit(-u / width))

    return law


def direct_law(n: Array, d: Array) -> Array:
    """Accuracy by the direct law."""
    missing = 1.1 * (3e7 / n) ** 0.25 + 0.9 * (6e8 / d) ** 0.3
    return np.asarray(CHANCE + (1 - CHANCE) * np.exp(-missing))


def at_chance(n: Array, d: Array) -> Array:
    return np.full(np.shape(n), CHANCE)


def grid(budgets: tuple[float, ...] = BUDGETS, sizes: int = 8, seeds: int = 3) -> tuple[Array, Array, Array]:
    """N, D and budgets: sizes four times down and up of the best, each with its seeds."""
    budget = np.repeat(budgets, sizes * seeds)
    best = np.sqrt(budget / 6 / 20)
    n = best * np.tile(np.repeat(np.geomspace(1 / 4, 4, sizes), seeds), len(budgets))
    return n, budget / (6 * n), budget


def sweep(
    law: Law,
    rng: np.random.Generator,
    *,
    budgets: tuple[float, ...] = BUDGETS,
    sizes: int = 8,
    seeds: int = 3,
    sd: float = SEED_SD,
    cell_sd: float = 0.0,
    loss_sd: float = 0.003,
    items: float = 0.0,
) -> TaskPoints:
    """Runs whose accuracies scatter by ``sd`` from seed to seed, and by ``cell_sd`` from cell to cell.

    Args:
        loss_sd: scatter of the task loss from seed to seed. items: by how much the questions that all share are off.
    """
    n, d, budget = grid(budgets, sizes, seeds)
    cell = np.repeat(rng.standard_normal(len(n) // seeds), seeds)
    noisy = law(n, d) + items + cell_sd * cell + sd * rng.standard_normal(len(n))
    accuracy = np.clip(np.round(noisy * QUESTIONS) / QUESTIONS, 0, 1)
    return TaskPoints(
        params=n,
        tokens=d,
        flops=budget,
        budget=budget,
        task_loss=task_loss(n, d) + loss_sd * rng.standard_normal(len(n)),
        accuracy=accuracy,
        accuracy_se=np.sqrt(np.clip(accuracy * (1 - accuracy), 1e-6, None) / QUESTIONS),
        chance=CHANCE,
        questions=QUESTIONS,
        task="made",
    )
