"""Micro-batches: how a batch is cut, what fills up a short piece, and what becomes of gradients in between."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from harness.data import open_corpus
from harness.plan.spec import RunSpec
from harness.train.config import TrainConfig
from harness.train.device import Device, available_bytes
from harness.train.gpus import SHARE_VARIABLE
from harness.train.job import Job, PreemptedError, Watch
from harness.train.loss import NO_TARGET, next_token_loss
from harness.train.micro import MOST_TOKENS, enough_sequences, pieces, run_bytes, sequences_at_once
from harness.train.run import train_cell
from harness.train.stepper import Stepper, _out_of_memory
from tests.device import about
from tests.train.small import small_jobs
from tests.train.test_loss import kept, model_of
from tests.train.test_run import curve, elsewhere, stop_at


@pytest.fixture
def job(tmp_path: Path, text_folder: Path) -> Job:
    """A run with four sequences per step."""
    _, jobs = small_jobs(tmp_path, text_folder, "train.log_points=10")
    return jobs[1]


@given(st.integers(0, 1000), st.integers(1, 500), st.integers(1, 600))
def test_pieces_are_the_rows_in_order_and_of_one_length(first: int, rows: int, at_once: int) -> None:
    cut = pieces(range(first, first + rows), at_once)
    assert [row for piece in cut for row in piece] == list(range(first, first + rows))
    lengths = [len(piece) for piece in cut]
    assert max(lengths) <= at_once
    assert len(set(lengths[:-1])) <= 1
    assert 0 < lengths[-1] <= lengths[0]
    assert len(cut) == -(-rows // at_once), "no more pieces than it takes"
    assert len(cut) * lengths[0] - rows < len(cut), "less than one sequence per piece is filled up"


GB = 2**30


def test_a_gpu_is_filled_and_no_more(job: Job) -> None:
    """A model of 36M parameters with a batch of 154 sequences: whole on a card of its own, cut on a share of one."""
    shape = replace(job.cell.spec.shape, width=576, layers=9, heads=9, kv_heads=9, head_dim=64, ffw=2304)
    auto, params = TrainConfig(), 36_000_000
    spec = replace(job.cell.spec, seq_len=1024, shape=shape, precision="bf16")

    def at_once(spec: RunSpec, available: float | None, rows: int = 154, train: TrainConfig = auto) -> int:
        return sequences_at_once(train, spec, params, rows, available)

    assert at_once(spec, 70 * GB) == 154
    assert at_once(spec, 70 * GB, rows=8) == 8
    assert at_once(spec, 5 * GB) < at_once(spec, 10 * GB) < at_once(spec, 20 * GB) < 154
    assert at_once(spec, 0.1 * GB) == 1, "what does not fit runs out of memory, and is told how it fares"
    assert at_once(spec, None) == 154, "a CPU takes the batch whole"
    assert at_once(spec, 5 * GB, train=TrainConfig(micro_batch=50)) == 50
    assert at_once(replace(spec, precision="fp32"), 20 * GB) <= at_once(spec, 20 * GB) // 2 + 1
    assert at_once(spec, 20 * GB, train=TrainConfig(compile="off")) > at_once(spec, 20 * GB), (
        "no pool of graphs"
    )
    for available in (5 * GB, 20 * GB):
        sequences = at_once(spec, available)
        assert run_bytes(auto, spec, params, sequences, True) <= available
        assert run_bytes(auto, spec, params, sequences + 1, True) > available


def test_more_tokens_than_a_gpu_can_use_are_not_taken_at_once(job: Job) -> None:
    spec = replace(job.cell.spec, seq_len=1024)
    assert sequences_at_once(TrainConfig(), spec, 10_000, 10_000, math.inf) == MOST_TOKENS // 1024
    wide = replace(spec, shape=replace(spec.shape, vocab_size=100_000))
    sequences = sequences_at_once(TrainConfig(), wide, 10_000, 10_000, math.inf)
    assert sequences * 1024 * 100_000 < 2**31 <= (sequences + 1) * 1024 * 100_000, (
        "no tensor has more numbers"
    )


def test_a_run_shares_a_gpu_only_if_it_gets_a_micro_batch_worth_launching(job: Job) -> None:
    spec = replace(job.cell.spec, seq_len=1024, batch_sequences=154, precision="bf16")
    assert enough_sequences(TrainConfig(), spec) == 16
    assert enough_sequences(TrainConfig(), replace(spec, batch_sequences=4)) == 4
    assert enough_sequences(TrainConfig(micro_batch=50), spec) == 50
    wide = replace(spec, shape=replace(spec.shape, width=4096, layers=32, heads=32, head_dim=128, ffw=16384))
    assert 1 <= enough_sequences(TrainConfig(), wide) < 16


def test_what_is_available_is_what_is_free_or_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Device("cuda", "a GPU", "bf16", None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (60 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 10 * GB)
    monkeypatch.delenv(SHARE_VARIABLE, raising=False)
    assert available_bytes(gpu) == 63 * GB, "memory that this process has kept is its own"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (60 * GB + 2**26, 80 * GB))
    assert available_bytes(gpu) == 63 * GB, "a little more or less changes no micro-batch"
    monkeypatch.setenv(SHARE_VARIABLE, str(15 * GB))
    assert available_bytes(gpu) == 15 * GB
    monkeypatch.setenv(SHARE_VARIABLE, str(70 * GB))
    assert available_bytes(gpu) == 63 * GB, "others may have taken more than was said"
    assert available_bytes(Device("cpu", "a CPU", "fp32", None)) is None


def test_as_much_is_scored_at_once_as_training_is_known_to_have_memory_for(job: Job) -> None:
    def scored(available: float | None, **train: Any) -> int:
        config = TrainConfig(**{"compile": "off", **train})
        accelerator: Any = SimpleNamespace(process_index=0, num_processes=1)
        model = torch.nn.Linear(1, 1)
        optimizer = torch.optim.SGD(model.parameters())
        corpus = open_corpus(job.corpus)
        return Stepper(
            accelerator, model, optimizer, job.cell.spec, corpus, config, print, available
        ).scored_sequences

    assert scored(70 * GB) == job.cell.spec.batch_sequences
    assert scored(70 * GB, compile="on") == job.cell.spec.batch_sequences
    assert scored(70 * GB, compile="graphs") == 0, "the pool has the memory"
    assert scored(70 * GB, micro_batch=4) == 0
    assert scored(None) == 0


@pytest.mark.parametrize("way", ["whole", "chunked"])
def test_sequences_without_targets_add_neither_loss_nor_gradient(way: str) -> None:
    model = model_of("llama", False)
    sequences = torch.randint(0, 61, (3, 25), generator=torch.Generator().manual_seed(0))
    filled = torch.nn.functional.pad(sequences, (0, 0, 0, 2), value=NO_TARGET)
    loss = next_token_loss(model, TrainConfig(logits=way), False, kept)
    model.zero_grad()
    plain = loss(sequences)
    plain.backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    padded = loss(filled)
    padded.backward()
    assert float(padded.detach()) == pytest.approx(float(plain.detach()), rel=1e-6)
    for name, p in model.named_parameters():
        assert p.grad is not None
        torch.testing.assert_close(p.grad, expected[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("CUDA out of memory. Tried to allocate 2 TiB", True),
        ("CUDA error: out of memory", True),
        ("Triton Error [CUDA]: out of memory", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)", True),
        ("DefaultCPUAllocator: can't allocate memory", True),
        ("CUDA error: an illegal memory access was encountered", False),
    ],
)
def test_what_is_out_of_memory(text: str, yes: bool) -> None:
    assert _out_of_memory(RuntimeError(text)) is yes
    assert not _out_of_memory(ValueError(text))


def test_a_halved_micro_batch_is_remembered_when_the_run_goes_on(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_cell(elsewhere(job, tmp_path / "whole"))
    forward = torch.nn.functional.cross_entropy
    refused: list[int] = []

    def small_device(logits: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        if torch.is_grad_enabled() and len(logits) > 2 * job.cell.spec.seq_len:
            refused.append(len(logits))
            raise RuntimeError("CUDA error: out of memory")
        return forward(logits, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("harness.train.loss.functional.cross_entropy", small_device)
    small = elsewhere(job, tmp_path / "small")
    with pytest.raises(PreemptedError):
        train_cell(small, Watch(should_stop=stop_at(5)))
    assert len(refused) == 1
    record = train_cell(small)
    assert len(refused) == 1, "the second attempt does not run into it again"
    assert record.loss == pytest.approx(whole.loss, rel=2e-4)
    assert sum("micro-batch halved" in note for note in record.notes) == 1


class Casts(TorchDispatchMode):
    """Counts how often each of some tensors is cast."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        super().__init__()
        self.counts = {tensor.data_ptr(): 0 for tensor in tensors}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if function is torch.ops.aten._to_copy.default and args[0].data_ptr() in self.counts:
            self.counts[args[0].data_ptr()] += 1
        return function(*args, **(kwargs or {}))


