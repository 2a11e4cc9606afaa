"""The fit as a user holds it: results that can be asked and printed."""

from dataclasses import dataclass

from harness.fit.results import FitResults
from harness.fit.summary import summary
from harness.text import counted


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Fit(FitResults):
    """The whole answer: ``fit.approach_3.a``, ``fit.predict(1e21)["approach_2"].params``, ``fit.summary()``."""

    def summary(self) -> str:
        """Plain-text tables for a terminal."""
        return summary(self)

    def __repr__(self) -> str:
        """A line, for a notebook or a debugger: the dataclass has hundreds of numbers."""
        said = (
            f"{one.name} {one.status}" + ("" if one.a is None else f" (a = {one.a:.3f})")
            for one in self.approaches
        )
        return f"<Fit of {counted(self.n_points, 'run')}: {', '.join(said)}; summary() prints all>"
