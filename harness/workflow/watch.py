"""A sweep's page on this machine while it trains: looked at when somebody asks, and never written to."""

import json
import os
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace

from rich.console import Console

from harness.config.schema import Config
from harness.errors import UserError
from harness.launch.launcher import Queue
from harness.launch.registry import queue_of
from harness.plan.plan import Plan
from harness.report.html import render
from harness.report.live import Live, as_data, fragments, section, waiting_page
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import Record
from harness.runs.table import records
from harness.workflow.arms import arm_folders
from harness.workflow.provisional import FEWEST_RUNS, Provisional, key_of, provisional_report
from harness.workflow.rules import sweep_folder
from harness.workflow.standing import standing
from harness.workflow.terminal import say
from harness.workflow.watch_server import HOST, Answer, LoopbackServer
from harness.workflow.watch_state import CurveReader, live_of

QUEUE_SECONDS = 30.0  # between two questions to the queue, which is everybody's
LOOKING, FITTING = 0.1, 0.25  # of a core's time at most, which yields to whatever trains
GENTLE = 5  # niceness: a quarter of a core that is busy; where it is much less, the page itself waits


def serve(config: Config, console: Console) -> None:
    """Serve the page of an experiment until a signal comes.

    Raises:
        UserError: it is a comparison, which has no runs of its own, or the port is taken.
    """
    folder = sweep_folder(config)
    _refuse_arms(config, folder)
    watch = Watch(folder, config.interval)
    try:
        server = LoopbackServer(config.port, watch.answers())
    except OSError as error:
        raise UserError(
            f"port: {config.port} cannot be had ({error.strerror or error}); choose another with port=NUMBER, or "
            "port=0 for any that is free"
        ) from None
    with server:
        thread = threading.Thread(target=_serve_gently, args=(server,), daemon=True)
        thread.start()
        say(f"{folder.path}: http://{HOST}:{server.port}/ (Ctrl-C ends it, and no training)", console)
        try:
            frozen_plan(folder)
        except UserError as error:
            say(f"{error}; the page waits for it", console)
        forward = f"ssh -L {server.port}:{HOST}:{server.port} HOST"
        say(f"from another machine: {forward}, then the same address there", console)
        try:
            thread.join()
        except KeyboardInterrupt:
            say("no longer watched; training goes on", console)
        finally:
            server.shutdown()


def _serve_gently(server: LoopbackServer) -> None:
    """In a thread that yields to whatever trains here; those that it starts do as it does."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, GENTLE)  # on Linux, of this thread
    server.serve_forever(poll_interval=0.1)


def _refuse_arms(config: Config, folder: SweepFolder) -> None:
    arms = [arm.path.name for arm in arm_folders(config).values() if arm.plan.exists()]
    if arms and not folder.plan.exists():
        raise UserError(
            f"{folder.path.name}: is a comparison, whose arms are sweeps of their own; watch one of them: "
            + ", ".join(f"name={name}" for name in arms)
        )


class Watch:
    """What is served of one sweep. Nothing is read before somebody asks, nor more often than the interval."""

    def __init__(self, folder: SweepFolder, interval: float) -> None:
        self._folder, self._interval = folder, interval
        self._curves, self._queue = CurveReader(), _Queue()
        self._maker = _Maker(folder)
        self._one = threading.Lock()
        self._live: Live | None = None
        self._due = 0.0

    def answers(self) -> Mapping[str, Answer]:
        """By path."""
        return {"/": Answer("text/html", self.page), "/state.json": Answer("application/json", self.data)}

    def page(self) -> str:
        """The whole page as it is now."""
        live, made = self._look()
        if made.content is None:
            return waiting_page(live.name, section(live, "", self._interval))
        return render(made.content, section(live, made.key, self._interval))

    def data(self) -> str:
        """How the sweep stands, for the page's script and for others."""
        live, made = self._look()
        ended = sum(run.kind in ("finished", "diverged") for run in live.runs)
        news = {
            "title": f"({ended}/{len(live.runs)}) {live.name}" if live.runs else live.name,
            "fit": made.key if made.content else "",
            "fragments": fragments(live),
        }
        return json.dumps({**as_data(live), **news}, allow_nan=False)

    def _look(self) -> tuple[Live, Provisional]:
        with self._one:
            if self._live is None or time.monotonic() >= self._due:
                began, used = time.monotonic(), time.thread_time()
                self._live = self._read()
                used = time.thread_time() - used
                self._due = began + max(0.9 * self._interval, used / LOOKING)
            made = self._maker.latest
            return replace(self._live, below=self._live.below or made.text), made

    def _read(self) -> Live:
        """The sweep as it stands; what cannot be read is said."""
        name = self._folder.path.name
        try:
            sweep = standing(self._folder, self._queue)
            live = live_of(self._folder, sweep, self._curves)
            self._maker.offer(sweep.plan, records(self._folder, sweep.plan))
        except UserError as error:
            if self._folder.plan.exists():
                return Live(name, "the sweep cannot be read", warnings=(str(error),))
            return Live(name, "nothing is planned yet", lines=(str(error),))
        except (
            Exception
        ) as error:  # a file that nobody foresaw: the next look may succeed, and the page stays
            text = f"how the sweep stands cannot be told now: {type(error).__name__}: {error}"
            before = self._live or Live(name, "the sweep cannot be read")
            return replace(before, warnings=(text,))
        return live


class _Queue:
    """Asks the queue now and then, without writing down what it says."""

    def __init__(self) -> None:
        self._said: Queue | None = None
        self._asked, self._planned = 0.0, set[str]()

    def __call__(self, folder: SweepFolder, planned: Collection[str]) -> Queue:
        due = time.monotonic() - self._asked >= QUEUE_SECONDS
        if self._said is None or due or self._planned != set(planned):
            self._said = queue_of(folder, planned, settle=False)
            self._asked, self._planned = time.monotonic(), set(planned)
        return self._said


class _Maker:
    """Makes provisional reports one at a time, in a thread of its own."""

    def __init__(self, folder: SweepFolder) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None
        self._due = 0.0
        self.latest = Provisional("", "No fit yet.")

    def offer(self, plan: Plan, found: Mapping[str, Record]) -> None:
        """Begin a report of the runs ``found``, where it would be another than the latest and none is being made."""
        busy = self._thread is not None and self._thread.is_alive()
        if busy or time.monotonic() < self._due or key_of(found) == self.latest.key:
            return
        if self.latest.content is None and len(found) >= FEWEST_RUNS:
            self.latest = Provisional("", f"A fit of the first {len(found)} runs is being made.")
        self._thread = threading.Thread(target=self._make, args=(plan, found), daemon=True)
        self._thread.start()

    def _make(self, plan: Plan, found: Mapping[str, Record]) -> None:
        began = time.thread_time()
        try:
            made = provisional_report(self._folder, plan, found)
        except (
            Exception
        ) as error:  # whatever a part of the runs does to a fit: the states are shown all the same
            text = f"No provisional report: {type(error).__name__}: {error}"
            made = Provisional(key_of(found), text)
        used = time.thread_time() - began
        self._due = time.monotonic() + used / FITTING - used
        if made.content is None and self.latest.content is not None:
            made = replace(made, content=self.latest.content)  # an older one, as its cards say
        self.latest = made
