"""What is done to a sweep that must survive it: processes killed, stopped or frozen, and files damaged under them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SWEEP = "runs/chaos"
KILLS = {"worker killed": 6, "worker stopped": 2, "sweep killed": 3, "sweep stopped": 2, "all killed": 1}
"""Faults that end a process, with how often each is dealt."""

FILES = {
    "tensors of a checkpoint": (4, f"{SWEEP}/cells/*/checkpoint/*/tensors.safetensors"),
    "state of a checkpoint": (4, f"{SWEEP}/cells/*/checkpoint/*/state.json"),
    "curve of a running run": (3, f"{SWEEP}/cells/*/curve.csv"),
    "record": (2, f"{SWEEP}/cells/*/record.json"),
    "claim": (1, f"{SWEEP}/cells/*/claim*.json"),
    "plan": (1, f"{SWEEP}/plan.json"),
    "configuration": (1, f"{SWEEP}/config.yaml"),
    "table": (1, f"{SWEEP}/runs.csv"),
    "token file": (2, "cache/*/*.bin"),
    "offsets of documents": (1, "cache/*/*.offsets.npy"),
    "description of the corpus": (1, "cache/*/meta.json"),
    "list of verified files": (1, "cache/*/verified.json"),
    "tokenizer": (1, "cache/*/tokenizer/*"),
}
"""Every kind of file that a sweep keeps: how often it is damaged, and where it lies."""

WAYS = ("byte flipped", "cut short", "emptied", "removed", "null", "replaced by a folder")
FROZEN_SECONDS = (
    240.0  # to be taken for dead by another sweep takes 90, and its worker has to come to that cell
)


@dataclass
class Chaos:
    """One disturbed sweep, and what was done to it."""

    arguments: list[str]
    folder: Path
    random: random.Random
    sweeps: list[subprocess.Popen] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    starts: int = 0

    def keep_running(self, count: int) -> None:
        """Start sweeps anew until ``count`` of them run."""
        self.sweeps = [sweep for sweep in self.sweeps if sweep.poll() is None]
        while len(self.sweeps) < count:
            with (self.folder / f"sweep-{self.starts}.log").open("w") as log:
                self.sweeps.append(start(self.arguments, log.fileno()))
            self.starts += 1

    def workers(self) -> list[int]:
        """Processes that train for any of the sweeps."""
        return [pid for sweep in self.sweeps for pid in children(sweep.pid)]

    def inject(self) -> None:
        """One random fault: half of them end a process, half damage a file."""
        if self.random.random() < 0.5:
            fault = self._one_of(KILLS)
            hit = self._end(fault)
        else:
            fault = self._one_of({name: weight for name, (weight, _) in FILES.items()})
            hit = damage(self.folder, FILES[fault][1], self.random)
            fault += " damaged"
        if hit:
            self.done[fault] += 1

    def _one_of(self, weights: dict[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def _end(self, fault: str) -> bool:
        """Inject it; False where there was nothing to hit."""
        if fault == "all killed":
            for sweep in self.sweeps:
                os.killpg(sweep.pid, signal.SIGKILL)
            return True
        victims = self.workers() if fault.startswith("worker") else [sweep.pid for sweep in self.sweeps]
        number = signal.SIGTERM if fault.endswith("stopped") else signal.SIGKILL
        return bool(victims) and _signal(self.random.choice(victims), number)

    def freeze(self) -> None:
        """Freeze a worker that trains until another sweep has taken its run over; then it wakes up."""
        deadline = time.monotonic() + FROZEN_SECONDS
        while time.monotonic() < deadline:
            self.keep_running(2)
            held = [path for path in self.folder.glob(f"{SWEEP}/cells/*/claim.json") if path.is_file()]
            victim = next(
                (pid for pid in self.workers() for path in held if f'"pid": {pid},' in _text(path)), 0
            )
            if victim and _signal(victim, signal.SIGSTOP):
                break
            time.sleep(0.05)
        else:
            return
        while time.monotonic() < deadline and not any(
            len(list(path.parent.glob("claim*.json"))) > 1 for path in held
        ):
            self.keep_running(2)
            time.sleep(0.5)
        if time.monotonic() < deadline:
            self.done["worker frozen, and woken when its run was another's"] += 1
        _signal(victim, signal.SIGCONT)

    def ended(self) -> int:
        """Faults that ended a process."""
        return sum(self.done[fault] for fault in KILLS)


def start(arguments: list[str], output: int) -> subprocess.Popen:
    """A sweep in a process group of its own."""
    command = [sys.executable, "-m", "harness", "sweep", *arguments]
    return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def children(pid: int) -> list[int]:
    """The workers of a sweep, by the kernel's own list."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (OSError, ValueError, IndexError):  # it ended while we looked
            continue
    return found


def damage(folder: Path, pattern: str, chance: random.Random) -> bool:
    """Damage one of the files that match ``pattern``, in a random way; False where there is none.

    The curve of a run that has ended is spared: nothing could bring it back, and
    :func:`harness.runs.curve.curve_problem` is tested to name it.
    """
    found = [
        path
        for path in sorted(folder.glob(pattern))
        if path.is_file() and not (path.name == "curve.csv" and (path.parent / "record.json").exists())
    ]
    if not found:
        return False
    path, way = chance.choice(found), chance.choice(WAYS)
    try:
        content = bytearray(path.read_bytes())
        if way == "byte flipped" and content:
            content[chance.randrange(len(content))] ^= 0xFF
            path.write_bytes(content)
        elif way == "replaced by a folder":
            path.unlink()
            path.mkdir()
        elif way == "removed":
            path.unlink()
        else:
            left = {"cut short": bytes(content[: len(content) // 2]), "null": b"null"}
            path.write_bytes(left.get(way, b""))
    except OSError:  # the run went on and removed it
        return False
    return True


def _signal(pid: int, number: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
