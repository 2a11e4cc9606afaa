"""How fast the parts are and what they take: nothing should run beside these. They say times and judge none."""

import os
import statistics
import subprocess
import sys
import time
from collections import Counter

import pytest
import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from harness.launch.sharing import mps
from harness.text import count
from harness.train.config import TrainConfig
from harness.train.device import available_bytes, choose_device
from harness.train.micro import run_bytes, sequences_at_once
from tests.gpu.conftest import Say
from tests.gpu.world import World, gib

# How each size is stepped, and in micro-batches of how many sequences (0: the project's choice); compiling takes 15 s.
HOW = {
    "1M": (("off", 0), ("on", 0), ("graphs", 0)),
    "3M": (("off", 0), ("graphs", 0)),
    "9M": (("off", 0), ("off", 62), ("on", 0), ("graphs", 0)),
    "36M": (("off", 0), ("off", 154), ("on", 0)),
}
WARM, BLOCK, PROFILED = 7, 10, 5
KERNELS = ("flash", "cudnn", "fmha", "efficient", "fusedadam", "multi_tensor")  # worth a word


class Meter:
    """Called before every step: three blocks of steps by the clock, then some under the profiler."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stamps: list[float] = []
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if world.cuda else [])]
        self._profile = profile(activities=activities)
        self._first = WARM + 3 * BLOCK + 1  # step under the profiler
        self.steps = self._first + PROFILED

    def __call__(self, step: int) -> None:
        if step > WARM and (step - WARM - 1) % BLOCK == 0 and len(self._stamps) < 4:
            self._world.wait()
            self._stamps.append(time.perf_counter())
        if step == self._first:
            self._profile.start()
        elif step == self._first + PROFILED:
            self._world.wait()
            self._profile.stop()

    def wall(self) -> float:
        """Seconds a step, the median of the blocks."""
        return statistics.median(b - a for a, b in zip(self._stamps, self._stamps[1:], strict=False)) / BLOCK

    def spent(self) -> list[tuple[str, float]]:
        """Name and seconds of every kernel of the profiled steps; on a CPU, of every operator."""

        def is_kernel(event: FunctionEvent) -> bool:
            # an optimizer's step and a compiled graph are marked on the device's line, over the kernels they consist of
            mark = getattr(event, "is_user_annotation", False) or event.name.startswith(("Optimizer.", "##"))
            return str(event.device_type).endswith("CUDA") and not mark

        events = self._profile.events()
        if self._world.cuda:
            return [(event.name, event.time_range.elapsed_us() / 1e6) for event in events if is_kernel(event)]
        return [(event.name, event.self_cpu_time_total / 1e6) for event in events]


@pytest.mark.slow
@pytest.mark.seconds(100)
@pytest.mark.parametrize("size", HOW)
def test_steps(world: World, say: Say, size: str) -> None:
    """How a step's time is spent: wall, CPU at the data, kernels and their number; which attention, which AdamW."""
    say(
        "| parameters | how, micro-batch | pieces | wall ms | data ms | kernels | kernel ms | busy | longest |"
    )
    say("|---|---|---|---|---|---|---|---|---|")
    for way, micro in HOW[size] if world.cuda else (("off", 0),):
        meter = Meter(world)
        case = world.case(*world.shapes[size], meter.steps)
        ran = world.run(case, before=meter, log_points=1, compile=way, micro_batch=micro)
        assert world.finished(ran).steps == meter.steps
        began = time.perf_counter()
        for step in range(20):
            case.batch(step, "cpu")
        data = (time.perf_counter() - began) / 20
        kernels, wall = meter.spent(), meter.wall()
        by_name: Counter[str] = Counter()
        for name, seconds in kernels:
            by_name[name[:60].replace("|", "/")] += seconds / PROFILED
        pieces = sum(name.startswith("Memcpy HtoD") for name, _ in kernels)  # each is copied to the device
        busy = sum(by_name.values())
        flags = [tag for tag in KERNELS if tag in " ".join(by_name).lower()]
        longest = "; ".join(f"{name} {1e3 * seconds:.2f}" for name, seconds in by_name.most_common(3))
        say(
            f"| {count(case.cell.params.total)} | {way}, {micro or 'auto'} | {pieces / PROFILED:.0f} "
            f"| {1e3 * wall:.2f} | {1e3 * data:.2f} | {len(kernels) / PROFILED:.0f} | {1e3 * busy:.2f} "
            f"| {100 * busy / wall:.0f}% | {','.join(flags)}: {longest} |"
        )
        assert wall > 0
        assert busy > 0


