"""Muon's part of a step, timed by itself: the truth comes back, and a calibration plans with it."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.calibrate.measurement import Measurement, fit_modes
from harness.calibrate.muon import TimedMuon, fit_muon_time, time_step
from harness.calibrate.output import throughput_yaml
from harness.calibrate.stretch import MeasuredDevice, Speed
from harness.config.compose import compose_config
from harness.plan.duration import Timing, step_seconds
from harness.plan.plan import make_plan
from harness.plan.recipe_rules import OptimizerConfig
from harness.plan.spec import Muon
from harness.plan.throughput import MuonTime, StepTime, ThroughputConfig
from tests.plan.test_duration import spec
from tests.plan.test_plan import RULES, SHAPES, Facts

WORKS = [(14, 4e6), (14, 4e8), (21, 4e9), (42, 1e11)]


@given(st.floats(-2, 2), st.floats(-2, 2), st.booleans())
@settings(max_examples=30, deadline=None)
def test_what_was_timed_exactly_comes_back(move: float, other: float, asynchronous: bool) -> None:
    prior = MuonTime(5e-4, 1e11)
    truth = MuonTime(prior.matrix_seconds * 2**move, prior.flops_per_second * 2**other)
    timing = Timing(ThroughputConfig(asynchronous=asynchronous)).work(spec())
    works = [replace(timing, muon_matrices=n, muon_flops=flops) for n, flops in WORKS]

    def seconds(muon: MuonTime) -> list[float]:
        return [step_seconds(StepTime(), work, asynchronous, muon=muon) for work in works]

    timed = [TimedMuon(n, flops, took) for (n, flops), took in zip(WORKS, seconds(truth), strict=True)]
    assert seconds(fit_muon_time(timed, prior, asynchronous)) == pytest.approx(seconds(truth), rel=0.05)


def test_a_step_is_timed_and_one_of_adamw_has_no_such_part() -> None:
    plain = spec(32, 1)
    assert time_step(plain, "cpu") == 0
    muon = replace(plain, optimizer=replace(plain.optimizer, muon=Muon(0.02, 0.1)))
    assert 1e-5 < time_step(muon, "cpu") < 10


def test_a_calibration_plans_as_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = replace(RULES, optimizer=OptimizerConfig(kind="muon"))
    cells = make_plan("test", SHAPES, rules, Facts()).cells
    truth = ThroughputConfig(
        modes={"eager": StepTime(2e-3, 6e-4, 1.2e11, 9e7, 1e10)}, muon=MuonTime(1.5e-3, 6e10)
    )
    timing = Timing(truth)
    works = [timing.work(cell.spec) for cell in cells]
    assert truth.muon is not None
    muons = [
        truth.muon.matrix_seconds * w.muon_matrices + w.muon_flops / truth.muon.flops_per_second
        for w in works
    ]
    steps = [timing.step(cell.spec, "eager") for cell in cells]
    speeds = [Speed(step, step, step, 1.0, muon) for step, muon in zip(steps, muons, strict=True)]
    found = Measurement("key", MeasuredDevice("a core", "fp32", None), {"eager": speeds})
    found.write(tmp_path / "calibration.json")
    found = Measurement.read(tmp_path / "calibration.json", "key")
    assert found.alone["eager"] == speeds
    prior = compose_config(["throughput=cpu"])[0].throughput
    made = fit_modes(cells, found, prior, False)
    assert made.muon is not None
    assert not made.muon.assumed
    assert made.muon.matrix_seconds == pytest.approx(1.5e-3, rel=0.05)
    assert made.muon.flops_per_second == pytest.approx(6e10, rel=0.1)
    for cell, step in zip(cells, steps, strict=True):
        assert Timing(made).step(cell.spec, "eager") == pytest.approx(step, rel=0.05)
    # what is written is read back
    file = tmp_path / "configs" / "throughput" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(throughput_yaml(replace(made, name="mine", source="here")))
    monkeypatch.chdir(tmp_path)
    read = compose_config(["throughput=mine"])[0].throughput
    assert read.muon is not None
    assert read.muon.matrix_seconds == pytest.approx(made.muon.matrix_seconds, rel=1e-3)
    assert read.muon.flops_per_second == pytest.approx(made.muon.flops_per_second, rel=1e-3)
    assert (read.muon.source, read.muon.assumed) == ("isoflop calibrate", False)
    assert yaml.safe_load(file.read_text())["muon"]["assumed"] is False


def test_where_no_run_has_it_the_priors_is_assumed() -> None:
    cells = make_plan("test", SHAPES, RULES, Facts()).cells
    speeds = [Speed(1e-2, 1e-2, 1e-2, 1.0) for _ in cells]
    found = Measurement("key", MeasuredDevice("a core", "fp32", None), {"eager": speeds})
    prior = compose_config(["throughput=cpu"])[0].throughput
    made = fit_modes(cells, found, prior, False)
    assert prior.muon is not None
    assert made.muon == replace(prior.muon, assumed=True)
    assert fit_modes(cells, found, replace(prior, muon=None), False).muon is None
