"""The coordinate check: what a few steps change is flat in width and depth under a parametrization, and not without."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from harness.model.build import build_model
from harness.model.parametrization import Parametrization, Scale, parameter_scale
from harness.model.shape import FAMILIES, Shape
from harness.plan import spec
from harness.plan.schedule import Schedule
from harness.plan.spec import GroupScales, Muon, Optimizer, RunSpec
from harness.train.coordinates import ACTIVATIONS, activations, coordinates, slopes

BASE, WIDE, DEEP = (32, 2), (32, 64, 128), (2, 4, 8)
VOCABULARY, LENGTH, STEPS = 61, 24, 8
FLAT = 0.25  # the largest exponent, up or down, over a factor of four


@cache
def batches() -> list[torch.Tensor]:
    """Tokens that are learnt in part by any model: each is followed by one of three."""
    generator = torch.Generator().manual_seed(0)
    after = torch.randint(0, VOCABULARY, (VOCABULARY, 3), generator=generator)
    found = []
    for _ in range(STEPS):
        columns = [torch.randint(0, VOCABULARY, (6,), generator=generator)]
        for _ in range(LENGTH):
            columns.append(after[columns[-1], torch.randint(0, 3, (6,), generator=generator)])
        found.append(torch.stack(columns, dim=1))
    return found


def specification(
    family: str,
    kind: str,
    width: int,
    layers: int,
    head_dim: int = 16,
    muon: Muon | None = None,
    eps: float = 1e-8,
    embedding: float = 1.0,
) -> RunSpec:
    """With initial values that are near the limit of large models.

    The head's are zeros: their part in the logits would fall as the root of the width (Yang et al. 2022, D.2).

    Args:
        embedding: multiple of the embedding's.
    """
    heads = width // head_dim
    return RunSpec(
        shape=Shape(family, VOCABULARY, width, layers, heads, head_dim, 2 * width, heads, False, LENGTH),
        seq_len=LENGTH,
        batch_sequences=6,
        steps=STEPS,
        optimizer=Optimizer(0.01, 0.9, 0.95, eps, 0.1, 1.0, muon),
        schedule=Schedule("constant", 0, STEPS, 1.0, 1.0),
        init_std=0.4 / (width if kind == "standard" else BASE[0]) ** 0.5,
        seed=0,
        data="f00d",
        eval_tokens=1,
        groups=GroupScales(embedding=Scale(init=embedding), head=Scale(init=0.0)),
        parametrization=Parametrization()
        if kind == "standard"
        else Parametrization(kind, *BASE, base_head_dim=16),
    )


def exponents(specs: Sequence[RunSpec], scales: Sequence[int]) -> dict[str, float]:
    """Of the changes after the last step."""
    runs = [coordinates(spec, batches()) for spec in specs]
    last = [{one.activation: one.change for one in run if one.step == STEPS} for run in runs]
    return slopes(scales, {name: [one[name] for one in last] for name in ACTIVATIONS})


def in_width(family: str, kind: str, larger_heads: bool = False, **changed: Any) -> dict[str, float]:
    return exponents(
        [specification(family, kind, w, BASE[1], w // 2 if larger_heads else 16, **changed) for w in WIDE],
        WIDE,
    )


def in_depth(family: str, kind: str, **changed: Any) -> dict[str, float]:
    """With an embedding of order one, as large as what the blocks add.

    Were it small, blocks would read each other's random part above all, which falls as the root of the depth.
    """
    specs = [specification(family, kind, BASE[0], depth, embedding=14.0, **changed) for depth in DEEP]
    return exponents(specs, DEEP)


def is_flat(found: dict[str, float]) -> bool:
    return all(abs(exponent) <= FLAT for exponent in found.values())


def test_standard_activations_grow_with_width_and_depth() -> None:
    wide = in_width("granite", "standard")
    assert min(wide["blocks"], wide["residual"], wide["scores"]) > 1
    assert wide["logits"] > FLAT
    deep = in_depth("granite", "standard")
    assert min(deep["blocks"], deep["residual"]) > 0.4
    assert in_depth("granite", "mup") == deep, "of which muP says nothing"


@pytest.mark.parametrize("family", ["granite", "llama", "qwen3"])
def test_mup_is_flat_in_width(family: str) -> None:
    assert is_flat(in_width(family, "mup"))


@pytest.mark.parametrize("family", ["granite", "qwen3"])
def test_mup_is_flat_where_heads_widen(family: str) -> None:
    """Scores, divided by the size of a head and not by its root, fall by no more than their random part does."""
    found = in_width(family, "mup", larger_heads=True)
    assert -0.5 <= found.pop("scores") <= 0
    assert is_flat(found)


@pytest.mark.parametrize("family", ["granite", "llama", "qwen3"])
def test_completep_is_flat_in_depth(family: str) -> None:
    assert is_flat(in_depth(family, "completep"))


def test_so_it_is_where_epsilon_outweighs_the_gradients() -> None:
    assert is_flat(in_width("granite", "completep", eps=1e-2))
    assert is_flat(in_depth("granite", "completep", eps=1e-2))


def test_an_epsilon_that_does_not_scale_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "parameter_scale", lambda *a: replace(parameter_scale(*a), eps=1.0))
    assert max(in_width("granite", "completep", eps=1e-2).values()) < -0.5
    assert in_depth("granite", "completep", eps=1e-2)["blocks"] < -0.5


@pytest.mark.slow
@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_so_it_is_under_muon(adjust: str) -> None:
    muon = Muon(0.03, 0.1, adjust_lr_fn=adjust)
    assert is_flat(in_width("granite", "completep", muon=muon))
    assert is_flat(in_depth("granite", "completep", muon=muon))


def test_muon_at_the_root_mean_square_of_adamw_grows_with_width() -> None:
    found = in_width("granite", "standard", muon=Muon(0.03, 0.1, adjust_lr_fn="match_rms_adamw"))
    assert found["blocks"] > 0.4


def test_initial_logits_fall_as_the_root_of_the_width() -> None:
    """Yang et al. 2022, appendix D.2; and nothing has changed before the first step."""
    specs = [
        replace(specification("granite", "mup", w, 2), groups=GroupScales(), seed=1) for w in (32, 128, 512)
    ]
    first = [coordinates(one, batches()[:1]) for one in specs]
    sizes = {
        name: [c.size for run in first for c in run if (c.step, c.activation) == (0, name)]
        for name in ACTIVATIONS
    }
    found = slopes((32, 128, 512), sizes)
    assert found["logits"] == pytest.approx(-0.5, abs=0.1)
    assert found["residual"] == pytest.approx(0, abs=0.1)
    assert all(one.change == 0 for run in first for one in run if one.step == 0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_activations_are_those_of_the_model(family: str) -> None:
    shape = Shape(family, VOCABULARY, 32, 3, 2, 16, 64, 2, False, LENGTH)
    model, tokens = build_model(shape, 0.1), batches()[0][:, :-1]
    found = activations(model, tokens)
    assert set(found) == set(ACTIVATIONS)
    assert torch.equal(found["logits"], model(input_ids=tokens).logits)
    states = model(input_ids=tokens, output_hidden_states=True).hidden_states
    assert torch.equal(found["embedding"], states[0])
    assert found["residual"].shape == states[0].shape
    assert torch.equal(found["residual"] - found["embedding"], found["blocks"])
    weights = torch.zeros(len(tokens), 2, LENGTH, LENGTH)
    weights[..., torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()] = found["scores"]
    assert weights[0, 0, 0, 0] != 0
    model.set_attn_implementation("eager")
    eager = model(input_ids=tokens, output_attentions=True).attentions[-1]
    unseen = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    torch.testing.assert_close(weights.masked_fill(unseen, -torch.inf).softmax(-1), eager)


def test_slopes_are_exponents() -> None:
    assert slopes((2, 4, 8), {"a": [3.0, 6.0, 12.0], "b": [1.0, 0.5, 0.25]}) == pytest.approx(
        {"a": 1.0, "b": -1.0}
    )
