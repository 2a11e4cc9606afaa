"""Counted FLOPs are the architecture's: however a library makes positions, whatever its version."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UserError
from harness.model import measure
from harness.model.build import meta_model
from harness.model.counts import flops_per_token, forward_flops
from harness.model.measure import ProductCounter, count_products, measure_forward_flops
from harness.model.shape import Shape

BASE = Shape("MistralConfig", 256, 32, 2, 4, 8, 96, 2, True, 64)
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Ways = dict[str, Callable[[Tensor, Tensor], Tensor]]


def times(positions: Tensor, rates: Tensor) -> Tensor:
    return positions[..., None].float() * rates


def product(positions: Tensor, rates: Tensor) -> Tensor:
    return positions[..., None].float() @ rates[None]


def product_without_gradients(positions: Tensor, rates: Tensor) -> Tensor:
    with torch.no_grad():
        return product(positions, rates)


def product_of_the_batch(positions: Tensor, rates: Tensor) -> Tensor:
    """As transformers 5.17 makes the angles of rotary embeddings."""
    columns = rates[None, :, None].float().expand(1, -1, 1)
    return (columns @ positions[None, None, :].float()).transpose(1, 2)[0]


def einsum(positions: Tensor, rates: Tensor) -> Tensor:
    return torch.einsum("sk,kf->sf", positions[..., None].float(), rates[None])


def summed_up(positions: Tensor, rates: Tensor) -> Tensor:
    """Positions as a product of ones with a triangle."""
    triangle = torch.ones(len(positions), len(positions), device=positions.device).tril()
    return times(torch.ones_like(positions).float() @ triangle.T, rates)


WAYS: Ways = {
    f.__name__: f
    for f in (times, product, product_without_gradients, product_of_the_batch, einsum, summed_up)
}


@dataclass(frozen=True)
class Sizes:
    vocab: int
    heads: int
    pairs: int
    seq: int

    @property
    def head_dim(self) -> int:
        return 2 * self.pairs

    @property
    def width(self) -> int:
        return self.heads * self.head_dim


class Decoder(nn.Module):
    """One layer of attention with rotary embeddings, ALiBi, and projected positions (Dai et al. 2019)."""

    def __init__(self, sizes: Sizes, angles: str, distances: str) -> None:
        super().__init__()
        self.sizes, self.angles, self.distances = sizes, angles, distances
        self.embedding = nn.Embedding(sizes.vocab, sizes.width)
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.relative = nn.Linear(sizes.width, sizes.width, bias=False)
        self.rates = nn.Buffer(torch.rand(sizes.pairs))
        self.slopes = nn.Buffer(torch.rand(sizes.heads))

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> SimpleNamespace:
        n, (_, s) = self.sizes, input_ids.shape
        x = self.embedding(input_ids)
        positions = torch.ones_like(x[0, :, 0]).cumsum(0)
        angles = WAYS[self.angles](positions, self.rates)
        phases = torch.cat([angles.sin(), angles.cos()], -1)
        q, k, v = self.qkv(x).view(s, 3, n.heads, n.head_dim).permute(1, 2, 0, 3)
        turned = torch.cat([k[..., n.pairs :], k[..., : n.pairs]], -1)
        k = k * phases + turned * phases.flip(-1)
        r = self.relative(phases.repeat(1, n.heads)).view(s, n.heads, n.head_dim).transpose(0, 1)
        gaps = (positions[:, None] - positions).flatten()
        alibi = WAYS[self.distances](gaps, self.slopes).T.view(n.heads, s, s)
        scores = alibi.baddbmm(q, (k + r).transpose(1, 2)).softmax(-1)
        mixed = (scores @ v).transpose(0, 1).reshape(1, s, n.width)
        return SimpleNamespace(logits=functional.linear(mixed, self.embedding.weight))


def counted(model: nn.Module, seq_len: int) -> tuple[int, int, int]:
    """Products with weights, of activations, and all that torch's own counter sees."""
    tokens = torch.zeros(1, seq_len, dtype=torch.long, device="meta")
    with FlopCounterMode(display=False) as torchs, ProductCounter() as ours:
        model(input_ids=tokens)
    return ours.weights, ours.attention, torchs.get_total_flops()


