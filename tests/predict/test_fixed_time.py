"""The best model of a fixed time: by brute force over the ladder, in its limits, and as the command says it."""

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.fit.laws import Law
from harness.model.counts import count_params, flops_per_token
from harness.model.ladder import BandConfig, LadderConfig, build_ladder
from harness.plan.duration import Timing
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig, Rule
from harness.plan.schedule import ScheduleConfig
from harness.plan.throughput import MuonTime, StepTime, ThroughputConfig
from harness.predict.clock import Clock, ShapeRules, plan_flops
from harness.predict.fixed_time import answer_time, flops_in, frontier_of_time
from harness.predict.result import PredictResult
from harness.report.devices import TimedDevice
from harness.workflow.predict import print_answer

LAW = Law(E=1.0, A=60.0, B=300.0, alpha=0.36, beta=0.36)
RULES = ShapeRules(
    ladder=LadderConfig(bands=[BandConfig(32, 768, 32, 32)], aspect=48.0, min_layers=2),
    recipe=RecipeConfig(batch_tokens=Rule(value=8192)),
    vocab_size=256,
    seq_len=256,
)
RATE = ThroughputConfig(
    asynchronous=True, startup_seconds=0.0, modes={"eager": StepTime(flops_per_second=1e14)}, peak_flops=4e14
)
LAUNCHES = replace(
    RATE, startup_seconds=2.0, modes={"eager": StepTime(1e-3, 5e-4, 1e14, bytes_per_second=2e12)}
)


def source(draws: int = 0) -> FrontierSource:
    """The law, with draws whose exponents scatter about its own."""
    if not draws:
        return FrontierSource(name="approach_3", frontier=LAW)
    theta = np.tile(LAW.theta, (draws, 1))
    theta[:, 3:] += 0.01 * np.random.default_rng(0).standard_normal((draws, 2))
    return FrontierSource(
        name="approach_3", frontier=LAW, draws=Law.from_theta(theta, LAW.cost), largest_flops=1e18
    )


def test_one_length_for_all_schedules_of_a_sweep_is_no_limit_to_other_runs() -> None:
    """The page of a sweep with one fixed schedule could not be written: longer runs were refused."""
    fixed = replace(RULES, schedule=ScheduleConfig(tokens=1e6))
    assert Clock(fixed, Timing(RATE)).seconds(2e6, 1e9) == Clock(RULES, Timing(RATE)).seconds(2e6, 1e9)


def test_the_clock_says_what_a_plan_of_the_run_says() -> None:
    timing = Timing(LAUNCHES)
    clock = Clock(RULES, timing)
    for shape in build_ladder(RULES.ladder, RULES.model, 256, 256).shapes[::4]:
        n = count_params(shape).total
        for tokens in (3e6, 2e8, 7e9):
            flops = tokens * flops_per_token(shape, 256, "6nd")
            cell = plan_flops(RULES, shape, flops, "6nd", timing)
            expected = cell.estimate.start + cell.estimate.steps * tokens / cell.tokens
            assert float(clock.seconds(n, tokens)) == pytest.approx(expected, rel=0.05)
            back = float(clock.tokens(n, float(clock.seconds(n, tokens))))
            assert back == pytest.approx(tokens, rel=0.05)
    assert math.isnan(float(clock.tokens(n, 1.0))), "its start alone takes longer"
    assert clock.covers(n)
    assert not clock.covers(100 * n)


def test_where_only_flops_count_the_optimum_of_a_time_is_that_of_its_flops() -> None:
    """Time is then C over a constant, as the clock counts C: attention and the head beside 6ND."""
    clock = Clock(RULES, Timing(RATE))
    found = answer_time(source(), clock, 3600.0)
    sizes = np.geomspace(clock.params[0], clock.params[-1], 4000)
    losses = LAW.loss(sizes, clock.tokens(sizes, 3600.0))
    assert found.loss == pytest.approx(float(np.min(losses)), abs=1e-5)
    assert found.status == "ok"
    assert found.params == pytest.approx(found.plain_params, rel=0.25)
    assert found.loss <= found.plain_loss + 1e-3


