"""The modes of ``configs/throughput/h100.yaml``, fitted to what one H100 measured and printed as that file has them.

    python -m scripts.fit_h100

Two measurements in ``results/one_gpu/evidence`` are joined: ``calibration.json``, and the compiled steps of 64 x 1024
tokens in ``train-speed.json``, whose largest model (108M parameters) the calibration does not reach. A CUDA graph
launches the kernels of the compiled step, so graphs have its device rates. Their host times, and all of the eager mode,
are fitted to the calibration alone.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from harness.calibrate.measurement import TimedStep, fit_step_time
from harness.calibrate.output import step_time_yaml
from harness.model.shape import Shape
from harness.plan.duration import step_seconds, step_work
from harness.plan.spec import RunSpec
from harness.plan.throughput import StepTime
from scripts.cases import plain_shape

RESULTS = Path(__file__).resolve().parents[1] / "results" / "one_gpu"
SEQ_LEN, BENCH_SEQUENCES = 1024, 64

# Where a fit begins: 60% of the data sheet's 9.89e14 FLOP/s, 70% of its 3.35e12 bytes/s (twice that compiled, where
# neighbouring operations share their traffic), 6e11 scores/s, and 6 microseconds for each operation that is launched.
PRIORS = {
    "eager": StepTime(1.0e-3, 8.4e-4, 6.0e14, 6.0e11, 2.35e12),
    "compiled": StepTime(1.0e-3, 1.5e-4, 6.0e14, 6.0e11, 4.7e12),
    "graphs": StepTime(8.0e-4, 1.0e-5, 6.0e14, 6.0e11, 4.7e12),
}
CALIBRATED = ((160, 14), (320, 48), (576, 154), (160, 3), (576, 38))
"""Width and sequences a step of the calibration's rows, in their order; the last two were timed in eager mode only."""

BENCHED = {"3M": (256, 4, 32), "30M": (576, 9, 64), "100M": (832, 13, 64)}
"""Width, layers and head dimension of the sizes that the bench measured."""


def calibrated() -> dict[str, list[TimedStep]]:
    """The timed steps of the calibration, by mode."""
    specs = [RunSpec.from_json(cell["spec"]) for cell in _read(RESULTS / "plan.json")["cells"]]
    by_width = {spec.shape.width: spec for spec in specs}
    alone = _read(RESULTS / "evidence" / "calibration.json")["alone"]
    return {
        mode: [
            _timed(by_width[width], by_width[width].shape, sequences, speed["step_seconds"])
            for (width, sequences), speed in zip(CALIBRATED, speeds, strict=False)
        ]
        for mode, speeds in alone.items()
    }


def benched() -> list[TimedStep]:
    """The compiled steps of the speed bench, smallest model first."""
    spec = RunSpec.from_json(_read(RESULTS / "plan.json")["cells"][0]["spec"])
    measured = _read(RESULTS / "evidence" / "train-speed.json")["measured"]
    speeds = {
        one["size"]: one["tokens_per_second"] for one in measured if one.get("contender") == "ours compiled"
    }
    return [
        _timed(spec, plain_shape(*shape, SEQ_LEN), BENCH_SEQUENCES, BENCH_SEQUENCES * SEQ_LEN / speeds[size])
        for size, shape in BENCHED.items()
    ]


def fit() -> dict[str, StepTime]:
    """The coefficients of each mode."""
    timed = calibrated()
    compiled = fit_step_time([*timed["compiled"], *benched()], PRIORS["compiled"], asynchronous=True)
    graphs = fit_step_time(timed["graphs"], PRIORS["graphs"], asynchronous=True)
    modes = {
        "eager": fit_step_time(timed["eager"], PRIORS["eager"], asynchronous=True),
        "compiled": compiled,
        "graphs": replace(compiled, step_seconds=graphs.step_seconds, layer_seconds=graphs.layer_seconds),
    }
    # compiling, as a calibration has it: what a run's start takes longer than an eager one's
    alone = _read(RESULTS / "evidence" / "calibration.json")["alone"]
    starts = {mode: median(speed["startup_seconds"] for speed in speeds) for mode, speeds in alone.items()}
    return {
        mode: replace(times, compile_seconds=starts[mode] - starts["eager"]) for mode, times in modes.items()
    }


def speed_ratios(modes: Mapping[str, StepTime]) -> dict[str, list[float]]:
    """Measured over modelled speed of every timed step, by measurement."""
    named = {**calibrated(), "bench": benched()}
    return {
        name: [
            step_seconds(modes["compiled" if name == "bench" else name], step.work, asynchronous=True)
            / step.seconds
            for step in steps
        ]
        for name, steps in named.items()
    }


def main() -> None:
    """Print the modes, and how near they come."""
    modes = fit()
    for mode, times in modes.items():
        print(f"  {mode}: {step_time_yaml(times)}")
    for name, ratios in speed_ratios(modes).items():
        print(f"{name}: measured over modelled speed {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def _timed(spec: RunSpec, shape: Shape, sequences: int, seconds: float) -> TimedStep:
    """A bf16 step of ``sequences`` sequences that took ``seconds``."""
    return TimedStep(step_work(replace(spec, shape=shape, batch_sequences=sequences), half=True), seconds)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
