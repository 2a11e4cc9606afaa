"""What is to be said where arms are of different families of models: their difference is not architecture alone."""

from collections.abc import Iterator, Sequence

from harness.compare.arm import Arm

HELD_BACK = {
    "gpt2": (
        "gpt2's learned positions are slow to be of use: the demo's models of 46k parameters end .3 nats above llama's "
        "at 1e11 FLOPs, hardly better than without positions, and .2 above at 6e11 (docs/families.md), so a difference "
        "of gpt2 at such sizes is largely one of how soon positions are learned."
    )
}
"""What was measured to hold small models of a family back, by the family's name."""


def family_cautions(arms: Sequence[Arm]) -> Iterator[str]:
    """A sentence for each reason why a difference may be one of tuning, or of size; none where families are alike."""
    named = {arm.name: arm.family for arm in arms if arm.family}
    families = dict.fromkeys(named.values())
    if len(families) < 2:
        return
    listed = ", ".join(f"{name}: {family}" for name, family in named.items())
    yield (
        f"The arms' models are of different families ({listed}): unless each was tuned for itself ('isoflop tune "
        "model=…'), part of a difference is that the recipe suits one of them better."
    )
    yield from (HELD_BACK[family] for family in families if family in HELD_BACK)
