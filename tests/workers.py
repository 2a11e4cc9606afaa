"""Workers that start at once: forked from a process that has imported torch, where each would import it for seconds.

What they do is what a spawned worker does. That one comes up by itself is tested where commands run as processes of
their own, and wherever a test asks for :func:`tests.conftest.spawned_workers`.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any

PRELOADED = ["harness.launch.worker", "harness.calibrate.stretch", "harness.train.run"]


def forked(target: Callable[..., None], *args: Any) -> BaseProcess:
    """A process of its own that begins with ``target``; it has torch already."""
    process = FORKED.Process(target, args)
    process.start()
    return process


def forked_command(*arguments: str) -> BaseProcess:
    """A command in a process of its own."""
    return forked(_command, arguments)


def _command(arguments: tuple[str, ...]) -> None:
    from harness.__main__ import main

    sys.argv = ["isoflop", *arguments]
    main()


class Forked:
    """In place of the module :mod:`multiprocessing` where workers are started."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def get_context(self, method: str) -> "Forked":
        assert method == "spawn"
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context if name != "parent_process" else multiprocessing, name)

    def Process(self, target: Callable[..., None], args: tuple[Any, ...], **how: Any) -> BaseProcess:  # noqa: N802
        forkserver.ensure_running()  # in no state that a worker should not inherit
        return self._context.Process(target=_begin, args=(dict(os.environ), target, args), **how)


def _begin(environment: dict[str, str], target: Callable[..., None], args: tuple[Any, ...]) -> None:
    """As a spawned process: in the environment of the moment, not in that of the first worker."""
    os.environ.clear()
    os.environ.update(environment)
    target(*args)


FORKED = Forked()
