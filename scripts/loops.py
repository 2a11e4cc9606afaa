"""The loops that are compared: ours, transformers' Trainer, the barest. Each gives the times at which its rows ended.

A row is some steps, behind which all wait for the device and have their log. Its median tells the speed: a tracker that
connects, or a machine that is busy for a moment, is in few rows.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import wandb
from torch.nn import functional
from torch.utils.data import Dataset

from harness.data import Corpus
from harness.model.build import build_model
from harness.tracking.config import TrackerConfig
from harness.train.job import StepReport, Watch
from harness.train.optimizer import build_optimizer
from harness.train.run import train_cell
from scripts.cases import Case
from scripts.speeds import HOW

ROWS = 10  # of a round, where that leaves at least four steps to each: its end makes the CPU wait for a GPU


@dataclass(frozen=True)
class Pace:
    """Steps of a round: rows of ``row`` steps each, the first of which warms up and compiles."""

    row: int
    rows: int

    @classmethod
    def of(cls, steps: int) -> "Pace":
        """About ``steps`` steps behind the first row."""
        row = max(4, round(steps / ROWS))
        return cls(row, 1 + max(3, round(steps / row)))

    @property
    def steps(self) -> int:
        """All of them."""
        return self.row * self.rows


@dataclass(frozen=True)
class Round:
    """One measurement to make."""

    case: Case
    pace: Pace
    device: str
    folder: Path


def ours(this: Round, compile: str) -> list[float]:
    """Our loop, W&B logging on, its rows those of the curve."""
    stamps: list[float] = []

    def report(step: StepReport) -> None:
        stamps.append(time.perf_counter())

    with tempfile.TemporaryDirectory(dir=this.folder) as folder:
        job = this.case.job(
            Path(folder),
            TrackerConfig(mode="offline"),
            device=this.device,
            compile=compile,
            log_points=this.pace.rows,
        )
        train_cell(job, Watch(report=report))
    return stamps


def bare(this: Round, compiled: bool) -> list[float]:
    """Forward, backward, clip, step."""
    spec = this.case.cell.spec
    model = build_model(spec.shape, spec.init_std, spec.seed, spec.forward, spec.scale).to(this.device)
    if compiled:
        model = torch.compile(model, dynamic=False)
    optimizer = build_optimizer(model, spec)
    cast = torch.autocast(this.device, torch.bfloat16, enabled=this.device == "cuda")
    stamps = []
    for step in range(1, this.pace.steps + 1):
        batch = this.case.batch(step, this.device)
        with cast:
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(1.0)
        optimizer.zero_grad()
        if step % this.pace.row == 0:
            wait(this.device)
            stamps.append(time.perf_counter())
    return stamps


class Sequences(Dataset):
    """The corpus as Trainer wants it."""

    def __init__(self, corpus: Corpus, count: int, seq_len: int) -> None:
        self.tokens = torch.from_numpy(corpus.batch(0, 0, count, seq_len - 1))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


def trainer(this: Round) -> list[float]:
    """transformers' Trainer, W&B logging on, its rows those of its log."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    pace, stamps = this.pace, []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            if state.global_step % pace.row == 0:
                wait(this.device)
                stamps.append(time.perf_counter())

    spec = this.case.cell.spec
    with tempfile.TemporaryDirectory(dir=this.folder) as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=pace.steps,
            per_device_train_batch_size=spec.batch_sequences,
            learning_rate=spec.optimizer.lr,
            lr_scheduler_type="cosine",
            logging_steps=pace.row,
            save_strategy="no",
            report_to=["wandb"],
            disable_tqdm=True,
            use_cpu=this.device == "cpu",
            bf16=this.device == "cuda",
            optim="adamw_torch_fused",
        )
        run = Trainer(
            build_model(spec.shape, spec.init_std, spec.seed, spec.forward, spec.scale),
            arguments,
            train_dataset=Sequences(this.case.corpus, spec.batch_sequences * pace.steps, spec.seq_len),
            callbacks=[Clock()],
        )
        run.remove_callback(PrinterCallback)
        run.train()
        wandb.finish()
    return stamps


def training_loops(modes: Sequence[str]) -> dict[str, Callable[[Round], list[float]]]:
    """By their names in the table: Trainer and the bare loop, ours in every mode, and what compiled ones go beside."""
    chosen: dict[str, Callable[[Round], list[float]]] = {
        HOW[mode]: partial(ours, compile=mode) for mode in modes
    }
    chosen |= {"Trainer": trainer, "bare loop": partial(bare, compiled=False)}
    if set(modes) != {"off"}:
        chosen["bare compiled"] = partial(bare, compiled=True)
    return chosen


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
