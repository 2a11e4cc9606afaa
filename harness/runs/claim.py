"""Who trains a run: one process at a time, over all machines that see its folder.

A claim is a file that appears whole (a hard link, which file systems create exactly once) and that its owner
touches as long as it lives. Whoever follows a dead owner creates ``claim.<token of the dead>.json``: each
claim can have one successor only, so two that find the same dead claim cannot both follow it. The owner is
the end of that chain. No clock is compared between machines: a claim is dead when its beat has not changed
for a while by the *observer's* clock (:class:`harness.runs.watch.Watcher`) or, on one machine, at once, when
the kernel has let go of its lock.
"""

import errno
import fcntl
import json
import os
import socket
import threading
import uuid
from collections.abc import Collection
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from harness.files import remove

BEAT_SECONDS = 10.0  # between two signs of life
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


@dataclass(frozen=True)
class Owner:
    """Who holds a claim.

    Attributes:
        token: this claim, unlike any other.
        job: the batch system's job, empty where there is none.
        boot: the running kernel; locks tell life from death within one.
        locked: the owner holds a kernel lock on the claim's file.
        since: when it was taken, for people.
        beat: grows as long as the owner lives.
    """

    token: str
    host: str
    pid: int
    job: str
    boot: str
    locked: bool
    since: str
    beat: int = 0

    @property
    def label(self) -> str:
        """``host:pid``, and the job where there is one."""
        return f"{self.host}:{self.pid}" + (f" (job {self.job})" if self.job else "")

    def dump(self) -> bytes:
        """The file's content; of the same length for every beat, so that it is rewritten in place."""
        return (json.dumps({**asdict(self), "beat": f"{self.beat:010d}"}) + "\n").encode()


def myself() -> Owner:
    """A new claim's owner: this process."""
    return Owner(
        token=uuid.uuid4().hex,
        host=socket.gethostname(),
        pid=os.getpid(),
        job=_job(),
        boot=boot_id(),
        locked=False,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _job() -> str:
    """This process's Slurm job as Slurm's commands name it: ``12``, or ``12_3`` in an array."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def boot_id() -> str:
    """The running kernel's own id; empty where it has none, and then locks are not trusted."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Hold:
    """A claim as any process of its run knows it: by the run's folder and the claim's token.

    Attributes:
        lost: another process took this claim for dead and follows it: stop, and write nothing more.
    """

    def __init__(self, folder: Path, token: str) -> None:
        self.token, self.lost = token, False
        self._folder = folder

    def holds(self) -> bool:
        """Whether the claim still holds, as its files say now; to be asked before each write."""
        with suppress(OSError):  # a file system that is away for a moment is no reason to stop training
            self._look()
        return not self.lost

    def is_last(self) -> bool:
        """Whether this claim is the last of its chain.

        Raises:
            OSError: the chain cannot be read.
        """
        chain = _chain(self._folder, strict=True)
        return bool(chain) and chain[-1].token == self.token

    def _look(self) -> None:
        self.lost = self.lost or not self.is_last()


class Claim(Hold):
    """A claim that this process holds. Beats in a thread until :meth:`release`; also a context manager."""

    def __init__(self, folder: Path, path: Path, handle: int, owner: Owner) -> None:
        super().__init__(folder, owner.token)
        self._path, self._handle, self._owner = path, handle, owner
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, seconds: float) -> "Claim":
        """Begin to beat."""
        self._thread = threading.Thread(target=self._beats, args=(seconds,), name="claim", daemon=True)
        self._thread.start()
        return self

    def _beats(self, seconds: float) -> None:
        while not self._released.wait(seconds):
            self.beat()

    def beat(self) -> None:
        """One sign of life, and a look whether the claim still holds."""
        self.holds()

    def _look(self) -> None:
        """Write the claim's file anew first: it may have been damaged, and its owner lives."""
        if not self._released.is_set():
            self._owner = replace(self._owner, beat=self._owner.beat + 1)
            content = self._owner.dump()
            os.pwrite(self._handle, content, 0)
            os.ftruncate(self._handle, len(content))
        super()._look()

    def release(self) -> None:
        """Let go. The first claim of the chain goes first: what is left without it claims nothing."""
        self._released.set()
        if self._thread is not None:
            self._thread.join()
        chain = _chain(self._folder)
        if chain and chain[-1].token == self.token:
            for path in _paths(self._folder, chain):
                remove(path)
        os.close(self._handle)

    def withdraw(self) -> None:
        """Undo a claim that turned out to claim nothing."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def take(folder: Path, dead: Collection[str] = (), beat_seconds: float = BEAT_SECONDS) -> Claim | None:
    """Claim the run in ``folder``; None where someone else holds it.

    Args:
        folder: the run's folder.
        dead: tokens of claims known to be dead, as a watcher finds them.
        beat_seconds: time between signs of life.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chain = _chain(folder)
    if chain and chain[-1].token not in dead and not gone(folder):
        return None
    path = _paths(folder, [*chain, myself()])[-1]
    claim = _create(folder, path)
    if claim is None:
        return None
    # the chain may have been released after it was read: then this claim follows nothing, and claims nothing
    try:
        last = claim.is_last()
    except OSError:
        claim.withdraw()
        raise
    if not last:
        claim.withdraw()
        return None
    return claim.start(beat_seconds)


