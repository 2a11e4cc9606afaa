"""One owner to a run, whatever dies, and whatever other machines' clocks say."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.runs import claim as claims
from harness.runs.claim import Claim, gone, holder, take
from harness.runs.watch import Watcher, acquire


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on claims are written as another machine would: its locks say nothing on this one."""
    mine = claims.myself

    def other() -> claims.Owner:
        return replace(mine(), host="other", boot="another kernel")

    monkeypatch.setattr(claims, "myself", other)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_claim_is_exclusive_and_leaves_nothing_behind(tmp_path: Path) -> None:
    first = take(tmp_path)
    assert first is not None
    assert take(tmp_path) is None
    owner = holder(tmp_path)
    assert owner is not None
    assert owner.pid == os.getpid()
    assert not gone(tmp_path)
    first.release()
    assert files(tmp_path) == []
    with take(tmp_path) as second:  # type: ignore[union-attr]
        assert isinstance(second, Claim)
    assert files(tmp_path) == []


def test_of_many_threads_one_gets_it(tmp_path: Path) -> None:
    for _ in range(20):
        with ThreadPoolExecutor(16) as pool:
            won = [claim for claim in pool.map(lambda _: take(tmp_path), range(16)) if claim]
        assert len(won) == 1
        won[0].release()


HOLD = """
import sys, time
from pathlib import Path
from harness.runs.claim import take
take(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_on_one_machine_a_killed_owner_is_followed_at_once(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert take(tmp_path) is None
    assert Watcher().observe(tmp_path).held
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Watcher().observe(tmp_path).dead
    claim = take(tmp_path)
    assert claim is not None
    assert claim.holds()
    assert len(files(tmp_path)) == 2, "the dead claim, and the one that follows it"
    claim.release()
    assert files(tmp_path) == []


def test_who_only_looks_at_a_dead_claim_does_not_hide_it_from_the_next(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = []

    def look(handle: int, kind: int) -> None:
        flock(handle, kind)
        if not found:  # while this one looks, another does
            found.append(None)
            found.append(gone(tmp_path))

    flock = claims.fcntl.flock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims.fcntl, "flock", look)
        assert gone(tmp_path)
    assert found == [None, True]


def test_a_claim_of_another_machine_is_dead_when_its_beat_stops_by_our_clock(
    tmp_path: Path, elsewhere: None
) -> None:
    claim = take(tmp_path, beat_seconds=1e6)
    assert claim is not None
    clock = Clock()
    watcher = Watcher(stale_seconds=60, clock=clock)
    os.utime(tmp_path / "claim.json", (0, 0))  # whatever the other machine's clock says
    for _ in range(10):
        assert watcher.observe(tmp_path).held
        clock.now += 50
        claim.beat()
    assert watcher.observe(tmp_path).held
    clock.now += 61
    seen = watcher.observe(tmp_path)
    assert seen.dead
    assert take(tmp_path) is None, "not without knowing that it is dead"
    follower = take(tmp_path, seen.tokens)
    assert follower is not None
    claim.beat()
    assert claim.lost, "an owner that was only slow notices and stops"
    claim.release()
    assert follower.holds(), "and takes nothing away from its follower"
    follower.release()
    assert files(tmp_path) == []


def test_of_many_that_find_a_dead_claim_one_follows_it(tmp_path: Path, elsewhere: None) -> None:
    for _ in range(20):
        dead = take(tmp_path, beat_seconds=1e6)
        assert dead is not None
        with ThreadPoolExecutor(16) as pool:
            won = [claim for claim in pool.map(take, [tmp_path] * 16, [[dead.token]] * 16) if claim]
        assert len(won) == 1
        dead.release()
        won[0].release()
        assert files(tmp_path) == []


def test_who_is_late_to_a_dead_claim_gets_nothing(tmp_path: Path, elsewhere: None) -> None:
    dead = take(tmp_path, beat_seconds=1e6)
    assert dead is not None
    first = take(tmp_path, [dead.token])
    assert first is not None
    first.release()
    fresh = take(tmp_path)
    assert fresh is not None
    assert take(tmp_path, [dead.token]) is None
    assert fresh.holds()
    fresh.release()


def test_without_hard_links_claims_are_exclusive_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    claim = take(tmp_path)
    assert claim is not None
    assert take(tmp_path) is None
    clock = Clock()
    watcher = Watcher(60, clock)
    assert watcher.observe(tmp_path).held
    clock.now += 61
    follower = take(tmp_path, watcher.observe(tmp_path).tokens)
    assert follower is not None
    follower.release()
    assert files(tmp_path) == []


def _claim_often(folder: Path, log: Path) -> None:
    """Claim, note when it is held and when let go, until many have; die now and then with the claim in hand."""
    count = 0
    while not _is_long(log):
        claim = take(folder)
        if claim is None:
            time.sleep(0.001)
            continue
        with log.open("a") as file:
            file.write(f"+{os.getpid()}\n")
            file.flush()
            count += 1
            time.sleep(0.002)
            file.write(f"-{os.getpid()}\n")
        if count % 7 == 0:
            os._exit(1)
        claim.release()


def _is_long(log: Path) -> bool:
    """Whether two hundred claims were noted; a line is a sign, a process number and a line's end."""
    return log.exists() and log.read_text().count("-") >= 200


