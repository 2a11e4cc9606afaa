"""Nothing in a test reaches for a network, a terminal or another test's state."""

import gc
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# no test asks a hub, and a machine without one would wait for it
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Hundreds of processes are started: the package is compiled once for all of them, not in each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Shared machines are slow at moments: no example fails for its time alone.
settings.register_profile("isoflop", deadline=None)
settings.load_profile("isoflop")


from harness.calibrate import stretch  # noqa: E402  # the environment comes first
from harness.launch import pool  # noqa: E402
from tests.signals import signals_given_back  # noqa: E402
from tests.workers import FORKED  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def objects_that_stay() -> None:
    """A run ends with a collection of garbage: what tests and packages hold by now is not looked through each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def workers_that_start_at_once() -> Iterator[None]:
    """Of commands that run in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "multiprocessing", FORKED)
        patch.setattr(stretch, "multiprocessing", FORKED)
        yield


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """A test that runs a command in this process leaves none of its handlers to the next."""
    with signals_given_back():
        yield


@pytest.fixture
def spawned_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are outside of tests."""
    monkeypatch.setattr(pool, "multiprocessing", multiprocessing)
    monkeypatch.setattr(stretch, "multiprocessing", multiprocessing)


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three megabytes of text that models can learn from, in many files: modules of Python's standard library.

    What models this small show depends on their text: that of this project would change with every commit.
    """
    folder = tmp_path_factory.mktemp("text")
    for path in sorted(Path(os.__file__).parent.glob("[a-s]*.py")):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
