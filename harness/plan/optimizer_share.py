"""How much an optimizer's own steps add to C: shown wherever that is more than rounding."""

from collections.abc import Collection

from harness.plan.cell import Cell

SHOWN = 0.01
"""Where no cell's optimizer takes this share of C, nothing is said of it: AdamW's steps take some thousandths."""


def is_shown(cells: Collection[Cell]) -> bool:
    """Whether the optimizer takes a share of some cell's C that is worth a column."""
    return any(cell.optimizer_share >= SHOWN for cell in cells)


def share_text(share: float) -> str:
    """``0.2%``, ``7.3%``, ``27%``."""
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def described(cells: Collection[Cell]) -> str:
    """``the optimizer's own steps take 7.3% to 27% of C, …``: a sentence without its full stop; empty if not shown."""
    if not is_shown(cells):
        return ""
    shares = sorted(cell.optimizer_share for cell in cells)
    ends = list(dict.fromkeys((share_text(shares[0]), share_text(shares[-1]))))
    paid = (
        "the budget pays for them (grid.count_optimizer)"
        if all(cell.count_optimizer for cell in cells)
        else "which no budget pays for (grid.count_optimizer=true charges them)"
    )
    return f"the optimizer's own steps take {' to '.join(ends)} of C, {paid}"
