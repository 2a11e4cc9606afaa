"""isoflop: how large a model on how many tokens, answered by experiment."""

STOPPED = "isoflop: stopped; the same command goes on where it stopped"
"""The last line of a command that a signal ended: here, for it may be wanted before anything else is imported."""
