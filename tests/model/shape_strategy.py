"""Random shapes that a family can take, for tests that try to break the counts."""

from hypothesis import strategies as st

from harness.model.shape import FAMILIES, Shape, find_family

FAMILY_NAMES = sorted(FAMILIES)


@st.composite
def shapes(draw: st.DrawFn, family: str) -> Shape:
    f = find_family(family)
    heads = draw(st.integers(1, 6))
    head_dim = f.head_dim_multiple * draw(st.integers(1, 4))
    width = heads * (draw(st.integers(1, 12)) if f.free_heads else head_dim)
    divisors = [k for k in range(1, heads + 1) if heads % k == 0]
    return Shape(
        family=family,
        vocab_size=draw(st.integers(2, 300)),
        width=width,
        layers=draw(st.integers(1, 4)),
        heads=heads,
        head_dim=head_dim,
        ffw=draw(st.integers(1, 80)),
        kv_heads=draw(st.sampled_from(divisors)) if f.grouped_queries else heads,
        tied=draw(st.booleans()),
        context=draw(st.integers(8, 64)),
    )
