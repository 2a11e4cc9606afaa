"""Ladders: smooth, realisable, and chosen from without repeats."""

import itertools
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.errors import UserError
from harness.model.counts import count_params
from harness.model.ladder import (
    BandConfig,
    Ladder,
    LadderConfig,
    RowConfig,
    build_ladder,
    log_spaced,
    nearest,
    spread,
)
from harness.model.shape import ModelConfig
from tests.model.shape_strategy import FAMILY_NAMES

CONFIGS = Path(__file__).parents[2] / "configs" / "ladder"

# Hoffmann et al. 2022, Table A9: printed millions of parameters, in the order of the config's rows.
TABLE_A9 = [44, 57, 74, 90, 106, 117, 140, 163, 175, 196, 217, 251, 278, 306, 425, 489, 552, 509, 587, 664]
TABLE_A9 += [632, 724, 816, 893, 1018, 1143, 1266, 1429, 1593, 1424, 1609, 1794, 1731, 2007, 2283, 2298, 2639]
TABLE_A9 += [2980, 3530, 3802, 4084, 4516, 6796, 9293, 11452, 12295, 12569, 13735, 14940, 16183]


def load(name: str) -> LadderConfig:
    merged = OmegaConf.merge(OmegaConf.structured(LadderConfig), OmegaConf.load(CONFIGS / f"{name}.yaml"))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, LadderConfig)
    return config


def ladder(name: str, family: str = "llama", vocab: int = 256, tied: bool = True) -> Ladder:
    return build_ladder(load(name), ModelConfig(family=family, tied=tied), vocab, 128)


def sizes(built: Ladder) -> list[int]:
    return [count_params(shape).total for shape in built.shapes]


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize(
    ("name", "vocab", "smallest", "largest", "step"),
    [
        ("tiny", 256, 5e3, 1e7, 1.8),
        ("small", 8192, 2e6, 1e10, 1.6),
        ("chinchilla", 32000, 4.5e7, 1.4e10, 1.6),
    ],
)
def test_ladders_reach_far_in_even_steps(
    family: str, name: str, vocab: int, smallest: float, largest: float, step: float
) -> None:
    ns = sizes(ladder(name, family, vocab))
    assert ns == sorted(ns)
    assert ns[0] <= (smallest if (family, name) != ("gpt_neox", "tiny") else 4e4)
    assert ns[-1] >= largest
    assert max(b / a for a, b in itertools.pairwise(ns)) <= step


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_the_same_ladder_has_the_same_sizes_in_every_family(name: str) -> None:
    by_label = [{s.label: count_params(s).matrices for s in ladder(name, f).shapes} for f in FAMILY_NAMES]
    for label in set.intersection(*(set(sizes) for sizes in by_label)):
        found = [sizes[label] for sizes in by_label]
        assert max(found) / min(found) < 1.1


def test_table_a9_has_the_printed_sizes() -> None:
    """All fifty, to the last printed million: N = layers (5 d w + 8 d^2 + 10 d) + V d.

    The fifth attention matrix projects relative positions (Dai et al. 2019), which the families here do not
    have; with four, as a standard formula has it, sizes come out 5 to 8% low. The 10 d a layer of norms and
    biases was found by matching (any other whole number misses more sizes); .52 is the worst miss.
    """
    config = load("chinchilla")
    rows = [(row, layers) for row in config.rows for layers in row.layers]
    assert len(rows) == len(TABLE_A9) == 50
    for (row, layers), printed in zip(rows, TABLE_A9, strict=True):
        d, w = row.width, row.heads * row.head_dim
        millions = (layers * (5 * d * w + 8 * d * d + 10 * d) + 32_000 * d) / 1e6
        assert millions == pytest.approx(printed, rel=0, abs=0.55)


def test_chinchilla_shapes_a_family_cannot_take_are_named() -> None:
    assert len(ladder("chinchilla", "qwen3").shapes) == 50
    assert [reason.split(":")[0] for reason in ladder("chinchilla", "llama").left_out] == [
        "2688x36",
        "2944x36",
    ]
    gpt2 = ladder("chinchilla", "gpt2")
    assert len(gpt2.shapes) + len(gpt2.left_out) == 50
    assert all("heads * head_dim = width" in reason for reason in gpt2.left_out)


def test_grouped_queries_take_the_most_that_divides() -> None:
    config = LadderConfig(rows=[RowConfig(8 * h, h, 8, [1]) for h in (1, 2, 6, 8)])
    built = build_ladder(config, ModelConfig(queries_per_kv=4), 256, 128)
    assert [(s.heads, s.kv_heads) for s in built.shapes] == [(1, 1), (2, 1), (6, 2), (8, 2)]
    assert all(s.kv_heads == s.heads for s in ladder("tiny").shapes)


