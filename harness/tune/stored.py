"""A tuning's ``tune.json``, of either design."""

from typing import Any

from harness.tune.results import TuneFit
from harness.tune.sequential.results import DESIGN, RoundsFit

Tuning = TuneFit | RoundsFit


def tuning_from_json(data: dict[str, Any]) -> Tuning:
    """The content of ``tune.json``: of a grid, or of rounds."""
    return RoundsFit.from_json(data) if data.get("design") == DESIGN else TuneFit.from_json(data)
