"""One model, what it trains on, and the job that trains it: what the benches and the tests on a GPU measure.

The one place where these reach into the planner.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from harness.data import Corpus, DataConfig, TokenizerConfig, prepare
from harness.model.counts import flops_per_token
from harness.model.shape import Shape
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.grid import GridConfig
from harness.plan.plan import Rules, plan_cell
from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.plan.schedule import ScheduleConfig
from harness.plan.throughput import ThroughputConfig
from harness.tracking.config import TrackerConfig
from harness.train.config import TrainConfig
from harness.train.job import Job

VOCABULARY = 256  # bytes


@dataclass(frozen=True)
class Case:
    """A planned run and its corpus."""

    cell: Cell
    corpus: Corpus

    def batch(self, step: int, device: str) -> torch.Tensor:
        """Sequences of token ids on ``device``, (batch, seq_len + 1)."""
        spec = self.cell.spec
        sequences = torch.from_numpy(self.corpus.batch(spec.seed, step, spec.batch_sequences, spec.seq_len))
        # pinned, as a run does it: else a plain loop would wait for every copy
        return sequences.pin_memory().to(device, non_blocking=True) if device == "cuda" else sequences

    def of(self, **spec: Any) -> "Case":
        """The same with other values in the run's specification."""
        return replace(self, cell=replace(self.cell, spec=replace(self.cell.spec, **spec)))

    def job(self, folder: Path, tracker: TrackerConfig, **train: Any) -> Job:
        """The job that trains it below ``folder``."""
        return Job(self.cell, self.corpus.folder, folder, "case", TrainConfig(**train), tracker)


def byte_corpus(cache: Path) -> Corpus:
    """The standard library's source as bytes: there on every machine."""
    return prepare(DataConfig(), TokenizerConfig(), cache)


def plain_shape(
    width: int, layers: int, head_dim: int, seq_len: int, family: str = "llama", vocabulary: int = VOCABULARY
) -> Shape:
    """A shape whose feed-forward layers are 8/3 as wide as the model."""
    heads = width // head_dim
    ffw = round(width / 3) * 8
    return Shape(family, vocabulary, width, layers, heads, head_dim, ffw, heads, False, seq_len)


def make_case(shape: Shape, sequences: int, seq_len: int, steps: int, corpus: Corpus) -> Case:
    """A run of exactly ``steps`` steps, each of ``sequences`` sequences of ``seq_len`` tokens."""
    batch_tokens = sequences * seq_len
    rules = Rules(
        GridConfig(budgets=[1.0]),
        RecipeConfig(lr=Rule(value=1e-3), batch_tokens=Rule(value=batch_tokens), min_steps=1),
        ScheduleConfig(),
        Timing(ThroughputConfig()),
        seq_len,
        seq_len,
        "auto",
    )
    cell = plan_cell(shape, flops_per_token(shape, seq_len) * batch_tokens * steps, 0, rules, corpus)
    assert cell.spec.steps == steps, f"{cell.spec.steps} steps planned, {steps} wanted"
    return Case(cell, corpus)
