"""Synthetic sweeps with known truth, and the published points where the machine has them."""

import os
from pathlib import Path

import numpy as np
import pytest

from harness.fit import Points, read_points

POINTS_VARIABLE = "ISOFLOP_HOFFMANN_POINTS"


@pytest.fixture(scope="session")
def published_path() -> Path:
    path = os.environ.get(POINTS_VARIABLE)
    if not path:
        pytest.skip(
            f"{POINTS_VARIABLE} is unset: the published points of Hoffmann et al. are not on this machine"
        )
    return Path(path)


@pytest.fixture(scope="session")
def published(published_path: Path) -> Points:
    """The 240 points that Besiroglu et al. 2024 fit: losses below the fifth largest."""
    points = read_points(published_path)
    assert len(points) == 245
    return points.select(points.loss < np.sort(points.loss)[-5])
