"""How far runs reach in N, D and D/N, and how many times beyond them a model lies."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.fit.table import Points

# Of a number at the very edge of the runs.
ROUNDING = 1e-9


@dataclass(frozen=True)
class RunRange:
    """The smallest and the largest N, D and D/N of the runs behind a fit."""

    smallest_params: float
    largest_params: float
    smallest_tokens: float
    largest_tokens: float
    smallest_tokens_per_param: float
    largest_tokens_per_param: float

    def beyond(self, params: float, tokens: float, limit: float) -> Iterator[str]:
        """What of a model lies more than ``limit`` times beyond the runs, as ``D/N = 1e+04 is 100 x the largest run``.

        N or D that is not a number is not judged.
        """
        with np.errstate(all="ignore"):
            quantities = (
                ("N", params, self.smallest_params, self.largest_params),
                ("D", tokens, self.smallest_tokens, self.largest_tokens),
                (
                    "D/N",
                    float(np.divide(tokens, params)),
                    self.smallest_tokens_per_param,
                    self.largest_tokens_per_param,
                ),
            )
            for name, value, smallest, largest in quantities:
                above, below = float(np.divide(value, largest)), float(np.divide(smallest, value))
                if above > limit * (1 + ROUNDING):
                    yield f"{name} = {value:.3g} is {above:.3g} x the largest that was run"
                elif below > limit * (1 + ROUNDING):
                    yield f"{name} = {value:.3g} is {below:.3g} x below the smallest that was run"


def run_range(points: Points) -> RunRange:
    """The range of a table's runs, of which there must be one at least."""
    ratio = points.tokens / points.params
    return RunRange(
        *(
            float(bound)
            for column in (points.params, points.tokens, ratio)
            for bound in (column.min(), column.max())
        )
    )
