"""Every number that a setting can have is bounded, or unlimited on purpose; nothing absurd comes as far as compute."""

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin

import pytest

from harness.bounds import BOUNDS, MOST_CELLS, Bounds
from harness.config.check import faults
from harness.config.compose import compose_config
from harness.config.predict import PredictConfig
from harness.config.schema import Config
from harness.config.spelling import as_written
from harness.config.written import kinds, typed_value, without_none
from harness.errors import UserError
from harness.model.ladder import MOST_SHAPES
from harness.model.parametrization import GROUPS

UNLIMITED = {
    "analysis.huber_delta",
    "recipe.warmup_tokens_per_param",
    *(f"recipe.{rule}.maximum" for rule in ("lr", "batch_tokens", "beta2", "weight_decay")),
    *(f"recipe.{group}.{rule}.maximum" for group in GROUPS for rule in ("lr", "weight_decay", "init")),
    *(f"recipe.muon.{rule}.maximum" for rule in ("lr", "weight_decay")),
    "throughput.muon.flops_per_second",
    *(f"throughput.modes.{rate}_per_second" for rate in ("flops", "scores", "bytes")),
}
"""Settings for which infinity has a meaning: no limit, or a part of the time that is left out."""

Found = tuple[tuple[str | int, ...], Any, Any]


def numbers(schema: Any, path: tuple[str | int, ...] = ()) -> Iterator[Found]:
    """Every setting below ``schema`` that holds numbers: its path, with ``0`` or a name for an entry; kind; field."""
    for one in fields(schema):
        kind = without_none(kinds(schema)[one.name])
        here = (*path, one.name)
        if "leaves" in one.metadata or (
            schema in (Config, PredictConfig) and one.name in ("data", "tokenizer")
        ):
            continue  # checked where corpora are read
        inner = kind
        if get_origin(kind) in (list, dict):
            inner, here = get_args(kind)[-1], (*here, 0 if get_origin(kind) is list else "eager")
        inner = without_none(inner)
        if is_dataclass(inner):
            yield from numbers(inner, here)
        elif inner in (int, float):
            yield here, inner, one


# a dataclass that stands in several places is walked once
EVERY = list(
    {
        id(found[-1]): (schema, *found) for schema in (PredictConfig, Config) for found in numbers(schema)
    }.values()
)


def key(path: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in path if part not in (0, "eager"))


def nested(path: tuple[str | int, ...], value: Any) -> Any:
    for part in reversed(path):
        value = [value] if part == 0 else {part: value}
    return value


def refused(schema: Any, path: tuple[str | int, ...], value: Any) -> str:
    """What is said of the setting at ``path`` with ``value``; empty where nothing is."""
    return next((f"{fault.key}: {fault.text}" for fault in faults(nested(path, value), schema)), "")


def test_every_section_is_walked() -> None:
    found = {key(path) for schema in (PredictConfig, Config) for path, *_ in numbers(schema)}
    wanted = {
        "seq_len",
        "grid.budgets",
        "grid.sizes",
        "ladder.bands.step",
        "recipe.lr.params_at",
        "launcher.max_tasks",
    }
    assert (
        wanted | {"throughput.modes.step_seconds", "tune.draws", "validate.seeds", "device.peak_flops"}
        <= found
    )
    assert len(EVERY) > 120


@pytest.mark.parametrize(("schema", "path", "kind", "one"), EVERY)
def test_a_number_has_bounds(schema: Any, path: tuple[str | int, ...], kind: Any, one: Any) -> None:
    bounds = one.metadata.get(BOUNDS)
    assert isinstance(bounds, Bounds), f"{key(path)}: give it bounds with harness.bounds.bounded()"
    bare = (
        key(path)
        .removeprefix("fallback.")
        .removeprefix("serving.device.timing.")
        .removeprefix("device.timing.")
    )
    unlimited = bare in UNLIMITED or bare.startswith("modes.")
    for absurd in (1e308, math.inf) if kind is float else (10**18, 1e18, 10**400):
        if not (unlimited or (absurd == 10**18 and "seed" in key(path))):
            assert refused(schema, path, absurd), absurd
    for wrong in (-math.inf, math.nan, "", True, [1, [2]], {"a": 1}, "12:00", -1e308):
        assert refused(schema, path, wrong), wrong
    if kind is int:
        assert "must be a whole number" in refused(schema, path, bounds.least + 0.5)
    if math.isfinite(bounds.most):
        assert not refused(schema, path, bounds.most)
        assert "must be at most" in refused(schema, path, bounds.most * 2 + 1)
    assert bool(refused(schema, path, bounds.least)) == bounds.above
    default = one.default
    if isinstance(default, int | float):
        assert bounds.refusal(default) is None


ABSURD = {
    "grid.sizes=1e9": "grid.sizes: must be at most 1,000, got 1e+09",
    "grid.sizes=0": "grid.sizes: must be at least 1, got 0",
    "grid.sizes=0.5": "grid.sizes: must be at least 1, got 0.5",
    "grid.sizes=3.5": "grid.sizes: must be a whole number, got 3.5; the default is 7",
    "grid.seeds=[99999999999999999999]": "grid.seeds[0]: must be at most 9.22337e+18, got 1e+20",
    "grid.budgets=[1e308]": "grid.budgets[0]: must be at most 1e+40, got 1e+308",
    "train.threads=1e9": "train.threads: must be at most 4,096, got 1e+09",
    "train.checkpoint_seconds=0": "train.checkpoint_seconds: must be positive, got 0",
    "recipe.lr.params_at=0": "recipe.lr.params_at: must be positive, got 0",
    "ladder.bands=[{max_width: 1e9}]": "ladder.bands[0].max_width: must be at most 1,000,000, got 1e+09",
    "ladder.bands=[{min_width: 1, max_width: 900000, step: 1, head_dim: 1}]": "shapes, and 10,000 at most",
    "analysis.draws=-1": "analysis.draws: must not be negative, got -1",
    "seq_len=" + "9" * 5000: "seq_len: must be a whole number, got '9999",
    "seq_len=" + "9" * 4000: "seq_len: must be at most 1.67772e+07, got a number of 4000 digits",
}


@pytest.mark.parametrize("override", ABSURD, ids=lambda text: text[:40])
def test_absurd_numbers_are_one_line(override: str) -> None:
    with pytest.raises(UserError) as caught:
        compose_config(["experiment=demo", override])
    assert ABSURD[override] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_grids_and_ladders_have_an_end() -> None:
    seeds = f"grid.seeds=[{','.join(map(str, range(200)))}]"
    with pytest.raises(UserError, match=rf"grid: .* 1,000 sizes x 200 seeds are .* {MOST_CELLS:,} at most"):
        compose_config(["experiment=demo", "grid.sizes=1000", seeds])
    with pytest.raises(UserError, match=f"shapes, and {MOST_SHAPES:,} at most"):
        compose_config(["ladder.bands=[{min_width: 1, max_width: 20000, step: 1, head_dim: 1}]"])


def test_large_numbers_with_a_meaning_are_taken() -> None:
    largest = 2**63 - 1
    config = compose_config([f"grid.seeds=[0,{largest}]", "analysis.huber_delta=inf", "grid.budgets=[1e30]"])[
        0
    ]
    assert config.grid.seeds == [0, largest]
    assert as_written("seq_len=64", Config)
    assert typed_value("1", int) == "1"
