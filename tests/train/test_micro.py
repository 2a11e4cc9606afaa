"""Micro-batches: how a batch is cut, what fills up a short piece, and what becomes of gradients in between."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.train.config import TrainConfig
from harness.train.job import Job, PreemptedError, Watch
from harness.train.loss import NO_TARGET, next_token_loss
from harness.train.micro import ACTIVATIONS_ON_CUDA, bytes_per_token, pieces, windows_at_once
from harness.train.run import train_cell
from harness.train.stepper import Stepper, _out_of_memory
from tests.train.small import small_jobs
from tests.train.test_loss import kept, model_of
from tests.train.test_run import curve, elsewhere, stop_at


@pytest.fixture
def job(tmp_path: Path, text_folder: Path) -> Job:
    """A run with four windows a step."""
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
    assert len(cut) * lengths[0] - rows < len(cut), "less than a window a piece is filled up"


def test_a_gpu_is_filled_and_no_more(job: Job) -> None:
    auto, spec = TrainConfig(), replace(job.cell.spec, seq_len=1024, precision="auto")
    assert windows_at_once(auto, spec, 154, cuda=True) == 32
    assert windows_at_once(auto, spec, 8, cuda=True) == 8
    assert windows_at_once(auto, replace(spec, seq_len=100_000), 8, cuda=True) == 1
    assert windows_at_once(auto, spec, 154, cuda=False) == 154
    assert windows_at_once(TrainConfig(micro_batch=50), spec, 154, cuda=True) == 50
    wide = replace(spec, shape=replace(spec.shape, width=2048, heads=16, head_dim=128, ffw=8192, layers=32))
    some = windows_at_once(auto, wide, 154, cuda=True)
    assert 1 < some < 32, "of a wide model fewer"
    half = windows_at_once(auto, replace(wide, precision="fp32"), 154, cuda=True)
    assert half <= some // 2 + 1
    kept = some * 1024 * bytes_per_token(wide.shape, bf16=True)
    assert 0.8 * ACTIVATIONS_ON_CUDA < kept <= ACTIVATIONS_ON_CUDA


@pytest.mark.parametrize("way", ["whole", "chunked"])
def test_windows_without_targets_add_neither_loss_nor_gradient(way: str) -> None:
    model = model_of("llama", False)
    windows = torch.randint(0, 61, (3, 25), generator=torch.Generator().manual_seed(0))
    filled = torch.nn.functional.pad(windows, (0, 0, 0, 2), value=NO_TARGET)
    loss = next_token_loss(model, TrainConfig(logits=way), False, kept)
    model.zero_grad()
    plain = loss(windows)
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


@pytest.mark.parametrize("micro_batch", [3, 4])
def test_gradients_under_cuda_graphs_have_memory_of_their_own_where_they_add_up(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, micro_batch: int
) -> None:
    """Here nothing is compiled: what is checked is that gradients stay where they are, and are right."""
    monkeypatch.setattr("harness.train.run.wants_compile", lambda *_: False)
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
    several = job.cell.spec.batch_windows > micro_batch
    assert all((place == places[0]) and (None not in place) is several for place in places)
    assert curve(graphs) == curve(plain)
