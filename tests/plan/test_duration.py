"""The model of a step: its parts, and how near it comes to runs that were timed."""

import json
import math
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.model.counts import flops_per_token
from harness.model.shape import Shape
from harness.plan.duration import Timing, makespan, step_seconds, step_work
from harness.plan.schedule import Schedule
from harness.plan.spec import Muon, Optimizer, RunSpec
from harness.plan.throughput import MuonTime, StepTime, ThroughputConfig

RESULTS = Path(__file__).resolve().parents[2] / "results"
GPU = ThroughputConfig(
    asynchronous=True,
    startup_seconds=2.0,
    modes={
        "eager": StepTime(1e-3, 1e-3, 5e14, 5e11, 2e12),
        "compiled": StepTime(1e-3, 1e-4, 5e14, 5e11, 4e12, compile_seconds=20.0),
        "graphs": StepTime(5e-4, 1e-5, 5e14, 5e11, 4e12, compile_seconds=30.0),
    },
)


def spec(
    width: int = 64, layers: int = 2, sequences: int = 8, steps: int = 100, seq_len: int = 128
) -> RunSpec:
    shape = Shape("llama", 256, width, layers, width // 16, 16, 4 * width, width // 16, False, seq_len)
    optimizer = Optimizer(1e-3, 0.9, 0.95, 1e-8, 0.1, 1.0)
    schedule = Schedule("cosine", steps, 1, 0.1, 0.2)
    return RunSpec(shape, seq_len, sequences, steps, optimizer, schedule, 0.05, 0, "f00d", 4096)


def records(name: str) -> list[tuple[RunSpec, float]]:
    """Specification and seconds of training of the committed runs of ``results/<name>``."""
    found = [json.loads(path.read_text()) for path in RESULTS.glob(f"{name}/cells/*/record.json")]
    assert len(found) > 20
    return [(RunSpec.from_json(record["spec"]), record["seconds"]) for record in found]


def ratios(name: str, runs: int) -> list[float]:
    """The estimated seconds of each run of ``results/<name>`` over the measured, ``runs`` at once on a CPU's cores."""
    timing = Timing(compose_config(["throughput=cpu"])[0].throughput, runs=runs)
    return [timing.run(spec, "eager").training / seconds for spec, seconds in records(name)]


def test_nine_runs_in_ten_take_what_was_estimated_within_a_quarter() -> None:
    found = ratios("idle_core", 1)
    near = [ratio for ratio in found if 0.8 < ratio < 1.25]
    assert len(near) >= 0.9 * len(found), sorted(found)


def test_runs_on_another_processor_differ_from_the_estimate_by_one_factor() -> None:
    found = ratios("demo", 2)
    middle = median(found)
    assert 1 / 1.5 < middle < 1.5
    assert all(0.8 < ratio / middle < 1.25 for ratio in found), sorted(found)


def test_the_work_of_a_step_is_that_of_its_tokens_and_layers() -> None:
    work = step_work(spec(), half=False)
    assert work.flops == pytest.approx(flops_per_token(spec().shape, 128, "matrix_products") * 8 * 128)
    assert work.scores == 2 * 4 * 128 * 128 * 8, "layers, heads, keys, tokens"
    assert work.launches == 2
    twice = step_work(spec(sequences=16), half=False)
    assert (twice.flops, twice.scores) == (2 * work.flops, 2 * work.scores)
    assert work.bytes < twice.bytes < 2 * work.bytes, "the optimizer's traffic is that of the parameters"
    assert step_work(spec(), half=True).bytes < work.bytes
    assert step_work(spec(), half=False, micro_batch=3).launches == 6
    shared = step_work(spec(), half=False, devices=2)
    assert (shared.flops, shared.launches) == (work.flops / 2, 2)


@given(st.integers(1, 12), st.integers(1, 64), st.sampled_from([16, 64, 256]), st.booleans())
def test_more_work_takes_longer_and_a_step_no_less_than_either_side(
    layers: int, sequences: int, width: int, asynchronous: bool
) -> None:
    work = step_work(spec(width, layers, sequences), half=True)
    times = GPU.modes["eager"]
    took = step_seconds(times, work, asynchronous)
    host = times.step_seconds + times.layer_seconds * work.launches
    assert took >= host
    assert took >= work.flops / times.flops_per_second
    assert step_seconds(times, step_work(spec(width, layers + 1, sequences), half=True), asynchronous) > took
    assert step_seconds(times, step_work(spec(width, layers, sequences + 1), half=True), asynchronous) >= took
    assert step_seconds(times, work, asynchronous, sharing=2.0) <= 2 * took + 1e-12


def test_a_small_model_on_a_gpu_is_bound_by_launches_however_few_its_flops() -> None:
    timing = Timing(GPU, compile="off")
    small, smaller = (timing.step(spec(width=width), "eager") for width in (32, 16))
    assert small == pytest.approx(3e-3, rel=0.01)
    assert smaller == pytest.approx(small, rel=0.01)


def test_runs_that_share_a_gpu_overlap_their_launches_and_share_its_rates() -> None:
    small, large = spec(width=16), spec(width=1024, layers=8, sequences=64)
    alone = Timing(GPU)
    four = Timing(replace(GPU, per_device=4, shared_slowdown=1.2), runs=4)
    assert four.sharing == pytest.approx(4.8)
    assert four.step(small, "eager") == pytest.approx(alone.step(small, "eager"), rel=0.01)
    assert four.step(large, "eager") == pytest.approx(4.8 * alone.step(large, "eager"), rel=0.1)
    assert Timing(GPU, runs=3).sharing == 3.0, "never measured: they share it perfectly, and gain nothing"


def test_on_a_cpu_runs_have_cores_of_their_own() -> None:
    cpu = ThroughputConfig(per_device=4, shared_slowdown=1.5)
    assert Timing(cpu, runs=1).sharing == 1.0
    assert Timing(cpu, runs=4).sharing == pytest.approx(1.5)
    assert 1.0 < Timing(cpu, runs=2).sharing < 1.5
    assert Timing(cpu, runs=64).sharing == pytest.approx(1.5)


def test_the_mode_is_the_one_that_is_soonest_done_for_all_runs_of_a_shape() -> None:
    timing = Timing(GPU)
    short, long = spec(steps=100), spec(steps=40_000)
    assert timing.choose_mode([short]) == "eager"
    assert timing.choose_mode([long]) == "graphs"
    assert timing.modes_of([short, long]) == {short.shape: "graphs"}, "they are executed alike"
    assert Timing(GPU, compile="off").choose_mode([long]) == "eager"
    assert Timing(GPU, compile="on").choose_mode([short]) == "compiled"
    assert Timing(ThroughputConfig()).choose_mode([long]) == "eager", "nothing else was measured"


def test_a_run_is_the_sum_of_its_parts() -> None:
    timing = Timing(GPU)
    run = timing.run(spec(steps=50), "graphs")
    assert (run.start, run.compile) == (2.0, 30.0)
    assert run.steps == pytest.approx(50 * timing.step(spec(), "graphs"))
    assert run.training == run.compile + run.steps
    assert run.total == pytest.approx(run.start + run.training + run.evaluation)
    more = timing.run(replace(spec(steps=50), eval_tokens=8192), "graphs")
    assert more.evaluation == pytest.approx(2 * run.evaluation)
    eager = timing.run(spec(steps=50), "eager")
    assert eager.compile == 0.0
    two = Timing(GPU, devices=2).run(spec(width=1024, sequences=64), "eager")
    one = timing.run(spec(width=1024, sequences=64), "eager")
    assert two.steps < one.steps
    assert two.evaluation == pytest.approx(one.evaluation, rel=0.1), (
        "each process scores all of the held-out tokens"
    )


MUON = MuonTime(1e-3, 1e11)


def test_muon_takes_its_matrices_and_its_products_whatever_the_mode_and_the_batch() -> None:
    for throughput in (GPU, ThroughputConfig(modes={"eager": StepTime(1e-3, 1e-4, 1e11)})):
        throughput = replace(throughput, muon=MUON)
        for mode in throughput.modes:
            for sequences in (8, 64):
                plain = spec(sequences=sequences)
                other = replace(plain, optimizer=replace(plain.optimizer, muon=Muon(0.02, 0.1)))
                timing = Timing(throughput)
                more = timing.step(other, mode) - timing.step(plain, mode)
                work = timing.work(other)
                assert (work.muon_matrices, timing.work(plain).muon_matrices) == (7 * 2, 0)
                alone = work.muon_matrices * 1e-3 + work.muon_flops / 1e11
                if throughput.asynchronous:  # host and device overlap
                    assert 0.5 * alone < more < alone
                else:
                    assert more == pytest.approx(alone)
                # scoring does not step
                times = timing.run(other, mode), timing.run(plain, mode)
                assert times[0].evaluation == times[1].evaluation


def test_a_time_model_that_says_nothing_of_muon_assumes() -> None:
    assert Timing(GPU).throughput.muon_time.assumed
    assert ThroughputConfig().muon_time.assumed
    files = {name: compose_config([f"throughput={name}"])[0].throughput for name in ("cpu", "h100", "a100")}
    assert {name: one.muon_time.assumed for name, one in files.items()} == {
        "cpu": False,
        "h100": True,
        "a100": True,
    }


def test_a_time_model_without_a_positive_rate_is_refused() -> None:
    with pytest.raises(UserError, match="flops_per_second: must be positive"):
        StepTime(flops_per_second=0.0)
    with pytest.raises(UserError, match="layer_seconds: must not be negative"):
        StepTime(layer_seconds=-1.0)
    with pytest.raises(UserError, match="compile_seconds: must be a finite number, got inf"):
        StepTime(compile_seconds=math.inf)
    with pytest.raises(UserError, match="'fast' is none of eager, compiled, graphs"):
        ThroughputConfig(modes={"eager": StepTime(1e-3), "fast": StepTime(1e-3)})
    with pytest.raises(UserError, match="its steps take no time"):
        ThroughputConfig(modes={"eager": StepTime()})
    with pytest.raises(UserError, match="peak_flops: must be positive"):
        ThroughputConfig(peak_flops=-1.0)
    with pytest.raises(UserError, match=r"throughput\.flops_per_second'; times come from a model of a step"):
        compose_config(["+throughput.flops_per_second=[1e12]"])


def test_a_file_has_the_modes_it_names_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A default of the schema would be merged into it, and be taken for its own."""
    file = tmp_path / "configs" / "throughput" / "mine.yaml"
    file.parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    file.write_text("name: mine\nmodes:\n  graphs: {step_seconds: 1e-3, flops_per_second: 6e+14}\n")
    with pytest.raises(UserError, match="at least eager"):
        compose_config(["throughput=mine"])
    file.write_text("name: mine\nmodes:\n  eager: {flops_per_second: 6e+14}\n")
    assert compose_config(["throughput=mine"])[0].throughput.mode("eager") == StepTime(flops_per_second=6e14)
    file.write_text("name: [mine\n")
    with pytest.raises(UserError, match=r"mine\.yaml"):
        compose_config(["throughput=mine"])


@pytest.mark.parametrize(
    ("name", "peak", "memory"), [("a100", 3.12 / 9.89, 2.04 / 3.35), ("h200", 1, 4.8 / 3.35)]
)
def test_what_was_not_measured_says_so_and_is_what_was_scaled(name: str, peak: float, memory: float) -> None:
    """The host's times are the H100's; the rates are scaled by the peaks and the memories of the data sheets."""
    throughput, measured = (compose_config([f"throughput={one}"])[0].throughput for one in (name, "h100"))
    assert throughput.assumed
    assert throughput.asynchronous
    assert "not measured" in throughput.source
    assert throughput.peak_flops == pytest.approx(peak * (measured.peak_flops or math.nan))
    assert throughput.startup_seconds == measured.startup_seconds
    assert throughput.modes.keys() == measured.modes.keys()
    for mode, times in measured.modes.items():
        scaled = replace(
            times,
            flops_per_second=peak * times.flops_per_second,
            scores_per_second=peak * times.scores_per_second,
            bytes_per_second=memory * times.bytes_per_second,
        )
        assert vars(throughput.modes[mode]) == pytest.approx(vars(scaled), rel=1e-3)


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=30), st.integers(1, 8))
def test_makespan_lies_between_its_bounds(durations: list[float], workers: int) -> None:
    span = makespan(durations, workers)
    lower = max(max(durations), sum(durations) / workers)
    assert lower - 1e-9 <= span <= lower * (4 / 3) + max(durations)
