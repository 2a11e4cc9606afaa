"""Tokens per second of our loop, transformers' Trainer and the barest loop, on the same model, data and batch.

Every contender trains the same number of steps in short rounds, interleaved, so that a busy machine is busy for all
of them; medians over rounds, and ratios within a round, are what is printed. MFU is against the matrix-product rate
measured on the same device in the same run.

    python scripts/bench_train.py                        # CPU: 20k to 10M parameters, one thread; GPU: 1M to 100M
    python scripts/bench_train.py --rounds 9 --steps 40
    python scripts/bench_train.py --compile on           # ours compiled, and the barest loop compiled beside it
    python scripts/bench_train.py --compile graphs --sizes 3M,10M --rounds 3
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
from harness.plan.duration import Timing
from harness.plan.flops import flops_per_token
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


@dataclass(frozen=True)
class Setup:
    """What is trained on a kind of device.

    Attributes:
        shapes: width, layers and width of a head by the size's name, smallest first.
        batch: windows a step.
        steps: steps a round of the smallest model.
    """

    shapes: dict[str, tuple[int, int, int]]
    batch: int
    seq_len: int
    steps: int


CPU = Setup({"20k": (24, 2, 8), "200k": (80, 2, 16), "1M": (176, 3, 16), "10M": (384, 6, 32)}, 8, 128, 60)
# shapes of the ladder of one_gpu, and batches that fill the device
GPU = Setup(
    {"1M": (160, 3, 32), "3M": (256, 4, 32), "10M": (384, 6, 32), "30M": (576, 9, 64), "100M": (832, 13, 64)},
    64,
    1024,
    400,
)


@dataclass(frozen=True)
class Case:
    """One model and what it trains on."""

    cell: Cell
    corpus: Corpus
    folder: Path
    device: str
    compile: str = "off"

    def batch(self, step: int) -> torch.Tensor:
        """Windows of token ids on the device, (batch, seq_len + 1)."""
        spec = self.cell.spec
        array = self.corpus.batch(spec.seed, step, spec.batch_windows, spec.seq_len)
        windows = torch.from_numpy(array)
        # pinned, as ours: else the bare loop would wait for every copy
        return windows.pin_memory().to(self.device, non_blocking=True) if self.device == "cuda" else windows


def shape(width: int, layers: int, head_dim: int, seq_len: int) -> Shape:
    """A Llama-style shape on bytes."""
    heads = width // head_dim
    return Shape("llama", 256, width, layers, heads, head_dim, round(width / 3) * 8, heads, False, seq_len)


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
        batch = case.batch(step)
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

    def __init__(self, corpus: Corpus, count: int, seq_len: int) -> None:
        self.tokens = torch.from_numpy(corpus.batch(0, 0, count, seq_len - 1))

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
            per_device_train_batch_size=spec.batch_windows,
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
        data = Windows(case.corpus, spec.batch_windows * (steps + warm), spec.seq_len)
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


HOW = {"off": "eager", "on": "compiled", "graphs": "compiled with CUDA graphs"}
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


def make_case(
    name: str, setup: Setup, steps: int, corpus: Corpus, folder: Path, device: str, compile: str
) -> Case:
    """A cell of exactly ``steps`` steps of the setup's batch."""
    seq_len, batch_tokens = setup.seq_len, setup.batch * setup.seq_len
    made = shape(*setup.shapes[name], seq_len)
    rules = Rules(
        GridConfig(budgets=[1.0]),
        RecipeConfig(lr=Rule(value=1e-3), batch_tokens=Rule(value=batch_tokens), min_steps=1),
        ScheduleConfig(),
        Timing(ThroughputConfig()),
        seq_len,
        seq_len,
        "auto",
    )
    budget = flops_per_token(made, seq_len) * batch_tokens * steps
    return Case(plan_cell(made, budget, 0, rules, corpus), corpus, folder, device, compile)


def main() -> None:
    """Run the rounds and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps a round of the smallest model; fewer for larger")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--sizes", help=f"comma-separated, of {', '.join(CPU.shapes)}; on a GPU {', '.join(GPU.shapes)}"
    )
    parser.add_argument(
        "--compile",
        choices=["off", "on", "graphs"],
        default="off",
        help="of ours; adds the bare loop compiled",
    )
    options = parser.parse_args()
    contenders = {**CONTENDERS, **({"bare, compiled": bare_compiled} if options.compile != "off" else {})}
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    device = choose_device(options.device, "auto")
    setup = GPU if device.kind == "cuda" else CPU
    sizes = options.sizes.split(",") if options.sizes else list(setup.shapes)
    if unknown := [size for size in sizes if size not in setup.shapes]:
        parser.error(f"--sizes: on this device of {', '.join(setup.shapes)}, got {unknown[0]}")
    with tempfile.TemporaryDirectory() as name:
        corpus = prepare(DataConfig(), TokenizerConfig(), Path(name) / "cache")
        rate = matmul_rate(device.kind)
        print(
            f"{device.name}, {device.precision}; matrix product {rate / 1e9:.0f} GFLOP/s; "
            f"batches of {setup.batch} x {setup.seq_len} tokens; {options.rounds} rounds; "
            f"ours {HOW[options.compile]}\n"
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
            steps = max(12, (options.steps or setup.steps) // (1 + 2 * list(setup.shapes).index(size)))
            case = make_case(
                size, setup, steps + steps // 10, corpus, Path(name), device.kind, options.compile
            )
            print(row(case, steps, options.rounds, contenders, rate), flush=True)


def row(
    case: Case, steps: int, rounds: int, contenders: dict[str, Callable[[Case, int], float]], rate: float
) -> str:
    """Measure one size; the order of the contenders turns from round to round."""
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for contender in names[turn % len(names) :] + names[: turn % len(names)]:
            seconds[contender].append(contenders[contender](case, steps))
    tokens = steps * case.cell.spec.batch_tokens
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
