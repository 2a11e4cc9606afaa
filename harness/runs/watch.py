"""Telling a claim that is held from one whose owner is dead, without comparing clocks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.runs.claim import BEAT_SECONDS, Claim, Owner, gone, holder, take

# a loaded machine and a slow file server delay beats; a dead process has none
STALE_SECONDS = 9 * BEAT_SECONDS
LOOK_SECONDS = 2.0  # between two looks at a claim while waiting for it


@dataclass(frozen=True)
class Observation:
    """What a run's claim shows: nobody (``owner`` is None), a holder, or a dead one."""

    owner: Owner | None
    dead: bool = False

    @property
    def held(self) -> bool:
        """Someone alive holds the run."""
        return self.owner is not None and not self.dead

    @property
    def tokens(self) -> tuple[str, ...]:
        """What :func:`harness.runs.claim.take` is told, to follow a dead claim."""
        return (self.owner.token,) if self.owner is not None and self.dead else ()


class Watcher:
    """Looks at claims again and again, and remembers since when each has not changed by this machine's clock."""

    def __init__(
        self, stale_seconds: float = STALE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stale, self._clock = stale_seconds, clock
        self._unchanged: dict[Path, tuple[tuple[str, int], float]] = {}

    def observe(self, folder: Path) -> Observation:
        """How the claim on ``folder`` stands now."""
        owner = holder(folder)
        if owner is None:
            self._unchanged.pop(folder, None)
            return Observation(None)
        if gone(folder):
            return Observation(owner, dead=True)
        sign, now = (owner.token, owner.beat), self._clock()
        before = self._unchanged.get(folder)
        if before is None or before[0] != sign:
            self._unchanged[folder] = (sign, now)
            return Observation(owner)
        return Observation(owner, dead=now - before[1] > self._stale)


def acquire(
    folder: Path,
    should_stop: Callable[[], bool],
    on_wait: Callable[[Owner], None],
    watcher: Watcher | None = None,
) -> Claim | None:
    """Claim the run in ``folder``, waiting for whoever holds it; None when asked to stop before it was free."""
    watcher = watcher or Watcher()
    told = ""
    while not should_stop():
        seen = watcher.observe(folder)
        if not seen.held and (claim := take(folder, seen.tokens)) is not None:
            return claim
        if seen.owner is not None and seen.owner.token != told:
            told = seen.owner.token
            on_wait(seen.owner)
        time.sleep(LOOK_SECONDS)
    return None