def holder(folder: Path) -> Owner | None:
    """Who claims the run in ``folder``, dead or alive."""
    chain = _chain(folder)
    return chain[-1] if chain else None


def gone(folder: Path) -> bool:
    """Whether the kernel knows that the holder is dead; False where it cannot know."""
    chain = _chain(folder)
    if not chain or not chain[-1].locked or not chain[-1].boot or chain[-1].boot != boot_id():
        return False
    try:
        handle = os.open(_paths(folder, chain)[-1], os.O_RDWR)
    except OSError:
        return False
    try:
        same = _parse(os.read(handle, 4096)).token == chain[-1].token
        # shared: two that look at the same moment hide nothing from each other
        return same and _lock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _create(folder: Path, path: Path) -> Claim | None:
    """The claim at ``path``, complete and locked from the moment it is there; None where there is one already."""
    owner = myself()
    temporary = folder / f".claim.{owner.token}"
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        owner = replace(owner, locked=_lock(handle))
        os.write(handle, owner.dump())
        os.link(temporary, path)
    except FileExistsError:
        # over NFS, where an answer was lost, a link that was made is reported as refused
        if os.fstat(handle).st_nlink < 2:
            os.close(handle)
            return None
    except OSError as error:
        os.close(handle)
        if error.errno not in NO_LINKS:
            raise
        return _create_without_links(folder, path, replace(owner, locked=False))
    finally:
        temporary.unlink(missing_ok=True)
    return Claim(folder, path, handle, owner)


def _create_without_links(folder: Path, path: Path, owner: Owner) -> Claim | None:
    """On a file system without hard links a claim is empty for an instant, and never locked in it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    os.write(handle, owner.dump())
    return Claim(folder, path, handle, owner)


def _lock(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError:  # held by another, or locks are not supported here
        return False
    return True


def _chain(folder: Path, strict: bool = False) -> list[Owner]:
    """The claims of a run, each the successor of the one before; where one cannot be read ``strict`` raises."""
    chain: list[Owner] = []
    path = folder / "claim.json"
    while True:
        try:
            owner = _parse(path.read_bytes())
        except FileNotFoundError:
            return chain
        except IsADirectoryError:  # of nobody who lives: an owner finds its own file gone, and stops
            owner = _parse(b"")
        except OSError:
            if strict:
                raise
            return chain
        if any(owner.token == before.token for before in chain):
            return chain
        chain.append(owner)
        path = folder / f"claim.{owner.token}.json"


def _paths(folder: Path, chain: list[Owner]) -> list[Path]:
    """Where each claim of a chain lies."""
    names = ["claim.json", *(f"claim.{owner.token}.json" for owner in chain)]
    return [folder / name for name in names[: len(chain)]]


def _parse(content: bytes) -> Owner:
    try:
        data = json.loads(content)
        owner = Owner(**{**data, "beat": int(data["beat"])})
        if (
            all(type(getattr(owner, field.name)) is field.type for field in fields(Owner))
            and owner.token.isalnum()
        ):
            return owner
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return Owner("unreadable", "?", 0, "", "", False, "")
