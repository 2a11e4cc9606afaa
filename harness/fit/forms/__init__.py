"""Functional forms of L(N, D): what they are, how they are restricted, and how they are fitted."""

from harness.fit.forms.descent import RESIDUALS, Misfit
from harness.fit.forms.model import MODELS, Bound, Model, restricted
from harness.fit.forms.solver import Solved, redraw, solve

__all__ = ["MODELS", "RESIDUALS", "Bound", "Misfit", "Model", "Solved", "redraw", "restricted", "solve"]
