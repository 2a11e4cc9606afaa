"""One run, from its specification to its record."""

import shutil
from dataclasses import replace

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from harness.data import Corpus, open_corpus
from harness.runs.folder import SweepFolder
from harness.runs.record import DIVERGED, FINISHED, Record, read_record
from harness.runs.wandb_mirror import config_values, run_name
from harness.train.checkpoint import load_checkpoint
from harness.train.config import TrainConfig
from harness.train.curve import Curve
from harness.train.device import Device, choose_device
from harness.train.evaluate import Evaluation, evaluate
from harness.train.job import DivergedError, Job, StepReport, Watch
from harness.train.loop import Loop, Pace, Row
from harness.train.model import build_model
from harness.train.optimizer import build_optimizer
from harness.train.outcome import Outcome, make_record
from harness.train.stepper import Stepper
from harness.train.tracker import EXIT_STOPPED, TrackedRun, Tracker


def train_cell(job: Job, watch: Watch | None = None) -> Record:
    """Train the job's cell, continue it from its checkpoint, or return the record it already has.

    Raises:
        PreemptedError: ``watch.should_stop`` said so; a checkpoint was written.
        UserError: the device or the number of processes does not suit the run.
    """
    watch = watch or Watch()
    done = read_record(job.folder.record, job.cell.run_id)
    if done and done.status in (FINISHED, DIVERGED):
        return done
    if job.train.threads:
        torch.set_num_threads(job.train.threads)
    device = choose_device(job.train.device, job.cell.spec.precision)
    accelerator = _accelerator(job, device)
    corpus = open_corpus(job.corpus)
    spec = job.cell.spec

    raw = build_model(spec.shape, init_std=spec.init_std, seed=spec.seed).to(accelerator.device)
    optimizer = build_optimizer(raw, spec.optimizer)
    progress = load_checkpoint(job.folder.checkpoint, raw, optimizer)
    model = accelerator.prepare(_compiled(raw, job.train, device))
    notes = list(progress.notes)
    stepper = Stepper(accelerator, model, optimizer, spec, corpus, job.train.micro_batch, notes.append)
    loop = Loop(accelerator, raw, optimizer, stepper, job.folder.checkpoint, progress, notes)

    tracker = Tracker(accelerator, job.tracker, _tracked(job), watch.warn)
    outcome = _train(job, loop, tracker, watch, accelerator.is_main_process)
    if outcome.status == FINISHED:
        outcome = outcome.evaluated(_evaluate(job, raw, corpus, accelerator))
    outcome = replace(outcome, notes=tuple(notes))
    record = make_record(job.cell, device, accelerator.num_processes, corpus, outcome)
    if accelerator.is_main_process:
        if job.train.export and record.status == FINISHED:
            raw.save_pretrained(job.folder.model)
            corpus.save_tokenizer(job.folder.model)
        record.write(job.folder.record)
        shutil.rmtree(job.folder.checkpoint, ignore_errors=True)
    tracker.summary(record)
    tracker.finish()
    accelerator.end_training()
    return record


def _accelerator(job: Job, device: Device) -> Accelerator:
    """An Accelerator of this run's precision; a process that trains many cells may have had another before."""
    precision = {"fp32": "no", "bf16": "bf16"}[device.precision]
    if AcceleratorState._shared_state and AcceleratorState().mixed_precision != precision:
        AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        cpu=device.kind == "cpu",
        mixed_precision=precision,
        log_with=None if job.tracker.name == "none" else job.tracker.name,
        project_dir=str(job.folder.path),
    )


def _compiled(model: torch.nn.Module, config: TrainConfig, device: Device) -> torch.nn.Module:
    wanted = config.compile == "on" or (config.compile == "auto" and device.kind == "cuda")
    return torch.compile(model) if wanted else model  # type: ignore[return-value]


def _tracked(job: Job) -> TrackedRun:
    cell = job.cell
    return TrackedRun(
        id=cell.run_id,
        name=run_name(cell),
        group=job.sweep_name,
        folder=job.sweep,
        config=config_values(SweepFolder(job.sweep), job.sweep_name, cell),
    )


def _train(job: Job, loop: Loop, tracker: Tracker, watch: Watch, main: bool) -> Outcome:
    """Train to the horizon, or to where it diverged; the curve's file is whole either way."""
    cell, spec = job.cell, job.cell.spec
    curve = Curve(job.folder.curve, loop.progress.step) if main else None
    tracker.log(curve.kept if curve else [])

    def on_row(row: Row) -> None:
        tokens = row.step * spec.batch_tokens
        flops = cell.flops * row.step / spec.steps
        values = {
            "step": row.step,
            "tokens": tokens,
            "flops": flops,
            "lr": row.lr,
            "train_loss": row.loss,
            "grad_norm": row.grad_norm,
        }
        if curve:
            curve.append(values)
        tracker.log([values])
        watch.report(StepReport(cell.run_id, row.step, spec.steps, row.loss, row.tokens_per_second))

    pace = Pace(max(1, spec.steps // job.train.log_points), job.train.checkpoint_seconds)
    status, reason, loss = FINISHED, "", None
    try:
        loss = loop.run(spec, pace, on_row, watch)
    except DivergedError as error:
        status, reason = DIVERGED, str(error)
    except BaseException:
        tracker.finish(EXIT_STOPPED)
        raise
    finally:
        if curve:
            curve.close()
    return Outcome(status, reason, loop.progress.step, loss, loop.seconds())


def _evaluate(job: Job, model: torch.nn.Module, corpus: Corpus, accelerator: Accelerator) -> Evaluation:
    with accelerator.autocast():
        return evaluate(model, corpus, job.cell.spec.seq_len, job.cell.spec.eval_tokens, accelerator.device)
