"""How long a run takes, by one model of a step; every time and every price that is shown comes from here.

The host launches the operations of a step, the device executes them::

    host = step_seconds + layer_seconds * layers * micro_batches + muon.matrix_seconds * matrices
    device = flops / flops_per_second + scores / scores_per_second + bytes / bytes_per_second
             + muon_flops / muon.flops_per_second

On a CPU, which is both, a step takes their sum; on a GPU, which runs behind the host, about the longer of the two:
small models are bound by launches, however few FLOPs they have. The terms with ``muon`` are of the matrices that Muon
steps; AdamW's part is in ``step_seconds`` and ``bytes``. What a run takes beside its steps (start,
compilation, held-out evaluation) is counted apart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log

from harness.model.counts import BACKWARD_OVER_FORWARD, count_params, forward_flops
from harness.model.shape import Shape
from harness.plan.optimizer_flops import muon_matrices, product_flops
from harness.plan.spec import RunSpec
from harness.plan.throughput import SETTINGS, MuonTime, StepTime, ThroughputConfig

OVERLAP = 4.0
"""Order of the norm that joins host and device where they overlap: a soft maximum, 19% above either where both are
equal, for neither is always ahead of the other."""

# Numbers that a block moves of each token, in units of its width and of its feed-forward width, forward and backward:
# each saved activation (at most 20 and 5) is written once and read once, and so is its gradient.
MOVED_OF_WIDTH, MOVED_OF_FFW = 4 * 20, 4 * 5
# The loss is float32 whatever the precision: logits, their exponentials, their gradients, each written and read.
MOVED_OF_VOCAB = 6 * 4
# Bytes an optimizer step moves per parameter: weight, gradient and two moments in float32 read, three written, the
# gradient's norm, and the gradient set to zero.
MOVED_OF_PARAMETER = 4 * (4 + 3 + 1 + 1)

NO_MUON = MuonTime()
"""Takes no time."""


@dataclass(frozen=True)
class StepWork:
    """What one optimizer step has to do.

    Attributes:
        launches: layers times micro-batches.
        flops: of matrix products, forward and backward, attention's included.
        scores: attention scores (heads x tokens x keys), over all layers.
        bytes: moved by the device beside what matrix products move within them.
        muon_matrices: that Muon steps, and ``muon_flops`` of its products.
    """

    launches: int
    flops: float
    scores: float
    bytes: float
    muon_matrices: int = 0
    muon_flops: float = 0.0


@lru_cache(maxsize=4096)
def _per_token(shape: Shape, seq_len: int) -> tuple[float, float, float]:
    """Training FLOPs of matrix products, attention scores, and numbers moved by the blocks, per token."""
    forward = forward_flops(shape, seq_len)
    widest = max(shape.width, shape.heads * shape.head_dim)
    moved = shape.layers * (MOVED_OF_WIDTH * widest + MOVED_OF_FFW * shape.ffw)
    flops = (1 + BACKWARD_OVER_FORWARD) * forward.matrix_products
    return flops / seq_len, forward.softmax / 3 / seq_len, float(moved)


def step_work(spec: RunSpec, half: bool, micro_batch: int = 0, devices: int = 1) -> StepWork:
    """The work of one step of ``spec`` on each of ``devices`` that share its batch.

    Args:
        half: activations have two bytes (bf16), not four.
        micro_batch: sequences a device takes at once; 0 is all of its share.
    """
    sequences = spec.batch_sequences / devices
    tokens = sequences * spec.seq_len
    flops, scores, moved = _per_token(spec.shape, spec.seq_len)
    muon = spec.optimizer.muon
    return StepWork(
        launches=spec.shape.layers * (ceil(sequences / micro_batch) if micro_batch else 1),
        flops=flops * tokens,
        scores=scores * tokens,
        bytes=tokens * (moved * (2 if half else 4) + MOVED_OF_VOCAB * spec.shape.vocab_size)
        + MOVED_OF_PARAMETER * count_params(spec.shape).total,
        muon_matrices=0 if muon is None else muon_matrices(spec.shape),
        # each device steps all matrices
        muon_flops=0.0 if muon is None else product_flops(spec.shape, muon),
    )


def host_seconds(times: StepTime, work: StepWork) -> float:
    """What the host spends on one step, Muon's part aside."""
    return times.step_seconds + times.layer_seconds * work.launches


def device_seconds(times: StepTime, work: StepWork) -> float:
    """What the device spends on one step, Muon's part aside."""
    return (
        work.flops / times.flops_per_second
        + work.scores / times.scores_per_second
        + work.bytes / times.bytes_per_second
    )


