"""From timed steps to a time model: the truth comes back, and what was not measured stays where it began."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.calibrate.choose import with_small_batches
from harness.calibrate.measurement import (
    Measurement,
    TimedStep,
    fit_modes,
    fit_slowdown,
    fit_step_time,
    hashed,
    with_sharing,
)
from harness.calibrate.show import device_yaml, slug, throughput_yaml
from harness.calibrate.side_by_side import Speed, Where
from harness.config.compose import compose_config
from harness.plan.cell import Cell
from harness.plan.duration import Timing, step_seconds, step_work
from harness.plan.throughput import ThroughputConfig
from tests.plan.test_duration import GPU, spec
from tests.train.small import small_jobs

SPECS = [
    *(
        spec(width, layers, sequences)
        for width, layers in ((16, 2), (64, 3), (256, 6))
        for sequences in (4, 64)
    ),
    spec(1024, 12, 32),
]
WORK = [step_work(one, half=True) for one in SPECS]


@given(st.lists(st.floats(-1.5, 1.5), min_size=5, max_size=5), st.booleans())
@settings(max_examples=30)
def test_a_model_that_was_timed_exactly_predicts_every_step_of_its_kind(
    moves: list[float], asynchronous: bool
) -> None:
    prior = replace(GPU.modes["eager"])
    names = ("step_seconds", "layer_seconds", "flops_per_second", "scores_per_second", "bytes_per_second")
    moved = {name: getattr(prior, name) * math.exp(move) for name, move in zip(names, moves, strict=True)}
    truth = replace(prior, **moved)
    timed = [TimedStep(work, step_seconds(truth, work, asynchronous)) for work in WORK]
    found = fit_step_time(timed, prior, asynchronous)
    between = step_work(spec(128, 4, 16), half=True)
    for work in (*WORK, between):
        assert step_seconds(found, work, asynchronous) == pytest.approx(
            step_seconds(truth, work, asynchronous), rel=0.05
        )


def test_one_disturbed_measurement_does_not_spoil_the_others() -> None:
    truth = GPU.modes["eager"]
    timed = [TimedStep(work, step_seconds(truth, work, True)) for work in WORK]
    timed[2] = replace(timed[2], seconds=4 * timed[2].seconds)
    found = fit_step_time(timed, truth, True)
    for i, work in enumerate(WORK):
        if i != 2:
            assert step_seconds(found, work, True) == pytest.approx(timed[i].seconds, rel=0.12)


def test_what_the_steps_do_not_tell_stays_where_it_began() -> None:
    """Small models alone are bound by launches: they say nothing of the device's rates."""
    small = [step_work(spec(16, layers, 1), half=True) for layers in (2, 4, 8)]
    truth = replace(GPU.modes["eager"], step_seconds=3e-3, layer_seconds=5e-4)
    timed = [TimedStep(work, step_seconds(truth, work, True)) for work in small]
    found = fit_step_time(timed, GPU.modes["eager"], True)
    assert found.step_seconds == pytest.approx(3e-3, rel=0.1)
    assert found.layer_seconds == pytest.approx(5e-4, rel=0.1)
    assert found.flops_per_second == pytest.approx(GPU.modes["eager"].flops_per_second, rel=0.01)
    without = replace(GPU.modes["eager"], scores_per_second=math.inf)
    assert fit_step_time(timed, without, True).scores_per_second == math.inf, "a part left out stays out"


@pytest.mark.parametrize(("asynchronous", "runs"), [(True, 4), (False, 2)])
@pytest.mark.parametrize("slowdown", [0.9, 1.0, 1.6])
def test_the_slowdown_beside_others_comes_back(asynchronous: bool, runs: int, slowdown: float) -> None:
    sharing = slowdown * (runs if asynchronous else 1)
    timed = [
        (TimedStep(work, step_seconds(GPU.modes["eager"], work, asynchronous, sharing)), GPU.modes["eager"])
        for work in WORK
    ]
    assert fit_slowdown(timed, asynchronous, runs) == pytest.approx(slowdown, rel=0.01)


def speeds(
    cells: list[Cell], model: ThroughputConfig, mode: str, startup: float, sharing: float = 1.0
) -> list[Speed]:
    """As if ``cells`` had been timed on a device that ``model`` describes exactly."""
    times = model.modes[mode]
    work = Timing(model).work
    seconds = [step_seconds(times, work(cell.spec), model.asynchronous, sharing) for cell in cells]
    return [Speed(one, 0.9 * one, 1.1 * one, startup) for one in seconds]