def test_a_weight_is_cast_once_a_step_whatever_the_micro_batch(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accumulate, seen = Stepper._accumulate, []

    def counted(self: Stepper, step: int) -> torch.Tensor:
        with Casts([parameter for parameter in self._parameters if parameter.ndim > 1]) as casts:
            loss = accumulate(self, step)
        seen.append((len(self._pieces), set(casts.counts.values())))
        return loss

    monkeypatch.setattr(Stepper, "_accumulate", counted)
    half = replace(job, cell=replace(job.cell, spec=replace(job.cell.spec, precision="bf16")))
    for micro_batch in (1, 4):
        with pytest.raises(PreemptedError):
            train_cell(
                elsewhere(half, tmp_path / str(micro_batch), micro_batch=micro_batch),
                Watch(should_stop=stop_at(3)),
            )
    # the embedding is looked up as it is
    assert seen == [(4, {0, 1})] * 2 + [(1, {0, 1})] * 2


@pytest.mark.parametrize("micro_batch", [3, 4])
def test_gradients_under_cuda_graphs_have_memory_of_their_own_where_they_add_up(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, micro_batch: int
) -> None:
    """Here nothing is compiled: what is checked is that gradients stay where they are, and are right."""
    monkeypatch.setattr("harness.train.run.compiled", lambda part, *_: part)
    places: list[set[int | None]] = []
    step = Stepper.step

    def watched(self: Stepper, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        done = step(self, number)
        places.append({None if p.grad is None else p.grad.data_ptr() for p in self._parameters})
        return done

    monkeypatch.setattr(Stepper, "step", watched)
    plain = elsewhere(job, tmp_path / "plain", micro_batch=micro_batch)
    train_cell(plain)
    assert all(place == {None} for place in places)
    places.clear()
    graphs = elsewhere(job, tmp_path / "graphs", micro_batch=micro_batch, compile="graphs")
    train_cell(graphs)
    several = job.cell.spec.batch_sequences > micro_batch
    assert all((place == places[0]) and (None not in place) is several for place in places)
    assert curve(graphs) == about(curve(plain))