def test_where_launches_count_the_best_of_a_time_is_larger_and_no_worse() -> None:
    clock = Clock(RULES, Timing(LAUNCHES))
    for row in frontier_of_time(source(), clock, 20.0, (0.5, 1.0, 2.0)):
        assert row.params > 2 * row.plain_params
        assert row.loss < row.plain_loss
        assert float(clock.seconds(row.params, row.tokens)) == pytest.approx(row.seconds, rel=0.02)
        assert float(clock.seconds(row.plain_params, row.plain_tokens)) == pytest.approx(
            row.seconds, rel=0.02
        )


def test_more_time_never_costs_loss() -> None:
    rows = frontier_of_time(source(), Clock(RULES, Timing(LAUNCHES)), 30.0)
    losses = [row.loss for row in rows]
    assert losses == sorted(losses, reverse=True)
    assert [row.seconds for row in rows] == pytest.approx([30 / 4, 30, 120, 480]), "2 s are less than a start"


def test_intervals_are_of_the_laws_draws_and_hold_the_estimate() -> None:
    found = answer_time(source(200), Clock(RULES, Timing(RATE)), 3600.0)
    assert found.params_interval is not None
    assert found.params_interval[0] < found.params < found.params_interval[1]
    assert found.loss_interval is not None
    assert found.loss_interval[0] < found.loss < found.loss_interval[1]


def test_an_end_of_the_ladder_is_said_and_bounds_nothing() -> None:
    clock = Clock(RULES, Timing(LAUNCHES))
    found = answer_time(source(200), clock, 1e7)
    assert found.params == pytest.approx(clock.params[-1])
    assert "at_edge" in found.flags
    assert any("largest model of the ladder" in note for note in found.notes)
    assert found.params_interval == (math.inf, math.inf)
    small = answer_time(source(200), Clock(RULES, Timing(RATE)), 1e-4)
    assert small.params_interval is not None
    assert small.params_interval[0] == 0.0


def test_an_interval_that_reaches_an_end_of_the_ladder_is_wide() -> None:
    theta = np.tile(LAW.theta, (100, 1))
    theta[:8, 3] = 0.05  # draws by which size is everything
    of_few = replace(source(), draws=Law.from_theta(theta, LAW.cost))
    found = answer_time(of_few, Clock(RULES, Timing(RATE)), 60.0)
    assert found.params_interval == (pytest.approx(found.params), math.inf)
    assert found.status == "wide_interval"
    assert "no bound there" in found.notes[0]
    assert answer_time(source(200), Clock(RULES, Timing(RATE)), 3600.0).status == "ok"


def test_several_devices_share_a_batch_and_not_its_launches() -> None:
    one, eight = (Clock(RULES, Timing(LAUNCHES, devices=devices)) for devices in (1, 8))
    small, large = one.params[0], one.params[-1]
    assert float(eight.seconds(small, 1e9)) == pytest.approx(float(one.seconds(small, 1e9)), rel=0.05)
    assert float(eight.seconds(large, 1e9)) < 0.4 * float(one.seconds(large, 1e9))


def test_too_short_a_time_is_one_clear_line() -> None:
    clock = Clock(RULES, Timing(LAUNCHES))
    with pytest.raises(UserError, match="less than a run's start takes, 2 s"):
        flops_in(LAW, clock, 1.5)
    with pytest.raises(UserError, match=r"no model of the ladder|less than a run.s start"):
        answer_time(source(), clock, 2.0000001)


def test_a_time_beyond_all_trainings_is_refused_not_cut_off() -> None:
    clock = Clock(RULES, Timing(LAUNCHES))
    with pytest.raises(UserError, match=r"more than 1e\+32 FLOPs take"):
        flops_in(LAW, clock, 1e33)
    with pytest.raises(UserError, match="on 1e3 to 1e17 tokens"):
        answer_time(source(), clock, 1e18)


