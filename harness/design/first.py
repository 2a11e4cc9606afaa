"""The initial design, before anything is known but a guess: few runs, cheap ones, and enough to fit a law to."""

from collections.abc import Sequence

SPAN = 8.0
"""Largest over smallest N of them at one budget."""

SHARE = 0.5
"""Of the spend, that they may take where fewer budgets would do: what comes after them is chosen better."""

PLANS = ((4, 3, 2), (5, 3, 1), (5, 4))
"""Sizes at the lowest budgets, from the lowest, by rising need to save: nine runs of many sizes and horizons, which a
law of five parameters needs; the lowest budget, where they cost least, shows a minimum."""


def first_sizes(budgets: Sequence[float], spend: float) -> dict[float, int]:
    """How many sizes to begin with at each of the lowest of ``budgets``, two or more, in FLOPs as ``spend`` is."""
    lowest = sorted(budgets)
    plans = [dict(zip(lowest, sizes, strict=False)) for sizes in PLANS if len(sizes) <= len(lowest)]
    cheap = [plan for plan in plans if sum(c * k for c, k in plan.items()) <= SHARE * spend]
    return (cheap or plans[-1:])[0]
