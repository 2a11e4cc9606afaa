"""A fit as plain text."""

from harness.fit.results import Fit


def summary(fit: Fit) -> str:
    """The tables of a fit for a terminal."""
    return "\n".join(f"{a.name}: a = {a.a}, b = {a.b} ({a.status})" for a in fit.approaches)
