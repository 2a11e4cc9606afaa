"""Saying how far a corpus is, not too often."""

import time
from collections.abc import Callable

from harness.text import count

INTERVAL = 0.25  # seconds between lines


class Progress:
    """Passes lines on to ``report``, at most four a second; ``force`` passes one in any case."""

    def __init__(self, name: str, report: Callable[[str], None] | None) -> None:
        self._name = name
        self._report = report
        self._last = 0.0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    def say(self, what: str) -> None:
        """Pass ``what`` on now."""
        self._last = time.monotonic()
        if self._report:
            self._report(f"corpus {self._name}: {what}")

    def sampled(self, size: int) -> None:
        """The tokenizer has been fed ``size`` bytes."""
        if time.monotonic() - self._last >= INTERVAL:
            self.say(f"training the tokenizer, {size / 1e6:.0f} MB read")

    def encoded(self, documents: int, size: int, tokens: int, seconds: float) -> None:
        """So much has been tokenised, in ``seconds``."""
        if time.monotonic() - self._last >= INTERVAL:
            rate = count(tokens / seconds) if seconds else "?"
            self.say(
                f"{documents:,} documents, {size / 1e6:,.1f} MB, {count(tokens)} tokens, {rate} tokens/s"
            )
