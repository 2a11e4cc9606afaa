"""Synthetic sweeps with known truth, and the published points where the machine has them."""

import os
from pathlib import Path

import numpy as np
import pytest

from harness.fit import Points, read_published
from harness.fit.reader import VARIABLE


@pytest.fixture(scope="session")
def published_path() -> Path:
    path = os.environ.get(VARIABLE)
    if not path:
        pytest.skip(f"{VARIABLE} is unset: the published points of Hoffmann et al. are not on this machine")
    return Path(path)


@pytest.fixture(scope="session")
def published(published_path: Path) -> Points:
    """The 240 points that Besiroglu et al. 2024 fit: losses below the fifth largest."""
    points = read_published(published_path)
    return points.select(points.loss < np.sort(points.loss)[-5])
