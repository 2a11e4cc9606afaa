"""How ``isoflop evaluate`` scores."""

from dataclasses import dataclass

from harness.bounds import bounded, check_bounds


@dataclass
class EvaluateConfig:
    """How the finished runs' models are scored on ``tasks``.

    Attributes:
        limit: questions of a task at most; 0 is all of them.
        items: questions of each task that is made from the held-out documents.
        batch: sequences at once.
    """

    limit: int = bounded(0, 0, 1_000_000_000)
    items: int = bounded(500, 50, 100_000)
    batch: int = bounded(64, 1, 65_536)

    def __post_init__(self) -> None:
        check_bounds(self, "evaluate")
