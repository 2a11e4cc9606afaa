"""The numbers of a table as the solver takes them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.fit.table import Array


@dataclass(frozen=True, eq=False)
class Data:
    """Centred logs of N and D, and ln L, each of shape (n,), with the means that were taken away.

    ``z`` are covariates, (n, columns); None without any.
    """

    x: Array
    y: Array
    log_loss: Array
    mean_x: float
    mean_y: float
    z: Array | None = None

    @classmethod
    def of(cls, params: Array, tokens: Array, loss: Array, z: Array | None = None) -> "Data":
        """From N, D and L, each (n,)."""
        x, y = np.log(params), np.log(tokens)
        return cls(x - x.mean(), y - y.mean(), np.log(loss), float(x.mean()), float(y.mean()), z)

    def take(self, keep: NDArray[Any]) -> "Data":
        """The runs of a mask or index, centred where the whole table is."""
        z = None if self.z is None else self.z[keep]
        return Data(self.x[keep], self.y[keep], self.log_loss[keep], self.mean_x, self.mean_y, z)
