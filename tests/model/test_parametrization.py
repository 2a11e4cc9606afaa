"""Parametrizations: a family with multipliers and one whose matrices have them in themselves are the same run."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from harness.errors import UserError
from harness.model.build import build_model, model_config
from harness.model.counts import block_matrices, count_params, flops_per_token
from harness.model.groups import grouped_parameters
from harness.model.parametrization import Multipliers, Parametrization, Scale, check_family, parameter_scale
from harness.model.shape import FAMILIES, Shape
from harness.plan.schedule import Schedule
from harness.plan.spec import Muon, Optimizer, RunSpec
from harness.train.optimizer import build_optimizer

COMPLETEP = Parametrization("completep", base_width=16, base_layers=1, base_head_dim=8)


def shape_of(family: str, width: int = 32, layers: int = 3, head_dim: int = 16, tied: bool = False) -> Shape:
    heads = width // head_dim
    return Shape(family, 61, width, layers, heads, head_dim, 2 * width, heads, tied, 24)


def spec_of(
    shape: Shape, parametrization: Parametrization = COMPLETEP, muon: Muon | None = None, eps: float = 1e-3
) -> RunSpec:
    return RunSpec(
        shape=shape,
        seq_len=24,
        batch_sequences=4,
        steps=8,
        optimizer=Optimizer(1e-2, 0.9, 0.95, eps, 0.5, 0.0, muon),
        schedule=Schedule("constant", 0, 8, 0.1, 0.2),
        init_std=0.1,
        seed=0,
        data="f00d",
        eval_tokens=1,
        parametrization=parametrization,
    )


def losses(spec: RunSpec) -> list[float]:
    """Of eight steps on random tokens, float64, so that nothing but the arithmetic can differ."""
    model = build_model(spec.shape, spec.init_std, spec.seed, spec.forward, spec.scale).double()
    optimizer = build_optimizer(model, spec)
    generator = torch.Generator().manual_seed(1)
    found = []
    for _ in range(8):
        tokens = torch.randint(0, 61, (4, 25), generator=generator)
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step(1.0)
        optimizer.zero_grad()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("kind", ["mup", "completep"])
def test_folded_multipliers_train_as_multipliers_of_the_configuration_do(kind: str) -> None:
    """Granite has them, Llama has not; a large epsilon and a strong decay would show where either is wrong."""
    base = dataclasses.replace(COMPLETEP, kind=kind)
    multiplied, inside = (losses(spec_of(shape_of(family), base)) for family in ("granite", "llama"))
    assert multiplied == pytest.approx(inside, rel=1e-6)
    plain = losses(spec_of(shape_of("llama"), Parametrization()))
    assert multiplied != pytest.approx(plain, rel=1e-3), "and the multipliers do something"


@pytest.mark.parametrize("adjust", ["original", "match_rms_adamw"])
def test_folded_multipliers_train_alike_under_muon(adjust: str) -> None:
    """Muon's products are bfloat16, so the runs agree less closely."""
    muon = Muon(0.02, 0.1, adjust_lr_fn=adjust)
    multiplied, inside = (losses(spec_of(shape_of(family), muon=muon)) for family in ("granite", "llama"))
    assert multiplied == pytest.approx(inside, rel=2e-3)


def test_granite_without_multipliers_is_llama() -> None:
    """Its ``attention_multiplier`` of 1 by default would be wrong by sqrt(head_dim)."""
    granite, llama = (build_model(shape_of(family), 0.2, 1) for family in ("granite", "llama"))
    tokens = torch.arange(20)[None]
    assert torch.equal(granite(tokens).logits, llama(tokens).logits)


def test_granite_counts_as_llama_does() -> None:
    for change in ({}, {"tied": True}, {"width": 48}):
        granite, llama = shape_of("granite", **change), shape_of("llama", **change)
        assert count_params(granite) == count_params(llama)
        assert flops_per_token(granite, 24) == flops_per_token(llama, 24)


def test_granite_takes_heads_that_do_not_fill_the_width() -> None:
    shape = Shape("granite", 61, 112, 1, 3, 38, 64, 3, False, 24)
    model = build_model(shape)
    assert sum(p.numel() for p in model.parameters()) == count_params(shape).total


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_block_matrices_are_those_of_the_built_model(family: str) -> None:
    shape = shape_of(family)
    built = sorted(
        tuple(one.parameter.shape)
        for one in grouped_parameters(build_model(shape))
        if one.group == "matrices"
    )
    # a Conv1D of GPT-2 stores its matrix the other way round, which changes no product's size
    counted = sorted((a, b) for a, b, number in block_matrices(shape) for _ in range(number))
    assert sorted(map(sorted, built)) == sorted(map(sorted, counted))


