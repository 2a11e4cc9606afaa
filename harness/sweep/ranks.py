"""One run on several processes of one node, by torchrun; ``python -m harness.sweep.ranks FOLDER`` is one of them.

The worker that holds the run's claim starts torchrun and talks with the ranks through a folder: ``job.json``
goes in, ``reports.jsonl`` comes back, ``stop`` asks for a checkpoint and ``failure.json`` says what went wrong.
Files reach every rank whatever torchrun does with signals.
"""

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

from harness.runs.files import write_json
from harness.runs.record import Record, read_record
from harness.sweep.parcel import pack, unpack
from harness.sweep.retry import heals
from harness.train.job import Job, PreemptedError, StepReport, Watch

POLL_SECONDS = 0.3


class RanksError(Exception):
    """A rank failed; ``heals`` where another attempt may well succeed."""

    def __init__(self, text: str, heals: bool) -> None:
        super().__init__(text)
        self.heals = heals


def train_on_ranks(job: Job, watch: Watch, processes: int) -> Record:
    """Train ``job`` on ``processes`` processes, as ``train_cell`` does in this one.

    Raises:
        PreemptedError: ``watch.should_stop`` said so; a checkpoint was written.
        RanksError: a rank failed.
    """
    with tempfile.TemporaryDirectory(prefix="isoflop-ranks-") as name:
        folder = Path(name)
        write_json(folder / "job.json", {**pack(job), "parent": os.getpid()})
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, "-m", *torchrun, "-m", "harness.sweep.ranks", name]
        with (folder / "reports.jsonl").open("w+", encoding="utf-8") as reports, _running(command) as process:
            while process.poll() is None:
                time.sleep(POLL_SECONDS)
                _pass_on(reports, watch)
                if watch.should_stop():
                    (folder / "stop").touch()
            _pass_on(reports, watch)
        return _outcome(job, folder, process.returncode)


def _pass_on(reports: Iterator[str], watch: Watch) -> None:
    for line in reports:
        watch.report(StepReport(**json.loads(line)))


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _outcome(job: Job, folder: Path, code: int) -> Record:
    record = read_record(job.folder.record, job.cell.run_id)
    if code == 0 and record is not None:
        return record
    if code == 0:
        raise PreemptedError("stopped; a checkpoint was written")
    try:
        failure = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RanksError(f"torchrun ended with exit status {code}", heals=True) from None
    raise RanksError(failure["text"], failure["heals"])


def main(folder: Path) -> None:
    """One rank. It ends well when it was asked to stop, too: torchrun kills the others of one that does not."""
    data = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    parent = data.pop("parent")
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda received, _: asked.append(received))
    first = os.environ.get("RANK", "0") == "0"

    def should_stop() -> bool:
        return bool(asked) or (folder / "stop").exists() or not Path(f"/proc/{parent}").exists()

    def report(step: StepReport) -> None:
        if first:
            with (folder / "reports.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(step)) + "\n")

    from harness.train.run import train_cell  # torch and transformers: seconds

    try:
        train_cell(unpack(data), Watch(report, should_stop, lambda text: print(text, file=sys.stderr)))
    except PreemptedError as stopped:
        print(stopped, file=sys.stderr)
    except Exception as error:
        traceback.print_exc()
        with suppress(FileExistsError), (folder / "failure.json").open("x", encoding="utf-8") as file:
            # the first to fail says why; the others fail because of it
            file.write(json.dumps({"text": f"{type(error).__name__}: {error}", "heals": heals(error)}))
        sys.exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
