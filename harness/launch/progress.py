"""A sweep's progress in a terminal, or as plain lines where there is none."""

import sys
import time
from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.launch.branching import own_seconds
from harness.launch.worker import HELD, STOPPED, Ended
from harness.plan.duration import makespan
from harness.text import count, duration
from harness.train.job import Job, StepReport

PLAIN_SECONDS = 20.0  # between two plain progress lines


class Progress:
    """Shows running cells, what is done and when all will be."""

    def __init__(
        self, jobs: Sequence[Job], finished_before: int, workers: int, console: Console | None = None
    ):
        self._console = console or Console(file=sys.stderr, markup=False)
        self._workers = workers
        expected = zip(jobs, own_seconds(jobs), strict=True)
        self._remaining = {job.cell.run_id: seconds for job, seconds in expected}
        self._total, self._done = len(jobs) + finished_before, finished_before
        self._running: dict[str, tuple[Job, StepReport | None]] = {}
        self._held: dict[str, str] = {}
        self._began = self._said = time.monotonic()
        self._estimated_done = 0.0
        self._live = Live(console=self._console, refresh_per_second=2) if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def started(self, job: Job) -> None:
        """A worker took the job."""
        self._held.pop(job.cell.run_id, None)
        self._running[job.cell.run_id] = (job, None)

    def stepped(self, report: StepReport) -> None:
        """A running job stands here."""
        if report.run_id in self._running:
            self._running[report.run_id] = (self._running[report.run_id][0], report)

    def ended(self, job: Job, ended: Ended) -> None:
        """A job is done, failed, stopped, or left to another."""
        self._running.pop(job.cell.run_id, None)
        self._held.pop(job.cell.run_id, None)
        estimate = self._remaining.pop(job.cell.run_id, 0.0)
        if ended.status in (STOPPED, HELD):
            return
        self._done += ended.status != "failed"
        self._estimated_done += estimate
        loss = f"loss {ended.loss:.4f}" if ended.loss is not None else ended.reason
        mark = {"finished": "✔", "diverged": "⚠", "failed": "✘"}[ended.status]
        line = (
            f"{mark} {self._done}/{self._total} {job.cell.run_id}  C={job.cell.budget:.3g}  {job.cell.spec.shape.label}"
            f"  N={count(job.cell.params.total)}  D={count(job.cell.tokens)}  {loss}  {duration(ended.seconds)}"
        )
        if ended.status == "failed":
            line += f"  (log: {job.folder.log})"
        self._console.print(line, highlight=False, soft_wrap=True)

    def retried(self, job: Job, reason: str, seconds: float) -> None:
        """A job failed in a way that is retryable."""
        self._running.pop(job.cell.run_id, None)
        self._console.print(
            f"↻ {job.cell.run_id}  {job.cell.spec.shape.label}  {reason}; again in {duration(seconds)}",
            highlight=False,
            soft_wrap=True,
        )

    def held(self, job: Job, owner: str) -> None:
        """Another process trains the job."""
        self._running.pop(job.cell.run_id, None)
        self._held[job.cell.run_id] = owner

    def tick(self) -> None:
        """Refresh; without a terminal, a line now and then."""
        if self._live:
            self._live.update(self._table())
        elif time.monotonic() - self._said > PLAIN_SECONDS:
            self._said = time.monotonic()
            self._console.print(self._summary(), highlight=False, soft_wrap=True)

    def _eta(self) -> float | None:
        """Seconds left, from the plan's estimates scaled by how they have held so far; None before there is news."""
        left, progressed = [], self._estimated_done
        for run_id, estimate in self._remaining.items():
            report = self._running[run_id][1] if run_id in self._running else None
            share = report.step / report.steps if report else 0.0
            progressed += share * estimate
            left.append(estimate * (1 - share))
        if not progressed or not left:
            return None
        elapsed = time.monotonic() - self._began
        return makespan(left, self._workers) * elapsed * self._workers / progressed

    def _summary(self) -> str:
        eta = self._eta()
        running = ", ".join(_where(job, report) for job, report in self._running.values())
        elsewhere = (
            f", {len(self._held)} held by {', '.join(sorted(set(self._held.values())))}" if self._held else ""
        )
        return (
            f"… {self._done}/{self._total} done, running: {running or 'none'}{elsewhere}, "
            f"ETA {duration(eta) if eta else '?'}"
        )

    def _table(self) -> Table:
        table = Table(title=self._summary(), title_justify="left", title_style="", box=None, padding=(0, 2))
        for heading in ("cell", "budget", "shape", "step", "loss", "tokens/s"):
            table.add_column(heading, justify="left" if heading in ("cell", "shape") else "right")
        for job, report in self._running.values():
            cell = job.cell
            moving = (
                (f"{report.step}/{report.steps}", f"{report.loss:.4f}", count(report.tokens_per_second))
                if report
                else ("starting", "", "")
            )
            table.add_row(cell.run_id, f"{cell.budget:.3g}", cell.spec.shape.label, *moving)
        return table


def _where(job: Job, report: StepReport | None) -> str:
    label = job.cell.spec.shape.label
    return f"{label} {100 * report.step / report.steps:.0f}%" if report else label
