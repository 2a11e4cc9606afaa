"""How fast a device trains: the configuration group ``throughput``, measured by ``isoflop calibrate`` or assumed."""

from dataclasses import dataclass, field

from harness.bounds import bounded, check_bounds
from harness.errors import UserError

SETTINGS = {"eager": "off", "compiled": "on", "graphs": "graphs"}
"""For each mode of execution, what ``train.compile`` calls it."""

MODES = tuple(SETTINGS)
"""How a step is executed: by single operations, compiled by torch.compile, or compiled and replayed as CUDA graphs."""


@dataclass
class StepTime:
    """Where the time of one optimizer step goes, in one mode of execution: the coefficients of :mod:`.duration`.

    The first two are spent by the host, which launches the operations; the rates belong to the device. A rate that is
    infinite leaves its part out.

    Attributes:
        step_seconds: host, per step: the batch, clipping, the optimizer, the loop itself.
        layer_seconds: host, per layer and micro-batch: launching its operations forward and backward.
        flops_per_second: matrix products, forward and backward.
        scores_per_second: attention scores, forward and backward: what attention takes beside its matrix products.
        bytes_per_second: traffic of activations, gradients and optimizer states.
        compile_seconds: once for each shape and process, before its first step.
    """

    step_seconds: float = bounded(0.0, 0, 1e6)
    layer_seconds: float = bounded(0.0, 0, 1e6)
    flops_per_second: float = bounded(float("inf"), 0, float("inf"), above=True)
    scores_per_second: float = bounded(float("inf"), 0, float("inf"), above=True)
    bytes_per_second: float = bounded(float("inf"), 0, float("inf"), above=True)
    compile_seconds: float = bounded(0.0, 0, 1e6)

    @property
    def takes_no_time(self) -> bool:
        """Whether a step costs neither the host nor the device anything."""
        rates = (self.flops_per_second, self.scores_per_second, self.bytes_per_second)
        return not (self.step_seconds or self.layer_seconds or min(rates) < float("inf"))

    def __post_init__(self) -> None:
        check_bounds(self, "throughput.modes")


@dataclass
class MuonTime:
    """What Muon takes of a step, beside AdamW's part: the same in every mode, for no optimizer is compiled.

    Attributes:
        matrix_seconds: host, per matrix: launching the operations that make one update orthogonal.
        flops_per_second: the Newton-Schulz products, in bf16 (``harness.plan.optimizer_flops``).
        source: where the two come from.
        assumed: they were not measured on this kind of device; said where a time of Muon is shown.
    """

    matrix_seconds: float = bounded(0.0, 0, 1e6)
    flops_per_second: float = bounded(float("inf"), 0, float("inf"), above=True)
    source: str = ""
    assumed: bool = False

    def __post_init__(self) -> None:
        check_bounds(self, "throughput.muon")


MUON_GUESS = {
    False: MuonTime(5.4e-4, 2.6e11, "as on one core of an Intel Xeon with AMX", assumed=True),
    True: MuonTime(
        2.3e-4, 1e14, "23 operations a matrix at 10 µs each, and products at 1e14 FLOP/s", assumed=True
    ),
}
"""Where a time model says nothing of Muon, by whether the device is asynchronous."""


GUESS = StepTime(7e-3, flops_per_second=6e10)
"""Of eager steps on a CPU core, where nothing at all is known."""


@dataclass
class ThroughputConfig:
    """The time model of one device, for one worker that trains one run at a time.

    Attributes:
        source: where the numbers come from.
        assumed: they were not measured on this kind of device; said wherever a time is shown.
        asynchronous: the device works while the host launches what comes next, as a GPU does: a step takes the longer
            of the two. On a CPU the two add up.
        startup_seconds: fixed cost of one run: building the model, opening the data, the tracker.
        modes: time of a step in each of :data:`MODES` that is known; ``eager`` always is. Empty stands for
            :data:`GUESS`. (A default that is not empty would be merged into every file that lacks a mode.)
        muon: time of Muon's part of a step; null where it was not measured, which stands for :data:`MUON_GUESS`.
        peak_flops: the device's dense peak FLOP/s, for MFU; null where unknown.
        per_device: runs side by side on one device that finish a sweep soonest; 0 where that was not measured.
        shared_slowdown: with ``per_device`` runs at once, the time of the device's part of a step over what it would
            be if they shared the device perfectly; of a whole step, on a device that is not asynchronous.
    """

    name: str = "cpu"
    source: str = ""
    assumed: bool = False
    asynchronous: bool = False
    startup_seconds: float = bounded(1.0, 0, 1e6)
    modes: dict[str, StepTime] = field(default_factory=dict)
    muon: MuonTime | None = None
    peak_flops: float | None = bounded(None, 0, 1e25, above=True)
    per_device: int = bounded(0, 0, 4096)
    shared_slowdown: float = bounded(1.0, 0, 1e6, above=True)

    def __post_init__(self) -> None:
        check_bounds(self, "throughput")
        if unknown := [mode for mode in self.modes if mode not in MODES]:
            raise UserError(f"throughput.modes: '{unknown[0]}' is none of {', '.join(MODES)}")
        if self.modes and "eager" not in self.modes:
            raise UserError("throughput.modes: needs at least eager")
        for name, times in self.modes.items():
            if times.takes_no_time:
                raise UserError(f"throughput.modes.{name}: its steps take no time at all")

    @property
    def muon_time(self) -> MuonTime:
        """Time of Muon's part of a step, measured or guessed."""
        return self.muon or MUON_GUESS[self.asynchronous]

    @property
    def known(self) -> dict[str, StepTime]:
        """Times by mode; never empty."""
        return self.modes or {"eager": GUESS}

    def mode(self, name: str) -> StepTime:
        """The mode ``name``, or ``eager`` where it is not known."""
        return self.known.get(name, self.known["eager"])
