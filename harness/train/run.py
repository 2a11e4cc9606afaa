"""One run, in the order of execution: from its specification over its training and evaluation to its record."""

import errno
import gc
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from transformers import PreTrainedModel

from harness.data import Corpus, open_corpus
from harness.errors import UserError
from harness.files import remove, write_atomic
from harness.model.build import build_model
from harness.plan.branching import shared_steps
from harness.runs.curve import CurveWriter, curve_row, curve_text, digest_of
from harness.runs.files import SweepFolder, new_folder
from harness.runs.record import DIVERGED, FINISHED, Record, Score, is_damaged, record_to_keep
from harness.tracking.files import config_values, run_name
from harness.tracking.tracker import EXIT_STOPPED, TrackedRun, Tracker
from harness.train.branch import Branch
from harness.train.checkpoint import BranchState, RunState, load_checkpoint
from harness.train.compile import compiled, keep_traces, settle
from harness.train.config import NONE, TrainConfig
from harness.train.device import Device, available_bytes, choose_device
from harness.train.job import DivergedError, Job, PreemptedError, StepReport, Watch
from harness.train.loop import Loop, WriteIntervals
from harness.train.loss import next_token_loss
from harness.train.meter import CurveRow
from harness.train.optimizer import build_optimizer
from harness.train.outcome import Evaluation, RunOutcome, evaluate, make_record
from harness.train.saver import Saver
from harness.train.stepper import Stepper


def train_cell(job: Job, watch: Watch | None = None) -> Record:
    """Train the job's cell, continue it from its checkpoint, or return the record it already has.

    Raises:
        PreemptedError: ``watch.should_stop`` said so, and a checkpoint was written; or another process has taken the
            run over meanwhile, and nothing was written.
        UserError: the device or the number of processes does not suit the run; the corpus is damaged, or not the one
            it was planned for.
    """
    try:
        return _train_cell(job, watch or Watch())
    except Exception:
        keep_traces(None)  # it may have failed in the middle of one
        raise
    finally:
        _release()


def _train_cell(job: Job, watch: Watch) -> Record:
    done = record_to_keep(job.folder.record, job.cell.run_id)
    if done and done.status in (FINISHED, DIVERGED):
        return done
    damaged = is_damaged(job.folder.record, job.cell.run_id)
    spec = job.cell.spec

    # what it trains on
    if job.train.threads:
        torch.set_num_threads(job.train.threads)
    device = choose_device(job.train.device, spec.precision)
    accelerator = _accelerator(job, device)
    available = available_bytes(device)
    corpus = open_corpus(job.corpus)
    if corpus.fingerprint != spec.data:
        raise UserError(
            f"{job.corpus}: has the fingerprint {corpus.fingerprint}, and the run is planned for {spec.data}"
        )
    domains = {name: open_corpus(folder) for name, folder in job.domains.items()}

    # the model, as its last checkpoint left it, and how it is executed
    raw = build_model(spec.shape, spec.init_std, spec.seed, spec.forward, spec.scale).to(accelerator.device)
    optimizer = build_optimizer(raw, spec)
    main = accelerator.is_main_process
    fence = watch.fence if main else None
    state = load_checkpoint(job.folder.checkpoint, raw, optimizer, spec.run_id, spec.steps, fence)
    _check_together(accelerator, state.step)
    how = _set_float32_precision(device)
    train = settle(job.train, device, job.cell.estimate.mode, how)
    model = _prepare(raw, train, job.corpus.parent / "inductor", accelerator)
    lost = ["the record that was there was damaged: the run was trained again"] if damaged else []
    notes = list(dict.fromkeys((*state.notes, *lost, *how)))
    stepper = Stepper(
        accelerator, model, optimizer, spec, corpus, train, notes.append, available, state.micro_batch
    )
    traced = spec.shape, spec.seq_len, stepper.sequences, device.precision, train.compile, train.logits
    keep_traces(traced if train.compile != "off" else None)

    # training
    branches = _branches(job, accelerator, state)
    saver = Saver(job.folder.checkpoint, raw, optimizer, watch.fence, corpus.check_unchanged)
    loop = Loop(accelerator, stepper, saver, state, notes, branches)
    tracker = Tracker(accelerator, job.tracker, _tracked(job), watch.warn)
    try:
        outcome = _train(job, loop, tracker, watch, main)

        # evaluation, and what is kept
        outcome = _evaluated(outcome, job, raw, corpus, domains, accelerator, stepper.scored_sequences)
        curve = curve_text(curve_row(job.cell, *row) for row in loop.rows)
        outcome = replace(
            outcome, notes=tuple(notes), inherited=state.inherited, curve_sha256=digest_of(curve)
        )
        record = make_record(job.cell, device, accelerator.num_processes, corpus, outcome)
        for text in (corpus, *domains.values()):
            text.check_unchanged()
        if main:
            _write(job, watch, curve, record, raw, corpus)
    except BaseException as error:
        tracker.finish(EXIT_STOPPED)
        if isinstance(error, PreemptedError):
            accelerator.end_training()  # a process group that outlives the interpreter may abort it
        raise
    tracker.summary(record)
    tracker.finish()
    accelerator.end_training()
    return record


