"""Ctrl-C, SIGTERM and SIGUSR1 at any moment of a command: it stops with one line, and nothing prints a traceback.

This module imports nothing that takes time: until it has run, a signal ends the process in Python's own way.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from harness import STOPPED
from harness.errors import EXIT_INTERRUPTED, EXIT_REQUEUE

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
RAISE_AGAIN_SECONDS = 0.1


class _Asked:
    """Whether this process was asked to stop: the exception may have been swallowed, or replaced by another."""

    yet = False


def asked() -> bool:
    """Whether a signal asked this process to stop since :func:`install` or :func:`interrupt_on`."""
    return _Asked.yet


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """A signal's handler: what Ctrl-C does."""
    _Asked.yet = True
    raise KeyboardInterrupt


def install() -> None:
    """Have the signals that stop a command interrupt this process, which is the command and nothing else."""
    _Asked.yet = False
    for number in STOPPING:
        signal.signal(number, interrupt)
    sys.unraisablehook = _unraisable


def _unraisable(lost: Any) -> None:
    """An interrupt that fell into code which may not raise, such as a finaliser, comes again."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        main = threading.main_thread().ident
        assert main is not None, "it runs"
        again = threading.Timer(RAISE_AGAIN_SECONDS, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)


@contextmanager
def interrupt_on(*numbers: signal.Signals) -> Iterator[None]:
    """These signals do what Ctrl-C does, within."""
    _Asked.yet = False
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def as_such(mine: bool) -> Iterator[None]:
    """Whatever is raised within after a signal is an interrupt, where this process is the command (``mine``)."""
    try:
        yield
    except Exception as error:
        if mine and asked():
            raise KeyboardInterrupt from error  # what was broken off failed in its own way
        raise


@contextmanager
def held_back() -> Iterator[None]:
    """Processes that are started within get no signal before they call :func:`let_in`: they would die of it, loudly."""
    # Python 3.11's own helper lets signals in when it is started: before, then
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_in() -> None:
    """Take the signals that were held back: this process has its handlers now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def end(command: str) -> NoReturn:
    """The last line of a command that was stopped; signals that still come change nothing any more."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    # where the interrupt left an exec() of text, CPython remembers it and would end by SIGINT; another makes it forget
    exec("")
    print(STOPPED, file=sys.stderr)
    sys.exit(EXIT_REQUEUE if command == "train" else EXIT_INTERRUPTED)
