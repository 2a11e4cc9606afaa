"""The fit as a user holds it: results that can be asked and printed."""

from dataclasses import dataclass

from harness.fit.results import FitResults
from harness.fit.summary import summary


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit(FitResults):
    """The whole answer. Indexing-free: ``fit.approach_3.a``, ``fit.predict(1e21)["approach_2"].params``."""

    def summary(self) -> str:
        """Plain-text tables for a terminal."""
        return summary(self)
