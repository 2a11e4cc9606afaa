"""The device that tests train on: the GPU where there is one, so that ``make test`` tests it, else the CPU.

``ISOFLOP_TEST_DEVICE=cpu`` (or ``cuda``) says which. On a CPU two equal runs are equal to the last bit. On a GPU they
differ in the order in which some kernels add, and what a run makes of that grows with its steps: there float32 runs of
some dozen steps are compared to :data:`TOLERANCE`.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.runs.curve import curve_rows

DEVICE = os.environ.get("ISOFLOP_TEST_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
EXACT = DEVICE == "cpu"
TOLERANCE = 2e-3
ON_CPU = "train.device=cpu"  # an override, for tests of what only a CPU does


def about(value: Any) -> Any:
    """What a second equal run must equal: ``value`` itself on a CPU; on a GPU, with its floats near."""
    if EXACT:
        return value
    if isinstance(value, dict):
        return {key: about(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(about(part) for part in value)
    return pytest.approx(value, rel=TOLERANCE, abs=1e-6, nan_ok=True) if isinstance(value, float) else value


def contents(curve: Path) -> Any:
    """A curve's file, for :func:`about`: its bytes where nothing may differ, else its rows."""
    return curve.read_bytes() if EXACT else curve_rows(curve)