def test_a_calibration_plans_as_was_measured(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [job.cell for job in small_jobs(tmp_path, text_folder)[1]]
    found = Measurement("key", Where("NVIDIA H100 80GB HBM3", "bf16", 9.89e14))
    found.alone = {
        "eager": speeds(cells, GPU, "eager", 2.0),
        "graphs": speeds(cells[:2], GPU, "graphs", 33.0),
    }
    found.together = {4: speeds(cells, GPU, "eager", 1.0, sharing=4 * 1.3)}
    prior = compose_config(["throughput=h100"])[0].throughput
    alone = fit_modes(cells, found, prior, asynchronous=True)
    assert alone.startup_seconds == 2.0
    assert list(alone.modes) == ["eager", "graphs"]
    assert alone.modes["graphs"].compile_seconds == 31.0
    shared = with_sharing(alone, cells, found.together[4], ["eager"] * len(cells), 4)
    assert shared.per_device == 4
    written = replace(shared, name="mine", source="a test", assumed=False, peak_flops=9.89e14)

    for group, text in (("throughput", throughput_yaml(written)), ("device", device_yaml(written))):
        folder = tmp_path / "configs" / group
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text(text)
        assert yaml.safe_load(text)["name"] == "mine"
    monkeypatch.chdir(tmp_path)
    read = compose_config(["throughput=mine"])[0].throughput
    for cell in cells:
        for mode, runs in (("eager", 1), ("graphs", 1), ("eager", 4)):
            as_read = Timing(read, runs).run(cell.spec, mode)
            assert as_read.total == pytest.approx(Timing(written, runs).run(cell.spec, mode).total, rel=1e-3)
        assert Timing(read).step(cell.spec, "eager") == pytest.approx(
            Timing(GPU).step(cell.spec, "eager"), rel=0.05
        )
    assert slug(found.where.name if found.where else "") == "nvidia_h100_80gb_hbm3"


def test_a_measurement_is_kept_whole_and_under_its_key_only(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    found = Measurement("key", Where("a CPU", "fp32", None), {"eager": [Speed(1.0, 0.9, 1.1, 2.0)]})
    found.together[2] = [Speed(1.5, 1.4, 1.6, 1.0)]
    found.write(path)
    assert Measurement.read(path, "key") == found
    assert Measurement.read(path, "other") == Measurement("other")
    text = path.read_text()
    whole = json.loads(text)
    speed = whole["alone"]["eager"][0]
    others = [{**whole, "alone": {"eager": [{**speed, "low": value}]}} for value in (0, "0.9", math.nan, 1.2)]
    others += [{**whole, "alone": [speed]}, {**whole, "alone": {"eager": speed}}, {**whole, "where": None}]
    for damaged in ("", "null", "[]", '{"key": "key"}', text[:-20], *map(json.dumps, others)):
        path.write_text(damaged)
        assert Measurement.read(path, "key") == Measurement("key")


def test_speeds_of_too_few_cells_are_measured_anew() -> None:
    one = Speed(1.0, 0.9, 1.1, 2.0)
    found = Measurement("key", Where("a CPU", "fp32", None), {"eager": [one] * 3, "graphs": [one] * 3})
    found.together = {2: [one] * 2, 4: []}
    found.drop_incomplete(timed=3, chosen=2)
    assert (list(found.alone), list(found.together)) == (["eager"], [2])


def test_steps_timed_in_micro_batches_are_fitted_as_such(tmp_path: Path, text_folder: Path) -> None:
    """Else the launches of a planned run's micro-batches would be counted twice."""
    cells = with_small_batches([job.cell for job in small_jobs(tmp_path, text_folder)[1]])
    cut = Timing(GPU, micro_batch=1, compile="off")
    assert any(cut.work(cell.spec).launches > Timing(GPU).work(cell.spec).launches for cell in cells)
    seconds = [cut.step(cell.spec, "eager") for cell in cells]
    found = Measurement("key", alone={"eager": [Speed(one, one, one, 1.0) for one in seconds]})
    fitted = fit_modes(cells, found, compose_config(["throughput=h100"])[0].throughput, True, micro_batch=1)
    for cell, truth in zip(cells, seconds, strict=True):
        assert Timing(fitted, micro_batch=1).step(cell.spec, "eager") == pytest.approx(truth, rel=0.02)


def test_a_key_names_nothing_of_the_machine() -> None:
    assert "node17" not in hashed(["node17", {"gpus": ["GPU-1234"]}])
    assert hashed(["a"]) != hashed(["b"])
