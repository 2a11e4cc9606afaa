"""A finished run's model to score, as a launcher is given it: resumable task by task."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from harness.errors import UserError
from harness.evaluate.prepared import TaskSource
from harness.plan.cell import Cell
from harness.plan.duration import RunTime
from harness.runs.record import FAILED, FINISHED, read_record
from harness.runs.tasks import TaskScore, read_tasks, write_tasks
from harness.train.job import End, Job, PreemptedError, StepReport, Watch

START_SECONDS = 20.0  # libraries, the model, the questions
FORWARD = 1 / 3  # of the FLOPs that a token of training costs
SHORT = 2.0  # times that, for short sequences of many lengths


@dataclass(frozen=True)
class EvaluateJob(Job):
    """A run whose model is scored on tasks. Its cell's estimate is that of the scoring."""

    kind: ClassVar[str] = "evaluate"
    verb: ClassVar[str] = "score"

    tasks: tuple[TaskSource, ...] = ()
    batch: int = 64

    @classmethod
    def of(cls, job: Job, tasks: tuple[TaskSource, ...], batch: int) -> "EvaluateJob":
        """The job of scoring what ``job`` trained, with ``batch`` sequences at once."""
        parts = {one.name: getattr(job, one.name) for one in fields(Job)}
        cell: Cell = job.cell
        tokens = sum(one.tokens for one in tasks)
        share = SHORT * FORWARD * tokens / cell.tokens
        estimate = RunTime("eager", START_SECONDS, 0.0, cell.estimate_seconds * share, 0.0)
        return cls(
            **{**parts, "cell": replace(cell, estimate=estimate), "branches": ()},
            tasks=tasks,
            batch=batch,
        )

    def missing(self) -> list[TaskSource]:
        """The tasks that the run has no score on, or one of other questions."""
        return self._missing(read_tasks(self.folder.tasks, self.cell.run_id))

    def _missing(self, scores: Mapping[str, TaskScore]) -> list[TaskSource]:
        return [one for one in self.tasks if one.name not in scores or scores[one.name].digest != one.digest]

    def end(self) -> End | None:
        """How it ended; None where tasks are missing."""
        scores = read_tasks(self.folder.tasks, self.cell.run_id)
        return None if self._missing(scores) else self._ended(scores, 0.0)

    def _ended(self, scores: Mapping[str, TaskScore], seconds: float) -> End:
        return End(FINISHED, None, seconds, summary({one.name: scores[one.name] for one in self.tasks}))

    def execute(self, watch: Watch) -> End:
        """Score the tasks that are missing; each is written as soon as it is there.

        Raises:
            PreemptedError: asked to stop; what is scored is kept.
            UserError: the model, or a task, cannot be read.
        """
        import torch  # seconds, only in the process that scores

        from harness.evaluate.library import version
        from harness.evaluate.scoring import Scorer, score
        from harness.train.device import choose_device

        began, run_id = time.monotonic(), self.cell.run_id
        record = read_record(self.folder.record, run_id)
        if record is None or record.status != FINISHED:
            return End(FAILED, None, 0.0, "it has no finished record")
        if self.train.threads:
            torch.set_num_threads(self.train.threads)
        device = choose_device(self.train.device, self.cell.spec.precision)
        scorer = Scorer(self.folder.model, device.kind, device.precision, self.cell.spec.seq_len, self.batch)
        if scorer.parameters != record.params_total:
            raise UserError(
                f"{self.folder.model}: a model of {scorer.parameters:,} parameters, and the run has "
                f"{record.params_total:,}: it is another's"
            )
        scores, tokens = read_tasks(self.folder.tasks, run_id), 0
        missing = self._missing(scores)
        for number, source in enumerate(missing, 1):
            if watch.must_stop():
                raise PreemptedError("stopped; the tasks that were scored are kept")
            made = score(scorer, source.questions(), source.overlapping(), source.digest, version())
            scores = {**scores, source.name: made}
            write_tasks(self.folder.tasks, run_id, scores, watch.fence)
            tokens += source.tokens
            pace = tokens / (time.monotonic() - began)
            watch.report(StepReport(run_id, number, len(missing), made.bits_per_byte, pace))
        return self._ended(scores, time.monotonic() - began)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        own = {"tasks": [one.to_json() for one in self.tasks], "batch": self.batch}
        return {**super().to_json(), self.kind: own}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "EvaluateJob":
        """Inverse of :meth:`to_json`."""
        job, own = Job.plain_from_json(data), data[cls.kind]
        return cls(
            **{one.name: getattr(job, one.name) for one in fields(Job)},
            tasks=tuple(TaskSource(**one) for one in own["tasks"]),
            batch=own["batch"],
        )


def summary(scores: Mapping[str, TaskScore]) -> str:
    """``word 41.2%, next_line 70.0%``."""
    return ", ".join(f"{name} {100 * one.accuracy:.1f}%" for name, one in scores.items())