def _accelerator(job: Job, device: Device) -> Accelerator:
    """An Accelerator of this run's device and precision; a process may have trained a cell with others before."""
    precision = {"fp32": "no", "bf16": "bf16"}[device.precision]
    if AcceleratorState._shared_state:
        before = AcceleratorState()
        if (before.device.type, before.mixed_precision) != (device.kind, precision):
            AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(
        cpu=device.kind == "cpu",
        mixed_precision=precision,
        log_with=None if job.tracker.name == "none" else job.tracker.name,
        project_dir=str(job.folder.path),
    )


def _check_together(accelerator: Accelerator, step: int) -> None:
    """Refuse to go on from different steps: each process of a run reads the checkpoints for itself.

    Raises:
        OSError: one of them could not read what the others did; the next attempt may.
    """
    steps = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise OSError(errno.EAGAIN, f"processes of one run read checkpoints of the steps {steps}")


def _set_float32_precision(device: Device) -> list[str]:
    """Set torch's precision of float32 products on a GPU; returns what the record should say of it."""
    if device.kind != "cuda":
        return []
    # what autocast leaves in float32 may use TF32 beside bf16; where fp32 is asked for, it is fp32
    precision = "high" if device.precision == "bf16" else "highest"
    torch.set_float32_matmul_precision(precision)
    return [f"float32 matrix products: {precision}"]


def _prepare(
    raw: PreTrainedModel, train: TrainConfig, cache: Path, accelerator: Accelerator
) -> torch.nn.Module:
    """The model as training calls it: from sequences to their summed loss, compiled where ``train`` says so."""
    cuda = accelerator.device.type == "cuda"
    return accelerator.prepare(next_token_loss(raw, train, cuda, lambda part: compiled(part, train, cache)))


def _branches(job: Job, accelerator: Accelerator, state: RunState) -> list[Branch]:
    """The runs that will branch from this one: those followed from the first step, whose branch point lies ahead."""
    branches = []
    for cell in job.branches:
        step = shared_steps(job.cell.spec, cell.spec)
        curve = state.branches.get(cell.run_id, BranchState() if state.step == 0 else None)
        if curve is not None and 0 < step >= state.step:
            folder = SweepFolder(job.sweep).cell(cell.run_id)
            rows = job.train.row_steps(cell.spec.steps)
            branches.append(Branch(accelerator, cell, folder, step, rows, curve))
    return branches


def _tracked(job: Job) -> TrackedRun:
    cell = job.cell
    return TrackedRun(
        id=cell.run_id,
        name=run_name(cell),
        group=job.sweep_name,
        folder=job.sweep,
        config=config_values(SweepFolder(job.sweep), job.sweep_name, cell),
    )


