"""The two ways to W&B, behind one face: a server on the loopback, and files on disk."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import wandb

from harness.tracking import client
from harness.tracking.files import Mirrored, read_files, records, run_id_of
from harness.tracking.source import read_server
from tests.tracking.fake_server import ENTITY, KEY, FakeServer, serving

BRIEF = 2.0  # seconds
COLUMNS = ("tokens", "flops", "lr", "train_loss", "grad_norm")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that the client of this process, and of those it starts, talks to."""
    with serving() as fake:
        monkeypatch.setenv("WANDB_BASE_URL", fake.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_MODE", "online")
        end_client()  # the client reads its environment once a process
        yield fake
        fake.mode = "answering"
        end_client()
    assert not fake.unknown, fake.unknown[0]


def end_client() -> None:
    """End the client of this process, which a test may have killed."""
    with suppress(ConnectionError):
        wandb.teardown()


def wait_briefly(patch: pytest.MonkeyPatch) -> None:
    """Tests do not wait for W&B as long as users do."""
    patch.setattr(client, "INIT_SECONDS", BRIEF)
    patch.setattr(client, "FINISH_SECONDS", BRIEF)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the whole of a test."""
    wait_briefly(monkeypatch)


class Patience:
    """What the client was told each time that it began a run: seconds to begin and to end, None for its own."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[float, float | None]] = []
        init = wandb.init

        def noted(*arguments: Any, **options: Any) -> Any:
            settings = options["settings"]
            self.told.append((settings.init_timeout, settings.finish_timeout))
            return init(*arguments, **options)

        patch.setattr(wandb, "init", noted)

    @property
    def is_short(self) -> bool:
        """Whether it began runs, and was told each time to wait as briefly as tests do."""
        return bool(self.told) and set(self.told) == {(BRIEF, BRIEF)}


@pytest.fixture
def patience(impatient: None, monkeypatch: pytest.MonkeyPatch) -> Patience:
    """What the client is told in a test that waits briefly: it would itself wait for 90 seconds, and for ever."""
    return Patience(monkeypatch)


@dataclass
class Way:
    """One way to W&B, and how to look at what arrived."""

    server: FakeServer | None

    def rows(self, sweep: Path, run_id: str) -> list[dict[str, Any]]:
        """Every row of history, as often as it was sent, in the order it is kept."""
        if self.server:
            return self.server.only(run_id).history
        files = [file for file in sorted(sweep.rglob("*.wandb")) if run_id_of(file) == run_id]
        return [history(record) for file in files for record in records(file) if record.HasField("history")]

    def runs(self, sweep: Path) -> dict[str, Mirrored]:
        """The sweep's runs as the fit reads them."""
        found = read_server(f"{ENTITY}/isoflop", sweep.name) if self.server else read_files(sweep)
        return {run.run_id: run for run in found}

    def source(self, sweep: Path) -> list[str]:
        """Overrides of ``isoflop fit``."""
        if self.server:
            return ["source=wandb", f"project={ENTITY}/isoflop", f"group={sweep.name}"]
        return ["source=wandb", f"path={sweep}/wandb"]


def history(record: Any) -> dict[str, Any]:
    """A row of an offline file."""
    return {
        "/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item
    }


def as_rows(lines: list[dict[str, Any]]) -> list[dict[str, float]]:
    """History rows under the names of a curve file, without W&B's own columns."""
    return [{"step": line["_step"], **{name: line[name] for name in COLUMNS}} for line in lines]


@pytest.fixture(params=["online", "offline"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Each test that asks for it runs twice, with the same assertions."""
    if request.param == "online":
        return Way(request.getfixturevalue("server"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    end_client()
    return Way(None)
