"""Tables of runs written as groups publish them: their names of columns and notations, our numbers of a known law."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from harness.fit.laws import Law
from tests.fit.synthetic import CHINCHILLA

LAW = Law.from_theta(np.array(CHINCHILLA))
BUDGETS = (1e18, 3e18, 1e19, 3e19, 1e20)


@dataclass(frozen=True)
class Run:
    """One run on the law: ``params``, ``tokens``, its budget's C = 6ND, and the loss."""

    name: str
    params: float
    tokens: float
    flops: float
    loss: float


def runs() -> list[Run]:
    """Seven sizes at each of five budgets; N and D are whole numbers."""
    found = []
    for budget in BUDGETS:
        centre = 0.08 * (budget / 6) ** 0.5
        for k, factor in enumerate(np.geomspace(0.25, 4, 7)):
            n = float(round(centre * factor))
            d = float(round(budget / (6 * n)))
            found.append(Run(f"m{k}-c{budget:.0e}", n, d, budget, round(float(LAW.loss(n, d)), 6)))
    return found


RUNS = runs()


def csv_of(header: str, rows: Iterator[str], sign: str = ",") -> bytes:
    return "\n".join([header, *rows, ""]).replace("|", sign).encode()


def grouped(value: float, sign: str = ",") -> str:
    return f"{value:,.0f}".replace(",", sign)


