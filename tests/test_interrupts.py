"""A signal at any moment of a command ends it with one line, wherever it falls."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.interrupts import STOPPING, held_back, let_in
from tests.train.small import overrides

LINE = "isoflop: stopped; the same command goes on where it stopped\n"
BEGIN = "import signal, time\nfrom harness import interrupts\ninterrupts.install()\n"
IN_TEXT = """
try:
    exec("signal.raise_signal(signal.SIGTERM)")
except KeyboardInterrupt:
    interrupts.end("sweep")
"""
IN_A_FINALISER = """
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
try:
    Last()
    time.sleep(20)
except KeyboardInterrupt:
    interrupts.end("train")
"""
AS_ANOTHER_ERROR = """
try:
    with interrupts.as_such(True):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("a library's own words")
except KeyboardInterrupt:
    interrupts.end("sweep")
"""
AND_AGAIN = """
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    try:
        interrupts.end("sweep")
    finally:
        signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("code", "status"), [(IN_TEXT, 130), (IN_A_FINALISER, 75), (AS_ANOTHER_ERROR, 130), (AND_AGAIN, 130)]
)
def test_wherever_a_signal_falls_it_is_one_line(code: str, status: int) -> None:
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (status, LINE)


def test_a_process_that_is_started_gets_no_signal_before_it_wants_them() -> None:
    code = "import signal, time; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), flush=True)"
    with held_back():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{sorted(STOPPING)}\n"
    assert not set(STOPPING) & signal.pthread_sigmask(signal.SIG_BLOCK, [])
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    let_in()
    assert not set(STOPPING) & signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "signals"),
    [
        (0.3, [signal.SIGINT]),
        (0.9, [signal.SIGTERM]),
        (1.6, [signal.SIGINT, signal.SIGINT]),
        (2.3, [signal.SIGINT]),
        (2.8, [signal.SIGTERM]),
        (3.4, [signal.SIGINT, signal.SIGINT]),
    ],
)
def test_a_sweep_that_is_stopped_while_it_starts_says_so_and_nothing_else(
    seconds: float, signals: list[signal.Signals], tmp_path: Path, text_folder: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "sweep", *overrides(tmp_path, text_folder, "launcher.workers=3")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(seconds)
    for number in signals:
        os.killpg(process.pid, number)  # the workers get it, too
        time.sleep(0.1)
    _, said = process.communicate(timeout=90)
    assert (process.returncode, said) == (130, LINE)
