"""What C of a run is under the column of compute that a fit read (``analysis.compute``)."""

from typing import Protocol

from harness.runs.record import Record

BY_COUNT = "flops_"
"""The beginning of the columns of ``runs.csv`` that count otherwise than the budget does; after it, how."""
ROUNDING = 1 + 1e-9


class Counted(Protocol):
    """A run, trained or planned, with its C as the budget counts it and as others do."""

    @property
    def flops(self) -> float:
        """As the budget does."""

    @property
    def flops_by_count(self) -> dict[str, float]:
        """By every count."""


def flops_of(run: Counted, compute: str) -> float | None:
    """C of ``run`` in the column ``compute``; None where it has none of that name."""
    if compute == "flops":
        return run.flops
    return run.flops_by_count.get(compute.removeprefix(BY_COUNT))


def has_optimizer(record: Record, compute: str) -> bool:
    """Whether C has the optimizer's own steps in it: where the budget pays for them, and C is what it counts."""
    return (
        compute == "flops" and record.flops > record.flops_by_count.get(record.budget_count, 0.0) * ROUNDING
    )


def convention(record: Record, compute: str) -> str:
    """``appendix_f``, ``6nd``, ``appendix_f with the optimizer``: how that column counts."""
    if compute != "flops":
        return compute.removeprefix(BY_COUNT)
    return record.budget_count + (" with the optimizer" if has_optimizer(record, compute) else "")
