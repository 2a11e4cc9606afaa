"""isoflop: how large a model on how many tokens, answered by experiment.

Everything a notebook needs is here:

>>> from harness import FitOptions, figures, fit_points, load_sweep, predict_from, tables
>>> sweep = load_sweep("results/demo")
>>> fit = fit_points(sweep.points, FitOptions(draws=50, backtest=False))
>>> print(f"N* ~ C^{fit.approach_2.a:.2f}")
N* ~ C^0.52

``docs/library.md`` shows more. A mistake is a :class:`UserError` with one sentence.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import UserError
    from harness.fit import (
        Curve,
        Curves,
        Fit,
        FitOptions,
        OptimumEstimate,
        Points,
        fit_points,
        load_fit,
        read_curves,
        read_points,
        read_published,
        write_fit,
    )
    from harness.library import figures, tables
    from harness.library.configured import plan_sweep, predict_from
    from harness.library.sweep import Sweep, load_sweep
    from harness.plan.plan import Plan
    from harness.predict.result import PredictResult

__version__: str

STOPPED = "isoflop: stopped; the same command goes on where it stopped"
"""The last line of a command that a signal ended: here, for it may be wanted before anything else is imported."""

# Where each name lives; imported when it is first asked for, since a command needs few of them and starts sooner.
_LIVES_IN = {
    "UserError": "harness.errors",
    "Curve": "harness.fit",
    "Curves": "harness.fit",
    "Fit": "harness.fit",
    "FitOptions": "harness.fit",
    "OptimumEstimate": "harness.fit",
    "Points": "harness.fit",
    "fit_points": "harness.fit",
    "load_fit": "harness.fit",
    "read_curves": "harness.fit",
    "read_points": "harness.fit",
    "read_published": "harness.fit",
    "write_fit": "harness.fit",
    "figures": "harness.library",
    "tables": "harness.library",
    "plan_sweep": "harness.library.configured",
    "predict_from": "harness.library.configured",
    "Sweep": "harness.library.sweep",
    "load_sweep": "harness.library.sweep",
    "Plan": "harness.plan.plan",
    "PredictResult": "harness.predict.result",
}

__all__ = [
    "Curve",
    "Curves",
    "Fit",
    "FitOptions",
    "OptimumEstimate",
    "Plan",
    "Points",
    "PredictResult",
    "Sweep",
    "UserError",
    "figures",
    "fit_points",
    "load_fit",
    "load_sweep",
    "plan_sweep",
    "predict_from",
    "read_curves",
    "read_points",
    "read_published",
    "tables",
    "write_fit",
]


def __getattr__(name: str) -> Any:
    """A name of the library, on first use."""
    if name == "__version__":
        from harness.version import isoflop_version

        return isoflop_version()
    if name not in _LIVES_IN:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    home = _LIVES_IN[name]
    if home == "harness.library":  # these two are modules
        return import_module(f"{home}.{name}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
