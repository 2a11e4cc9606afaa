"""Sweeps of hyperparameters at every (N, D) of a grid, on a known law and a known response."""

from dataclasses import dataclass, field

import numpy as np

from harness.fit import Points
from harness.fit.laws import Law
from harness.fit.table import Array
from tests.fit.synthetic import CHINCHILLA

# Of ln lr and ln batch: at N = 2e8 and D = 1e10, and the powers of N and D.
RULES = np.array(((np.log(2e-3), -0.7, 0.3), (np.log(64.0), 0.1, 0.55)))
BEND = np.array(((0.06, -0.016), (-0.016, 0.03)))


@dataclass(frozen=True)
class Response:
    """How a sweep is made.

    Attributes:
        sizes, horizons: of the grid of cells. rates, batches: tried in each. seeds: of every recipe.
        noise: standard deviation of a run, nats per token.
        reach: of ln rate and ln batch to either side of the best.
        skew: of the loss on the side of high rates, against the other.
        columns: names of the two hyperparameters.
    """

    sizes: int = 5
    horizons: int = 4
    rates: int = 5
    batches: int = 4
    seeds: int = 1
    noise: float = 0.0
    reach: tuple[float, float] = (1.2, 1.0)
    skew: float = 0.0
    columns: tuple[str, str] = ("lr", "batch_size")
    law: tuple[float, ...] = field(default=CHINCHILLA)

    def make(self, seed: int = 0) -> Points:
        """The table; in cells the grid of recipes lies off the best by a different distance."""
        rng = np.random.default_rng(seed)
        cells = [
            (n, d) for n in np.geomspace(6e7, 1e9, self.sizes) for d in np.geomspace(2e9, 1e11, self.horizons)
        ]
        rows = []
        for n, d in cells:
            best = RULES @ (1.0, np.log(n / 2e8), np.log(d / 1e10))
            shift = rng.uniform(-0.3, 0.3, 2)
            for rate in np.linspace(-1, 1, self.rates) * self.reach[0] + shift[0]:
                for batch in np.linspace(-1, 1, self.batches) * self.reach[1] + shift[1]:
                    rows += [
                        (n, d, *np.exp(best + np.array((rate, batch))), rate, batch, s)
                        for s in range(self.seeds)
                    ]
        n, d, lr, size, *off, seeds = np.array(rows).T
        w = np.stack(off, axis=1)
        rise = 0.5 * np.einsum("ni,ij,nj->n", w, BEND, w)
        rise += 0.5 * BEND[0, 0] * self.skew * w[:, 0] ** 2 * np.tanh(w[:, 0])
        loss = self.truth(n, d) + rise + self.noise * rng.standard_normal(len(n))
        return Points(
            n,
            d,
            6 * n * d,
            loss,
            extra=dict(zip(self.columns, (lr, size), strict=True)),
            seed=seeds if self.seeds > 1 else None,
        )

    def truth(self, params: Array, tokens: Array) -> Array:
        """The loss of the best recipe."""
        return Law.from_theta(np.array(self.law)).loss_of_logs(np.log(params), np.log(tokens))


def rule_at(params: float, tokens: float) -> Array:
    """The true best rate and batch."""
    return np.asarray(np.exp(RULES @ (1.0, np.log(params / 2e8), np.log(tokens / 1e10))))
