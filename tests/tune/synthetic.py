"""A surface of loss over size, rate and batch whose minima are known, and runs drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.model.shape import Shape
from harness.tune.design import Trial, TuneSize

RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
BATCHES = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Truth:
    """Minima at rate ``rate · (N/3e4)^rate_exponent``, likewise batch; a valley along rate ∝ batch^½.

    ``skew`` 0 is a parabola in the logs; 1 is straight far to the left and a cliff to the right. Runs at high
    rates that would end ``diverges`` nats over the minimum are lost.
    """

    rate: float = 0.008
    rate_exponent: float = -0.5
    batch: float = 700.0
    batch_exponent: float = 0.3
    skew: float = 0.0
    diverges: float = 0.9
    noise: float = 0.01

    def minimum(self, n: float) -> tuple[float, float]:
        """The best rate and batch."""
        scale = n / 3e4
        return self.rate * scale**self.rate_exponent, self.batch * scale**self.batch_exponent

    def excess(self, n: float, rate: float, batch: float) -> float:
        """Nats above the minimum."""
        best_rate, best_batch = self.minimum(n)
        v = np.log(batch / best_batch)
        u = np.log(rate / best_rate) - 0.5 * v
        left = 0.08 * u**2 / (1 + 0.25 * self.skew * abs(u))
        along = left if u < 0 else 0.08 * u**2 + 0.04 * self.skew * u**3
        small = 0.05 * v**2 * (1 - 0.4 * self.skew) / (1 + 0.3 * self.skew * abs(v))
        return float(along + (small if v < 0 else 0.05 * v**2))

    def loss(self, n: float, rate: float, batch: float) -> float:
        """Nats per token, without noise."""
        return 1.5 + (n / 1e3) ** -0.2 + self.excess(n, rate, batch)


def size(n: float, rate: float, batch: int) -> TuneSize:
    """A size whose grid is centred at ``rate`` and ``batch``."""
    shape = Shape("llama", 256, 8, 2, 2, 4, 16, 2, True, 128, ())
    return TuneSize(shape, int(n), int(n), 30 * n, rate, batch, False)


def sizes(truth: Truth, params: Sequence[float], off: tuple[float, float] = (1.0, 1.0)) -> list[TuneSize]:
    """Sizes with grids centred ``off`` times their minima."""
    return [size(n, off[0] * truth.minimum(n)[0], round(off[1] * truth.minimum(n)[1])) for n in params]


def runs(
    truth: Truth,
    chosen: Sequence[TuneSize],
    rng: np.random.Generator,
    rates: Sequence[float] = RATES,
    batches: Sequence[float] = BATCHES,
) -> list[Trial]:
    """A run at every point of every size's grid."""
    found = []
    for i, one in enumerate(chosen):
        for r in rates:
            for b in batches:
                rate, batch = r * one.rate, round(b * one.batch_tokens)
                gone = (
                    rate > truth.minimum(one.params)[0]
                    and truth.excess(one.params, rate, batch) > truth.diverges
                )
                loss = truth.loss(one.params, rate, batch) + truth.noise * float(rng.standard_normal())
                found.append(Trial(f"{i}-{r}-{b}", i, rate, batch, 0, None if gone else loss))
    return found
