"""A sweep's progress in a terminal, or as plain lines where there is none."""

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.launch.branching import own_seconds
from harness.launch.worker import HELD, STOPPED, Ended
from harness.plan.cell import Cell
from harness.plan.duration import makespan
from harness.plan.labels import Labels
from harness.text import count, duration
from harness.train.job import Job, StepReport

PLAIN_SECONDS = 20.0  # between two plain progress lines


class Progress:
    """Shows running cells, what is done and when all will be."""

    def __init__(
        self,
        jobs: Sequence[Job],
        finished_before: int,
        workers: int,
        console: Console | None = None,
        cells: Iterable[Cell] = (),
    ):
        """Of ``jobs``; ``cells`` are those of the whole sweep, from which lines tell theirs apart."""
        self._console = console or Console(file=sys.stderr, markup=False)
        self._workers = workers
        self._labels = Labels.of([*cells, *(job.cell for job in jobs)])
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
        cell = job.cell
        loss = f"loss {ended.loss:.4f}" if ended.loss is not None else ended.reason
        mark = {"finished": "✔", "diverged": "⚠", "failed": "✘"}[ended.status]
        line = "  ".join(
            (
                f"{mark} {self._done}/{self._total} {cell.run_id}",
                f"C={self._labels.budget(cell)}",
                cell.spec.shape.label,
                *self._labels.pairs(cell),
                f"N={count(cell.params.total)}",
                f"D={count(cell.tokens)}",
                loss,
                duration(ended.seconds),
            )
        )
        if ended.status == "failed":
            line += f"  (log: {job.folder.log})"
        self._console.print(line, highlight=False, soft_wrap=True)

    def retried(self, job: Job, reason: str, seconds: float) -> None:
        """A job failed in a way that is retryable."""
        self._running.pop(job.cell.run_id, None)
        self._console.print(
            f"↻ {job.cell.run_id}  {self._labels.name(job.cell)}  {reason}; again in {duration(seconds)}",
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
        running = "; ".join(self._where(job, report) for job, report in self._running.values())
        elsewhere = (
            f", {len(self._held)} held by {', '.join(sorted(set(self._held.values())))}" if self._held else ""
        )
        return (
            f"… {self._done}/{self._total} done, running: {running or 'none'}{elsewhere}, "
            f"ETA {duration(eta) if eta else '?'}"
        )

    def _table(self) -> Table:
        table = Table(title=self._summary(), title_justify="left", title_style="", box=None, padding=(0, 2))
        for heading in ("cell", "budget", "shape", *self._labels.headings, "step", "loss", "tokens/s"):
            table.add_column(heading, justify="left" if heading in ("cell", "shape") else "right")
        for job, report in self._running.values():
            cell = job.cell
            moving = (
                (f"{report.step}/{report.steps}", f"{report.loss:.4f}", count(report.tokens_per_second))
                if report
                else ("starting", "", "")
            )
            apart = self._labels.values(cell)
            table.add_row(cell.run_id, self._labels.budget(cell), cell.spec.shape.label, *apart, *moving)
        return table

    def _where(self, job: Job, report: StepReport | None) -> str:
        label = self._labels.name(job.cell)
        return f"{label}: {100 * report.step / report.steps:.0f}%" if report else label
