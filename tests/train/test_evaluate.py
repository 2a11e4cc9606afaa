"""The held-out loss and what its standard error means."""

import numpy as np
import pytest

from harness.train.evaluate import summarise


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
