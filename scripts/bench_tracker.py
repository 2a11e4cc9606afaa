"""What mirroring a run to W&B costs it: seconds in which the run waits, and processor seconds of the mirror.

One cell of about a minute and 250 curve rows is trained without a tracker and with one, in turns. The run waits while
the loop calls the tracker; the tracker's thread and the client's process work beside it.

    python scripts/bench_tracker.py                  # offline
    python scripts/bench_tracker.py --server         # online, against the tests' server on the loopback
    python scripts/bench_tracker.py --steps 500      # shorter
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["WANDB_MODE"] = "offline"

from harness.tracking.config import TrackerConfig
from harness.tracking.tracker import Background, Tracker
from harness.train.job import Job, Watch
from harness.train.run import train_cell
from scripts.bench_train import CPU
from scripts.cases import byte_corpus, make_case, plain_shape

CALLS = ("__init__", "log", "summary", "finish")


@dataclass
class Cost:
    """Seconds: of the run, of those the ones spent in tracker calls, and the tracker thread's processor time."""

    run: float = 0.0
    waited: float = 0.0
    thread: float = 0.0


def timed(function: Callable[..., Any], cost: Cost) -> Callable[..., Any]:
    """``function``, its time added to ``waited``."""

    def call(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            cost.waited += time.perf_counter() - began

    return call


def measure(job: Job) -> Cost:
    """Train ``job``, watching its tracker."""
    cost = Cost()
    work = Background._work

    def counted(background: Background) -> None:
        work(background)
        cost.thread += time.thread_time()

    with ExitStack() as stack:
        for name in CALLS:
            stack.enter_context(patch.object(Tracker, name, timed(getattr(Tracker, name), cost)))
        stack.enter_context(patch.object(Background, "_work", counted))
        began = time.perf_counter()
        train_cell(job, Watch())
        cost.run = time.perf_counter() - began
    return cost


def main() -> None:
    """Print one line a run, then what the client's process used."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--server", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.server:
            from tests.tracking.fake_server import KEY, serving

            fake = stack.enter_context(serving())
            os.environ.update(WANDB_BASE_URL=fake.url, WANDB_API_KEY=KEY, WANDB_MODE="online")
        corpus = byte_corpus(folder / "cache")
        shape = plain_shape(*CPU.shapes["20k"], CPU.seq_len)
        case = make_case(shape, CPU.batch, CPU.seq_len, options.steps, corpus)
        for turn in range(options.rounds):
            for name in ("none", "wandb"):
                sweep = folder / f"{name}{turn}"
                job = case.job(sweep, TrackerConfig(name), device="cpu")
                cost = measure(job)
                print(
                    f"{name:6} run {cost.run:6.2f} s, waited {cost.waited:6.3f} s ({cost.waited / cost.run:.2%}), "
                    f"tracker thread {cost.thread:6.3f} s of processor ({cost.thread / cost.run:.2%})",
                    flush=True,
                )
        import wandb

        wandb.teardown()
        client = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = client.ru_utime + client.ru_stime
        print(f"the client's process: {used:.2f} s of processor for {options.rounds} runs")


if __name__ == "__main__":
    main()
