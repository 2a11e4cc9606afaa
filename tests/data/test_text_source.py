"""Cutting large texts: nothing lost, nothing too long, characters whole, whatever the block boundaries."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import text_source
from harness.data.text_source import cut_at_separator, cut_by_size

TEXTS = st.text(alphabet="aé世😀 \n\r", max_size=400)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_source, "BLOCK", 7)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, limit=st.integers(4, 60))
def test_pieces_join_to_the_whole(text: str, limit: int) -> None:
    found = list(cut_by_size(io.BytesIO(text.encode()), limit))
    assert b"".join(found) == text.encode()
    assert all(0 < len(piece) <= limit for piece in found)
    for piece in found:
        piece.decode()


def test_blank_lines_are_preferred() -> None:
    text = b"first paragraph\nof two\n\nsecond paragraph\nof two\n\nthird"
    assert next(cut_by_size(io.BytesIO(text), 35)) == b"first paragraph\nof two\n\n"


@settings(deadline=None, max_examples=300)
@given(
    parts=st.lists(st.text(alphabet="ab<|", max_size=30), max_size=12),
    separator=st.sampled_from(["<|x|>", "\n\n", "世"]),
)
def test_separators_split_like_str_split(parts: list[str], separator: str) -> None:
    text = separator.join(parts)
    expected = text.split(separator)
    if expected[-1] == "":
        expected.pop()
    assert [
        piece.decode() for piece in cut_at_separator(io.BytesIO(text.encode()), separator.encode())
    ] == expected