@QUICK
@given(
    st.builds(Sizes, *[st.integers(1, 9)] * 3, st.integers(2, 20)),
    st.sampled_from(sorted(set(WAYS) - {"summed_up"})),
    st.sampled_from(sorted(WAYS)),
)
def test_how_positions_are_made_does_not_count(sizes: Sizes, angles: str, distances: str) -> None:
    with torch.device("meta"):
        model = Decoder(sizes, angles, distances)
    weights, attention, _ = counted(model, sizes.seq)
    s, d, V = sizes.seq, sizes.width, sizes.vocab
    assert (
        weights == 2 * s * d * 3 * d + 2 * s * d * d + 2 * s * d * V
    )  # projected positions have their weights
    assert attention == 2 * 2 * s * s * d


def test_torchs_own_counter_counts_how_positions_are_made() -> None:
    """Why ours is not torch's: the same model, and counts that differ by the products of constants."""
    sizes = Sizes(vocab=7, heads=2, pairs=3, seq=5)
    found = {}
    for angles, distances in (
        ("times", "times"),
        ("product_of_the_batch", "product"),
        ("einsum", "summed_up"),
    ):
        with torch.device("meta"):
            weights, attention, everything = counted(Decoder(sizes, angles, distances), sizes.seq)
        found[angles, distances] = everything - weights - attention
    assert found["times", "times"] == 0
    assert found["product_of_the_batch", "product"] == 2 * 5 * 3 + 2 * 5 * 5 * 2
    assert found["einsum", "summed_up"] > found["product_of_the_batch", "product"]


