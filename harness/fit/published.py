"""The 245 points read off Figure 4 of Hoffmann et al. 2022, from a copy that the user has downloaded.

Epoch AI published them with its replication (Besiroglu et al. 2024, arXiv 2404.10102): repository
epoch-research/analyzing-chinchilla, file data/svg_extracted_data.csv. That repository states no licence, so
no copy is kept here: download it and set ``ISOFLOP_HOFFMANN_POINTS`` to its path.
"""

import hashlib
import os
from pathlib import Path

from harness.errors import UserError
from harness.fit.reader import read_points
from harness.fit.table import Points

VARIABLE = "ISOFLOP_HOFFMANN_POINTS"
ROWS = 245
# Of N, C and loss at seven figures each: the same for any CSV formatting of these numbers.
SHA256 = "8c1b85c562f195900954ab02ab66296c85fa7aecbbc75acceff235764eb4f131"


def read_published(path: str | Path | None = None) -> Points:
    """The published points, checked to be those.

    Args:
        path: the CSV; default: what ``ISOFLOP_HOFFMANN_POINTS`` names.

    Raises UserError where neither is given or the file holds something else.
    """
    path = path or os.environ.get(VARIABLE)
    if not path:
        raise UserError(
            f"{VARIABLE} is unset: download data/svg_extracted_data.csv of analyzing-chinchilla, set it"
        )
    points = read_points(path)
    if len(points) != ROWS or fingerprint(points) != SHA256:
        raise UserError(f"{path}: not the published points ({len(points)} rows of {ROWS}, or other numbers)")
    return points


def fingerprint(points: Points) -> str:
    """SHA-256 of N, C and loss at seven figures, in the table's order."""
    rows = zip(points.params, points.flops, points.loss, strict=True)
    return hashlib.sha256("\n".join(f"{n:.6e},{c:.6e},{v:.6e}" for n, c, v in rows).encode()).hexdigest()