def test_a_model_far_off_the_runs_tokens_per_parameter_is_no_ok() -> None:
    """The law was fitted to runs about the frontier; launches draw the best of a time far from it."""
    slow = replace(LAUNCHES, modes={"eager": StepTime(0.1, 5e-4, 1e14, bytes_per_second=2e12)})
    near, far = (
        answer_time(source(200), Clock(RULES, Timing(device)), seconds)
        for device, seconds in ((LAUNCHES, 600.0), (slow, 60.0))
    )
    assert near.status == "ok"
    assert far.tokens / far.params < 0.1 * far.plain_tokens / far.plain_params
    assert far.status == "extrapolation"
    assert any("of the frontier's tokens per parameter" in note for note in far.notes)


def ask(*overrides: str, as_json: bool = False) -> tuple[PredictResult, str]:
    console = Console(file=io.StringIO(), width=200)
    config, _ = compose_config(list(overrides), ROOT, PredictConfig)
    report = print_answer(config, console, as_json)
    assert isinstance(console.file, io.StringIO)
    return report, console.file.getvalue()


def test_hours_on_a_device_have_two_answers(tmp_path: Path) -> None:
    figure = tmp_path / "time.png"
    report, text = ask("fit=hoffmann2022", "gpu_hours=1000", "device=h100", "gpus=8", f"figure={figure}")
    assert report.timed is not None
    assert report.cost is not None
    assert report.timed.seconds == pytest.approx(1000 * 3600 / 8)
    assert re.search(r"steps of .*; [\d.]+ s a step", text), "not thousands of milliseconds"
    assert report.cost.gpu_hours == pytest.approx(1000, rel=0.02)
    assert report.cost.wall_hours == pytest.approx(125, rel=0.02)
    assert report.timed.loss <= report.timed.plain_loss + 1e-6
    assert report.answer is not None
    assert report.answer.flops == pytest.approx(report.timed.plain_flops, rel=1e-3)
    assert "  times by h100: isoflop calibrate experiment=one_gpu" in text
    assert "assumed" not in text
    assert not report.cost.assumed
    assert "the best model of 1,000 GPU-hours on h100" in text
    assert "communication between the devices is not counted" in text
    assert report.run is not None
    assert report.run["params"] == pytest.approx(report.timed.params, rel=0.5)
    assert report.run["seconds"] == pytest.approx(report.timed.seconds, rel=0.05), "the run is of that time"
    assert figure.stat().st_size > 10_000
    dollars, _ = ask("fit=hoffmann2022", "dollars=2000", "device=h100", "gpus=8")
    assert dollars.timed is not None
    assert dollars.timed.params == report.timed.params, "two dollars an hour"
    _, text = ask("fit=hoffmann2022", "gpu_hours=1000", "device=h100", as_json=True)
    assert json.loads(text)["timed"]["flops"] > 1e20


def test_beside_serving_and_limited_data_the_best_of_a_time_is_still_that_of_the_time_asked_for() -> None:
    report, text = ask("fit=hoffmann2022", "gpu_hours=1000", "device=h100", "inference_tokens=1e12")
    assert report.cost is not None
    assert report.cost.gpu_hours > 1200, "that of serving takes longer"
    assert "the best model of 1,000 GPU-hours on h100 (approach 3)" in text
    report, text = ask("fit=hoffmann2022", "gpu_hours=1000", "device=h100", "unique_tokens=1e9")
    assert "the best model of 1,000 GPU-hours on h100 (approach 3, every token fresh)" in text


def test_more_devices_than_windows_are_not_passed_over() -> None:
    results = Path(__file__).resolve().parents[2] / "results"
    asked = (f"fit={results}/cpu_frontier", "gpu_hours=0.1", "device=h100", "ladder=small")
    assert "cannot be shared by 8 devices" in ask(*asked, "gpus=8")[1]
    assert "cannot be shared" not in ask(*asked, "gpus=4")[1]


def test_a_constant_share_of_the_peak_is_assumed_and_said() -> None:
    for more, said in (
        (("device=a100",), "by a100: assumed: an H100's measured times"),
        (("device=a100", "mfu=0.3"), "by a constant 30% of its peak"),
        (("device=h100", "mfu=0.3"), "by a constant 30% of its peak"),
    ):
        report, text = ask("fit=hoffmann2022", "budget=1e21", *more)
        assert f"assumed: times {said}" in text
        assert report.cost is not None
        assert report.cost.assumed


