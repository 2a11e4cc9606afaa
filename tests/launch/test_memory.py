"""What a run is said to take on a GPU, against what its steps keep for their backward pass, counted on a CPU."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.launch.memory import training_bytes
from harness.model.build import build_model
from harness.model.shape import Shape
from harness.plan.cell import Cell
from harness.train.config import TrainConfig
from harness.train.loss import next_token_loss
from harness.train.micro import STATE_BYTES, WORKSPACE_BYTES, bytes_per_token, pool_bytes, run_bytes
from tests.train.small import small_jobs

SEQ_LEN, SEQUENCES = 64, 8
EAGER = TrainConfig(compile="off")


@pytest.fixture
def cell(tmp_path: Path, text_folder: Path) -> Cell:
    return small_jobs(tmp_path, text_folder)[1][0].cell


def kept_bytes(shape: Shape, bf16: bool) -> int:
    """Of all tensors that a training step saves, each storage once, the weights themselves left out."""
    torch.manual_seed(0)
    model = build_model(shape, init_std=0.02, seed=0)
    loss = next_token_loss(model, TrainConfig(logits="whole"), False, lambda module, *_: module)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    tokens = torch.randint(0, shape.vocab_size, (SEQUENCES, SEQ_LEN + 1))
    autocast = torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
        loss(tokens)
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "gpt_neox"])
def test_the_estimate_is_above_what_is_kept_and_not_far(cell: Cell, family: str, precision: str) -> None:
    shape = Shape(
        family=family,
        vocab_size=64,
        width=64,
        layers=4,
        heads=4,
        head_dim=16,
        ffw=256,
        kv_heads=4,
        tied=False,
        context=SEQ_LEN,
    )
    spec = replace(cell.spec, shape=shape, seq_len=SEQ_LEN, batch_sequences=SEQUENCES, precision=precision)
    said = run_bytes(EAGER, spec, 0, SEQUENCES, cuda=True) - WORKSPACE_BYTES
    kept = kept_bytes(shape, precision == "bf16")
    if precision == "bf16":  # autocast's copies of the matrices belong to the state
        matrices = (4 * (4 * 64 * 64 + (3 if family in ("llama", "qwen3") else 2) * 64 * 256)) + 64 * 64
        kept -= 2 * matrices
    assert kept < said < (2.6 if family == "gpt_neox" else 1.7) * kept


def test_bf16_is_what_auto_means_on_a_gpu_only(cell: Cell) -> None:
    def size(precision: str, cuda: bool) -> float:
        spec = replace(cell.spec, precision=precision)
        return run_bytes(EAGER, spec, cell.params.total, SEQUENCES, cuda)

    assert size("auto", True) == size("bf16", True) < size("fp32", True)
    assert size("auto", False) == size("fp32", False)


def test_a_cpu_takes_the_whole_batch(cell: Cell) -> None:
    def size(sequences: int) -> float:
        spec = replace(cell.spec, batch_sequences=sequences)
        return training_bytes(replace(cell, spec=spec), TrainConfig()) - STATE_BYTES * cell.params.total

    assert size(200_000) == pytest.approx(2 * size(100_000))


def test_graphs_take_gradients_twice_and_memory_to_score_in(cell: Cell) -> None:
    spec = replace(cell.spec, precision="bf16")

    def size(compile: str, cuda: bool = True) -> float:
        return run_bytes(TrainConfig(compile=compile), spec, cell.params.total, SEQUENCES, cuda)

    assert size("on") == size("off")
    assert size("auto") == size("graphs"), "which of them it will be is not known when runs are packed"
    assert size("graphs", cuda=False) == size("off", cuda=False)
    pool = size("graphs") - size("off")
    assert pool == pool_bytes(spec, cell.params.total)
    scored = 16384 * bytes_per_token(replace(spec.shape, layers=1), bf16=True)
    assert pool == pytest.approx(4 * cell.params.total + scored)
    large = replace(spec, shape=replace(spec.shape, vocab_size=128_000))
    assert pool_bytes(large, 0) < 3 * 2**29 * 1.01, "of a large vocabulary fewer tokens are scored at once"