def angles_by(
    way: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]:
    def forward(self: Any, x: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        half = way(position_ids[0], self.inv_freq)
        both = torch.cat([half, half], -1)[None]
        return both.cos().to(x.dtype), both.sin().to(x.dtype)

    return forward


@pytest.mark.parametrize("family", ["llama", "gpt_neox", "MistralConfig", "PhiConfig"])
@pytest.mark.parametrize("way", [times, product_of_the_batch, product_without_gradients])
def test_a_family_counts_the_same_in_every_version(
    family: str, way: Callable[[Tensor, Tensor], Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions of transformers differ in how they make the angles: 5.17 by a product, 5.24 elementwise."""
    shape = replace(BASE, family=family, kv_heads=4)
    before = measure_forward_flops(shape, 16)
    rotary = next(m for m in meta_model(shape).modules() if type(m).__name__.endswith("RotaryEmbedding"))
    monkeypatch.setattr(type(rotary), "forward", angles_by(way))
    assert measure_forward_flops(shape, 16) == before
    weights, attention, everything = counted(meta_model(shape), 16)
    angles = 0 if way is times else 2 * 16 * len(rotary.inv_freq)
    assert everything == weights + attention + angles


# Families without a formula here, and what they cost beside llama's formula for the same shape.
MEASURED: dict[str, Callable[[Shape, int], float]] = {
    "MistralConfig": lambda shape, s: 0,
    "Qwen2Config": lambda shape, s: 0,
    "GemmaConfig": lambda shape, s: 0,
    "Olmo2Config": lambda shape, s: 0,
    "GraniteConfig": lambda shape, s: 0,
    "GlmConfig": lambda shape, s: 0,
    "StableLmConfig": lambda shape, s: 0,
    "OPTConfig": lambda shape, s: -2 * s * shape.layers * shape.width * shape.ffw,  # two matrices, not three
    "PhiConfig": lambda shape, s: -2 * s * shape.layers * shape.width * shape.ffw,
    "Starcoder2Config": lambda shape, s: -2 * s * shape.layers * shape.width * shape.ffw,
}


@pytest.mark.parametrize("family", MEASURED)
def test_a_measured_family_costs_what_its_blocks_say(family: str) -> None:
    for seq_len in (8, 17):
        shape = replace(BASE, family=family, kv_heads=4)
        like = forward_flops(replace(shape, family="llama"), seq_len).total
        assert forward_flops(shape, seq_len).total == like + MEASURED[family](shape, seq_len)


def test_counting_does_not_depend_on_the_callers_gradients() -> None:
    with torch.no_grad():
        found = count_products(BASE, 16)
    assert found == count_products(BASE, 16)
    assert found.total == forward_flops(replace(BASE, family="llama"), 16).matrix_products


class Scan(nn.Module):
    """A recurrence in chunks of four, as linear attention is trained: products grow as the length."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, 32)

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> None:
        x = functional.pad(self.embedding(input_ids[0]), (0, 0, 0, -len(input_ids[0]) % 4)).view(-1, 4, 32)
        ((x @ x.transpose(1, 2)) @ x).view(-1, 32) @ self.embedding.weight.T


class Convolution(nn.Module):
    """A causal convolution, padded on the left only, or on both sides and cut."""

    def __init__(self, both: bool = False) -> None:
        super().__init__()
        self.embedding, self.both = nn.Embedding(256, 32), both
        self.taps = nn.Parameter(torch.empty(32, 1, 3))

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> None:
        x = self.embedding(input_ids[0]).T
        y = functional.conv1d(functional.pad(x, (2, 2 if self.both else 0)), self.taps, groups=32)
        y[:, : x.shape[1]].T @ self.embedding.weight.T


class Unused(Convolution):
    """A matrix has a part in the result, but by no product that torch's counter knows."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.empty(4, 32))
        self.other = nn.Parameter(torch.empty(4, 32))

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> None:
        super().forward(input_ids)
        (self.embedding(input_ids) * self.gain[0]).sum()


class Untrained(Convolution):
    """Half of the forward pass has no backward pass."""

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> None:
        super().forward(input_ids)
        with torch.no_grad():
            super().forward(input_ids)


def measured_as(make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch) -> None:
    def meta(shape: Shape) -> nn.Module:
        with torch.device("meta"):
            return make()

    monkeypatch.setattr(measure, "meta_model", meta)


def test_a_convolution_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as(Convolution, monkeypatch)
    found = measure_forward_flops(BASE, 16)
    assert found.other == 2 * 16 * 32 * 3
    assert found.softmax == found.scores == 0


@pytest.mark.parametrize("seq_len", [3, 4, 64])
@pytest.mark.parametrize("make", [Scan, lambda: Convolution(both=True)])
def test_what_the_library_chooses_is_refused(
    make: Callable[[], nn.Module], seq_len: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of a recurrence's chunks and what is padded and cut off again: no number is better than theirs."""
    measured_as(make, monkeypatch)
    with pytest.raises(UserError, match="grow neither as the length nor"):
        measure_forward_flops(BASE, seq_len)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Unused, "has 2 matrices, such as gain, in no product"),
        (Untrained, "runs in part without gradients"),
        (lambda: nn.Linear(2, 2), "does not run without data"),
    ],
)
def test_what_cannot_be_counted_is_one_clear_line(
    make: Callable[[], nn.Module], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_as(make, monkeypatch)
    with pytest.raises(UserError, match=message) as caught:
        count_products(BASE, 16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["MixtralConfig", "RobertaConfig", "CwmConfig", "GPTNeoConfig"])
def test_families_whose_code_fails_are_one_clear_line(family: str) -> None:
    """Each fails in another way, by errors of its own."""
    with pytest.raises(UserError, match=r"model\.family") as caught:
        flops_per_token(replace(BASE, family=family, kv_heads=4), 16)
    assert "\n" not in str(caught.value)
    assert math.isfinite(flops_per_token(BASE, 16))
