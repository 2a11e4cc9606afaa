"""What the page's calculator works from: frontiers with thinned draws, and devices' times on a grid of N and D.

``page/calculator.js`` predicts, ``page/clock.js`` computes times, ``page/form.js`` reads the form and shows answers.
"""

import base64
import json
from typing import Any

import numpy as np

from harness.fit.cost_law import least_cost
from harness.fit.estimate import LIMIT_POWER
from harness.fit.laws import LAW_COLUMNS, CostLaw
from harness.fit.results import Approach, Approach3
from harness.fit.status import ORDER
from harness.fit.table import Array
from harness.predict.source import PREFERENCE
from harness.report.data import ReportData
from harness.report.devices import TimedDevice
from harness.report.text import approach_label
from harness.report.verdict import decider

# The default number of a fit; more are thinned.
MAX_DRAWS = 1000


def calculator_data(data: ReportData) -> dict[str, Any] | None:
    """Plain data for the page; None where no approach has a frontier."""
    shown = [one for one in data.fit.approaches if computable(one)]
    names = {one.name for one in shown}
    lead = decider(data.fit)
    if lead not in names:
        lead = next((name for name in PREFERENCE if name in names), None)
    if lead is None:
        return None
    return {
        "level": data.fit.level,
        "target": data.target,
        "lead": lead,
        "order": list(ORDER),
        "devices": [_device(device) for device in data.devices],
        "approaches": [_approach(one) for one in shown],
    }


def as_script(data: dict[str, Any]) -> str:
    """JSON for inside a script element: nothing in it can end the element."""
    compact = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return compact.replace("<", "\\u003c")


def computable(approach: Approach) -> bool:
    """Whether the page can compute by it: by power laws, or by the standard law, whatever it is restricted to."""
    plain = not isinstance(approach, Approach3) or approach.draw_columns == LAW_COLUMNS
    return approach.theta() is not None and plain


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
        "runs": None if approach.runs is None else list(vars(approach.runs).values()),
        "model_limit": approach.extrapolation_limit**LIMIT_POWER,
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
    return _floats(kept)


def _device(device: TimedDevice) -> dict[str, Any]:
    """A device with the grid that its clock interpolates in, so that the page computes the same times as the program.

    ``tokens`` are the first and the last log D of as many as ``seconds`` has columns; its rows are the sizes.
    """
    clock = device.clock
    return {
        "name": device.throughput.name,
        "label": device.label,
        "said": device.said,
        "price": device.price,
        "start": clock.start_seconds,
        "params": [int(size) for size in clock.params],
        "tokens": [float(clock.log_tokens[0]), float(clock.log_tokens[-1])],
        "seconds": _floats(clock.log_seconds),
    }


def _floats(values: Array) -> str:
    """Base64 of little-endian 32-bit floats, by rows."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode()
