"""Runs stages under limits, keeps what they said, and stops them so that the same command goes on.

A state folder has all of it, and may be carried to another machine:

    log/NAME.txt   what a stage printed, all its turns      done/NAME, done/NAME.failed   how it ended
    *.json         what it measured                         results/, work/               the sweep, the calibration
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from scripts.evidence.machine import ROOT
from scripts.evidence.stages import Stage, shown
from scripts.kept import EXIT_AGAIN

GRACE_SECONDS = 75.0  # to write checkpoints, when asked to stop: a sweep gives its runs a minute
LEAST_SECONDS = 15.0  # less is not worth a beginning
QUIET_SECONDS = 60.0  # between two signs of life of a stage
TABLES = re.compile(r"^(--|   \||\|)")
QUIET = {
    "COLUMNS": "200",  # tables are not wrapped
    "PYTHONUNBUFFERED": "1",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


class BusyError(Exception):
    """Another process works on this state."""


@dataclass(frozen=True)
class State:
    """A state folder."""

    path: Path

    def make(self) -> None:
        """Its folders."""
        for name in ("log", "done", "results", "work"):
            (self.path / name).mkdir(parents=True, exist_ok=True)

    def log(self, stage: str) -> Path:
        """What the stage printed."""
        return self.path / "log" / f"{stage}.txt"

    def done(self, stage: str) -> Path:
        """There once the stage ended well."""
        return self.path / "done" / stage

    def failed(self, stage: str) -> Path:
        """There once it failed; the next start removes it."""
        return self.path / "done" / f"{stage}.failed"

    def pid(self, stage: str) -> Path:
        """The stage's process while it runs: its number and when it began."""
        return self.path / f"{stage}.pid"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others away.

        Raises:
            BusyError: one of them is here.
        """
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise BusyError(f"another process works on {self.path}") from None
            yield


class Deadline:
    """When to stop: after some seconds, or at a signal; a second signal does not wait."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        self._signals = 0

    def signalled(self, *_: object) -> None:
        """A signal's handler."""
        self._signals += 1
        self._at = min(self._at, time.monotonic())

    @property
    def hurry(self) -> bool:
        """Whether to kill at once."""
        return self._signals > 1

    def left(self) -> float:
        """Seconds until then."""
        return self._at - time.monotonic()


