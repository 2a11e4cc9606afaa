"""Calls that may take their time, or never return, made one after another in a thread of their own."""

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any


class Background:
    """A queue of calls and the thread that makes them. The first that raises is the last that is made."""

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        """``on_error`` gets what a call raised, in that thread."""
        self._on_error = on_error
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        # a daemon: one that hangs must not keep the process from ending
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have ``function`` called after those before it; returns at once."""
        self._calls.put(partial(function, *arguments))

    def close(self, seconds: float) -> bool:
        """Take no more calls and wait for those that are left; False where that takes longer than ``seconds``."""
        self._calls.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:
                self._on_error(error)
                return
