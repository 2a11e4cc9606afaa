"""Benchmark accuracy predicted from runs: in two steps by way of the task loss, and directly from N and D.

:func:`fit_task` fits one task's runs, :func:`backtest_task` tells how far off its predictions would have been.
"""

from harness.fit.tasks.backtest import METHODS, TaskBacktest, TaskForecast, backtest_task
from harness.fit.tasks.laws import Prediction, TaskFit, fit_task
from harness.fit.tasks.movement import Movement, movement
from harness.fit.tasks.points import TaskPoints
from harness.fit.tasks.sigmoid import Irreducible

__all__ = [
    "METHODS",
    "Irreducible",
    "Movement",
    "Prediction",
    "TaskBacktest",
    "TaskFit",
    "TaskForecast",
    "TaskPoints",
    "backtest_task",
    "fit_task",
    "movement",
]
