"""``controls.json``: best cells trained again at other peak rates, or with schedules longer than the run."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.runs.files import json_text, write_changed


@dataclass(frozen=True)
class ControlRun:
    """One control beside the run it controls.

    Attributes:
        of: run id of the budget's best cell, ``loss_of`` its held-out loss, nats per token.
        rate: the control's peak rate as a multiple of that cell's.
        loss: the control's held-out loss; None where it diverged.
        horizon: length of the control's schedule over that of its run.
    """

    budget: float
    of: str
    loss_of: float
    rate: float
    run_id: str
    loss: float | None
    horizon: float = 1.0

    @property
    def left(self) -> float:
        """Nats per token that this control gained over the recipe; negative where it loses."""
        return self.loss_of - self.loss if self.loss is not None else float("-inf")


def write_controls(path: Path, controls: Iterable[ControlRun]) -> None:
    """Write ``controls.json`` where it changed, atomically."""
    write_changed(path, json_text([asdict(control) for control in controls]))


def read_controls(path: Path) -> tuple[ControlRun, ...]:
    """The controls of a sweep; none where there is no such file."""
    try:
        return tuple(ControlRun(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return ()
