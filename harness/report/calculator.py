"""What the page's calculator works from: frontiers with their draws, and devices' times on a grid of N and D.

The draws and times are those of the fit, bit for bit: the page answers as ``isoflop predict`` does, to the last digit.
:data:`SCRIPTS` names the files of ``page/`` that compute and show the answers.
"""

import base64
import json
from typing import Any

import numpy as np

from harness.amounts import AMOUNT, SCALES, pattern
from harness.fit.cost_law import least_cost
from harness.fit.estimate import LIMIT_POWER, FrontierSource
from harness.fit.laws import Law
from harness.fit.results import Approach, Approach3
from harness.fit.status import ORDER, STATUSES, plain
from harness.fit.table import INCONSISTENT_FACTOR, LEAST_PARAMS, LEAST_TOKENS, Array
from harness.predict.asked import ASKED
from harness.predict.cost import DeviceConfig, ServingConfig
from harness.predict.repetition import Repetition
from harness.predict.source import doubt_of, from_fit
from harness.report.data import ReportData
from harness.report.devices import TimedDevice
from harness.report.text import approach_label

SCRIPTS = (
    *("format", "amount", "laws", "doubt", "optimum", "assess", "serving", "repetition", "clock"),
    *("answer", "tables", "command", "show", "present", "form"),
)
"""The page's scripts, in the order in which they need each other."""

MAX_DRAWS = 10_000
"""The draws of an approach that a page carries; of more, so many evenly taken, and the page says so.

A fit has 1000 by default, a tenth of a megabyte of the page for three approaches.
"""


def calculator_data(data: ReportData) -> dict[str, Any] | None:
    """Plain data for the page; None where no approach has a frontier that it can compute."""
    fit = data.fit
    sources = from_fit(fit)
    if not any(_computed(source) for source in sources):
        return None
    return {
        "source": f"runs/{data.name}" if data.plan is not None else "FOLDER",
        "level": fit.level,
        "target": data.target,
        "order": list(ORDER),
        "statuses": {
            one.code: [plain(one.code), f"{one.meaning}. What to do: {one.remedy}."] for one in STATUSES
        },
        "repetition": vars(Repetition()),
        "model": {"least_params": LEAST_PARAMS, "least_tokens": LEAST_TOKENS, "factor": INCONSISTENT_FACTOR},
        "rules": amount_rules(),
        "devices": [_device(device) for device in data.devices],
        "approaches": [
            _approach(approach, source) for approach, source in zip(fit.approaches, sources, strict=True)
        ],
    }


def amount_rules() -> dict[str, dict[str, Any]]:
    """How the amount of each key of ``isoflop predict`` is written, and its bounds."""
    price, weight = (
        schema.__dataclass_fields__[name].metadata[AMOUNT]
        for schema, name in ((DeviceConfig, "dollars_per_hour"), (ServingConfig, "weight"))
    )
    every = {**ASKED, "dollars_per_hour": price, "weight": weight}
    return {
        name: {"pattern": pattern(held.kind), "scales": SCALES, "share": held.kind == "share"}
        | vars(held.bounds)
        for name, held in every.items()
    }


def as_script(data: dict[str, Any]) -> str:
    """JSON for inside a script element: nothing in it can end the element."""
    compact = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return compact.replace("<", "\\u003c")


def computable(approach: Approach) -> bool:
    """Whether the page can compute by it: by power laws or by the standard law, whatever it is restricted to, or with a
    power of the sum of its terms."""
    return _computed(approach.source())


def _computed(source: FrontierSource) -> bool:
    return source.frontier is not None and _kind(source) != "other"


def _kind(source: FrontierSource) -> str | None:
    """``power``, ``law``, or ``other``: a form that the page does not know; None for an approach without a number."""
    if source.frontier is None:
        return None
    return "power" if source.law is None else "law" if isinstance(source.law, Law) else "other"


def _approach(approach: Approach, source: FrontierSource) -> dict[str, Any]:
    theta = source.frontier.theta if _computed(source) and source.frontier is not None else None
    draws = source.draws.theta if theta is not None and source.draws is not None else None
    return {
        "name": source.name,
        "label": approach_label(source.name),
        "title": source.title,
        "kind": _kind(source),
        "formula": f"L = {approach.formula}" if isinstance(approach, Approach3) else "",
        "loss_kind": source.loss_kind,
        "level": source.level,
        "doubt": doubt_of(source.name, (flag.code for flag in source.flags)),
        "theta": None if theta is None else [float(value) if np.isfinite(value) else None for value in theta],
        "kappa": source.cost.kappa,
        "power": source.cost.power,
        "least": least_cost(source.cost),
        "smallest": source.smallest_flops,
        "largest": source.largest_flops,
        "limit": source.extrapolation_limit,
        "runs": None if source.runs is None else list(vars(source.runs).values()),
        "model_limit": source.extrapolation_limit**LIMIT_POWER,
        "columns": 0 if draws is None else draws.shape[1],
        "draws": "" if draws is None else _floats(_kept(draws)),
        "drawn": 0 if draws is None else len(draws),
        "floor": source.loss_floor,
        "flags": [list(flag) for flag in source.flags],
    }


def _kept(draws: Array) -> Array:
    """At most :data:`MAX_DRAWS` rows, evenly taken."""
    return draws[np.unique(np.linspace(0, len(draws) - 1, min(len(draws), MAX_DRAWS)).astype(int))]


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
        "peak": device.peak,
        "asked": device.asked,
        "start": clock.start_seconds,
        "params": [int(size) for size in clock.params],
        "tokens": [float(clock.log_tokens[0]), float(clock.log_tokens[-1])],
        "seconds": _floats(clock.log_seconds),
    }


def _floats(values: Array) -> str:
    """Base64 of little-endian 64-bit floats, by rows."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()
