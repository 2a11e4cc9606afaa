"""The cost of training on a device, in hours and dollars, and of an inference FLOP relative to a training FLOP."""

from dataclasses import dataclass

from harness.amounts import amount
from harness.bounds import bounded, check_bounds, one_of
from harness.errors import UserError
from harness.plan.throughput import ThroughputConfig


@dataclass
class DeviceConfig:
    """One accelerator: the schema of ``configs/device``.

    Attributes:
        peak_flops: dense peak FLOP/s (or integer operations per second) by precision, e.g. ``bf16``, ``fp8``, ``int8``.
        dollars_per_hour: rent of one, in dollars; null where unknown.
        timing: how long a step takes on it (``configs/throughput``); null where only its peak is known, of which a
            training is then taken to reach a constant share.
        source: where the numbers come from.
    """

    name: str = ""
    peak_flops: dict[str, float] = bounded({}, 0, 1e25, above=True)
    dollars_per_hour: float | None = amount(None, "dollars", 0, 1e9, above=True)
    timing: ThroughputConfig | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if not self.peak_flops and self.timing is None:
            raise UserError(f"device {self.name}: needs peak_flops, a FLOP/s for each precision, or a timing")
        check_bounds(self, "device")

    def peak(self, precision: str) -> float:
        """Peak FLOP/s at ``precision``.

        Raises:
            UserError: the device has none.
        """
        if precision not in self.peak_flops:
            known = ", ".join(self.peak_flops) or "none at all"
            raise UserError(f"device {self.name}: no peak for precision '{precision}'; it has {known}")
        return self.peak_flops[precision]

    @property
    def unit(self) -> str:
        """What an hour of it is called."""
        return "core-hours" if self.timing is not None and not self.timing.asynchronous else "GPU-hours"

    @property
    def price(self) -> float:
        """Dollars per hour.

        Raises:
            UserError: it has no price.
        """
        if self.dollars_per_hour is None:
            raise UserError(f"device {self.name}: no price; set device.dollars_per_hour=…")
        return self.dollars_per_hour


@dataclass
class ServingConfig:
    """How a model is served.

    Attributes:
        unit: ``flops`` minimises training + weight * inference FLOPs; ``dollars`` takes the weight from
            prices and utilisations.
        weight: lambda, the cost of an inference FLOP over that of a training FLOP, where ``unit`` is flops.
        prompt_share: share of the inference tokens that are prompt (prefill); the others are generated.
        mfu_prefill, mfu_decode: share of the peak that each reaches. Generating a token at a time is bound by
            memory, not by arithmetic, so the second is small; measure your own.
        precision: of the served model: ``int8`` or ``fp8`` for a quantised one.
        device: what serves; null is the training device.
    """

    unit: str = one_of("flops", ("flops", "dollars"))
    weight: float = amount(1.0, "number", 0, 1e9)
    prompt_share: float = bounded(0.5, 0, 1)
    mfu_prefill: float = amount(0.5, "share", 0, 1, above=True)
    mfu_decode: float = amount(0.01, "share", 0, 1, above=True)
    precision: str = "bf16"
    device: DeviceConfig | None = None

    def __post_init__(self) -> None:
        check_bounds(self, "serving")


@dataclass(frozen=True)
class Trainer:
    """What trains: ``count`` devices at utilisation ``mfu`` of their peak at ``precision``."""

    device: DeviceConfig
    mfu: float
    precision: str = "bf16"
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.mfu <= 1:
            raise UserError(f"mfu: must lie in (0, 1], got {self.mfu:g}")
        if self.count < 1:
            raise UserError(f"gpus: must be at least 1, got {self.count}")

    @property
    def flops_per_hour(self) -> float:
        """Training FLOPs that one device does in an hour."""
        return 3600 * self.device.peak(self.precision) * self.mfu

    def flops_of_hours(self, gpu_hours: float) -> float:
        """Training FLOPs of ``gpu_hours`` device-hours, all devices together."""
        return gpu_hours * self.flops_per_hour

    def cost(self, flops: float) -> "TrainingCost":
        """What ``flops`` training FLOPs take."""
        share = f"a constant {100 * self.mfu:.3g}% of its peak"
        return training_cost(
            self.device, self.count, 3600 * flops / self.flops_per_hour / self.count, self.mfu, share
        )


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What a training takes.

    Attributes:
        gpu_hours: device-hours, all devices together; ``unit`` is what they are called.
        wall_hours: hours on the clock with ``gpus`` devices.
        dollars: None without a price.
        mfu: share of the device's peak; None where that is unknown.
        times: where the estimate comes from.
        assumed: that was not measured.
    """

    gpu_hours: float
    wall_hours: float
    dollars: float | None
    device: str
    gpus: int
    mfu: float | None
    times: str = ""
    assumed: bool = True
    unit: str = "GPU-hours"


def training_cost(
    device: DeviceConfig, gpus: int, seconds: float, mfu: float | None, times: str, assumed: bool = True
) -> TrainingCost:
    """The cost of ``seconds`` on the clock with ``gpus`` of ``device``."""
    hours, price = seconds * gpus / 3600, device.dollars_per_hour
    return TrainingCost(
        gpu_hours=hours,
        wall_hours=hours / gpus,
        dollars=None if price is None else hours * price,
        device=device.name,
        gpus=gpus,
        mfu=mfu,
        times=times,
        assumed=assumed,
        unit=device.unit,
    )


def inference_weight(serving: ServingConfig, trainer: Trainer | None) -> float:
    """lambda: the cost of an inference FLOP over that of a training FLOP.

    In dollars (Sardana et al. 2024, section 4): a FLOP costs $/hour over (3600 * peak * utilisation), and the
    utilisation of serving is the mean over prompt and generated tokens of the time each takes.

    Raises:
        UserError: ``unit`` is dollars without a device, a price or a peak at the precision.
    """
    if serving.unit == "flops":
        return serving.weight
    if trainer is None:
        raise UserError("serving.unit=dollars: name the training device, e.g. device=h100")
    server = serving.device or trainer.device
    training = trainer.device.price / (trainer.device.peak(trainer.precision) * trainer.mfu)
    share = serving.prompt_share
    slowness = share / serving.mfu_prefill + (1 - share) / serving.mfu_decode
    return server.price / server.peak(serving.precision) * slowness / training