def test_a_step_of_a_small_model_takes_milliseconds_not_microseconds() -> None:
    """A budget of 1e13 FLOPs in batches of 512 tokens: ten thousand steps, each with its launches."""
    results = Path(__file__).resolve().parents[2] / "results"
    report, text = ask(f"fit={results}/demo", "budget=1e13", "device=a100")
    assert report.run is not None
    assert report.cost is not None
    assert report.run["step_seconds"] > 1e-3
    assert 3600 * report.cost.gpu_hours == pytest.approx(report.run["seconds"], rel=0.25)
    assert "ms a step" in text
    assert report.cost.assumed


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("fit=kaplan2020", "gpu_hours=100", "device=h100"), "has no L(N, D)"),
        (("fit=hoffmann2022", "gpu_hours=100", "device=h100", "mfu=0.4"), "a constant share of the peak"),
        (
            ("fit=hoffmann2022", "gpu_hours=100", "device=h100", "precision=fp8"),
            "a constant share of the peak",
        ),
    ],
)
def test_where_the_two_cannot_be_told_apart_it_is_said(overrides: tuple[str, ...], said: str) -> None:
    report, text = ask(*overrides)
    assert report.timed is None
    assert report.cost is not None
    assert report.cost.gpu_hours == pytest.approx(100, rel=0.05)
    assert said in text


def test_a_calibrated_device_answers_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.calibrate.output import device_yaml, throughput_yaml

    mine = replace(LAUNCHES, name="mine", source="a test", peak_flops=None)
    for group, text in (("throughput", throughput_yaml(mine)), ("device", device_yaml(mine))):
        (tmp_path / "configs" / group).mkdir(parents=True)
        (tmp_path / "configs" / group / "mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    report, text = ask("fit=hoffmann2022", "gpu_hours=50", "device=mine")
    assert report.cost is not None
    assert not report.cost.assumed
    assert report.cost.mfu is None
    assert report.cost.dollars is None
    assert "times by mine: a test" in text
    assert "assumed" not in text
    (tmp_path / "configs" / "throughput" / "mine.yaml").write_text("name: mine\nparams: [1e6]\n")
    with pytest.raises(UserError, match=r"device\.timing\.params'; times come from a model of a step"):
        ask("fit=hoffmann2022", "gpu_hours=50", "device=mine")
    (tmp_path / "configs" / "throughput" / "mine.yaml").write_text(throughput_yaml(mine))
    with pytest.raises(UserError, match=r"no price; set device\.dollars_per_hour"):
        ask("fit=hoffmann2022", "dollars=50", "device=mine")
    priced, _ = ask("fit=hoffmann2022", "dollars=50", "device=mine", "device.dollars_per_hour=1")
    assert priced.timed is not None
    assert report.timed is not None
    assert priced.timed.params == report.timed.params


def test_a_clock_of_muon_is_slower_and_assumed_where_its_part_was_not_measured() -> None:
    """The clock plans by the sweep's optimizer; a device is as measured as what the runs use of it."""
    muon = replace(RULES, optimizer=OptimizerConfig(kind="muon"))
    measured = ThroughputConfig(modes={"eager": StepTime(1e-3, 1e-4, 1e11)}, muon=MuonTime(1e-3, 1e11))
    plain, slow = Clock(RULES, Timing(measured)), Clock(muon, Timing(measured))
    sizes = plain.params
    assert (slow.seconds(sizes, 1e8) > plain.seconds(sizes, 1e8)).all()
    assert not plain.assumed
    assert not slow.assumed
    unknown = Timing(replace(measured, muon=None))
    assert not Clock(RULES, unknown).assumed
    assert Clock(muon, unknown).assumed
    device = TimedDevice(Clock(muon, unknown))
    assert device.label.endswith("(assumed)")
    assert "Muon's part assumed: as on one core" in device.said
