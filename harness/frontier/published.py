"""Published constants by name, and the sources made of them."""

from dataclasses import dataclass, field

import numpy as np

from harness.errors import UserError
from harness.frontier.law import Law
from harness.frontier.power import PowerLaws
from harness.frontier.source import TITLES, Source


@dataclass
class SurfaceConfig:
    """Published constants of L = E + A/N^alpha + B/D^beta, with compute 6ND."""

    E: float = 0.0
    A: float = 0.0
    B: float = 0.0
    alpha: float = 0.0
    beta: float = 0.0


@dataclass
class PowerConfig:
    """Published power laws of C in FLOPs: N* = params_scale C^a, D* = tokens_scale C^b.

    With ``loss_scale`` and ``loss_exponent`` also L* = loss_floor + loss_scale C^-loss_exponent.
    """

    params_scale: float = 0.0
    a: float = 0.0
    tokens_scale: float = 0.0
    b: float = 0.0
    loss_floor: float = 0.0
    loss_scale: float | None = None
    loss_exponent: float | None = None


@dataclass
class LawConfig:
    """Published constants by name: the schema of ``configs/law``.

    Attributes:
        name, source: what it is called, and the paper, section and table it was read from.
        note: what a reader must know before comparing (another tokenizer, another count).
        count: the parameter count N means (see ``harness.plan.params.PARAM_COUNTS``).
        compute: the FLOP count C means (see ``harness.plan.flops.FLOP_COUNTS``).
        surface: L(N, D), listed as approach 3; null where the paper gives none.
        frontiers: power laws by approach: ``approach_1``, ``approach_2`` or ``frontier``.
        smallest_flops, largest_flops: the runs it was fitted to.
        extrapolation_limit: predictions beyond this multiple of ``largest_flops`` are marked.
    """

    name: str = ""
    source: str = ""
    note: str = ""
    count: str = "total"
    compute: str = "6nd"
    surface: SurfaceConfig | None = None
    frontiers: dict[str, PowerConfig] = field(default_factory=dict)
    smallest_flops: float | None = None
    largest_flops: float | None = None
    extrapolation_limit: float = 100.0

    def __post_init__(self) -> None:
        if self.surface is None and not self.frontiers:
            raise UserError(f"law {self.name}: needs a surface (E, A, B, alpha, beta) or frontiers")
        for name in self.frontiers:
            if name not in TITLES or name == "approach_3":
                raise UserError(
                    f"law {self.name}: frontiers are called approach_1, approach_2 or frontier, not {name}"
                )
        constants = [] if self.surface is None else list(vars(self.surface).values())[1:]
        for law in self.frontiers.values():
            constants += [law.params_scale, law.a, law.tokens_scale, law.b]
        if any(value <= 0 for value in constants):
            raise UserError(f"law {self.name}: every coefficient and exponent must be positive")


def from_law(config: LawConfig) -> tuple[Source, ...]:
    """Published constants; they carry no draws, so no intervals."""
    found: dict[str, Law | PowerLaws] = {n: _powers(law) for n, law in sorted(config.frontiers.items())}
    if config.surface is not None:
        found["approach_3"] = Law(**vars(config.surface))
    return tuple(
        Source(
            name=name,
            frontier=frontier,
            smallest_flops=config.smallest_flops,
            largest_flops=config.largest_flops,
            extrapolation_limit=config.extrapolation_limit,
        )
        for name, frontier in found.items()
    )


def _powers(config: PowerConfig) -> PowerLaws:
    known = config.loss_scale is not None and config.loss_exponent is not None
    return PowerLaws(
        log_params_scale=float(np.log(config.params_scale)),
        a=config.a,
        log_tokens_scale=float(np.log(config.tokens_scale)),
        b=config.b,
        loss_floor=config.loss_floor if known else float("nan"),
        log_loss_scale=float(np.log(config.loss_scale)) if config.loss_scale else float("nan"),
        loss_exponent=config.loss_exponent if config.loss_exponent else float("nan"),
    )
