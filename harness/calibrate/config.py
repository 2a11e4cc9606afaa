"""How long a calibration trains: its part of the schema."""

from dataclasses import dataclass, field

from harness.bounds import bounded, check_bounds
from harness.errors import UserError
from harness.plan.throughput import MODES


@dataclass
class CalibrateConfig:
    """A few short stretches of training.

    Attributes:
        sizes: shapes of the experiment that are timed, spread from its smallest to its largest.
        seconds: length of each stretch, after the first read of its curve (which compiles and warms up); longer where
            steps are.
        side_by_side: numbers of runs tried at once on one device, in this order, until more do not pay or do
            not fit; empty is 1, 2, 4, 8 on a GPU and on a CPU 1 and the number of its cores.
        modes: ways to execute a step that are timed beside ``eager``; empty is, on a GPU where ``train.compile`` is
            ``auto``, ``compiled`` and ``graphs``, and elsewhere what ``train.compile`` says.
    """

    sizes: int = bounded(5, 1, 1000)
    seconds: float = bounded(3.0, 0, 1e6, above=True)
    side_by_side: list[int] = bounded([], 1, 4096)
    modes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        check_bounds(self, "calibrate")
        if unknown := [mode for mode in self.modes if mode not in MODES]:
            raise UserError(f"calibrate.modes: '{unknown[0]}' is none of {', '.join(MODES)}")
        if self.side_by_side and (
            self.side_by_side[0] != 1 or sorted(set(self.side_by_side)) != self.side_by_side
        ):
            raise UserError(
                "calibrate.side_by_side: must ascend and begin with 1, which others are compared to"
            )
