"""How the cells of an experiment are chosen: the configuration group ``design``."""

from dataclasses import dataclass

from harness.bounds import bounded, check_bounds, one_of

GRID, ACTIVE = "grid", "active"


@dataclass
class DesignConfig:
    """A grid that is known beforehand, or rounds of runs each of which is chosen by what the ones before have shown.

    Attributes:
        kind: ``grid`` trains every cell of ``grid``; ``active`` trains an initial design about its guess at its lowest
            budgets, then in ``rounds`` the runs that narrow the interval of the aim the most for what they cost.
        rounds: how many at most, after the initial design.
        reach: how many times larger or smaller than the predicted N* a model may be; null is as far as the sizes of the
            grid reach about their middle (the root of ``grid.span``), and 4 where candidates are of a table.
        extend: candidates have the budgets of ``grid``, and further ones up to so many times the largest.
        seeds: runs of one N and D at most.
        dollars_per_hour: of a device (a GPU, or a core), to spend dollars.
    """

    kind: str = one_of(GRID, (GRID, ACTIVE))
    rounds: int = bounded(5, 1, 1000)
    reach: float | None = bounded(None, 1.5, 1e4)
    extend: float = bounded(1.0, 1, 1e6)
    seeds: int = bounded(3, 1, 1000)
    dollars_per_hour: float | None = bounded(None, 0, 1e9, above=True)

    def __post_init__(self) -> None:
        check_bounds(self, "design")

    @property
    def active(self) -> bool:
        """Whether runs are chosen as they come."""
        return self.kind == ACTIVE