def test_depths_and_explicit_ffw() -> None:
    config = LadderConfig(bands=[BandConfig(64, 128, 64, 32)], aspect=16, depths=[0.5, 1.0, 1.0])
    assert [s.label for s in build_ladder(config, ModelConfig(), 256, 128).shapes] == [
        "64x2",
        "64x4",
        "128x4",
        "128x8",
    ]
    row = LadderConfig(rows=[RowConfig(64, 2, 32, [1], ffw=100)])
    assert build_ladder(row, ModelConfig(), 256, 128).shapes[0].ffw == 100


@settings(deadline=None, max_examples=50)
@given(
    center=st.floats(1e3, 1e8),
    span=st.floats(1, 1e4),
    k=st.integers(1, 24),
    count=st.sampled_from(["total", "non_embedding", "matrices_and_head"]),
)
def test_spread_gives_k_different_shapes_in_order(center: float, span: float, k: int, count: str) -> None:
    shapes = ladder("tiny").shapes
    aims = log_spaced(center, span, k)
    chosen = spread(shapes, aims, count)
    assert len(set(chosen)) == k
    ns = [count_params(s).count(count) for s in chosen]
    assert ns == sorted(ns)
    assert aims[-1] / aims[0] == pytest.approx(span if k > 1 else 1)


@settings(deadline=None, max_examples=30)
@given(aims=st.lists(st.floats(1e3, 1e7), min_size=1, max_size=3), skip=st.integers(0, 18))
def test_spread_is_the_best_choice_there_is(aims: list[float], skip: int) -> None:
    shapes = ladder("tiny").shapes[skip : skip + 6]

    def cost(chosen: tuple[int, ...]) -> float:
        pairs = zip(sorted(chosen), sorted(aims), strict=True)
        return sum((math.log(n) - math.log(aim)) ** 2 for n, aim in pairs)

    ns = [count_params(s).total for s in shapes]
    best = min(cost(chosen) for chosen in itertools.combinations(ns, len(aims)))
    got = cost(tuple(count_params(s).total for s in spread(shapes, aims)))
    assert got == pytest.approx(best, abs=1e-12)


def test_nearest_is_nearest_in_the_logarithm() -> None:
    shapes = ladder("tiny").shapes
    for shape in shapes:
        assert nearest(shapes, count_params(shape).total * 1.01) == shape
    assert nearest(shapes, 1.0) == shapes[0]
    assert nearest(shapes[::-1], 1e12) == shapes[-1]


def test_mistakes_are_one_clear_line() -> None:
    with pytest.raises(UserError, match="neither bands nor rows"):
        build_ladder(LadderConfig(), ModelConfig(), 256, 128)
    with pytest.raises(UserError, match="no shape for family gpt_neox"):
        build_ladder(LadderConfig(bands=[BandConfig(4, 8, 4, 4)]), ModelConfig(family="gpt_neox"), 256, 128)
    with pytest.raises(UserError, match="3 sizes wanted"):
        spread(ladder("tiny").shapes[:2], [1e4, 2e4, 3e4])
    with pytest.raises(UserError, match="positive"):
        spread(ladder("tiny").shapes, [0.0])
    with pytest.raises(UserError, match="multiples of head_dim"):
        BandConfig(10, 20, 8, 8)
    with pytest.raises(UserError, match="positive"):
        LadderConfig(aspect=0)
    with pytest.raises(UserError, match="span"):
        log_spaced(1e6, 0.5, 3)
    with pytest.raises(UserError, match="family"):
        build_ladder(load("tiny"), ModelConfig(family="bert"), 256, 128)


def test_model_options_pass_through_hydra_into_the_shape() -> None:
    merged = OmegaConf.merge(
        OmegaConf.structured(ModelConfig), {"family": "MistralConfig", "options": {"sliding_window": 16}}
    )
    model = OmegaConf.to_object(merged)
    assert isinstance(model, ModelConfig)
    built = build_ladder(LadderConfig(bands=[BandConfig(32, 32, 32, 32)]), model, 256, 128)
    assert built.shapes[0].options == '{"sliding_window":16}'


def test_hydra_refuses_a_misspelt_key() -> None:
    with pytest.raises(OmegaConfBaseException):
        OmegaConf.merge(OmegaConf.structured(LadderConfig), {"aspct": 32})
    with pytest.raises(OmegaConfBaseException):
        OmegaConf.merge(OmegaConf.structured(LadderConfig), {"bands": [{"width": 32}]})
