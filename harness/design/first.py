"""The first handful of runs, before anything is known but a guess: few, cheap, and enough to fit a law to."""

FIRST_SPAN = 8.0
"""Largest over smallest N of them at one budget."""

FIRST = (4, 3, 2)
"""Sizes at the lowest budgets, from the lowest: nine runs of three horizons and more, which a law of five parameters
needs; the lowest budget, where they cost least, shows a minimum."""

FEWER = (5, 4)
"""The same where there are two budgets only."""


def first_sizes(budgets: list[float]) -> dict[float, int]:
    """How many sizes to begin with at each of ``budgets``, two or more of them."""
    lowest = sorted(budgets)[: len(FIRST)]
    return dict(zip(lowest, FIRST if len(lowest) == len(FIRST) else FEWER, strict=True))
