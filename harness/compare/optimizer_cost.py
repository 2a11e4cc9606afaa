"""What is to be said where arms' optimizers take FLOPs of their own that no budget pays for."""

from collections.abc import Iterator, Sequence

from harness.compare.arm import Arm
from harness.plan.optimizer_share import SHOWN


def optimizer_cautions(arms: Sequence[Arm]) -> Iterator[str]:
    """One sentence, where the optimizer of an arm takes more than rounding and arms differ in it."""
    shares = {arm.name: arm.unpaid_share for arm in arms}
    if max(shares.values()) < SHOWN or max(shares.values()) < 2 * min(shares.values()):
        return
    listed = ", ".join(f"{name}: {share:.2g}" for name, share in shares.items())
    yield (
        f"C is without the optimizer's own steps, which take up to these shares of it ({listed}): at equal FLOPs an "
        "arm with more has more compute; grid.count_optimizer=true charges them to the budget, and equal time has them."
    )
