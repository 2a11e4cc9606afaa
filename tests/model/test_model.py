"""The model is the shape's, the same from the same seed, causal, and loadable by plain transformers."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from harness.errors import UserError
from harness.model.build import build_model, meta_model
from harness.model.shape import FAMILIES, Shape, canonical_options

NAMES = sorted(FAMILIES)


def shape_of(family: str, **changes: object) -> Shape:
    kv_heads = 2 if family not in FAMILIES or FAMILIES[family].grouped_queries else 4
    shape = Shape(family, 61, 32, 2, 4, 8, 48, kv_heads, False, 24)
    return replace(shape, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.randint(0, 61, (2, 24), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", NAMES)
def test_weights_depend_on_the_seed_and_nothing_else(family: str) -> None:
    shape = shape_of(family)
    first = build_model(shape, seed=1).state_dict()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    with torch.device("meta"):  # an ambient device, such as the accelerator's, must not matter
        second = build_model(shape, seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_model(shape, seed=2).state_dict()
    assert not any(torch.equal(first[n], other[n]) for n in first if first[n].ndim > 1)


# Loss in nats and norm of all gradients. A run's identity does not name the library's version: these hold in all.
OF_RECORD = {
    "gpt2": (4.058539, 2.001108),
    "gpt_neox": (4.344709, 1.682903),
    "granite": (4.252605, 2.338579),  # without multipliers it is a Llama
    "llama": (4.252605, 2.338579),
    "qwen3": (4.272408, 2.694288),
}


@pytest.mark.parametrize("family", NAMES)
def test_a_seed_is_the_same_model_whatever_the_versions(family: str) -> None:
    """Fails where a library draws or scales weights in another way (transformers 5.0 to 5.14 for GPT-2) or has other
    defaults (a norm's epsilon moves these by 4e-5)."""
    model = build_model(shape_of(family), init_std=0.1, seed=3)
    tokens = (torch.arange(48) * 37 % 61).view(2, 24)
    logits = model(tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert (loss.item(), norm.item()) == pytest.approx(OF_RECORD[family], rel=1e-5)


@pytest.mark.parametrize("family", NAMES)
def test_init_std_is_that_of_the_matrices(family: str) -> None:
    for std in (0.01, 0.1):
        model = build_model(shape_of(family, width=128, head_dim=32, ffw=256, vocab_size=500), init_std=std)
        assert model.get_input_embeddings().weight.std().item() == pytest.approx(std, rel=0.03)
        for name, p in model.named_parameters():
            assert p.dtype == torch.float32
            if p.ndim == 1:
                assert torch.equal(p, torch.zeros_like(p) if name.endswith("bias") else torch.ones_like(p)), (
                    name
                )


@pytest.mark.parametrize("family", NAMES)
def test_training_mode_has_no_chance_and_no_cache(family: str, tokens: torch.Tensor) -> None:
    model = build_model(shape_of(family))
    assert model.training
    assert model.config.use_cache is False
    assert torch.equal(model(tokens).logits, model(tokens).logits)
    assert torch.equal(model(tokens).logits, model.eval()(tokens).logits)


@pytest.mark.parametrize("family", [*NAMES, "MistralConfig", "OPTConfig"])
def test_attention_is_causal(family: str, tokens: torch.Tensor) -> None:
    changed = tokens.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % 61
    model = build_model(shape_of(family, kv_heads=4), init_std=0.2).eval()
    with torch.no_grad():
        a, b = model(tokens).logits, model(changed).logits
    torch.testing.assert_close(a[:, :12], b[:, :12])
    assert not torch.allclose(a[:, 12:], b[:, 12:])


def test_gpt_neox_turns_as_much_of_a_head_as_it_is_told(tokens: torch.Tensor) -> None:
    """Without a mask, as the family's own shapes, and with the values that the mask gives."""
    whole = shape_of("gpt_neox", kv_heads=4, options=canonical_options({"rotary_pct": 1.0}))
    model, plain = build_model(whole, init_std=0.2), build_model(replace(whole, options=""), init_std=0.2)
    assert model.config.rope_parameters["partial_rotary_factor"] == 1.0
    assert plain.config.rope_parameters["partial_rotary_factor"] == 0.25
    assert model.config._attn_implementation == plain.config._attn_implementation == "sdpa_unmasked"
    logits = model(tokens).logits
    assert not torch.allclose(logits, plain(tokens).logits)
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(model(tokens).logits, logits)


@pytest.mark.parametrize("family", ["BertConfig", "RoCBertConfig"])
@pytest.mark.parametrize("init_std", [0.02, 0.2])
def test_a_family_that_sees_what_it_predicts_is_refused(family: str, init_std: float) -> None:
    with pytest.raises(UserError, match="lets tokens see those after them"):
        build_model(shape_of(family, kv_heads=4), init_std=init_std)
    decoder = canonical_options({"is_decoder": True})
    assert build_model(shape_of(family, kv_heads=4, options=decoder), init_std=init_std).training


@pytest.mark.parametrize("family", NAMES)
@pytest.mark.parametrize("tied", [True, False])
def test_plain_transformers_loads_the_same_model(
    family: str, tied: bool, tokens: torch.Tensor, tmp_path: Path
) -> None:
    model = build_model(shape_of(family, tied=tied), init_std=0.2).eval()
    model.save_pretrained(tmp_path)
    for attention in ("sdpa", "eager"):
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation=attention).eval()
        with torch.no_grad():
            torch.testing.assert_close(loaded(tokens).logits, model(tokens).logits, rtol=1e-5, atol=1e-5)
    assert "unmasked" not in (tmp_path / "config.json").read_text()


def test_no_mask_is_built_nor_values_read(tokens: torch.Tensor) -> None:
    # transformers' own "sdpa" reads the positions of every batch; on the meta device reading fails, loudly.
    for family in NAMES:
        model = meta_model(shape_of(family))
        assert model(tokens.to("meta")).logits.shape == (2, 24, 61)


def test_any_causal_lm_by_class_name(tokens: torch.Tensor) -> None:
    options = canonical_options({"sliding_window": 4})
    model = build_model(shape_of("MistralConfig", options=options), init_std=0.2).eval()
    assert type(model).__name__ == "MistralForCausalLM"
    assert model.config.sliding_window == 4
    plain = build_model(shape_of("MistralConfig"), init_std=0.2).eval()
    with torch.no_grad():
        near, far = model(tokens).logits, plain(tokens).logits
    torch.testing.assert_close(near[:, :4], far[:, :4])
    assert not torch.allclose(near[:, 10:], far[:, 10:])  # the window is honoured, not skipped


def test_dropout_is_off_in_classes_by_name() -> None:
    model = build_model(shape_of("OPTConfig", kv_heads=4))
    assert model.config.dropout == model.config.attention_dropout == 0.0


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("NoSuchConfig", {}, "no configuration class 'NoSuchConfig'"),
        ("BertConfig", {"is_decodr": True}, "no argument 'is_decodr'"),
        ("BloomConfig", {}, "no argument"),
        ("T5Config", {}, "T5Config"),
        ("llama", {"sliding": 3}, "no argument 'sliding'"),
        ("llama", {"hidden_act": "swush"}, "LlamaConfig"),
        ("llama", {"hidden_size": 64}, "set it there"),
        ("gpt2", {"n_embd": 64}, "set it there"),
    ],
)
def test_mistakes_are_one_clear_line(family: str, options: dict[str, object], message: str) -> None:
    shape = shape_of(family, kv_heads=4, options=canonical_options(options))
    with pytest.raises(UserError, match=message) as caught:
        build_model(shape)
    assert "\n" not in str(caught.value)


def test_counting_says_nothing() -> None:
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    transformers_logging.add_handler(handler)
    try:
        meta_model(shape_of("BertConfig", kv_heads=4))
    finally:
        transformers_logging.remove_handler(handler)
    assert said == []


def test_init_std_must_be_positive() -> None:
    with pytest.raises(UserError, match="init_std"):
        build_model(shape_of("llama"), init_std=0.0)
