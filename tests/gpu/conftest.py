"""Looks at a device: every test says what it measured, on CUDA where there is a GPU and at toy size on a CPU.

``ISOFLOP_EVIDENCE=FILE`` (scripts/evidence sets it) keeps in FILE how each ended and what it said, as soon as it ends:
what went well is not done again, what failed comes last, and each has a time limit. After an error that leaves CUDA
unusable pytest ends with status 75, and another call does the rest.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from harness.files import write_json
from scripts.evidence.collect import read_json
from scripts.kept import EXIT_AGAIN, is_unusable
from tests.gpu.world import World

HERE = Path(__file__).parent
EVIDENCE = os.environ.get("ISOFLOP_EVIDENCE", "")
SECONDS = 60  # of a look under ISOFLOP_EVIDENCE, where its mark does not say otherwise
SAID = pytest.StashKey[list[str]]()
BEGAN = pytest.StashKey[float]()

Say = Callable[[object], None]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if item.path.is_relative_to(HERE)]
    for item in mine:
        item.add_marker("gpu")
    if EVIDENCE:
        found = read_json(Path(EVIDENCE)) or {}
        done = [item for item in mine if found.get(item.name, {}).get("ok")]
        config.hook.pytest_deselected(items=done)
        items[:] = sorted((item for item in items if item not in done), key=lambda item: item.name in found)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if EVIDENCE and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and read_json(Path(EVIDENCE)):
        session.exitstatus = pytest.ExitCode.OK  # all went well before


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[SAID], item.stash[BEGAN] = [], time.monotonic()
    if EVIDENCE:
        _keep(item, "it did not end")
        print(f"\n== {item.name}: {item.obj.__doc__}", flush=True)  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if EVIDENCE and (call.when == "call" or call.excinfo is not None):
        problem = "" if call.excinfo is None else " ".join(call.excinfo.exconly().split())[:600]
        _keep(item, problem)
        seconds = time.monotonic() - item.stash[BEGAN]
        print(f"-- {item.name}: {'FAILED: ' + problem if problem else 'ok'} ({seconds:.1f} s)", flush=True)
        found = read_json(Path(EVIDENCE)) or {}
        if is_unusable(problem) and any(other.name not in found for other in item.session.items):
            pytest.exit("CUDA cannot be used any more in this process", returncode=EXIT_AGAIN)
    return report


def _keep(item: pytest.Item, problem: str) -> None:
    found = read_json(Path(EVIDENCE)) or {}
    found[item.name] = {
        "ok": not problem,
        "problem": problem,
        "seconds": round(time.monotonic() - item.stash[BEGAN], 1),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "said": item.stash[SAID],
    }
    write_json(Path(EVIDENCE), found)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Say:
    """What a look found, one line at a time."""

    def said(text: object) -> None:
        request.node.stash[SAID].append(str(text))
        print(f"   {text}", flush=True)

    return said


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The device and a corpus."""
    return World("cuda" if torch.cuda.is_available() else "cpu", tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def limit(request: pytest.FixtureRequest) -> Iterator[None]:
    """No look takes the time of the others. Not in a test suite, where a busy machine is no failure."""
    if not EVIDENCE:
        yield
        return
    mark = request.node.get_closest_marker("seconds")

    def too_long(*_: object) -> None:
        raise TimeoutError("it took too long")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(mark.args[0] if mark else SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