@pytest.mark.slow
def test_claims_never_overlap_while_owners_die(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    folder = tmp_path / "cell"
    running: list[multiprocessing.process.BaseProcess] = []
    while not _is_long(log):
        running = [process for process in running if process.is_alive()]
        for _ in range(4 - len(running)):
            process = context.Process(target=_claim_often, args=(folder, log))
            process.start()
            running.append(process)
        time.sleep(0.01)
    for process in running:
        process.join()
    lines = log.read_text().split()
    assert len(set(lines)) > 20, "of many processes, most of which died"
    for taken, given in zip(lines[::2], lines[1::2], strict=True):
        assert taken[0] == "+"
        assert given == "-" + taken[1:], "nobody came between"


def test_waiting_for_a_claim_ends_when_asked(tmp_path: Path) -> None:
    claim = take(tmp_path)
    assert claim is not None
    told: list[str] = []
    asked = iter([False, True])
    assert acquire(tmp_path, lambda: next(asked), lambda owner: told.append(owner.label)) is None
    assert told == [f"{claims.myself().host}:{os.getpid()}"]
    claim.release()


DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": lambda content: content[:15] + (b"0" if content[15:16] == b"1" else b"1") + content[16:],
    "zeroed": lambda content: bytes(len(content)),
    "null": lambda content: b"null",
    "of other types": lambda content: json.dumps({**json.loads(content), "job": None}).encode(),
    "a path": lambda content: json.dumps({**json.loads(content), "token": "../../other"}).encode(),
    "deep": lambda content: b"[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_claim_is_mended_by_an_owner_that_lives(damage: str, tmp_path: Path) -> None:
    claim = take(tmp_path, beat_seconds=1e6)
    assert claim is not None
    path = tmp_path / "claim.json"
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert take(tmp_path) is None
    assert not gone(tmp_path)
    assert claim.holds()
    owner = holder(tmp_path)
    assert owner is not None
    assert owner.token == claim.token
    claim.release()
    assert files(tmp_path) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_claim_of_a_dead_owner_is_followed(damage: str, tmp_path: Path) -> None:
    claim = take(tmp_path, beat_seconds=1e6)
    assert claim is not None
    path = tmp_path / "claim.json"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(DAMAGES[damage](content))  # another file: no lock is on it, and nobody mends it
    clock = Clock()
    watcher = Watcher(60, clock)
    # with another name in it, it is the sound claim of one that has no lock on it: dead at once
    assert watcher.observe(tmp_path).held == (damage != "flipped")
    clock.now += 61
    follower = take(tmp_path, watcher.observe(tmp_path).tokens, beat_seconds=1e6)
    assert follower is not None
    assert follower.holds()
    assert not claim.holds()
    follower.release()
    assert files(tmp_path) == []


def test_a_claim_whose_file_is_gone_is_lost(tmp_path: Path) -> None:
    claim = take(tmp_path, beat_seconds=1e6)
    assert claim is not None
    hold = claims.Hold(tmp_path, claim.token)
    assert claim.holds()
    assert hold.holds()
    (tmp_path / "claim.json").unlink()
    assert not claim.holds()
    assert claim.lost
    assert not hold.holds()


def test_a_file_system_that_is_away_is_no_reason_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = take(tmp_path, beat_seconds=1e6)
    assert claim is not None

    def away(_: Path) -> bytes:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", away)
        assert claim.holds()
    assert claim.holds()
    claim.release()


def test_a_folder_in_a_claims_place_is_followed_and_removed(tmp_path: Path) -> None:
    """Nobody can claim by it, so it must not keep a run from being trained for ever."""
    (tmp_path / "claim.json" / "inside").mkdir(parents=True)
    clock = Clock()
    watcher = Watcher(90.0, clock)
    assert watcher.observe(tmp_path).held, "its owner may have died just now"
    clock.now += 91.0
    claim = take(tmp_path, watcher.observe(tmp_path).tokens)
    assert claim is not None
    assert claim.holds()
    assert take(tmp_path) is None
    claim.release()
    assert files(tmp_path) == []


def test_a_claim_that_became_a_folder_is_lost(tmp_path: Path) -> None:
    claim = take(tmp_path)
    assert claim is not None
    (tmp_path / "claim.json").unlink()
    (tmp_path / "claim.json").mkdir()
    assert not claim.holds(), "another may follow it"
    claim.release()