def _train(job: Job, loop: Loop, tracker: Tracker, watch: Watch, main: bool) -> RunOutcome:
    """Train to the horizon, or to where it diverged."""
    cell, spec = job.cell, job.cell.spec
    before = [curve_row(cell, *row) for row in loop.rows]
    curve = CurveWriter(job.folder.curve, before, watch.fence) if main else None
    tracker.log(before)

    def on_row(row: CurveRow, tokens_per_second: float) -> None:
        if not watch.holds():  # the run stops before its next step
            return
        values = curve_row(cell, *row)
        if curve:
            curve.append(values)
        tracker.log([values])
        watch.report(StepReport(cell.run_id, row.step, spec.steps, row.loss, tokens_per_second))

    every = WriteIntervals(job.train.row_steps(spec.steps), job.train.checkpoint_seconds)
    status, reason, loss = FINISHED, "", None
    try:
        loss = loop.run(spec, every, on_row, watch)
    except DivergedError as error:
        status, reason = DIVERGED, str(error)
    finally:
        if curve:
            curve.close()
    return RunOutcome(status, reason, loop.state.step, loss, loop.seconds(), loop.tokens_per_second())


def _evaluated(
    outcome: RunOutcome,
    job: Job,
    model: PreTrainedModel,
    corpus: Corpus,
    domains: Mapping[str, Corpus],
    accelerator: Accelerator,
    at_once: int,
) -> RunOutcome:
    """``outcome`` with the held-out loss, and with the scores on further texts where that loss is finite.

    Args:
        at_once: sequences that the device is known to have memory for; 0 where that is not known.
    """
    if outcome.status == FINISHED:
        outcome = outcome.evaluated(_evaluate(job, model, corpus, accelerator, at_once))
    if outcome.status == FINISHED:
        scores = {name: _score(job, model, domain, accelerator, at_once) for name, domain in domains.items()}
        outcome = replace(outcome, domains=scores)
    return outcome


def _evaluate(
    job: Job, model: PreTrainedModel, corpus: Corpus, accelerator: Accelerator, at_once: int
) -> Evaluation:
    spec = job.cell.spec
    with accelerator.autocast():
        return evaluate(model, corpus, spec.seq_len, spec.eval_tokens, accelerator.device, at_once)


def _score(job: Job, model: PreTrainedModel, domain: Corpus, accelerator: Accelerator, at_once: int) -> Score:
    found = _evaluate(job, model, domain, accelerator, at_once)
    if not math.isfinite(found.loss):  # on its own corpus it is: the run is a finished one
        return Score(None, None, None, found.tokens)
    return Score(found.loss, found.loss_se, domain.bits_per_byte(found.loss), found.tokens)


def _write(
    job: Job, watch: Watch, curve: str, record: Record, model: PreTrainedModel, corpus: Corpus
) -> None:
    """The export where it is asked for, the whole curve, the record; once that is there, the checkpoints go.

    So do a model, and scores on tasks, of an attempt before: a run is trained again where its record was damaged.

    Raises:
        PreemptedError: the run is another's by now; the rest was not written.
    """
    if job.train.export != NONE and record.status == FINISHED:
        with new_folder(job.folder.model, watch.fence) as folder:
            model.save_pretrained(folder)
            corpus.save_tokenizer(folder)
    else:
        remove(job.folder.model)  # that of an attempt before
    write_atomic(job.folder.curve, curve, watch.fence)
    remove(job.folder.tasks)
    record.write(job.folder.record, watch.fence)
    watch.fence()
    remove(job.folder.checkpoint)


def _release() -> None:
    """Give back what the run held: the next one needs it, or one beside it on the same GPU.

    Accelerate's autocast makes a reference cycle of the model, which only the garbage collector frees.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
