"""Parameter groups add up to the model that is really built, whatever its shape."""

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from harness.errors import UserError
from harness.model.build import meta_model
from harness.model.counts import PARAM_COUNTS, count_params, forward_flops
from harness.model.measure import measure_forward_flops, measure_params
from harness.model.shape import Shape, canonical_options
from tests.imports import imported
from tests.model.shape_strategy import FAMILY_NAMES, shapes

QUICK = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
BASE = Shape("llama", 256, 32, 2, 4, 8, 96, 4, True, 64)


@pytest.mark.parametrize("family", FAMILY_NAMES)
@QUICK
@given(data=st.data())
def test_groups_are_those_of_the_real_model(family: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(family))
    model, counted = meta_model(shape), count_params(shape)
    assert counted.total == sum(p.numel() for p in model.parameters())
    embeddings = sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Embedding))
    assert counted.embedding == embeddings
    assert counted.head == (0 if shape.tied else model.get_output_embeddings().weight.numel())
    assert counted.norms == sum(p.numel() for p in model.parameters() if p.ndim == 1)
    # The measured path, which serves unknown families, must not tell another story about known ones.
    assert measure_params(shape) == counted


@pytest.mark.parametrize("family", FAMILY_NAMES)
@QUICK
@given(data=st.data())
def test_tying_moves_the_head_and_nothing_else(family: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(family))
    tied, untied = count_params(replace(shape, tied=True)), count_params(replace(shape, tied=False))
    assert untied.total - tied.total == untied.head == shape.vocab_size * shape.width
    assert tied.non_embedding == untied.non_embedding
    assert tied.matrices_and_head == untied.matrices_and_head


def test_gpt2_has_its_published_size() -> None:
    assert count_params(Shape("gpt2", 50257, 768, 12, 12, 64, 3072, 12, True, 1024)).total == 124_439_808


def test_llama_2_has_its_published_size() -> None:
    assert (
        count_params(Shape("llama", 32000, 4096, 32, 32, 128, 11008, 32, False, 4096)).total == 6_738_415_616
    )


def test_pythia_has_its_published_size() -> None:
    shape = Shape("gpt_neox", 50304, 768, 12, 12, 64, 3072, 12, False, 2048)
    assert count_params(shape).total == 162_322_944
    assert count_params(shape).non_embedding == 85_056_000


def test_qwen3_has_its_published_size() -> None:
    assert count_params(Shape("qwen3", 151936, 1024, 28, 16, 128, 3072, 8, True, 40960)).total == 596_049_920


def test_kaplan_s_twelve_l_d_squared_is_the_matrices() -> None:
    for layers, width in ((6, 768), (48, 1600)):
        shape = Shape("gpt2", 50257, width, layers, width // 64, 64, 4 * width, width // 64, True, 1024)
        assert count_params(shape).matrices == 12 * layers * width**2
        assert math.isclose(count_params(shape).non_embedding, 12 * layers * width**2, rel_tol=2e-3)


def test_every_count_has_a_name_and_a_sentence() -> None:
    counted = count_params(BASE)
    assert {name: counted.count(name) for name in PARAM_COUNTS} == {
        "total": counted.total,
        "non_embedding": counted.non_embedding,
        "matrices_and_head": counted.matrices_and_head,
    }
    as_json = counted.to_json()
    assert sum(as_json[group] for group in ("embedding", "head", "matrices", "norms")) == as_json["total"]
    with pytest.raises(UserError, match="choose one of total"):
        counted.count("all")


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("MistralConfig", "llama"),  # the same block under another name
        ("OPTConfig", None),
        ("Qwen2Config", None),
        ("Starcoder2Config", None),
    ],
)
def test_a_class_by_name_is_measured(family: str, sizes: str | None) -> None:
    for tied in (True, False):
        shape = replace(BASE, family=family, tied=tied)
        counted = count_params(shape)
        assert counted.total == sum(p.numel() for p in meta_model(shape).parameters())
        assert counted.head == (0 if tied else 256 * 32)
        if sizes:
            assert counted == count_params(replace(shape, family=sizes))


