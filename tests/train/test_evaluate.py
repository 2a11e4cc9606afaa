"""The held-out loss and what its standard error means."""

import numpy as np
import pytest
import torch

from harness.model.build import build_model
from harness.model.shape import Shape
from harness.train import micro
from harness.train.micro import LOGITS_BYTES, scored_sequences
from harness.train.outcome import summarise, token_losses


def test_one_document_has_no_standard_error() -> None:
    found = summarise(np.ones((3, 4)), np.zeros((3, 4), dtype=int))
    assert (found.loss, found.loss_se, found.tokens) == (1.0, None, 12)


def test_the_loss_is_the_mean_over_tokens_not_documents() -> None:
    losses = np.array([[1.0, 1.0, 1.0, 5.0]])
    assert summarise(losses, np.array([[0, 0, 0, 1]])).loss == 2.0


def test_the_standard_error_covers_the_loss_of_the_whole_population() -> None:
    """Documents of different length and difficulty, many draws: the spread of the mean is what is reported."""
    rng = np.random.default_rng(0)
    means, errors = [], []
    for _ in range(400):
        lengths = rng.integers(5, 50, size=60)
        difficulty = rng.normal(2.0, 0.3, size=60)
        losses = np.concatenate([d + rng.normal(0, 1, n) for d, n in zip(difficulty, lengths, strict=True)])
        found = summarise(losses, np.repeat(np.arange(60), lengths))
        means.append(found.loss)
        errors.append(found.loss_se)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_equal_documents_have_no_spread() -> None:
    losses = np.full((4, 8), 1.5)
    assert summarise(losses, np.arange(32).reshape(4, 8) // 8).loss_se == pytest.approx(0)


def test_a_large_vocabulary_is_scored_in_smaller_parts() -> None:
    assert scored_sequences(129, 256) == 16384 // 129, "small vocabularies are scored as ever"
    assert scored_sequences(2049, 128_000) == 1
    for vocab_size in (8192, 32_000, 50_304):
        rows = scored_sequences(129, vocab_size)
        assert rows * 129 * vocab_size * 4 <= LOGITS_BYTES < (rows + 1) * 129 * vocab_size * 4 * 1.01


# On the CPU, which gives each part the same bits every time.
def test_parts_do_not_change_the_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(Shape("llama", 61, 32, 2, 4, 8, 48, 2, False, 24), init_std=0.3).eval()
    sequences = np.random.default_rng(0).integers(0, 61, (7, 25))
    whole = token_losses(model, sequences, torch.device("cpu"))
    monkeypatch.setattr(micro, "LOGITS_BYTES", 4 * 61 * 25 * 2)
    assert scored_sequences(25, 61) == 2
    parts = token_losses(model, sequences, torch.device("cpu"))
    np.testing.assert_allclose(parts, whole, rtol=1e-5)
    assert np.array_equal(token_losses(model, sequences, torch.device("cpu"), at_once=7), whole)

    expected = []
    for start in range(0, 7, 2):  # each part copied by itself, as plainly as can be
        batch = torch.from_numpy(sequences[start : start + 2])
        with torch.no_grad():
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        flat = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none"
        )
        expected.append(flat.view(len(batch), -1).numpy())
    assert np.array_equal(parts, np.concatenate(expected).astype(np.float64)), "to the last bit"
