"""Nothing is left behind when a calibration is stopped, and nothing stale is kept."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.calibrate.bench import Bench
from harness.calibrate.stretch import train_side_by_side
from harness.launch.pool import signals_as_interrupt
from tests.train.small import small_jobs


@dataclass
class Endless:
    """A job that never gets anywhere; it leaves its process's number in a folder."""

    numbers: Path
    sweep: Any = None
    tracker: Any = None

    @property
    def train(self) -> Any:
        (self.numbers / str(os.getpid())).touch()
        while True:
            time.sleep(1)


def main(folder: Path) -> None:
    """What the test starts and stops: two processes, as the command starts them."""
    with signals_as_interrupt():
        train_side_by_side([Endless(folder)], 2, 1.0, {})  # type: ignore[list-item]


def wait_for(what: str, seen: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_processes_end_with_the_one_that_started_them(number: signal.Signals, tmp_path: Path) -> None:
    numbers, temporary = tmp_path / "numbers", tmp_path / "tmp"
    numbers.mkdir()
    temporary.mkdir()
    code = f"from pathlib import Path; from {__name__} import main; main(Path({str(numbers)!r}))"
    environment = {**os.environ, "TMPDIR": str(temporary)}
    parent = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, env=environment)
    try:
        wait_for("both train", lambda: len(list(numbers.iterdir())) == 2)
        pids = [int(path.name) for path in numbers.iterdir()]
        parent.send_signal(number)
        parent.wait(8)  # at once: they are not waited for, as long as they would train on
        wait_for("both are gone", lambda: not any(is_alive(pid) for pid in pids), 10)
    finally:
        parent.kill()
        parent.wait()


def test_a_measurement_is_of_its_versions_and_its_way_to_share(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(*more: str) -> str:
        made, jobs = small_jobs(tmp_path, text_folder, *more)
        kept = tmp_path / "kept.json"
        bench = Bench(
            made.calibrate, jobs, made.throughput, ["0"], made.launcher.mps, kept, Console(quiet=True)
        )
        return bench._key()

    plain = key()
    assert key("train.log_points=7") == plain, "what does not matter is not in it"
    for other in ("train.logits=chunked", "launcher.mps=false", "train.micro_batch=1"):
        assert key(other) != plain, other
    monkeypatch.setattr("harness.calibrate.bench.version_of", lambda package: "another")
    assert key() != plain
