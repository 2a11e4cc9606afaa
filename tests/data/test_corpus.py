"""Batches and evaluation sequences of an opened corpus."""

import math
import os
import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import Corpus, DataConfig, TokenizerConfig, open_corpus, prepare
from harness.errors import UserError
from tests.data.texts import split_documents, text_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return text_corpus(tmp_path_factory.mktemp("corpus"))


@settings(deadline=None, max_examples=40)
@given(seq_len=st.integers(2, 200), batch=st.integers(1, 40), seed=st.integers(0, 10**9))
def test_an_epoch_holds_every_sequence_once(corpus: Corpus, seq_len: int, batch: int, seed: int) -> None:
    count = corpus.sequences(seq_len)
    flat = corpus.tokens("train")
    steps = -(-count // batch)
    seen = np.concatenate([corpus.batch(seed, step, batch, seq_len) for step in range(steps)])[:count]
    expected = np.stack([flat[i * seq_len : (i + 1) * seq_len + 1] for i in range(count)])
    assert seen.dtype == np.int64
    assert sorted(map(bytes, seen.astype(np.uint8))) == sorted(map(bytes, expected))


@settings(deadline=None, max_examples=40)
@given(data=st.data(), batch=st.integers(1, 30), step=st.integers(0, 1000), seed=st.integers(0, 99))
def test_rows_are_slices_of_the_batch(
    corpus: Corpus, data: st.DataObject, batch: int, step: int, seed: int
) -> None:
    whole = corpus.batch(seed, step, batch, 64)
    cuts = sorted(data.draw(st.lists(st.integers(0, batch), max_size=4)))
    bounds = [0, *cuts, batch]
    parts = [corpus.batch(seed, step, batch, 64, slice(a, b)) for a, b in pairwise(bounds)]
    assert whole.shape == (batch, 65)
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(corpus.batch(seed, step, batch, 64, slice(-1, None)), whole[-1:])


def test_the_stream_of_sequences_does_not_depend_on_the_batch(corpus: Corpus) -> None:
    """So neither does it depend on the horizon: step by step the same seed sees the same text."""
    by_two = np.concatenate([corpus.batch(5, step, 2, 32) for step in range(12)])
    by_three = np.concatenate([corpus.batch(5, step, 3, 32) for step in range(8)])
    assert np.array_equal(by_two, by_three)


def test_labels_follow_inputs(corpus: Corpus) -> None:
    """Concatenated, the sequences of an epoch predict each token but the first exactly once."""
    seq_len = 50
    sequences = corpus.batch(0, 0, corpus.sequences(seq_len), seq_len)
    predicted = np.sort(sequences[:, 1:].ravel())
    flat = corpus.tokens("train")[1 : corpus.sequences(seq_len) * seq_len + 1]
    assert np.array_equal(predicted, np.sort(flat))


def test_a_sequence_may_be_the_whole_split(corpus: Corpus) -> None:
    seq_len = corpus.train_tokens - 1
    assert corpus.sequences(seq_len) == 1
    assert np.array_equal(corpus.batch(0, 3, 2, seq_len)[1], corpus.tokens("train"))
    assert corpus.sequences(seq_len + 1) == 0
    with pytest.raises(UserError, match="do not fill a sequence"):
        corpus.batch(0, 0, 1, seq_len + 1)
    with pytest.raises(UserError, match="do not fill a sequence"):
        corpus.epochs(100, seq_len + 1)


def test_batches_may_be_written_to(corpus: Corpus) -> None:
    before = corpus.batch(0, 0, 4, 16)
    corpus.batch(0, 0, 4, 16)[:] = 0
    assert np.array_equal(corpus.batch(0, 0, 4, 16), before)


@settings(deadline=None, max_examples=40)
@given(seq_len=st.integers(2, 120), tokens=st.integers(1, 5000))
def test_heldout_sequences_are_fixed_spread_and_of_known_documents(
    corpus: Corpus, seq_len: int, tokens: int
) -> None:
    sequences, documents = corpus.heldout_sequences(seq_len, tokens)
    count = (corpus.heldout_tokens - 1) // seq_len
    assert len(sequences) == min(count, -(-tokens // seq_len))
    assert sequences.shape[1] == seq_len + 1
    assert documents.shape == (len(sequences), seq_len)
    again = corpus.heldout_sequences(seq_len, tokens)
    assert np.array_equal(sequences, again[0])
    texts = split_documents(corpus, "heldout")
    for sequence, row in zip(sequences[:3], documents[:3], strict=True):
        for token, document in zip(sequence[1:], row, strict=True):
            assert token == corpus.separator or token in texts[document]
    assert (np.diff(documents.ravel()) >= 0).all()


def test_evaluation_takes_all_there_is(corpus: Corpus) -> None:
    sequences, documents = corpus.heldout_sequences(16, 10**9)
    assert len(sequences) == (corpus.heldout_tokens - 1) // 16
    assert len(np.unique(documents)) == corpus.meta.heldout_documents
    with pytest.raises(UserError, match="held-out"):
        corpus.heldout_sequences(10**6, 100)


def test_it_travels_by_path(corpus: Corpus) -> None:
    corpus.batch(0, 0, 4, 16)
    data = pickle.dumps(corpus)
    assert len(data) < 1000
    copy = pickle.loads(data)
    assert np.array_equal(copy.batch(1, 2, 4, 16), corpus.batch(1, 2, 4, 16))


def test_bits_per_byte(corpus: Corpus) -> None:
    """A uniform guess over 256 bytes costs 8 bits a token, and separators are tokens without bytes."""
    tokens_per_byte = corpus.heldout_tokens / corpus.meta.heldout_bytes
    assert corpus.bits_per_byte(math.log(256)) == pytest.approx(8 * tokens_per_byte)
    assert corpus.meta.heldout_bytes == corpus.heldout_tokens - corpus.meta.heldout_documents


def test_epochs(corpus: Corpus) -> None:
    assert corpus.epochs(3 * corpus.sequences(64) * 64, 64) == 3


@pytest.mark.parametrize("damage", ["truncate", "remove", "meta", "format"])
def test_a_damaged_corpus_is_not_opened_but_made_again(tmp_path: Path, damage: str) -> None:
    corpus = text_corpus(tmp_path)
    train, meta = corpus.folder / "train.bin", corpus.folder / "meta.json"
    if damage == "truncate":
        train.write_bytes(train.read_bytes()[:-1])
    elif damage == "remove":
        (corpus.folder / "heldout.offsets.npy").unlink()
    elif damage == "meta":
        meta.write_text(meta.read_text()[:50])
    else:
        meta.write_text(meta.read_text().replace('"format": ', '"format": 99'))
    with pytest.raises(UserError, match="no complete corpus"):
        open_corpus(corpus.folder)
    again = text_corpus(tmp_path)
    assert again.folder == corpus.folder
    assert again.fingerprint == corpus.fingerprint
    assert again.batch(0, 0, 2, 16).shape == (2, 17)


def test_a_missing_corpus_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no complete corpus"):
        open_corpus(tmp_path / "nowhere")


def test_a_declared_corpus_plans_and_does_not_train(tmp_path: Path) -> None:
    config = DataConfig(name="c4", kind="declared", unique_tokens=1.5e11, vocab_size=32000)
    corpus = prepare(config, TokenizerConfig(), tmp_path)
    assert (corpus.train_tokens, corpus.vocab_size, corpus.name) == (150_000_000_000, 32000, "c4")
    assert corpus.epochs(3e11, 2048) == pytest.approx(2, rel=1e-6)
    assert (
        open_corpus(corpus.folder).fingerprint
        == corpus.fingerprint
        == prepare(config, TokenizerConfig(), tmp_path).fingerprint
    )
    for use in (
        lambda: corpus.batch(0, 0, 1, 8),
        lambda: corpus.heldout_sequences(8, 8),
        lambda: corpus.save_tokenizer(tmp_path),
    ):
        with pytest.raises(UserError, match="declared"):
            use()


def test_a_declared_fingerprint_is_kept(tmp_path: Path) -> None:
    config = DataConfig(name="c4", kind="declared", unique_tokens=1e9, vocab_size=2, fingerprint="ab" * 8)
    assert prepare(config, TokenizerConfig(), tmp_path).fingerprint == "ab" * 8


@pytest.mark.parametrize("split", ["train", "heldout"])
@pytest.mark.parametrize("damage", ["gone", "short"])
def test_files_that_went_since_the_corpus_was_opened_are_named(
    split: str, damage: str, tmp_path: Path
) -> None:
    """Sequences of a shorter file would read beyond its mapping."""
    corpus = text_corpus(tmp_path)
    path = corpus.folder / f"{split}.bin"
    if damage == "gone":
        path.unlink()
    else:
        os.truncate(path, 10)
    with pytest.raises(UserError, match=rf"{split}\.bin: it is gone, or cut short; 'isoflop plan'"):
        corpus.batch(0, 0, 2, 16) if split == "train" else corpus.heldout_sequences(16, 64)