@dataclass
class _Turn:
    """A stage that runs."""

    stage: Stage
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    limit: float
    began: float = field(default_factory=time.monotonic)
    asked: float | None = None  # when it was asked to stop
    spoke: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class Driver:
    """Runs the stages of a state that have not ended."""

    def __init__(self, state: State, deadline: Deadline, say: Callable[[str], None] = print) -> None:
        self._state, self._deadline, self._say = state, deadline, say
        self._turns: dict[str, int] = {}
        self._running: list[_Turn] = []

    def run(self, groups: Sequence[Sequence[Stage]]) -> None:
        """Group by group, and again those that can go on, until all have ended or the time is over."""
        stages = {stage.name: stage for group in groups for stage in group}
        for stage in stages.values():
            self._end_left_over(stage.name)
            self._state.failed(stage.name).unlink(missing_ok=True)  # another start, another chance
        while any(self.is_open(stage) for stage in stages.values()):
            for group in groups:
                ready = [
                    stage
                    for stage in group
                    if self.is_open(stage)
                    and not (stage.after in stages and self.is_open(stages[stage.after]))
                ]
                self._run_group(ready)
            if self._deadline.left() < LEAST_SECONDS:
                return

    def is_open(self, stage: Stage) -> bool:
        """Whether the stage has neither ended nor failed."""
        return not (self._state.done(stage.name).exists() or self._state.failed(stage.name).exists())

    def _run_group(self, stages: Sequence[Stage]) -> None:
        """Beside each other, one for every two cores."""
        waiting = list(stages)
        slots = max(1, len(os.sched_getaffinity(0)) // 2)
        try:
            while waiting or self._running:
                while waiting and len(self._running) < slots and self._deadline.left() >= LEAST_SECONDS:
                    self._running.append(self._begin(waiting.pop(0)))
                if not self._running:
                    return
                for turn in list(self._running):
                    self._look(turn)
                time.sleep(0.1)
        finally:  # an error of this program's own leaves no process behind
            for turn in self._running:
                _kill(turn.process)

    def _begin(self, stage: Stage) -> _Turn:
        command = tuple(stage.command())
        self._turns[stage.name] = self._turns.get(stage.name, 0) + 1
        output = self._state.log(stage.name).open("ab")
        output.write(f"$ {shown(command, self._state.path)}\n".encode())
        output.flush()
        limit = min(stage.limit, self._deadline.left())
        self._say(f"== {stage.name}: {stage.what} (at most {limit:.0f} s; log/{stage.name}.txt)")
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=self._state.path / "work",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**QUIET, **os.environ, **stage.environment, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for this program, which passes it on
        )
        began = psutil.Process(process.pid).create_time()
        self._state.pid(stage.name).write_text(f"{process.pid} {began!r}")
        return _Turn(stage, process, output, limit)

    def _look(self, turn: _Turn) -> None:
        """Ask it to stop when it is time, and see whether it has ended."""
        if turn.process.poll() is not None:
            self._ended(turn)
            return
        now = time.monotonic()
        over = self._deadline.left() <= 0 or turn.seconds > turn.limit
        if over and turn.asked is None:
            turn.asked = now
            turn.process.terminate()
        elif turn.asked is not None and (now - turn.asked > GRACE_SECONDS or self._deadline.hurry):
            _kill(turn.process)
        elif now - turn.spoke > QUIET_SECONDS:
            turn.spoke = now
            last = _last_lines(self._state.log(turn.stage.name), 1)
            self._say(f"   {turn.stage.name}, {turn.seconds:.0f} s: {last[-1][:160] if last else ''}")

    def _ended(self, turn: _Turn) -> None:
        stage, code = turn.stage, turn.process.returncode
        self._running.remove(turn)
        turn.output.close()
        if turn.asked is not None:
            _kill(turn.process)  # what it started and has not ended
        self._state.pid(stage.name).unlink(missing_ok=True)
        lines = _last_lines(self._state.log(stage.name), stage.shows or 10**6)
        for line in lines:
            if stage.shows or TABLES.match(line):
                self._say(line[:300])
        self._say(f"-- {stage.name}: {self._mark(turn, code)} after {turn.seconds:.0f} s")

    def _mark(self, turn: _Turn, code: int) -> str:
        """Write down how the turn ended, and say it."""
        stage = turn.stage
        if code == 0:
            self._state.done(stage.name).write_text(f"{turn.seconds:.0f} s\n")
            return "done"
        if turn.asked is not None and self._deadline.left() <= 0:
            return "stopped; it goes on with the next start"
        cut = turn.asked is not None or code == EXIT_AGAIN
        if cut and self._turns[stage.name] < stage.turns:
            return "cut off, its next turn continues"
        problem = f"over its limit of {turn.limit:.0f} s" if turn.asked is not None else f"status {code}"
        self._state.failed(stage.name).write_text(f"{problem}\n")
        return f"failed, {problem}"

    def _end_left_over(self, name: str) -> None:
        """End the stage that a driver which was killed has left running: two would share the GPU."""
        path = self._state.pid(name)
        with suppress(OSError, ValueError, psutil.Error):
            number, began = path.read_text().split()
            process = psutil.Process(int(number))
            if repr(process.create_time()) == began:
                self._say(f"ending {name}, which an earlier start left running")
                process.terminate()
                until = time.monotonic() + GRACE_SECONDS
                while _runs(process) and time.monotonic() < until:
                    time.sleep(0.1)
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(int(number), signal.SIGKILL)
        path.unlink(missing_ok=True)


def _runs(process: psutil.Process) -> bool:
    """Whether it has not ended: in a container whose first process reaps none, what lost its parent stays a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_lines(path: Path, number: int) -> list[str]:
    """Of the last turn."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    begins = max((i for i, line in enumerate(lines) if line.startswith("$ ")), default=-1)
    return lines[begins + 1 :][-number:]
