"""The data of a report whose runs were scored on a task, by a known sigmoid of their losses."""

from dataclasses import replace

import numpy as np

from harness.fit import write_fit
from harness.fit.tasks import TaskBacktest, TaskPoints, fit_task
from harness.fit.tasks.store import FittedTask, StoredTask, write_task
from harness.report.data import ReportData
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import Record
from harness.runs.tasks import TaskScore, write_tasks
from harness.workflow.report import from_sweep


def with_tasks(data: ReportData) -> ReportData:
    """The same with a task ``word``, whose task loss is the loss, so that its law is the fit's."""
    losses = np.array([record.loss for record in data.records.values() if record.loss is not None])
    middle, width = float(np.median(losses)), float(np.ptp(losses)) / 4

    def scored(record: Record) -> Record:
        if record.loss is None:
            return record
        accuracy = 0.25 + 0.75 / (1 + np.exp((record.loss - middle) / width))
        score = TaskScore(
            *(accuracy, 0.02, accuracy, 0.02, record.loss, 0.05, 500, 80, 0.25, 3, 100),
            *(accuracy, record.loss, "digest", "0.4.13"),
        )
        return replace(record, tasks={"word": score})

    records = {run_id: scored(record) for run_id, record in data.records.items()}
    found = [record for record in records.values() if record.tasks]
    points = TaskPoints(
        params=np.array([one.params_total for one in found]),
        tokens=np.array([one.tokens for one in found]),
        flops=np.array([one.flops for one in found]),
        budget=np.array([one.budget for one in found]),
        task_loss=np.array([one.tasks["word"].bits_per_byte for one in found]),
        accuracy=np.array([one.tasks["word"].accuracy for one in found]),
        accuracy_se=np.full(len(found), 0.02),
        chance=0.25,
        questions=500,
        task="word",
    )
    backtest = TaskBacktest(task="word", level=0.9)
    stored = StoredTask(fit_task(points, draws=40), backtest, "digest", "word.yaml", 0, data.fit.fingerprint)
    return replace(data, records=records, tasks=(FittedTask(data.fit, stored),))


def score_sweep(sweep: SweepFolder) -> None:
    """Leave in a sweep's folder what :func:`with_tasks` makes of its report."""
    data = with_tasks(from_sweep(sweep, frozen_plan(sweep), sweep.path))
    for run_id, record in data.records.items():
        if record.tasks:
            write_tasks(sweep.cell(run_id).tasks, run_id, record.tasks)
    (task,) = data.tasks
    write_fit(task.fit, sweep.tasks / task.name)
    write_task(task.stored, sweep.tasks / task.name)