def test_options_of_a_known_family_are_counted_too() -> None:
    shape = replace(BASE, options=canonical_options({"attention_bias": True}))
    assert count_params(shape).norms == count_params(BASE).norms + 2 * 4 * 32
    assert count_params(shape).matrices == count_params(BASE).matrices


NEOX = Shape("gpt_neox", 256, 40, 2, 4, 10, 96, 4, True, 64, canonical_options({"rotary_pct": 1.0}))


def test_options_that_change_no_count_leave_the_formulas() -> None:
    for options in ({"rotary_pct": 1.0}, {"rotary_pct": 0.6, "use_parallel_residual": False}):
        shape = replace(NEOX, options=canonical_options(options))
        assert not shape.measured
        assert count_params(shape) == measure_params(shape)
        assert forward_flops(shape, 16).total == measure_forward_flops(shape, 16).total
    assert replace(NEOX, options=canonical_options({"rotary_pct": 1.0, "hidden_act": "relu"})).measured
    assert replace(BASE, options=canonical_options({"attention_bias": True})).measured


@pytest.mark.parametrize(("share", "multiple"), [(1, 2), (0.25, 8), (0.5, 4), (0.4, 5), (0.3, 20)])
def test_the_share_of_a_head_that_is_turned_is_whole_pairs(share: float, multiple: int) -> None:
    options = canonical_options({"rotary_pct": share})
    for head_dim in range(1, 41):
        if int(head_dim * share) % 2 or head_dim * share % 1 > 1e-9:
            with pytest.raises(UserError, match=f"multiple of {multiple}, got {head_dim}"):
                replace(NEOX, width=4 * head_dim, head_dim=head_dim, options=options)
        else:
            assert not head_dim % multiple
            assert replace(NEOX, width=4 * head_dim, head_dim=head_dim, options=options).head_dim == head_dim


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be a whole number"),
        ({"width": 32.0}, "width must be a whole number"),
        ({"kv_heads": 3}, "multiple of kv_heads"),
        ({"head_dim": 7}, "multiple of 2"),
        ({"width": 33}, "multiple of heads"),
        ({"family": "lama"}, "choose one of gpt2, gpt_neox, granite, llama, qwen3"),
        ({"family": "gpt2", "kv_heads": 2}, "queries_per_kv=1"),
        ({"family": "gpt2", "head_dim": 16}, r"heads \* head_dim = width"),
        ({"family": "gpt_neox", "head_dim": 4, "heads": 8, "kv_heads": 8}, "multiple of 8"),
        ({"family": "gpt_neox", "options": '{"rotary_pct": 0}'}, r"rotary_pct: must be above 0"),
        ({"family": "gpt_neox", "options": '{"rotary_pct": "all"}'}, r"rotary_pct: must be above 0"),
        ({"options": "{"}, "JSON"),
        ({"options": "[1]"}, "JSON object"),
    ],
)
def test_a_shape_the_family_cannot_take_is_one_clear_line(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        replace(BASE, **changes)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_equal_options_are_one_shape() -> None:
    a = replace(BASE, options='{"b": 1, "a": 2}')
    assert a == replace(BASE, options=canonical_options({"a": 2, "b": 1}))
    assert replace(BASE, options="{}") == BASE
    with pytest.raises(UserError, match=r"model\.options"):
        canonical_options({"f": object()})


def test_planning_does_not_load_torch() -> None:
    code = (
        "from harness.model import counts, ladder\n"
        "from harness.model.shape import Shape\n"
        "counts.all_flops_per_token(Shape('llama', 256, 32, 2, 4, 8, 96, 4, True, 64), 64)"
    )
    assert imported(code, "torch", "transformers") == []
