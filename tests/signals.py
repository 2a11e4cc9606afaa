"""Signals that a command takes, given back: in a test the process goes on, and so do those it starts."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from harness.interrupts import STOPPING


@contextmanager
def signals_given_back() -> Iterator[None]:
    """Handlers, and the hook for what nothing could raise, are afterwards what they were before."""
    before = {number: signal.getsignal(number) for number in (*STOPPING, signal.SIGHUP)}
    hook = sys.unraisablehook
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # what was not set from Python cannot be set back
                signal.signal(number, handler)
        sys.unraisablehook = hook
