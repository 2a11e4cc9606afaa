"""What trains, and how long it takes: by a device's time model, or by a constant share of its peak."""

from dataclasses import dataclass

from harness.errors import UserError
from harness.fit.laws import Frontier
from harness.plan.duration import Timing
from harness.predict.clock import Clock, ShapeRules
from harness.predict.cost import DeviceConfig, Trainer, TrainingCost, training_cost
from harness.predict.fixed_time import flops_in

USUAL_MFU = 0.4  # of well-tuned training of large models, where nothing else is known
TIMED_PRECISION = "bf16"  # what a time model's rates are of, on a GPU


@dataclass(frozen=True)
class Cluster:
    """``count`` devices that train one model together.

    Attributes:
        clock: seconds of a training by N and D; None where only a constant share of the peak is known.
        trainer: the same by a constant share of the peak; None where the peak is unknown.
    """

    device: DeviceConfig
    count: int
    precision: str
    clock: Clock | None
    trainer: Trainer | None

    def seconds(self, hours: float | None, dollars: float | None) -> float:
        """Seconds on the clock of so many device-hours, or of the device-hours that ``dollars`` pay for.

        Raises:
            UserError: dollars are asked for, and the device has no price.
        """
        device_hours = hours if hours is not None else (dollars or 0.0) / self.device.price
        return 3600 * device_hours / self.count

    def flops(self, frontier: Frontier | None, seconds: float) -> float:
        """Training FLOPs of the compute-optimal model whose training takes ``seconds`` on the clock."""
        if self.clock is not None and frontier is not None:
            return flops_in(frontier, self.clock, seconds)
        return self._constant().flops_of_hours(seconds * self.count / 3600)

    def cost(self, params: float, tokens: float, flops: float) -> TrainingCost:
        """What a training takes."""
        if self.clock is None:
            return self._constant().cost(flops)
        seconds = float(self.clock.seconds(params, tokens))
        known = self.device.peak_flops.get(self.precision)
        timing = self.clock.timing.throughput
        mfu = flops / (seconds * self.count * known) if known else None
        apart = "; communication between the devices is not counted" if self.count > 1 else ""
        times = f"{timing.name}: {timing.source}{apart}"
        return training_cost(self.device, self.count, seconds, mfu, times, self.clock.assumed)

    def at_share(self, mfu: float | None) -> Trainer | None:
        """The devices at a constant share of their peak, as serving is weighed against training."""
        if mfu is None or not self.device.peak_flops:
            return self.trainer
        return Trainer(self.device, min(1.0, mfu), self.precision, self.count)

    def _constant(self) -> Trainer:
        if self.trainer is None:
            raise UserError(f"device {self.device.name}: no peak_flops, and no time model either")
        return self.trainer


def make_cluster(
    device: DeviceConfig, count: int, precision: str, mfu: float | None, rules: ShapeRules, params: str
) -> Cluster:
    """The devices of a question.

    Args:
        mfu: a constant share of the peak, instead of the time model; None is the time model.
        rules: what makes runs of N and D.
        params: how N is counted.
    """
    timed = mfu is None and device.timing is not None and precision == TIMED_PRECISION
    clock = Clock(rules, Timing(device.timing, devices=count), params) if timed and device.timing else None
    trainer = Trainer(device, mfu or USUAL_MFU, precision, count) if device.peak_flops else None
    if count < 1:
        raise UserError(f"gpus: must be at least 1, got {count}")
    return Cluster(device, count, precision, clock, trainer)