def step_seconds(
    times: StepTime,
    work: StepWork,
    asynchronous: bool,
    sharing: float = 1.0,
    muon: MuonTime = NO_MUON,
) -> float:
    """Seconds of one step.

    Args:
        sharing: how much longer the device's part (of a device that is not asynchronous, the whole) takes because
            other runs share it.
        muon: time of Muon's part; by default none.
    """
    host = host_seconds(times, work) + muon.matrix_seconds * work.muon_matrices
    device = device_seconds(times, work) + work.muon_flops / muon.flops_per_second
    if not asynchronous:
        return sharing * (host + device)
    return float((host**OVERLAP + (sharing * device) ** OVERLAP) ** (1 / OVERLAP))


@dataclass(frozen=True)
class RunTime:
    """Estimated seconds of one run on one worker.

    Attributes:
        mode: of execution, a key of :data:`harness.plan.throughput.MODES`.
        start: building the model, opening the data.
        compile: before the first step.
        steps: all optimizer steps.
        evaluation: of the held-out tokens at the end.
    """

    mode: str
    start: float
    compile: float
    steps: float
    evaluation: float

    @property
    def training(self) -> float:
        """What a record's ``seconds`` measures: compilation and steps."""
        return self.compile + self.steps

    @property
    def total(self) -> float:
        """All of it."""
        return self.start + self.compile + self.steps + self.evaluation


@dataclass(frozen=True)
class Timing:
    """A throughput in use.

    Attributes:
        throughput: the device's time model.
        runs: runs that share one device.
        micro_batch: sequences a device takes at once; 0 is its whole batch.
        devices: devices that share each run's batch. Communication between them is not counted.
        compile: ``train.compile``: a mode that every run takes, or ``auto``: the one that is soonest done.
    """

    throughput: ThroughputConfig
    runs: int = 1
    micro_batch: int = 0
    devices: int = 1
    compile: str = "auto"

    @property
    def sharing(self) -> float:
        """How much longer a device takes for a run that shares it.

        On a GPU ``runs`` share its rates; on a CPU each run has a core of its own, and only caches and memory are
        shared. In between one and ``per_device``, the slowdown grows in proportion to the logarithm of the number.
        """
        if self.runs <= 1:
            return 1.0
        measured, slowdown = self.throughput.per_device, self.throughput.shared_slowdown
        weight = min(1.0, log(self.runs) / log(measured)) if measured > 1 else 0.0
        return float(slowdown**weight) * (self.runs if self.throughput.asynchronous else 1)

    def work(self, spec: RunSpec) -> StepWork:
        """The work of one step on one device."""
        half = spec.precision == "bf16" or (spec.precision == "auto" and self.throughput.asynchronous)
        return step_work(spec, half, self.micro_batch, self.devices)

    def step(self, spec: RunSpec, mode: str) -> float:
        """Seconds of one step of ``spec`` in ``mode``; as eager where the mode is not known."""
        times = self.throughput.mode(mode)
        work, muon = self.work(spec), self.throughput.muon_time
        return step_seconds(times, work, self.throughput.asynchronous, self.sharing, muon)

    def choose_mode(self, specs: Iterable[RunSpec]) -> str:
        """The mode in which all of ``specs``, runs of one shape, are soonest done: each compiles for itself.

        They are executed alike, so that differences of their losses are not those of two ways to round.
        """
        for mode, setting in SETTINGS.items():
            if setting == self.compile:
                return mode
        specs = list(specs)
        known = self.throughput.known
        totals = {
            mode: sum(times.compile_seconds + spec.steps * self.step(spec, mode) for spec in specs)
            for mode, times in known.items()
        }
        return min(totals, key=lambda mode: totals[mode])

    def run(self, spec: RunSpec, mode: str) -> RunTime:
        """Estimated seconds of the run ``spec`` in ``mode``."""
        times = self.throughput.mode(mode)
        # the forward pass alone, eager, of so many tokens, by each process: never compiled, for it is done once
        batches = self.devices * spec.eval_tokens / spec.batch_tokens
        forward = device_seconds(self.throughput.mode("eager"), self.work(spec)) / (1 + BACKWARD_OVER_FORWARD)
        return RunTime(
            mode=mode,
            start=self.throughput.startup_seconds,
            compile=times.compile_seconds if mode != "eager" else 0.0,
            steps=spec.steps * self.step(spec, mode),
            evaluation=batches * forward * self.sharing,
        )

    def modes_of(self, specs: Iterable[RunSpec]) -> Mapping[Shape, str]:
        """The mode of every shape among ``specs``."""
        by_shape: dict[Shape, list[RunSpec]] = {}
        for spec in specs:
            by_shape.setdefault(spec.shape, []).append(spec)
        return {shape: self.choose_mode(same) for shape, same in by_shape.items()}


def makespan(durations: Iterable[float], workers: int) -> float:
    """Seconds until ``workers`` have done all runs, longest first (Graham 1969's list scheduling)."""
    busy = [0.0] * max(1, workers)
    for duration in sorted(durations, reverse=True):
        first = busy.index(min(busy))
        busy[first] += duration
    return max(busy)
