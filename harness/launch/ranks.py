"""One run on several processes of one node, by torchrun; ``python -m harness.launch.ranks FOLDER`` is one of them.

The worker that holds the run's claim starts torchrun and talks with the ranks through a folder: ``job.json``
goes in, ``reports.jsonl`` comes back, ``stop`` asks for a checkpoint and ``failure.json`` says what went wrong.
Files reach every rank whatever torchrun does with signals.
"""

import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from harness.files import strict_json, unseal, write_json
from harness.launch.retry import is_retryable
from harness.runs.claim import Hold
from harness.runs.record import FAILED, Record, read_record
from harness.train.job import Job, PreemptedError, StepReport, Watch

POLL_SECONDS = 0.3
LEAVE_SECONDS = 120.0  # what a rank gets, once asked to stop, to write its checkpoint and to end
END_SECONDS = 45.0  # and torchrun beyond that; told to end, it kills ranks that have not after 30 seconds


class RanksError(Exception):
    """A rank failed; ``retryable`` where another attempt may well succeed."""

    def __init__(self, text: str, retryable: bool) -> None:
        super().__init__(text)
        self.retryable = retryable


def train_on_ranks(job: Job, watch: Watch, processes: int) -> Record:
    """Train ``job`` on ``processes`` processes, as ``train_cell`` does in this one.

    Raises:
        PreemptedError: ``watch.should_stop`` said so; a checkpoint was written.
        RanksError: a rank failed.
    """
    with tempfile.TemporaryDirectory(prefix="isoflop-ranks-") as name:
        folder = Path(name)
        parent, claim = [os.getpid(), started(os.getpid())], watch.claim.token if watch.claim else ""
        write_json(folder / "job.json", {**job.to_json(), "parent": parent, "claim": claim})
        command = _command(folder, processes)
        ending: float | None = None
        with (folder / "reports.jsonl").open("w+", encoding="utf-8") as reports, _running(command) as process:
            while process.poll() is None and not _overdue(ending):
                time.sleep(POLL_SECONDS)
                _pass_on(reports, watch)
                if ending is None and (watch.must_stop() or _is_done(_record(job))):
                    (folder / "stop").touch()
                    ending = time.monotonic()
            _pass_on(reports, watch)
        return _outcome(job, folder, process.returncode, asked=(folder / "stop").exists())


def started(pid: int) -> str:
    """When process ``pid`` was started, in the kernel's ticks: with it a number that is used again is another's.

    Empty where there is no such process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _command(folder: Path, processes: int) -> list[str]:
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, "-m", *torchrun, "-m", "harness.launch.ranks", str(folder)]


def _overdue(ending: float | None) -> bool:
    """Whether torchrun should have ended by itself: a rank can hang on its way out, in the process group's end.

    Args:
        ending: when the run was asked to stop, or had left its record.
    """
    return ending is not None and time.monotonic() - ending > LEAVE_SECONDS + END_SECONDS


def _record(job: Job) -> Record | None:
    return read_record(job.folder.record, job.cell.run_id)


def _is_done(record: Record | None) -> bool:
    return record is not None and record.status != FAILED


def _pass_on(reports: Iterator[str], watch: Watch) -> None:
    for line in reports:
        watch.report(StepReport(**json.loads(line)))


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen]:
    """The process of ``command``; it and all that it started have ended afterwards, by force if need be."""
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        family = _family(process.pid)  # now: those of a dead parent are nobody's
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            process.wait()


def _family(pid: int) -> list[psutil.Process]:
    """A process and its descendants; torchrun's ranks have sessions of their own, so no group holds them all."""
    try:
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _outcome(job: Job, folder: Path, code: int, asked: bool) -> Record:
    record = _record(job)
    if record is not None and (code == 0 or _is_done(record)):
        return record
    if code == 0:
        raise PreemptedError("stopped; a checkpoint was written")
    try:
        failure = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if asked:
            raise PreemptedError("stopped; its processes hung and were ended by force") from None
        raise RanksError(f"torchrun ended with exit status {code}", retryable=True) from None
    raise RanksError(failure["text"], failure["retryable"])


def main(folder: Path) -> None:
    """One rank. It ends well when it was asked to stop, too: torchrun kills the others of one that does not.

    Once it has seen that, it ends within :data:`LEAVE_SECONDS`, whatever hangs and whether or not a parent is left to
    see to it, and its log says where it hung.
    """
    data = unseal(strict_json((folder / "job.json").read_bytes()))
    (parent, since), token = data.pop("parent"), data.pop("claim", "")
    job = Job.from_json(data)
    # the worker beats; its ranks look, for they write, and the worker may be the one that is frozen
    claim = Hold(job.folder.path, token) if token else None
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda received, _: asked.append(received))
    first = os.environ.get("RANK", "0") == "0"

    leaving = False

    def should_stop() -> bool:
        nonlocal leaving
        stop = bool(asked) or (folder / "stop").exists() or started(parent) != since
        if stop and not leaving:
            leaving = True
            faulthandler.dump_traceback_later(
                LEAVE_SECONDS, exit=True
            )  # a thread that needs no interpreter lock
        return stop

    def report(step: StepReport) -> None:
        if first:
            with (folder / "reports.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(step)) + "\n")

    from harness.train.run import train_cell  # torch and transformers: seconds

    try:
        train_cell(job, Watch(report, should_stop, lambda text: print(text, file=sys.stderr), claim))
    except PreemptedError as stopped:
        print(stopped, file=sys.stderr)
    except Exception as error:
        traceback.print_exc()
        with suppress(FileExistsError), (folder / "failure.json").open("x", encoding="utf-8") as file:
            # the first to fail says why; the others fail because of it
            file.write(
                json.dumps({"text": f"{type(error).__name__}: {error}", "retryable": is_retryable(error)})
            )
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
