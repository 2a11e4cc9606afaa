"""What the page's calculator works from: frontiers with thinned draws, for ``page/calculator.js``."""

import base64
import json
from typing import Any

import numpy as np

from harness.fit.predict import least_cost
from harness.fit.results import Approach, Approach3, CostLaw
from harness.fit.status import ORDER
from harness.fit.table import Array
from harness.report.material import Material
from harness.report.text import approach_label
from harness.report.verdict import decider
from harness.runs.record import FINISHED

# Enough for percentiles that differ from those of all draws by a small part of the interval's width.
MAX_DRAWS = 800
# Dense bf16 peaks from NVIDIA's data sheets.
DEVICES = (("NVIDIA H100 / H200, bf16", 9.89e14), ("NVIDIA A100, bf16", 3.12e14))
USUAL_MFU = 0.4


def calculator_data(material: Material) -> dict[str, Any] | None:
    """Plain data for the page; None where no approach has a frontier."""
    lead = decider(material.fit)
    if lead is None:
        return None
    return {
        "level": material.fit.level,
        "target": material.target,
        "lead": lead,
        "order": list(ORDER),
        "speeds": _speeds(material),
        "approaches": [_approach(one) for one in material.fit.approaches if one.theta() is not None],
    }


def as_script(data: dict[str, Any]) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def _approach(approach: Approach) -> dict[str, Any]:
    theta = approach.theta()
    assert theta is not None
    law = isinstance(approach, Approach3)
    cost = approach.cost if isinstance(approach, Approach3) else CostLaw()
    return {
        "name": approach.name,
        "label": approach_label(approach.name),
        "kind": "law" if law else "power",
        "loss_kind": approach.loss_kind,
        "theta": [float(value) if np.isfinite(value) else None for value in theta],
        "kappa": cost.kappa,
        "power": cost.power,
        "smallest": approach.smallest_flops,
        "largest": approach.largest_flops,
        "limit": approach.extrapolation_limit,
        "columns": len(theta),
        "draws": _packed(approach.draws, law),
        "floor": getattr(getattr(approach, "loss_law", None), "floor", None),
        "least": least_cost(cost),
        "flags": list(approach.flags),
        "notes": list(approach.notes),
    }


def _packed(draws: Array | None, law: bool) -> str:
    """At most ``MAX_DRAWS`` draws, evenly taken, as base64 of little-endian 32-bit floats by rows.

    Rounding to 32 bits moves a prediction by parts in a hundred thousand. Of a law's draws (E, A, B, alpha, beta)
    A and B are packed as logarithms: beyond 3e38 the numbers themselves would not fit.
    """
    if draws is None or not len(draws):
        return ""
    kept = draws[np.unique(np.linspace(0, len(draws) - 1, MAX_DRAWS).astype(int))]
    if law:
        with np.errstate(all="ignore"):
            kept = np.column_stack((kept[:, 0], np.log(kept[:, 1:3]), kept[:, 3:]))
    return base64.b64encode(kept.astype("<f4").tobytes()).decode()


def _speeds(material: Material) -> list[dict[str, Any]]:
    """Devices to turn hours into FLOPs: what these runs reached, and data-sheet peaks."""
    speeds: list[dict[str, Any]] = []
    finished = [r for r in material.records.values() if r.status == FINISHED and r.seconds > 0]
    if finished:
        # The larger runs keep a device busier, and are what a larger budget will look like.
        largest = sorted(finished, key=lambda record: record.params_total)[-max(1, len(finished) // 3) :]
        speed = float(np.median([record.flops / record.seconds for record in largest]))
        speeds.append({"name": "as these runs, per worker", "peak": speed, "mfu": 1.0})
    return speeds + [{"name": name, "peak": peak, "mfu": USUAL_MFU} for name, peak in DEVICES]
