"""Numbers of the papers that figures and tables show beside a fit, each with its place.

Constants of laws are not here: their only home is ``configs/law``, from which this module reads them.
"""

from dataclasses import dataclass
from functools import cache

from harness.fit.bootstrap import Interval
from harness.fit.laws import Frontier
from harness.predict.source import from_law, published_law


@dataclass(frozen=True)
class Exponents:
    """N* ∝ C^a, D* ∝ C^b, with the 10th and 90th percentile over subsamples of 80%."""

    a: float
    a_interval: Interval
    b: float
    b_interval: Interval


# Hoffmann et al. 2022 (arXiv 2203.15556), Table 2.
TABLE_2 = {
    "approach_1": Exponents(0.50, (0.488, 0.502), 0.50, (0.501, 0.512)),
    "approach_2": Exponents(0.49, (0.462, 0.534), 0.51, (0.483, 0.529)),
    "approach_3": Exponents(0.46, (0.454, 0.455), 0.54, (0.542, 0.543)),
}


@dataclass(frozen=True)
class SizeOptimum:
    """The budget and tokens for which a size is optimal; ``flops`` in FLOPs, ``tokens`` in tokens."""

    flops: float
    tokens: float


# Hoffmann et al. 2022, Table 3 (approach 1) and Table A3 (approaches 2 and 3): parameters to optimum.
TABLE_A3: dict[float, dict[str, SizeOptimum]] = {
    400e6: {
        "approach_1": SizeOptimum(1.92e19, 8.0e9),
        "approach_2": SizeOptimum(1.84e19, 7.7e9),
        "approach_3": SizeOptimum(2.21e19, 9.2e9),
    },
    1e9: {
        "approach_1": SizeOptimum(1.21e20, 20.2e9),
        "approach_2": SizeOptimum(1.20e20, 20.0e9),
        "approach_3": SizeOptimum(1.62e20, 27.1e9),
    },
    10e9: {
        "approach_1": SizeOptimum(1.23e22, 205.1e9),
        "approach_2": SizeOptimum(1.32e22, 219.5e9),
        "approach_3": SizeOptimum(2.46e22, 410.1e9),
    },
    67e9: {
        "approach_1": SizeOptimum(5.76e23, 1.5e12),
        "approach_2": SizeOptimum(6.88e23, 1.7e12),
        "approach_3": SizeOptimum(1.71e24, 4.1e12),
    },
    175e9: {
        "approach_1": SizeOptimum(3.85e24, 3.7e12),
        "approach_2": SizeOptimum(4.54e24, 4.3e12),
        "approach_3": SizeOptimum(1.26e24, 12.0e12),
    },
    280e9: {
        "approach_1": SizeOptimum(9.9e24, 5.9e12),
        "approach_2": SizeOptimum(1.18e25, 7.1e12),
        "approach_3": SizeOptimum(3.52e25, 20.1e12),
    },
    520e9: {
        "approach_1": SizeOptimum(3.43e25, 11.0e12),
        "approach_2": SizeOptimum(4.19e25, 13.4e12),
        "approach_3": SizeOptimum(1.36e26, 43.5e12),
    },
    1e12: {
        "approach_1": SizeOptimum(1.27e26, 21.2e12),
        "approach_2": SizeOptimum(1.59e26, 26.5e12),
        "approach_3": SizeOptimum(5.65e26, 94.1e12),
    },
    10e12: {
        "approach_1": SizeOptimum(1.3e28, 216.2e12),
        "approach_2": SizeOptimum(1.75e28, 292e12),
        "approach_3": SizeOptimum(8.55e28, 1425.5e12),
    },
}


@dataclass(frozen=True)
class CountedModel:
    """A row of Hoffmann et al. 2022, Table A4: a shape and its training FLOPs over 6ND."""

    millions: float
    layers: int
    width: int
    heads: int
    key: int
    ratio: float


TABLE_A4 = (
    CountedModel(73, 10, 640, 10, 64, 1.03),
    CountedModel(305, 20, 1024, 16, 64, 1.10),
    CountedModel(552, 24, 1280, 10, 128, 1.08),
    CountedModel(1100, 26, 1792, 14, 128, 1.04),
    CountedModel(1600, 28, 2048, 16, 128, 1.03),
    CountedModel(6800, 40, 3584, 28, 128, 0.99),
)


@dataclass(frozen=True)
class KnownModel:
    """A released model: parameters and training tokens; its compute is taken as 6ND."""

    name: str
    params: float
    tokens: float

    @property
    def flops(self) -> float:
        """6ND."""
        return 6 * self.params * self.tokens


# Hoffmann et al. 2022, Table 1 and section 4; Touvron et al. 2023 (2307.09288); Llama team 2024 (2407.21783).
KNOWN_MODELS = (
    KnownModel("GPT-3", 175e9, 300e9),
    KnownModel("Gopher", 280e9, 300e9),
    KnownModel("MT-NLG", 530e9, 270e9),
    KnownModel("Chinchilla", 70e9, 1.4e12),
    KnownModel("Llama 2 70B", 70e9, 2e12),
    KnownModel("Llama 3 405B", 405e9, 15.6e12),
)

LAWS = {"Hoffmann et al.": "hoffmann2022", "Besiroglu et al.": "besiroglu2024"}
"""The laws L = E + A/N^alpha + B/D^beta that a fit's is compared with: short name to name in ``configs/law``."""


@cache
def published_theta(name: str) -> tuple[float, ...]:
    """(E, A, B, alpha, beta) of ``configs/law/NAME.yaml``, nats per token."""
    surface = published_law(name).surface
    assert surface is not None, f"{name} gives L(N, D)"
    return surface.E, surface.A, surface.B, surface.alpha, surface.beta


@cache
def kaplan_frontier() -> Frontier:
    """Kaplan et al. 2020 (arXiv 2001.08361), N without embeddings: ``configs/law/kaplan2020.yaml``."""
    frontier = from_law(published_law("kaplan2020"))[0].frontier
    assert frontier is not None
    return frontier
