"""Reading and showing what 'bench_train.py' measured. Arithmetic only."""

import statistics
from collections.abc import Sequence

from scripts.kept import Kept

HOW = {"off": "ours", "on": "ours compiled", "graphs": "ours graphs"}
"""Our loop by ``train.compile``, as the table names it."""


def rates(kept: Kept, size: str, loop: str) -> dict[int, float]:
    """Tokens per second by round."""
    return {
        one["round"]: one["tokens_per_second"]
        for one in kept.measured
        if (one.get("size"), one.get("contender")) == (size, loop) and "tokens_per_second" in one
    }


def ratios(kept: Kept, size: str, ours: str, other: str) -> list[float]:
    """How many times as fast ``ours`` is, in the rounds that have both, ascending."""
    mine, theirs = rates(kept, size, ours), rates(kept, size, other)
    return sorted(mine[turn] / theirs[turn] for turn in mine.keys() & theirs.keys())


def fastest(kept: Kept, size: str) -> str:
    """Our mode with the highest median at this size; empty where none was measured."""
    medians = {name: statistics.median(r.values()) for name in HOW.values() if (r := rates(kept, size, name))}
    return max(medians, key=lambda name: medians[name], default="")


def mfu(kept: Kept, size: str, peak: float) -> float | None:
    """Of our fastest mode: its matrix products' FLOP/s over ``peak``."""
    name = fastest(kept, size)
    found = kept.find(what="size", size=size)
    if not (name and found):
        return None
    return float(found["flops_per_token"] * statistics.median(rates(kept, size, name).values()) / peak)


def table(kept: Kept, sizes: Sequence[str], names: Sequence[str]) -> str:
    """Markdown: one line a size; what was not measured, or could not be, is a dash."""
    others = [name for name in names if name not in HOW.values()]
    product, peak = kept.find(what="matrix product"), kept.setting["peak"]
    assert product is not None, "it is measured first"
    head = [
        "parameters",
        *(f"{name} tokens/s" for name in names),
        "fastest of ours",
        *(f"/ {other}" for other in others),
        "MFU",
        *(["of peak"] if peak else []),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---|" * (len(head) - 1)]
    for size in sizes:
        found, mine = kept.find(what="size", size=size), fastest(kept, size)
        cells = [f"{found['params']:,}" if found else size]
        for name in names:
            values = list(rates(kept, size, name).values())
            cells.append(f"{statistics.median(values):,.0f} ({len(values)})" if values else "–")
        cells.append(mine or "–")
        for other in others:
            values = ratios(kept, size, mine, other)
            cells.append(
                f"{statistics.median(values):.2f} ({values[0]:.2f}–{values[-1]:.2f})" if values else "–"
            )
        for rate in (product["flops_per_second"], *([peak] if peak else [])):
            share = mfu(kept, size, rate)
            cells.append("–" if share is None else f"{100 * share:.0f}%")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
