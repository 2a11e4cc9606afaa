"""What a question is asked in: the kind and the bounds of each amount, for the command line and the report's page."""

from harness.amounts import Amount
from harness.bounds import Bounds

ASKED = {
    "budget": Amount("flops", Bounds(0, 1e40, above=True)),
    "gpu_hours": Amount("hours", Bounds(0, 1e20, above=True)),
    "dollars": Amount("dollars", Bounds(0, 1e20, above=True)),
    "params": Amount("params", Bounds(0, 1e20, above=True)),
    "tokens": Amount("tokens", Bounds(0, 1e25, above=True)),
    "target_loss": Amount("loss", Bounds(0, 1e6, above=True)),
    "target_accuracy": Amount("share", Bounds(0, 1, above=True)),
    "mfu": Amount("share", Bounds(0, 1, above=True)),
    "inference_tokens": Amount("tokens", Bounds(0, 1e25)),
    "unique_tokens": Amount("tokens", Bounds(0, 1e25, above=True)),
}
"""By key of ``isoflop predict``."""
