"""Where a frontier comes from: the approaches of a fit, or published constants by name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from harness.bounds import bounded
from harness.errors import UserError
from harness.fit.estimate import EXTRAPOLATION_LIMIT, TITLES, FrontierSource
from harness.fit.laws import Law, PowerLaws
from harness.fit.results import FitResults
from harness.fit.status import doubt
from harness.packaged import config_folder


def from_fit(fit: FitResults) -> tuple[FrontierSource, ...]:
    """The three approaches of a fit, in the paper's order; those without a number have no frontier.

    All three count compute as the table does, so the cost law that approach 3 found in it serves all three.
    """
    return tuple(replace(approach.source(), cost=fit.approach_3.cost) for approach in fit.approaches)


PREFERENCE = ("approach_3", "approach_2", "approach_1", "frontier")
"""Which source decides, where several have a number."""


def choose(
    sources: tuple[FrontierSource, ...], approach: str, surface: bool = False
) -> tuple[tuple[FrontierSource, ...], FrontierSource]:
    """The sources to list, and the one that decides: shapes, serving and experiments need a single answer.

    ``auto`` lists all. By order the one with L(N, D) decides, then approach 2 (Hoffmann et al. weight all three alike),
    but the one with less doubt where they differ in it (``harness.fit.status.doubt``). Approach 1 decides where the
    others have no numbers: its points are training losses before the cooldown.

    Args:
        surface: the question needs L(N, D) off the frontier; sources that have it come first.

    Raises:
        UserError: no such approach, or none with a number.
    """
    names = [source.name for source in sources]
    if approach != "auto":
        if approach not in names:
            raise UserError(f"approach: '{approach}' is not here; there is auto, {', '.join(names)}")
        sources = tuple(source for source in sources if source.name == approach)
    known = [s for name in PREFERENCE for s in sources if s.name == name and s.frontier is not None]
    if not known:
        reasons = "; ".join(f"{s.name}: {s.flags[0].note if s.flags else 'no number'}" for s in sources)
        raise UserError(f"the fit has no frontier to predict from ({reasons})")
    # min takes the first of those that are alike
    return sources, min(known, key=lambda one: (surface and one.law is None, doubt_of(one.name, _codes(one))))


def doubt_of(approach: str, codes: Iterable[str]) -> int:
    """:func:`harness.fit.status.doubt` of an approach with these codes; approach 1 is never preferred."""
    return 2 if approach == "approach_1" else doubt(codes)


def _codes(source: FrontierSource) -> Iterator[str]:
    return (flag.code for flag in source.flags)


@dataclass
class SurfaceConfig:
    """Published constants of L = E + A/N^alpha + B/D^beta, with compute 6ND."""

    E: float = bounded(0.0, 0, 1e15)
    A: float = bounded(0.0, 0, 1e15)
    B: float = bounded(0.0, 0, 1e15)
    alpha: float = bounded(0.0, 0, 100)
    beta: float = bounded(0.0, 0, 100)


@dataclass
class PowerConfig:
    """Published power laws of C in FLOPs: N* = params_scale C^a, D* = tokens_scale C^b.

    With ``loss_scale`` and ``loss_exponent`` also L* = loss_floor + loss_scale C^-loss_exponent.
    """

    params_scale: float = bounded(0.0, 0, 1e20)
    a: float = bounded(0.0, 0, 100)
    tokens_scale: float = bounded(0.0, 0, 1e25)
    b: float = bounded(0.0, 0, 100)
    loss_floor: float = bounded(0.0, -1e6, 1e6)
    loss_scale: float | None = bounded(None, 0, 1e15)
    loss_exponent: float | None = bounded(None, 0, 100)


@dataclass
class LawConfig:
    """Published constants by name: the schema of ``configs/law``.

    Attributes:
        name, source: what it is called, and the paper, section and table it was read from.
        note: what a reader must know before comparing (another tokenizer, another count).
        count: the parameter count N means (see ``harness.model.counts.PARAM_COUNTS``).
        compute: the FLOP count C means (see ``harness.model.counts.FLOP_COUNTS``).
        surface: L(N, D), listed as approach 3; null where the paper gives none.
        frontiers: power laws by approach: ``approach_1``, ``approach_2`` or ``frontier``.
        smallest_flops, largest_flops: the runs it was fitted to.
        extrapolation_limit: predictions beyond this multiple of ``largest_flops`` are marked (``FitOptions`` has why).
    """

    name: str = ""
    source: str = ""
    note: str = ""
    count: str = "total"
    compute: str = "6nd"
    surface: SurfaceConfig | None = None
    frontiers: dict[str, PowerConfig] = field(default_factory=dict)
    smallest_flops: float | None = bounded(None, 0, 1e40, above=True)
    largest_flops: float | None = bounded(None, 0, 1e40, above=True)
    extrapolation_limit: float = bounded(EXTRAPOLATION_LIMIT, 1, 1e40)

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


def published_law(name: str) -> LawConfig:
    """The published constants of ``configs/law/NAME.yaml``, the only place where they are written.

    Raises:
        UserError: there is no such file, or it is not a law's.
    """
    path = config_folder() / "law" / f"{name}.yaml"
    try:
        law = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(LawConfig), OmegaConf.load(path)))
    except (OSError, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"law {name}: {path} cannot be read ({error})") from None
    assert isinstance(law, LawConfig)
    return law


def from_law(config: LawConfig) -> tuple[FrontierSource, ...]:
    """Published constants; they carry no draws, so no intervals."""
    found: dict[str, Law | PowerLaws] = {n: _powers(law) for n, law in sorted(config.frontiers.items())}
    if config.surface is not None:
        found["approach_3"] = Law(**vars(config.surface))
    return tuple(
        FrontierSource(
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
