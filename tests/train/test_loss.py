"""Chunked and fused losses are the whole one, in value and in every gradient; families that change logits keep it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from harness.errors import UserError
from harness.model.build import build_model
from harness.model.shape import Shape, canonical_options
from harness.train import loss as losses
from harness.train.config import TrainConfig
from harness.train.loss import chunked_loss, linear_head, next_token_loss
from harness.train.run import train_cell
from tests.train.small import small_jobs
from tests.train.test_run import curve, elsewhere

PLAIN = ("llama", "qwen3", "gpt2", "gpt_neox", "MistralConfig", "OPTConfig")
MULTIPLIED = {
    "CohereConfig": {},
    "GraniteConfig": {"logits_scaling": 3.0},
}  # Cohere has a logit_scale of 1/16
CHANGED = {
    "Gemma3TextConfig": {"final_logit_softcapping": 30.0},
}


def model_of(family: str, tied: bool = False, options: dict | None = None) -> torch.nn.Module:
    shape = Shape(family, 61, 32, 2, 4, 8, 48, 4, tied, 24, canonical_options(options or {}))
    return build_model(shape, init_std=0.2, seed=1)


def kept(part: torch.nn.Module) -> torch.nn.Module:
    return part


@pytest.fixture
def sequences() -> torch.Tensor:
    return torch.randint(0, 61, (5, 25), generator=torch.Generator().manual_seed(0))


def gradients(model: torch.nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (loss / 7).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", [*PLAIN, *MULTIPLIED])
def test_chunks_change_neither_loss_nor_gradients(
    family: str, tied: bool, sequences: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "LOGITS_BYTES", 4 * 61 * 23)  # 120 tokens: five chunks of 23 and one of 5
    model = model_of(family, tied, MULTIPLIED.get(family))
    whole = next_token_loss(model, TrainConfig(logits="whole"), False, kept)(sequences)
    chunked = next_token_loss(model, TrainConfig(logits="chunked"), False, kept)(sequences)
    assert float(chunked.detach()) == pytest.approx(float(whole.detach()), rel=1e-6)
    expected, found = gradients(model, whole), gradients(model, chunked)
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


@pytest.mark.parametrize("family", CHANGED)
def test_a_family_that_changes_its_logits_keeps_them_whole(family: str, sequences: torch.Tensor) -> None:
    model = model_of(family, options=CHANGED[family])
    assert linear_head(model) is None
    logits = model(input_ids=sequences[:, :-1]).logits
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), sequences[:, 1:].flatten(), reduction="sum"
    )
    loss = next_token_loss(model, TrainConfig(), False, kept)(sequences)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    with pytest.raises(UserError, match=r"train\.logits: .* cannot be chunked"):
        next_token_loss(model, TrainConfig(logits="chunked"), False, kept)


def test_looking_at_a_head_leaves_the_model_as_it_was(sequences: torch.Tensor) -> None:
    model = model_of("llama")
    before = model(input_ids=sequences).logits
    assert linear_head(model) == (model.lm_head, 1.0)
    assert torch.equal(model(input_ids=sequences).logits, before)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("cuda", "vocab_size", "installed", "chosen"),
    [
        (True, 20_000, True, losses.liger_loss),
        (True, 20_000, False, None),
        (True, 256, True, None),
        (False, 20_000, True, None),
    ],
)
def test_auto_fuses_on_cuda_with_liger_and_a_large_vocabulary_only(
    cuda: bool, vocab_size: int, installed: bool, chosen: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "find_spec", lambda name: object() if installed else None)
    model = build_model(Shape("llama", vocab_size, 8, 1, 1, 8, 8, 1, False, 24))
    inner = next_token_loss(model, TrainConfig(), cuda, kept).inner
    assert getattr(inner, "_head_loss", None) is chosen


def test_liger_without_a_gpu_is_a_users_error() -> None:
    with pytest.raises(UserError, match=r"train\.logits: liger needs CUDA"):
        next_token_loss(model_of("llama"), TrainConfig(logits="liger"), False, kept)


def test_a_run_with_chunked_logits_is_the_run(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "LOGITS_BYTES", 4 * 256 * 50)
    _, jobs = small_jobs(tmp_path, text_folder, "train.log_points=10")
    found = [train_cell(elsewhere(jobs[1], tmp_path / way, logits=way)).loss for way in ("whole", "chunked")]
    assert found[1] == pytest.approx(found[0], rel=2e-4)
    rows = [
        [row["train_loss"] for row in curve(elsewhere(jobs[1], tmp_path / way))]
        for way in ("whole", "chunked")
    ]
    assert rows[1] == pytest.approx(rows[0], rel=2e-4)


def test_bfloat16_keeps_the_loss_in_float32(sequences: torch.Tensor) -> None:
    """A sum over many tokens in bfloat16 would be off by percents."""
    hidden = torch.randn(4096, 32, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(61, 32, generator=torch.Generator().manual_seed(1)) / 6
    targets = sequences.flatten().repeat(40)[:4096]
    exact = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    with torch.autocast("cpu", torch.bfloat16):
        loss = chunked_loss(hidden, weight, None, targets)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(exact), rel=1e-3)


INTERPRETED = """
import torch
from harness.train.loss import _sum_loss, liger_loss

draw = torch.Generator().manual_seed(0)
hidden = torch.randn(96, 32, generator=draw, requires_grad=True)
weight = (0.1 * torch.randn(1000, 32, generator=draw)).requires_grad_()
bias = (0.1 * torch.randn(1000, generator=draw)).requires_grad_()
targets = torch.randint(0, 1000, (96,), generator=draw)
for given in (bias, None):
    found = []
    for loss in (
        liger_loss(hidden, weight, given, targets),
        _sum_loss(torch.nn.functional.linear(hidden, weight, given), targets),
    ):
        (loss / 7).backward()
        leaves = [hidden, weight] + ([bias] if given is not None else [])
        found.append([loss.detach(), *(leaf.grad.clone() for leaf in leaves)])
        for leaf in leaves:
            leaf.grad = None
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
"""


NO_SCALARS = "only 0-dimensional arrays can be converted to Python scalars"
"""What numpy says from 2.4 on where Triton 3.6 converts an array of one number; Triton 3.7 does not."""


def interpreted(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with ``arguments``, Triton's kernels interpreted on the CPU."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("liger_kernel") and find_spec("triton")), reason="isoflop[cuda] is not installed"
)
def test_ligers_kernel_gives_the_whole_loss_and_its_gradients() -> None:
    """Without a GPU, in Triton's interpreter: what the kernel computes, not how fast."""
    done = interpreted("-c", INTERPRETED)
    if done.returncode != 0:
        loop = interpreted("-m", "tests.train.triton_loop")
        if NO_SCALARS in loop.stderr and NO_SCALARS in done.stderr:
            pytest.skip(
                "this Triton's interpreter cannot loop with this numpy (Triton 3.6 with numpy 2.4 or later)"
            )
    assert done.returncode == 0, done.stderr
