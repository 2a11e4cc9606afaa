"""The loops that are compared: ours, transformers' Trainer, the barest. Each gives the seconds of its timed steps."""

import os
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
from harness.train.config import TrackerConfig
from harness.train.job import StepReport, Watch
from harness.train.model import build_model
from harness.train.optimizer import build_optimizer
from harness.train.run import train_cell
from scripts.cases import Case
from scripts.speeds import HOW

ROWS = 10  # of a round, where that leaves at least four steps to each: on a GPU a row makes the CPU wait


@dataclass(frozen=True)
class Pace:
    """Steps of a round: ``warm`` before the clock starts, and ``timed``; a row or a line every ``warm`` steps."""

    warm: int
    timed: int

    @classmethod
    def of(cls, steps: int) -> "Pace":
        """About ``steps`` timed steps, in whole rows."""
        warm = max(4, round(steps / ROWS))
        return cls(warm, warm * max(2, round(steps / warm)))

    @property
    def steps(self) -> int:
        """All of them."""
        return self.warm + self.timed


@dataclass(frozen=True)
class Round:
    """One measurement to make."""

    case: Case
    pace: Pace
    device: str
    folder: Path


def ours(this: Round, compile: str) -> float:
    """Seconds of our loop, W&B logging on; the first curve row starts the clock."""
    stamps: list[tuple[int, float]] = []

    def report(step: StepReport) -> None:
        stamps.append((step.step, time.perf_counter()))

    with tempfile.TemporaryDirectory(dir=this.folder) as folder:
        rows = this.pace.steps // this.pace.warm
        job = this.case.job(
            Path(folder),
            TrackerConfig(mode="offline"),
            device=this.device,
            compile=compile,
            log_points=rows,
        )
        train_cell(job, Watch(report=report))
    (first, began), (last, ended) = stamps[0], stamps[-1]
    return (ended - began) / (last - first) * this.pace.timed


def bare(this: Round, compiled: bool) -> float:
    """Seconds of forward, backward, clip, step; compiling is in the warm-up."""
    spec = this.case.cell.spec
    model = build_model(spec.shape, spec.init_std, spec.seed).to(this.device)
    if compiled:
        model = torch.compile(model, dynamic=False)
    optimizer = build_optimizer(model, spec.optimizer)
    cast = torch.autocast(this.device, torch.bfloat16, enabled=this.device == "cuda")
    for step in range(this.pace.steps):
        if step == this.pace.warm:
            wait(this.device)
            began = time.perf_counter()
        batch = this.case.batch(step, this.device)
        with cast:
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    wait(this.device)
    return time.perf_counter() - began


class Windows(Dataset):
    """The corpus as Trainer wants it."""

    def __init__(self, corpus: Corpus, count: int, seq_len: int) -> None:
        self.tokens = torch.from_numpy(corpus.batch(0, 0, count, seq_len - 1))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


def trainer(this: Round) -> float:
    """Seconds of transformers' Trainer, W&B logging on."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    pace, stamps = this.pace, {}

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            if state.global_step in (pace.warm, pace.steps):
                wait(this.device)
                stamps[state.global_step] = time.perf_counter()

    spec = this.case.cell.spec
    with tempfile.TemporaryDirectory(dir=this.folder) as folder:
        os.environ["WANDB_DIR"] = folder
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=pace.steps,
            per_device_train_batch_size=spec.batch_windows,
            learning_rate=spec.optimizer.lr,
            lr_scheduler_type="cosine",
            logging_steps=pace.warm,
            save_strategy="no",
            report_to=["wandb"],
            disable_tqdm=True,
            use_cpu=this.device == "cpu",
            bf16=this.device == "cuda",
            optim="adamw_torch_fused",
        )
        run = Trainer(
            build_model(spec.shape, spec.init_std, spec.seed),
            arguments,
            train_dataset=Windows(this.case.corpus, spec.batch_windows * pace.steps, spec.seq_len),
            callbacks=[Clock()],
        )
        run.remove_callback(PrinterCallback)
        run.train()
        wandb.finish()
    return stamps[pace.steps] - stamps[pace.warm]


def contenders(modes: Sequence[str]) -> dict[str, Callable[[Round], float]]:
    """By their names in the table: Trainer and the bare loop, ours in every mode, and what compiled ones go beside."""
    chosen: dict[str, Callable[[Round], float]] = {HOW[mode]: partial(ours, compile=mode) for mode in modes}
    chosen |= {"Trainer": trainer, "bare loop": partial(bare, compiled=False)}
    if set(modes) != {"off"}:
        chosen["bare compiled"] = partial(bare, compiled=True)
    return chosen


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