@pytest.mark.slow
def test_evaluation(world: World, say: Say) -> None:
    """From a run's last step to its record: the held-out evaluation, beside the speed of the steps before."""
    tokens = 2_000_000 if world.cuda else 5_000
    for size in HOW:
        case = world.case(*world.shapes[size], 8).of(eval_tokens=tokens)
        ran = world.run(case)
        record = world.finished(ran)
        took = ran.ended - ran.last_row
        say(
            f"{count(case.cell.params.total)}: {took:.2f} s for {tokens:,} tokens, {tokens / took:,.0f} tokens/s; "
            f"trained at {record.tokens_per_second:,.0f}"
        )
        assert record.loss_se is not None, "of several documents"


@pytest.mark.slow
def test_memory(world: World, say: Say) -> None:
    """What a step takes, beside what the planner of a shared GPU reckons: it may be less, not more."""
    for name, numbers in world.shapes.items():
        for way in ("off", "graphs") if name == "1M" and world.cuda else ("off",):
            case, peak = world.case(*numbers, 5), 0.0
            if world.cuda:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()

            def look(call: int) -> bool:
                nonlocal peak
                if call == 5 and world.cuda:
                    world.wait()
                    peak = torch.cuda.max_memory_allocated()
                return call == 5

            world.run(case, before=look, log_points=1, compile=way)
            train, spec, params = TrainConfig(compile=way), case.cell.spec, case.cell.params.total
            available = available_bytes(choose_device(world.device, spec.precision))
            sequences = sequences_at_once(train, spec, params, spec.batch_sequences, available)
            reckoned = run_bytes(train, spec, params, sequences, world.cuda)
            say(f"{name} {way}: allocated {gib(peak)}, reckoned {gib(reckoned)}, ratio {peak / reckoned:.2f}")
            assert peak <= reckoned
    if world.cuda:
        query = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader"]
        done = subprocess.run(query, capture_output=True, text=True)
        used = [line.split(",")[1] for line in done.stdout.splitlines() if line.startswith(f"{os.getpid()},")]
        reserved = gib(torch.cuda.memory_reserved())
        say(
            f"nvidia-smi says this process has {used or 'an amount it does not know'}; {reserved} are reserved"
        )


CLIENT = """
import time, torch
a = torch.randn(1024, 1024, device="cuda")
began = time.time()
for _ in range(3000): b = a @ a
torch.cuda.synchronize()
print(round(time.time() - began, 2))
"""


def test_mps(world: World, say: Say) -> None:
    """The daemon starts, clients work under it, and it ends; where it may not run, that is one line."""
    said: list[str] = []
    with mps(said.append) as environment:
        say("; ".join(said) or "nothing said")
        assert said
        for number in (1, 4) if world.cuda else ():
            began = time.monotonic()
            running = [
                subprocess.Popen(
                    [sys.executable, "-c", CLIENT],
                    env={**os.environ, **environment},
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for _ in range(number)
            ]
            answers = [process.communicate(timeout=60)[0].strip() for process in running]
            say(f"{number} clients: {answers} s, {time.monotonic() - began:.1f} s in all")
            assert all(float(answer) > 0 for answer in answers)
    assert bool(environment) is ("runs share GPUs by MPS" in said)
    assert torch.ones(1, device=world.device).item() == 1, "the device works on"
