"""What is to be said where arms are of different families of models: their difference is not architecture alone."""

from collections.abc import Iterator, Sequence

from harness.compare.arm import Arm
from harness.model.parametrization import trained_as

HELD_BACK = {
    "gpt2": (
        "gpt2's learned positions are slow to be of use: the demo's models of 46k parameters end .3 nats above llama's "
        "at 1e11 FLOPs, .06 better than without positions, and .2 above at 6e11 (docs/families.md), so a difference "
        "of gpt2 at such sizes is largely one of how soon positions are learned."
    )
}
"""What was measured to hold small models of a family back, by the family's name."""


def family_cautions(arms: Sequence[Arm]) -> Iterator[str]:
    """A sentence for each reason why a difference may be one of tuning, or of size; none where families are alike.

    Llama and Granite are, under ``standard``: without multipliers they are one computation.
    """
    named = {arm.name: arm.family for arm in arms if arm.family}
    families = dict.fromkeys(named.values())
    if len({trained_as(arm.family, arm.parametrization) for arm in arms if arm.family}) < 2:
        return
    listed = ", ".join(f"{name}: {family}" for name, family in named.items())
    yield (
        f"The arms' models are of different families ({listed}): unless each was tuned for itself ('isoflop tune "
        "model=…'), part of a difference is that the recipe suits one of them better."
    )
    yield from (HELD_BACK[family] for family in families if family in HELD_BACK)


def recipe_cautions(arms: Sequence[Arm]) -> Iterator[str]:
    """A sentence for each arm whose recipe was measured elsewhere: its rates may be further from the best there."""
    for arm in arms:
        if arm.recipe:
            yield f"{arm.name}: {arm.recipe}."
