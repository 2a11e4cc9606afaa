"""Tokens per second of our loop, transformers' Trainer and the barest loop, on the same model, data and batch.

Every loop trains the same steps in short rounds and waits and logs as often as the others; the order turns from
round to round, so that a busy machine is busy for all of them. A round's speed is the median of its rows, without the
first; printed are medians over rounds, and ratios within a round. MFU is against the matrix-product rate measured in
the same run, and against the maker's peak where that is known. What does not fit the device is a dash, and the others
go on.

    python scripts/bench_train.py                        # CPU: 20k to 10M parameters, one thread; GPU: 1M to 100M
    python scripts/bench_train.py --rounds 9 --steps 40
    python scripts/bench_train.py --compile off,graphs --sizes 3M,10M --rounds 3
    python scripts/bench_train.py --keep speed.json --seconds 200     # the same command goes on where it stopped
"""

import argparse
import gc
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")

import torch
import wandb

from harness.launch.pool import signals_as_interrupt
from harness.train.device import choose_device
from harness.version import version_of
from scripts.cases import Case, byte_corpus, make_case, plain_shape
from scripts.kept import EXIT_AGAIN, Kept, is_unusable, one_line
from scripts.loops import Pace, Round, training_loops, wait
from scripts.speeds import HOW, table


@dataclass(frozen=True)
class Setup:
    """What is trained on a kind of device.

    Attributes:
        shapes: width, layers and width of a head by the size's name, smallest first.
        batch: sequences per step.
        steps: steps a round of the smallest model.
    """

    shapes: dict[str, tuple[int, int, int]]
    batch: int
    seq_len: int
    steps: int

    def sequences(self, memory: float) -> int:
        """``batch``, or less on a device of less than 70 GiB, by powers of two: the loops beside ours cut no batch."""
        sequences = self.batch
        while sequences > 1 and sequences * 70 * 2**30 > self.batch * memory:
            sequences //= 2
        return sequences


CPU = Setup({"20k": (24, 2, 8), "200k": (80, 2, 16), "1M": (176, 3, 16), "10M": (384, 6, 32)}, 8, 128, 60)
# shapes of the ladder of one_gpu, and batches that fill the device
GPU = Setup(
    {
        "1M": (160, 3, 32),
        "3M": (256, 4, 32),
        "10M": (384, 6, 32),
        "30M": (576, 9, 64),
        "50M": (640, 10, 64),
        "100M": (832, 13, 64),
    },
    64,
    1024,
    400,
)


def matmul_rate(device: str) -> float:
    """FLOP/s of a large matrix product on ``device`` in the precision that training uses."""
    n, dtype = (8192, torch.bfloat16) if device == "cuda" else (1024, torch.float32)
    a = torch.randn(n, n, device=device, dtype=dtype)
    best = 0.0
    for _ in range(7):
        wait(device)
        began = time.perf_counter()
        a @ a
        wait(device)
        best = max(best, 2 * n**3 / (time.perf_counter() - began))
    return best


def _release() -> None:
    """Nothing of one measurement is there in the next: no traces, no memory."""
    torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# What the aims are about is measured at every size before the rest; on a CPU, which others keep busy, all at once.
FIRST = ("Trainer", "ours compiled", "bare compiled")


def order(sizes: Sequence[str], names: Sequence[str], rounds: int) -> Iterator[tuple[int, str, str]]:
    """Round, size and loop of every measurement; the order of the loops turns from round to round."""
    first = [name for name in names if name in FIRST] if "ours compiled" in names else list(names)
    rest = [name for name in names if name not in first]
    for turn in range(rounds):
        for group in (first, rest):
            for size in sizes:
                for i in range(len(group)):
                    yield turn, size, group[(turn + i) % len(group)]


