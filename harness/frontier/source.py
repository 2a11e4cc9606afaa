"""Where a frontier comes from, with its uncertainty and its range: one interface to fits and to constants."""

from dataclasses import dataclass, field

from harness.errors import UserError
from harness.fit.results import Approach, Approach1, Approach3, CostLaw, Fit
from harness.fit.status import Flag
from harness.fit.table import Array
from harness.frontier.law import Law
from harness.frontier.power import PowerLaws

TITLES = {
    "approach_1": "training-curve envelope",
    "approach_2": "IsoFLOP profiles",
    "approach_3": "parametric L(N, D)",
    "frontier": "power laws of compute",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One frontier with its uncertainty and its range.

    Attributes:
        name: ``approach_1`` … ``approach_3``, or ``frontier``.
        frontier: the point estimate; None where the fit has no number.
        draws: one frontier a bootstrap draw, as arrays; None for published constants.
        flags: what the fit says against it.
        cost: training compute of N parameters on D tokens, as the runs' compute was counted; 6ND for published laws.
    """

    name: str
    frontier: Law | PowerLaws | None
    draws: Law | PowerLaws | None = None
    level: float = 0.9
    flags: tuple[Flag, ...] = ()
    smallest_flops: float | None = None
    largest_flops: float | None = None
    extrapolation_limit: float = 100.0
    cost: CostLaw = field(default_factory=CostLaw)

    @property
    def title(self) -> str:
        """For people: ``approach 3, parametric L(N, D)``."""
        return self.name.replace("_", " ") + ", " + TITLES[self.name]

    @property
    def loss_kind(self) -> str:
        """``training`` for approach 1, whose losses are smoothed training losses; else ``held-out``."""
        return Approach1.loss_kind if self.name == "approach_1" else Approach.loss_kind

    @property
    def law(self) -> Law | None:
        """L(N, D), where this source has one."""
        return self.frontier if isinstance(self.frontier, Law) else None

    @property
    def law_draws(self) -> Law | None:
        """L(N, D) of every draw."""
        return self.draws if isinstance(self.draws, Law) else None


def from_fit(fit: Fit) -> tuple[Source, ...]:
    """The three approaches of a fit, in the paper's order; those without a number have no frontier.

    All three count compute as the table does, so the cost law that approach 3 found in it serves all three.
    """
    return tuple(_from_approach(approach, fit.approach_3.cost) for approach in fit.approaches)


def choose(sources: tuple[Source, ...], approach: str) -> tuple[tuple[Source, ...], Source]:
    """The sources to list, and the one that decides: shapes, serving and experiments need a single answer.

    ``auto`` lists all and lets the one with L(N, D) decide, else approach 2 (Hoffmann et al. weight all three
    alike), else whichever has a number.

    Raises:
        UserError: no such approach, or none with a number.
    """
    names = [source.name for source in sources]
    if approach != "auto":
        if approach not in names:
            raise UserError(f"approach: '{approach}' is not here; there is auto, {', '.join(names)}")
        sources = tuple(source for source in sources if source.name == approach)
    for name in ("approach_3", "approach_2", "approach_1", "frontier"):
        for source in sources:
            if source.name == name and source.frontier is not None:
                return sources, source
    reasons = "; ".join(f"{s.name}: {s.flags[0].note if s.flags else 'no number'}" for s in sources)
    raise UserError(f"the fit has no frontier to predict from ({reasons})")


def _from_approach(approach: Approach, cost: CostLaw) -> Source:
    theta, draws = approach.theta(), approach.draws
    if draws is not None and not len(draws):
        draws = None

    def frontier(rows: Array | None) -> Law | PowerLaws | None:
        if rows is None:
            return None
        return Law.from_theta(rows, cost) if isinstance(approach, Approach3) else PowerLaws.from_theta(rows)

    return Source(
        name=approach.name,
        frontier=frontier(theta),
        draws=frontier(draws),
        level=approach.level,
        flags=tuple(Flag(code, note) for code, note in zip(approach.flags, approach.notes, strict=True)),
        smallest_flops=approach.smallest_flops,
        largest_flops=approach.largest_flops,
        extrapolation_limit=approach.extrapolation_limit,
        cost=cost,
    )
