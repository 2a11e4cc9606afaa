"""The page's scripts write numbers as the program does: every function of format.js beside its own in Python."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

from harness import text as terminal
from harness.report import text as page
from tests.report.javascript import in_node, needs_node

WRITERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "count": ("calc.count(x)", page.counted),
    "duration": (
        "calc.duration(Math.min(Math.abs(x), 1e15))",
        lambda x: terminal.duration(min(abs(x), 1e15)),
    ),
    "power": ("calc.power(x)", page.power),
    "power of 3": ("calc.power(x, 3)", lambda x: page.power(x, 3)),
    "significant": ("calc.significant(x)", page.significant),
    "ratio": ("calc.ratio(x)", page.ratio),
    "fixed": ("calc.fixed(x, 4)", lambda x: page.fixed(x, 4)),
    "times": ("calc.times(Math.abs(x))", lambda x: page.times(abs(x))),
    "dollars": ("calc.dollars(Math.abs(x))", lambda x: page.dollars(abs(x))),
    ".0f": ("calc.decimals(x, 0)", lambda x: f"{x:.0f}"),
    ".2f": ("calc.decimals(x, 2)", lambda x: f"{x:.2f}"),
    ".3g": ("calc.general(x, 3)", lambda x: f"{x:.3g}"),
    "g": ("calc.general(x)", lambda x: f"{x:g}"),
}


def numbers() -> list[float]:
    """Of every size, with all that lie at an edge: halves, and what rounding takes over a power of ten."""
    rng = random.Random(0)
    found = [rng.choice((-1, 1)) * rng.uniform(1, 10) * 10.0 ** rng.randint(-12, 27) for _ in range(1500)]
    found += [0.0, -0.0, 0.5, 1.5, 2.5, 0.125, 0.375, 1e22, 1e21, 123456789012345680000.0]
    for digits in (
        9.995,
        9.9949,
        99.5,
        99.95,
        999.5,
        9999.5,
        0.9995,
        59.5,
        3570,
        3569.99,
        172770,
        9.95,
        0.00005,
        1e4,
    ):
        found += [digits * 10.0**exponent for exponent in range(-6, 16)]
    found += [number / 8 for number in range(200)]
    return found


@needs_node
@pytest.mark.parametrize("writer", WRITERS)
def test_every_number_is_written_alike(writer: str) -> None:
    script, write = WRITERS[writer]
    values = numbers()
    found = in_node(f"data.map((x) => {script})", values)
    wrong = [(x, ours, write(x)) for x, ours in zip(values, found, strict=True) if ours != write(x)]
    assert wrong == []


@needs_node
@pytest.mark.parametrize(
    ("style", "writer"),
    [("count", "calc.count"), ("ratio", "calc.ratio"), ("fixed", "(x) => calc.fixed(x, 3)")],
)
def test_intervals_are_written_alike(style: str, writer: str) -> None:
    ends = [0.0, 0.7, 12.0, 3.4e6, math.inf]
    bounds = [(low, high) for low in ends for high in ends if low <= high]
    written = [["Infinity" if math.isinf(end) else end for end in one] for one in bounds]
    found = in_node(
        f"data.map((one) => calc.interval(one.map(Number), {writer}, {str(style == 'fixed').lower()}))",
        written,
    )
    assert found == [page.interval(one, style) for one in bounds]
