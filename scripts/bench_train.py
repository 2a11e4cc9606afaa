"""Tokens per second of our loop, transformers' Trainer and the barest loop, on the same model, data and batch.

Every contender trains the same number of steps in short rounds, interleaved, so that a busy machine is busy for all
of them; medians over rounds, and ratios within a round, are what is printed. MFU is against the matrix-product rate
measured on the same device in the same run.

    python scripts/bench_train.py                        # CPU: 20k to 10M parameters, one thread
    python scripts/bench_train.py --rounds 9 --steps 40
    python scripts/bench_train.py --compile              # and the barest loop compiled; ours too
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

import torch
from torch.nn import functional
from torch.utils.data import Dataset

from harness.data import Corpus, DataConfig, TokenizerConfig, prepare
from harness.plan.cell import Cell
from harness.plan.grid import GridConfig
from harness.plan.plan import Rules, plan_cell
from harness.plan.recipe import RecipeConfig
from harness.plan.rule import Rule
from harness.plan.schedule import ScheduleConfig
from harness.plan.shape import Shape
from harness.plan.throughput import ThroughputConfig
from harness.train.config import TrackerConfig, TrainConfig
from harness.train.device import choose_device
from harness.train.job import Job, StepReport, Watch
from harness.train.model import build_model
from harness.train.optimizer import build_optimizer
from harness.train.run import train_cell

SHAPES = {"20k": (24, 2, 8), "200k": (80, 2, 16), "1M": (176, 3, 16), "10M": (384, 6, 32)}
GPU_SHAPES = {**SHAPES, "30M": (640, 6, 64), "100M": (1024, 8, 64)}
BATCH, SEQ_LEN = 8, 128


@dataclass(frozen=True)
class Case:
    """One model and what it trains on."""

    cell: Cell
    corpus: Corpus
    folder: Path
    device: str
    compile: str = "off"


def shape(width: int, layers: int, head_dim: int) -> Shape:
    """A Llama-style shape on bytes."""
    heads = width // head_dim
    return Shape("llama", 256, width, layers, heads, head_dim, round(width / 3) * 8, heads, False, SEQ_LEN)


def ours(case: Case, steps: int) -> float:
    """Seconds of ``steps`` steps of our loop, W&B logging on; the first curve row starts the clock."""
    stamps: list[tuple[int, float]] = []

    def report(step: StepReport) -> None:
        stamps.append((step.step, time.perf_counter()))

    with tempfile.TemporaryDirectory(dir=case.folder) as folder:
        train = TrainConfig(device=case.device, compile=case.compile, log_points=10)
        job = Job(case.cell, case.corpus.folder, Path(folder), "bench", train, TrackerConfig(mode="offline"))
        train_cell(job, Watch(report=report))
    (first, began), (last, ended) = stamps[0], stamps[-1]
    return (ended - began) / (last - first) * steps


def bare(case: Case, steps: int, compiled: bool = False) -> float:
    """Seconds of ``steps`` steps of forward, backward, clip, step."""
    spec = case.cell.spec
    model = build_model(spec.shape, spec.init_std, spec.seed).to(case.device)
    if compiled:
        torch.compiler.reset()
        model = torch.compile(model, dynamic=False)
    optimizer = build_optimizer(model, spec.optimizer)
    cast = torch.autocast(case.device, torch.bfloat16, enabled=case.device == "cuda")
    warm = max(1, steps // 10)
    for step in range(steps + warm):
        if step == warm:
            _wait(case.device)
            began = time.perf_counter()
        batch = torch.from_numpy(case.corpus.batch(0, step, BATCH, SEQ_LEN)).to(case.device)
        with cast:
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    _wait(case.device)
    return time.perf_counter() - began


def bare_compiled(case: Case, steps: int) -> float:
    """The same, compiled; compiling is in the warm-up."""
    return bare(case, steps, compiled=True)


class Windows(Dataset):
    """The corpus as Trainer wants it."""

    def __init__(self, corpus: Corpus, count: int) -> None:
        self.tokens = torch.from_numpy(corpus.batch(0, 0, count, SEQ_LEN - 1))

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.tokens[index], "labels": self.tokens[index]}


def trainer(case: Case, steps: int) -> float:
    """Seconds of ``steps`` steps of transformers' Trainer, W&B logging on."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    stamps: dict[int, float] = {}

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
            stamps[state.global_step] = time.perf_counter()

    spec = case.cell.spec
    warm = max(1, steps // 10)
    with tempfile.TemporaryDirectory(dir=case.folder) as folder:
        os.environ["WANDB_DIR"] = folder
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps + warm,
            per_device_train_batch_size=BATCH,
            learning_rate=spec.optimizer.lr,
            lr_scheduler_type="cosine",
            logging_steps=max(1, (steps + warm) // 10),
            save_strategy="no",
            report_to=["wandb"],
            disable_tqdm=True,
            use_cpu=case.device == "cpu",
            bf16=case.device == "cuda",
            optim="adamw_torch_fused",
        )
        data = Windows(case.corpus, BATCH * (steps + warm))
        run = Trainer(
            build_model(spec.shape, spec.init_std, spec.seed),
            arguments,
            train_dataset=data,
            callbacks=[Clock()],
        )
        run.remove_callback(PrinterCallback)
        run.train()
        import wandb

        wandb.finish()
    return stamps[steps + warm] - stamps[warm]


CONTENDERS: dict[str, Callable[[Case, int], float]] = {"ours": ours, "Trainer": trainer, "bare loop": bare}


def matmul_rate(device: str) -> float:
    """FLOP/s of a large matrix product on ``device`` in the precision that training uses."""
    n, dtype = (8192, torch.bfloat16) if device == "cuda" else (1024, torch.float32)
    a = torch.randn(n, n, device=device, dtype=dtype)
    best = 0.0
    for _ in range(7):
        _wait(device)
        began = time.perf_counter()
        a @ a
        _wait(device)
        best = max(best, 2 * n**3 / (time.perf_counter() - began))
    return best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def make_case(name: str, steps: int, corpus: Corpus, folder: Path, device: str, compile: str) -> Case:
    """A cell of exactly ``steps`` steps of the bench's batch."""
    made = shape(*GPU_SHAPES[name])
    rules = Rules(
        GridConfig(budgets=[1.0]),
        RecipeConfig(lr=Rule(value=1e-3), batch_tokens=Rule(value=BATCH * SEQ_LEN), min_steps=1),
        ScheduleConfig(),
        ThroughputConfig(),
        SEQ_LEN,
        SEQ_LEN,
        "auto",
    )
    from harness.plan.flops import flops_per_token

    budget = flops_per_token(made, SEQ_LEN) * BATCH * SEQ_LEN * steps
    return Case(plan_cell(made, budget, 0, rules, corpus), corpus, folder, device, compile)


def main() -> None:
    """Run the rounds and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--steps", type=int, default=60, help="steps a round of the smallest model; fewer for larger"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--sizes", default=None, help="comma-separated, of " + ", ".join(GPU_SHAPES))
    parser.add_argument("--compile", action="store_true", help="compile ours, and add the bare loop compiled")
    options = parser.parse_args()
    contenders = {**CONTENDERS, **({"bare, compiled": bare_compiled} if options.compile else {})}
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    device = choose_device(options.device, "auto")
    sizes = (
        options.sizes.split(",") if options.sizes else list(GPU_SHAPES if device.kind == "cuda" else SHAPES)
    )
    with tempfile.TemporaryDirectory() as name:
        corpus = prepare(DataConfig(), TokenizerConfig(), Path(name) / "cache")
        rate = matmul_rate(device.kind)
        print(
            f"{device.name}, {device.precision}; matrix product {rate / 1e9:.0f} GFLOP/s; {options.rounds} rounds\n"
        )
        print(
            "| parameters | "
            + " | ".join(f"{c} tokens/s" for c in contenders)
            + " | "
            + " | ".join(f"ours / {c}" for c in contenders if c != "ours")
            + " | MFU |"
        )
        print("|---|" + "---|" * (2 * len(contenders)))
        for size in sizes:
            print(row(size, options, contenders, corpus, Path(name), device.kind, rate), flush=True)


def row(
    size: str,
    options: argparse.Namespace,
    contenders: dict[str, Callable[[Case, int], float]],
    corpus: Corpus,
    folder: Path,
    device: str,
    rate: float,
) -> str:
    """Measure one size; the order of the contenders turns from round to round."""
    steps = (
        max(12, options.steps // (1 + 2 * list(GPU_SHAPES).index(size))) if device == "cpu" else options.steps
    )
    case = make_case(size, steps + steps // 10, corpus, folder, device, "on" if options.compile else "off")
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    names = list(contenders)
    for turn in range(options.rounds):
        for contender in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[contender].append(contenders[contender](case, steps))
    tokens = steps * BATCH * SEQ_LEN
    speed = {c: tokens / statistics.median(s) for c, s in seconds.items()}

    def ratio(other: str) -> str:
        values = sorted(theirs / mine for mine, theirs in zip(seconds["ours"], seconds[other], strict=True))
        return f"{statistics.median(values):.2f} ({values[0]:.2f}–{values[-1]:.2f})"

    mfu = case.cell.flops_by_count["matrix_products"] / case.cell.tokens * speed["ours"] / rate
    cells = [
        f"{case.cell.params.total:,}",
        *(f"{speed[c]:,.0f}" for c in names),
        *(ratio(c) for c in names if c != "ours"),
    ]
    return "| " + " | ".join([*cells, f"{100 * mfu:.0f}%"]) + " |"


if __name__ == "__main__":
    main()
