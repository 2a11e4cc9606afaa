"""Where a run's curves are mirrored while it trains."""

from dataclasses import dataclass

from harness.bounds import check_bounds, one_of, suggested
from harness.errors import UserError


@dataclass
class TrackerConfig:
    """Where curves are mirrored. The record and the curve file stay the truth.

    Attributes:
        name: ``wandb``, any other tracker Accelerate knows by name, or ``none``.
        mode: wandb's mode; ``auto`` is online where there is a key and offline where there is none.
    """

    name: str = suggested("wandb", ("wandb", "tensorboard", "none"))
    project: str = "isoflop"
    entity: str | None = None
    mode: str = one_of("auto", ("auto", "online", "offline", "disabled"))

    def __post_init__(self) -> None:
        check_bounds(self, "tracker")
        if self.name not in ("wandb", "none"):
            # accelerate imports torch: only where a name is checked
            from accelerate.tracking import LOGGER_TYPE_TO_CLASS

            if self.name not in LOGGER_TYPE_TO_CLASS:
                known = ", ".join(["none", *sorted(LOGGER_TYPE_TO_CLASS)])
                raise UserError(f"tracker.name: '{self.name}' is none of {known}")

    def check_installed(self) -> None:
        """Refuse a tracker whose package is not here: it would be missed only in the log of each run.

        Raises:
            UserError: it is not installed.
        """
        if self.name in ("wandb", "none"):  # wandb is among our own requirements
            return
        # torch, again
        from accelerate.tracking import LoggerType, get_available_trackers

        if LoggerType(self.name) not in get_available_trackers():
            raise UserError(
                f"tracker.name: the package of '{self.name}' is not installed here; install it, or set tracker=none"
            )
