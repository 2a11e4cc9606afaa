"""What runs are to be chosen for: which quantity, at which compute, and how much they may cost."""

from dataclasses import dataclass

from harness.errors import UserError

PARAMS, LOSS, EXPONENT = "params", "loss", "exponent"
AIMS = (PARAMS, LOSS, EXPONENT)
FLOPS, HOURS, DOLLARS = "FLOPs", "device-hours", "dollars"
BEYOND = 10.0
"""Without a budget of the user's, the aim is at so many times the largest of the runs."""


@dataclass(frozen=True)
class Goal:
    """An aim and a spend.

    Attributes:
        aim: ``params`` (N*), ``loss`` (L*), both at C = ``flops``, or ``exponent`` (a).
        spend: how much may be spent, in ``unit``.
    """

    aim: str
    flops: float
    spend: float
    unit: str = FLOPS

    @property
    def described(self) -> str:
        """``N* at C = 6e+12 FLOPs``."""
        if self.aim == EXPONENT:
            return "the exponent a of N* ∝ C^a"
        return f"{'N*' if self.aim == PARAMS else 'L*'} at C = {self.flops:.3g} FLOPs"


def spend_of(spend: float | None, gpu_hours: float | None, dollars: float | None) -> tuple[float, str]:
    """The one that is given, and its unit.

    Raises:
        UserError: none is, or several.
    """
    given = {
        name: value
        for name, value in (("spend", spend), ("gpu_hours", gpu_hours), ("dollars", dollars))
        if value is not None
    }
    if len(given) != 1:
        named = " and ".join(given)
        raise UserError(
            f"{named}: give one of them"
            if given
            else "spend: how much may be spent? e.g. spend=1e12 (FLOPs), gpu_hours=2"
        )
    name, value = next(iter(given.items()))
    return value, {"spend": FLOPS, "gpu_hours": HOURS, "dollars": DOLLARS}[name]
