"""One run, from its specification to its record."""

import shutil
from dataclasses import replace

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from harness.data import Corpus, open_corpus
from harness.runs.record import DIVERGED, FINISHED, Record, read_record
from harness.train.checkpoint import load_checkpoint
from harness.train.compile import compiled, wants_compile
from harness.train.curve import Curve
from harness.train.device import Device, choose_device
from harness.train.evaluate import Evaluation, evaluate
from harness.train.job import DivergedError, Job, StepReport, Watch
from harness.train.loop import Loop, Pace, Row
from harness.train.model import build_model
from harness.train.optimizer import build_optimizer
from harness.train.outcome import Outcome, make_record
from harness.train.stepper import Stepper
from harness.train.tracker import TrackedRun, Tracker


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
    model, how = _prepared(raw, job, device, accelerator)
    notes = list(dict.fromkeys((*progress.notes, *how)))
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
    tracker.summary(record.to_json())
    tracker.finish()
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


def _prepared(
    raw: torch.nn.Module, job: Job, device: Device, accelerator: Accelerator
) -> tuple[torch.nn.Module, list[str]]:
    """The model as it is called in training, and what the record should say of it."""
    notes = []
    if device.kind == "cuda":
        # what autocast leaves in float32 may use TF32 beside bf16; where fp32 is asked for, it is fp32
        precision = "high" if device.precision == "bf16" else "highest"
        torch.set_float32_matmul_precision(precision)
        notes.append(f"float32 matrix products: {precision}")
    if wants_compile(job.train, device, job.cell.estimate_seconds):
        raw = compiled(raw, job.train, job.corpus.parent / "inductor")
        notes.append("compiled with CUDA graphs" if job.train.compile == "graphs" else "compiled")
    return accelerator.prepare(raw), notes


def _tracked(job: Job) -> TrackedRun:
    cell = job.cell
    return TrackedRun(
        id=cell.run_id,
        name=f"{cell.spec.shape.label} C={cell.budget:.2g} seed {cell.spec.seed}",
        group=job.sweep_name,
        folder=job.sweep,
        config={"sweep": job.sweep_name, **cell.to_json()},
    )


def _train(job: Job, loop: Loop, tracker: Tracker, watch: Watch, main: bool) -> Outcome:
    """Train to the horizon, or to where it diverged; the curve's file is whole either way."""
    cell, spec = job.cell, job.cell.spec
    curve = Curve(job.folder.curve, loop.progress.step) if main else None

    def on_row(row: Row) -> None:
        tokens = row.step * spec.batch_tokens
        flops = cell.flops * row.step / spec.steps
        if curve:
            curve.append(row.step, tokens, flops, row.lr, row.loss, row.grad_norm)
        values = {
            "train_loss": row.loss,
            "lr": row.lr,
            "grad_norm": row.grad_norm,
            "tokens": tokens,
            "flops": flops,
        }
        tracker.log(values, row.step)
        watch.report(StepReport(cell.run_id, row.step, spec.steps, row.loss, row.tokens_per_second))

    pace = Pace(max(1, spec.steps // job.train.log_points), job.train.checkpoint_seconds)
    status, reason, loss = FINISHED, "", None
    try:
        loss = loop.run(spec, pace, on_row, watch)
    except DivergedError as error:
        status, reason = DIVERGED, str(error)
    finally:
        if curve:
            curve.close()
    return Outcome(status, reason, loop.progress.step, loss, loop.seconds())


def _evaluate(job: Job, model: torch.nn.Module, corpus: Corpus, accelerator: Accelerator) -> Evaluation:
    with accelerator.autocast():
        return evaluate(model, corpus, job.cell.spec.seq_len, job.cell.spec.eval_tokens, accelerator.device)