def german(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace(".", ",")


@dataclass(frozen=True)
class Published:
    """A table as somebody publishes it.

    Attributes:
        name: of the file.
        content: its bytes.
        read_as: what is understood, as the points keep it.
        note: what is said of it.
        tolerance: relative, of N and D as they are rounded in it.
        columns, where: what the user says, if anything.
    """

    name: str
    content: Callable[[], bytes]
    read_as: dict[str, str]
    note: str
    tolerance: float = 1e-9
    columns: dict[str, str] = field(default_factory=dict)
    where: str | None = None


def extracted() -> bytes:
    """As points read off a figure of a paper: no tokens, FLOPs in scientific notation."""
    rows = (f"{r.params!r}|{r.flops:.6e}|{r.loss}" for r in RUNS)
    return csv_of("Model Size|Training FLOP|loss", rows)


def wandb_table() -> bytes:
    """The table of runs that W&B's page exports: every cell quoted, configuration and summary, states."""
    header = '"Name"|"State"|"Notes"|"User"|"Tags"|"Created"|"Runtime"|"config.n_params"|"config.lr"|"summary/val_loss"'
    header += '|"summary/tokens_seen"'
    rows = [
        f'"{r.name}"|"finished"|"-"|"ada"|""|"2026-01-01T00:00:00.000Z"|"812"|"{r.params:.0f}"|"0.0003"|"{r.loss}"'
        f'|"{r.tokens:.0f}"'
        for r in RUNS
    ]
    rows.append('"broken"|"crashed"|"-"|"ada"|""|"2026-01-01T00:00:00.000Z"|"3"|"1000000"|"0.0003"|""|""')
    return csv_of(header, iter(rows))


def assignment() -> bytes:
    """A JSON array with sizes, budgets and final losses."""
    return json.dumps(
        [{"parameters": int(r.params), "compute_budget": r.flops, "final_loss": r.loss} for r in RUNS]
    ).encode()


def speedrun() -> bytes:
    """A script's results: budget, depth, tokens trained, bits per byte."""
    rows = (
        f"{r.flops:g}|{i % 9 + 4}|{r.params:.0f}|{r.flops / r.tokens:.6e}|{r.tokens:.0f}|{r.loss}"
        for i, r in enumerate(RUNS)
    )
    return csv_of("flops_budget|depth|num_params|flops_per_token|tokens_trained|val_bpb", rows)


def hyperparameters() -> bytes:
    """A sweep of learning rates and batches with its smoothed training loss, one value of each kept here."""
    rows = (f"1024|2728|8|12|0.0007|{64}|{r.params:.0f}|{r.tokens:.0f}|{r.loss}" for r in RUNS)
    return csv_of("h|ffnh|numh|numl|lr|bs|N|D|smooth loss", rows)


def billions() -> bytes:
    """A model card's table: sizes with suffixes, tokens in billions, gzip."""
    rows = (f"{r.name}|{r.params / 1e6:.2f}M|{r.tokens / 1e9:.5f}|{r.loss}" for r in RUNS)
    return gzip.compress(csv_of("run|Total params|Training tokens (B)|final val loss", rows))


def excel() -> bytes:
    """Saved by a German Excel: semicolons, decimal commas, points between thousands, UTF-16."""
    rows = (f"{grouped(r.params, '.')}|{grouped(r.tokens, '.')}|{german(r.loss, 5)}" for r in RUNS)
    return csv_of("Parameters|Tokens|Validation loss", rows, ";").decode().encode("utf-16")


def separators() -> bytes:
    """Numbers with thousands separators in quotes, and columns of other counts."""
    rows = (
        f'"{grouped(r.params)}"|"{grouped(r.params - 1e5)}"|"{grouped(r.tokens)}"|{r.flops:.4g}|{r.loss}|{r.loss + 0.1}'
        for r in RUNS
    )
    return csv_of(
        "total_params|non_embedding_params|actual_train_tokens|total_flos|eval_loss|train_loss", rows
    )


def trainer() -> bytes:
    """JSON lines of runs with nested configuration and summary, a diverged one among them."""
    records = [
        {
            "run_id": r.name,
            "config": {"model": {"n_params": int(r.params)}, "steps": int(r.tokens), "batch_tokens": 1},
            "summary": {"eval_loss": r.loss, "diverged": False},
        }
        for r in RUNS
    ]
    records.append({"run_id": "x", "config": {"model": {"n_params": 10}}, "summary": {"diverged": True}})
    return "\n".join(map(json.dumps, records)).encode()


def several_sets() -> bytes:
    """Evaluations on two sets along each run, in Parquet; a model's own name of its count."""
    rows = []
    for r in RUNS:
        for share in (0.5, 1.0):
            tokens = round(r.tokens * share)
            loss = r.loss if share == 1 else float(LAW.loss(r.params, tokens)) + 0.2
            for name, off in (("c4", 0.0), ("code", -0.9)):
                rows.append((r.name, r.params, tokens, name, loss + off, share == 0.5))
    frame = pd.DataFrame(rows, columns=["exp", "params_active_precise", "tokens", "eval_set", "nll", "early"])
    out = io.BytesIO()
    frame.to_parquet(out)
    return out.getvalue()


def ladder() -> bytes:
    """Tab-separated, prefixed by a tracker, with an evaluation's long name that the user has to point at."""
    rows = (f"{r.name}|{r.params:.0f}|{r.tokens:.0f}|{r.loss}|{r.loss + 1}" for r in RUNS)
    header = "run_name|model.num_params|throughput/total_tokens|eval/c4_en-validation/CrossEntropyLoss"
    return csv_of(f"{header}|eval/pile-validation/CrossEntropyLoss", rows, "\t")


def by_column() -> bytes:
    """pandas's own JSON: columns of rows by number; spaces between thousands."""
    columns = {
        "n_params": {str(i): grouped(r.params, " ") for i, r in enumerate(RUNS)},
        "budget_flops": {str(i): r.flops for i, r in enumerate(RUNS)},
        "n_tokens": {str(i): f"{r.tokens / 1e6:.6f}M" for i, r in enumerate(RUNS)},
        "Smoothed Loss": {str(i): r.loss for i, r in enumerate(RUNS)},
    }
    return json.dumps({"data": columns}).encode()


def pf_days() -> bytes:
    """Compute in petaFLOP/s-days, parameters in millions, as papers before 2022 did."""
    rows = (f"{r.params / 1e6:.6f}|{r.flops / 8.64e19:.10e}|{r.loss}" for r in RUNS)
    return csv_of("N (M)|Compute (PF-days)|Test loss", rows)


DERIVED = "flops from 6 x params x tokens"
PUBLISHED = (
    Published(
        "svg.csv",
        extracted,
        {"params": "Model Size", "flops": "Training FLOP"},
        "read as: params = 'Model Size', tokens from flops = 6ND, flops = 'Training FLOP'",
        1e-6,
    ),
    Published(
        "wandb_export.csv",
        wandb_table,
        {
            "params": "config.n_params",
            "tokens": "summary/tokens_seen",
            "loss": "summary/val_loss",
            "run": "Name",
        },
        f"read as: params = 'config.n_params', tokens = 'summary/tokens_seen', {DERIVED}, loss = 'summary/val_loss'",
    ),
    Published(
        "curves.json",
        assignment,
        {"params": "parameters", "loss": "final_loss", "budget": "compute_budget"},
        "read as: params = 'parameters', tokens from flops = 6ND, flops are the budget, loss = 'final_loss', budget = "
        "'compute_budget'",
        1e-6,
    ),
    Published(
        "results.csv",
        speedrun,
        {"params": "num_params", "tokens": "tokens_trained", "loss": "val_bpb", "budget": "flops_budget"},
        f"read as: params = 'num_params', tokens = 'tokens_trained', {DERIVED}, loss = 'val_bpb' in bits per byte, not "
        "nats per token (so is every loss of the fit), budget = 'flops_budget'",
    ),
    Published(
        "lr_bs.csv",
        hyperparameters,
        {"params": "N", "tokens": "D", "loss": "smooth loss"},
        f"read as: params = 'N', tokens = 'D', {DERIVED}, loss = 'smooth loss' (a smoothed training loss)",
    ),
    Published(
        "models.csv.gz",
        billions,
        {
            "params": "Total params",
            "tokens": "Training tokens (B)",
            "loss": "final val loss",
            "run": "run",
        },
        f"read as: params = 'Total params', tokens = 'Training tokens (B)' in billions, {DERIVED}, "
        "loss = 'final val loss'",
        7e-4,
    ),
    Published(
        "Mappe1.csv",
        excel,
        {"params": "Parameters", "loss": "Validation loss"},
        f"read as: params = 'Parameters', {DERIVED}, loss = 'Validation loss', numbers with decimal commas",
    ),
    Published(
        "sweep.csv",
        separators,
        {
            "params": "total_params",
            "tokens": "actual_train_tokens",
            "flops": "total_flos",
            "loss": "eval_loss",
        },
        "read as: params = 'total_params', tokens = 'actual_train_tokens', flops = 'total_flos', loss = 'eval_loss'",
    ),
    Published(
        "runs.jsonl",
        trainer,
        {"params": "config.model.n_params", "loss": "summary.eval_loss"},
        "read as: params = 'config.model.n_params', tokens = 'config.steps' x 'config.batch_tokens', "
        f"{DERIVED}, loss = 'summary.eval_loss'",
    ),
    Published(
        "evals.parquet",
        several_sets,
        {"params": "params_active_precise", "loss": "nll", "run": "exp"},
        f"read as: params = 'params_active_precise', {DERIVED}, loss = 'nll'",
        columns={"params": "params_active_precise", "loss": "nll", "run": "exp"},
        where="eval_set == 'c4'",
    ),
    Published(
        "ladder.tsv",
        ladder,
        {
            "params": "model.num_params",
            "tokens": "throughput/total_tokens",
            "loss": "eval/c4_en-validation/CrossEntropyLoss",
            "run": "run_name",
        },
        f"read as: params = 'model.num_params', tokens = 'throughput/total_tokens', {DERIVED}, "
        "loss = 'eval/c4_en-validation/CrossEntropyLoss'",
        columns={"params": "model.num_params", "loss": "eval/c4_en-validation/CrossEntropyLoss"},
    ),
    Published(
        "frame.json",
        by_column,
        {"params": "n_params", "tokens": "n_tokens", "loss": "Smoothed Loss", "budget": "budget_flops"},
        f"read as: params = 'n_params', tokens = 'n_tokens', {DERIVED}, loss = 'Smoothed Loss' (a smoothed training "
        "loss), budget = 'budget_flops'",
        1e-6,
    ),
    Published(
        "paper.csv",
        pf_days,
        {"params": "N (M)", "flops": "Compute (PF-days)", "loss": "Test loss"},
        "read as: params = 'N (M)' in millions, tokens from flops = 6ND, flops = 'Compute (PF-days)' in "
        "petaFLOP/s-days, loss = 'Test loss'",
        1e-6,
    ),
)


def written(table: Published, folder: Path) -> Path:
    """The table as a file."""
    path = folder / table.name
    path.write_bytes(table.content())
    return path
