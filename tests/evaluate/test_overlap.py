"""Overlap with the training text is exact: what a search of the plain bytes finds, and nothing else."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.evaluate import overlap
from harness.evaluate.overlap import overlapping, window
from tests.evaluate.corpora import corpus_of

LETTERS = st.lists(st.integers(0, 2), max_size=60)


def fake(tokens: list[int], dtype: str = "u1") -> Any:
    """What stands for a corpus whose window is five tokens."""
    return SimpleNamespace(bytes_per_token=10.0, tokens=lambda split: np.array(tokens, dtype=dtype))


@given(LETTERS, st.lists(LETTERS, min_size=1, max_size=5), st.integers(1, 30))
def test_it_is_what_a_search_finds(training: list[int], questions: list[list[int]], chunk: int) -> None:
    corpus = fake(training)
    width = window(corpus)
    assert width == 5
    text = bytes(training)
    expected = [
        any(bytes(one[i : i + width]) in text for i in range(len(one) - width + 1)) for one in questions
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "CHUNK", chunk)  # windows across the border of two chunks are found
        assert overlapping(corpus, questions) == expected


def test_large_vocabularies_and_any_chunk_border() -> None:
    rng = np.random.default_rng(0)
    training = rng.integers(0, 50_000, 5000).tolist()
    inside, outside = training[2000:2040], rng.integers(0, 50_000, 40).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "CHUNK", 7)
        assert overlapping(fake(training, "u2"), [inside, outside, inside[:4]]) == [True, False, False]


def test_training_documents_overlap_and_held_out_ones_mostly_not(text_folder: Path, tmp_path: Path) -> None:
    corpus = corpus_of(text_folder, tmp_path)
    assert window(corpus) in (50, 51)  # separators count as tokens without a byte
    train, heldout = corpus.tokens("train"), corpus.tokens("heldout")
    own = [train[i : i + 100].tolist() for i in range(0, 20_000, 1000)]
    other = [heldout[i : i + 100].tolist() for i in range(0, 20_000, 1000)]
    assert all(overlapping(corpus, own))
    assert sum(overlapping(corpus, other)) < 15
