"""With what the runs of a tuning were trained, as its recipe says it (``recipe.measured``)."""

from collections.abc import Mapping
from dataclasses import replace

from harness.plan.measured_range import MeasuredRange
from harness.plan.spec import RunSpec
from harness.runs.record import Record


def measured_under(
    found: MeasuredRange, before: MeasuredRange, records: Mapping[str, Record]
) -> MeasuredRange:
    """``found`` with parametrization, optimizer and family of ``records``, which are alike in them.

    Args:
        before: of the recipe that was tuned from; where ``found`` is that, its rates were measured before, with what it
            says.
    """
    if found is before or not records:
        return found
    spec = RunSpec.from_json(next(iter(records.values())).spec)
    base = spec.parametrization
    return replace(
        found,
        parametrization=base.kind,
        base_width=base.base_width,
        base_layers=base.base_layers,
        base_head_dim=base.base_head_dim,
        optimizer="muon" if spec.optimizer.muon else "adamw",
        family=spec.shape.family,
    )