def test_groups_are_those_that_are_counted() -> None:
    for family in FAMILIES:
        for tied in (False, True):
            shape = shape_of(family, tied=tied)
            sums = dict.fromkeys(("embedding", "head", "matrices", "norms"), 0)
            for one in grouped_parameters(build_model(shape)):
                sums[one.group] += one.parameter.numel()
            counted = count_params(shape)
            assert sums == {name: getattr(counted, name) for name in sums}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_at_the_base_every_parametrization_is_the_standard_one(family: str) -> None:
    shape = shape_of(family, width=16, layers=1, head_dim=8)
    for kind in ("mup", "completep"):
        base = dataclasses.replace(COMPLETEP, kind=kind)
        check_family(base, shape)
        spec = spec_of(shape, base)
        assert spec.forward == Multipliers()
        for one in grouped_parameters(build_model(shape)):
            assert spec.scale(one.name, one.group) == Scale()


def test_scales_are_those_of_the_papers() -> None:
    """Dey et al. 2025, Table 1, with alpha = 1: twice the width, three times the depth."""
    shape = shape_of("granite")

    def scale(name: str, group: str) -> Scale:
        return parameter_scale(COMPLETEP, shape, name, group)

    assert scale("model.layers.0.mlp.up_proj.weight", "matrices") == Scale(0.5, 2, 1 / 6, 0.5**0.5)
    assert scale("model.layers.0.input_layernorm.weight", "norms") == Scale(1, 1, 1 / 6, 1)
    assert scale("model.embed_tokens.weight", "embedding") == Scale(1, 1, 0.5, 1)
    assert scale("lm_head.weight", "head") == Scale(1, 1, 0.5, 1)
    config = model_config(shape, forward=spec_of(shape).forward)
    assert config.residual_multiplier == pytest.approx(1 / 3)
    assert config.logits_scaling == 2
    assert config.attention_multiplier == pytest.approx(8**0.5 / 16)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (shape_of("llama", tied=True), "tied"),
        (shape_of("gpt2"), "attention scores"),
        (Shape("MistralConfig", 61, 16, 3, 2, 8, 32, 2, False, 24), "not known"),
    ],
)
def test_a_family_without_a_place_for_a_multiplier_is_refused(shape: Shape, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_family(COMPLETEP, shape)


def test_gpt2_takes_what_it_can() -> None:
    """With heads of the base's size nothing is missing; its own division by the root of the depth is undone."""
    shape = shape_of("gpt2", head_dim=8)
    check_family(COMPLETEP, shape)
    spec = spec_of(shape)
    model = build_model(shape, 0.1, 0, spec.forward, spec.scale)
    first = build_model(shape_of("gpt2", 16, 1, 8), 0.1)
    stds = [float(m.transformer.h[0].mlp.c_proj.weight.detach().std()) for m in (model, first)]
    assert stds[0] == pytest.approx(stds[1] * 0.5**0.5 / 3, rel=0.1)


def test_muon_adjusts_a_rate_by_outputs_over_inputs_however_a_matrix_is_stored() -> None:
    """GPT-2's Conv1D has inputs as rows: the effective rates and decays are those of GPT-NeoX's linear layers."""

    def effective(family: str, module: str) -> tuple[float, float]:
        shape = shape_of(family, head_dim=8)
        model = build_model(shape)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        spec = spec_of(shape, Parametrization(), Muon(0.02, 0.1))
        for group in build_optimizer(model, spec).groups:
            for parameter in group["params"]:
                if names[id(parameter)].endswith(f"{module}.weight"):
                    rows, columns = parameter.shape
                    return group["lr"] * max(1, rows / columns) ** 0.5, group["lr"] * group["weight_decay"]
        raise AssertionError(module)

    up, down = effective("gpt2", "mlp.c_fc"), effective("gpt2", "mlp.c_proj")
    assert up == pytest.approx((0.02 * 2**0.5, 0.002)), "twice as many outputs as inputs"
    assert down == pytest.approx((0.02, 0.002))
    assert up == pytest.approx(effective("gpt_neox", "dense_h_to_4h"))
    assert down == pytest.approx(effective("gpt_neox", "dense_4h_to_h"))