def measure(
    cases: Mapping[str, tuple[Case, Pace]],
    chosen: Mapping[str, Callable[[Round], list[float]]],
    rounds: int,
    device: str,
    kept: Kept,
    until: float,
) -> bool:
    """Make the measurements that are missing; False where the time is over, or this process can make no more."""
    for turn, size, name in order(list(cases), list(chosen), rounds):
        key = {"size": size, "contender": name}
        if kept.find(**key, round=turn) or any(
            "error" in one for one in kept.measured if key.items() <= one.items()
        ):
            continue
        if time.monotonic() > until:
            return False
        case, pace = cases[size]
        began, problem, rate = time.monotonic(), "", 0.0
        try:
            with tempfile.TemporaryDirectory() as folder:
                stamps = chosen[name](Round(case, pace, device, Path(folder)))
            seconds = statistics.median(b - a for a, b in pairwise(stamps))
            rate = pace.row * case.cell.spec.batch_tokens / seconds
        except Exception as error:
            problem = one_line(error)
        found: dict[str, Any] = {"error": problem} if problem else {"tokens_per_second": rate}
        took = time.monotonic() - began
        kept.add(**key, round=turn, **found, seconds=round(took, 1))
        print(
            f"   {size} {name}, round {turn}: {problem or f'{rate:,.0f} tokens/s'} ({took:.1f} s)", flush=True
        )
        if is_unusable(problem):
            return False
        _release()
    return True


def main() -> int:
    """Measure what is missing and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps a round of the smallest model; fewer for larger")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument(
        "--sizes",
        help=f"in the order wanted, of {', '.join(CPU.shapes)}; on a GPU {', '.join(GPU.shapes)}",
    )
    parser.add_argument("--compile", help="how ours is run: of off, on, graphs (default: off; on a GPU all)")
    parser.add_argument(
        "--keep", type=Path, help="file for the measurements: what is in it is not made again"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin nothing after that many")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    device = choose_device(options.device, "auto")
    cuda = device.kind == "cuda"
    setup = GPU if cuda else CPU
    sizes = options.sizes.split(",") if options.sizes else list(setup.shapes)
    if unknown := [size for size in sizes if size not in setup.shapes]:
        parser.error(f"--sizes: on this device of {', '.join(setup.shapes)}, got {unknown[0]}")
    modes = (options.compile or ("off,on,graphs" if cuda else "off")).split(",")
    if unknown := [mode for mode in modes if mode not in HOW]:
        parser.error(f"--compile: of off, on, graphs, got {unknown[0]}")
    memory = torch.cuda.get_device_properties(0).total_memory if cuda else 2**40
    sequences, steps = setup.sequences(memory), options.steps or setup.steps
    setting = {
        "device": device.name,
        "precision": device.precision,
        "peak": device.peak,
        "windows": sequences,
        "seq_len": setup.seq_len,
        "steps": steps,
        **{package: version_of(package) for package in ("torch", "transformers", "accelerate")},
    }
    kept, chosen = Kept(options.keep, setting), training_loops(modes)
    with tempfile.TemporaryDirectory() as name:
        os.environ["WANDB_DIR"] = name
        wandb.setup()  # its process is there before the first clock starts, whoever is the first to log
        corpus, cases = byte_corpus(Path(name)), {}
        for size in sizes:
            pace = Pace.of(max(12, steps // (1 + 2 * list(setup.shapes).index(size))))
            made = plain_shape(*setup.shapes[size], setup.seq_len)
            case = make_case(made, sequences, setup.seq_len, pace.steps, corpus)
            cases[size] = (case, pace)
            if not kept.find(what="size", size=size):
                products = case.cell.flops_by_count["matrix_products"] / case.cell.tokens
                kept.add(what="size", size=size, params=case.cell.params.total, flops_per_token=products)
        if not kept.find(what="matrix product"):
            kept.add(what="matrix product", flops_per_second=matmul_rate(device.kind))
        product = kept.find(what="matrix product") or {}
        print(
            f"{device.name}, {device.precision}; matrix product {product['flops_per_second'] / 1e9:.0f} GFLOP/s; "
            f"batches of {sequences} x {setup.seq_len} tokens; in brackets rounds, and the range of ratios",
            flush=True,
        )
        with signals_as_interrupt():
            try:
                whole = measure(cases, chosen, options.rounds, device.kind, kept, until)
            except KeyboardInterrupt:
                whole = False
    print(f"\n{table(kept, sizes, list(chosen))}")
    return 0 if whole else EXIT_AGAIN


if __name__ == "__main__":
    sys.exit(main())
