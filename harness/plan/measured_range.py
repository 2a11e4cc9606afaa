"""Where and how a recipe's rules were measured: the section ``recipe.measured``."""

from dataclasses import dataclass

from harness.bounds import bounded, check_bounds, suggested
from harness.errors import UserError
from harness.model.parametrization import KINDS
from harness.model.shape import FAMILIES

OPTIMIZERS = ("adamw", "muon")
RANGES = ("params", "tokens", "tokens_per_param")


@dataclass
class MeasuredRange:
    """Over which N and D a recipe's rules were measured, and with what; elsewhere they extrapolate.

    Attributes:
        params: the smallest and the largest N, as the recipe counts it; empty where that is not known.
        tokens: the smallest and the largest D; empty where that is not known.
        tokens_per_param: the smallest and the largest D / N, N as the recipe counts it; empty where that is not known.
            Tunings go along a diagonal: a small model on the most tokens lies within both of the others.
        parametrization: ``standard``, ``mup`` or ``completep``; empty where that is not known.
        base_width, base_layers, base_head_dim: of its base; 0 where there is none, or it is not known.
        optimizer: ``adamw`` or ``muon``; empty where that is not known.
        family: of the models; empty where that is not known.
    """

    params: list[float] = bounded([], 0, 1e20, above=True)
    tokens: list[float] = bounded([], 0, 1e20, above=True)
    tokens_per_param: list[float] = bounded([], 0, 1e20, above=True)
    parametrization: str = suggested("", KINDS)
    base_width: int = bounded(0, 0, 1_000_000)
    base_layers: int = bounded(0, 0, 100_000)
    base_head_dim: int = bounded(0, 0, 1_000_000)
    optimizer: str = suggested("", OPTIMIZERS)
    family: str = suggested("", FAMILIES)

    def __post_init__(self) -> None:
        check_bounds(self, "recipe.measured")
        for name in RANGES:
            ends = getattr(self, name)
            if ends and (len(ends) != 2 or ends[0] > ends[1]):
                raise UserError(
                    f"recipe.measured.{name}: must be two numbers, the smaller first, or none, got {ends}"
                )
        for name, known in (("parametrization", KINDS), ("optimizer", OPTIMIZERS)):
            if (given := getattr(self, name)) and given not in known:
                raise UserError(f"recipe.measured.{name}: '{given}' is none of {', '.join(known)}")
