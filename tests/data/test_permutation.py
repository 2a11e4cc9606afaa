"""The shuffled order: an exact permutation for every size, seed and epoch, and one that looks shuffled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.permutation import BLOCK, permute, stream

SEEDS = st.integers(-5, 2**63)
GOLDEN_SMALL = [8, 5, 0, 2, 9, 4, 3, 7, 1, 6, 8, 6, 9, 3, 7, 4, 2, 0, 5, 1]
GOLDEN_LARGE = [181552, 820444, 524976, 599607, 970868, 642357]


@settings(deadline=None)
@given(n=st.integers(1, 3000), seed=SEEDS, epoch=st.integers(0, 2**40))
def test_an_epoch_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    assert np.array_equal(np.sort(permute(n, seed, epoch, np.arange(n))), np.arange(n))


@pytest.mark.parametrize("n", [1, 2, 3, BLOCK - 1, BLOCK, BLOCK + 1, 99_856, 99_857, 316**2 - 1])
def test_a_permutation_at_squares_and_block_ends(n: int) -> None:
    assert np.array_equal(np.sort(stream(n, 1, 0, n)), np.arange(n))


def test_positions_of_a_huge_corpus_cost_nothing() -> None:
    n = 10**13
    found = permute(n, 0, 3, np.arange(n - 1000, n))
    assert len(set(found.tolist())) == 1000
    assert found.min() >= 0
    assert found.max() < n


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(1, 50), seed=SEEDS, start=st.integers(0, 200), length=st.integers(0, 200), data=st.data()
)
def test_the_stream_is_addressable(n: int, seed: int, start: int, length: int, data: st.DataObject) -> None:
    cut = data.draw(st.integers(start, start + length))
    whole = stream(n, seed, start, start + length)
    assert len(whole) == length
    assert np.array_equal(
        np.concatenate([stream(n, seed, start, cut), stream(n, seed, cut, start + length)]), whole
    )
    assert all(
        whole[i] == permute(n, seed, (start + i) // n, np.array([(start + i) % n]))[0] for i in range(length)
    )


def test_the_order_never_changes() -> None:
    """Committed numbers: a change here changes every run's data and needs a new format number."""
    assert stream(10, 0, 0, 20).tolist() == GOLDEN_SMALL
    assert stream(1_000_000, 7, 999_998, 1_000_004).tolist() == GOLDEN_LARGE


def test_epochs_and_seeds_give_different_orders() -> None:
    orders = {tuple(permute(40, seed, epoch, np.arange(40))) for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_every_index_is_as_likely_everywhere(n: int) -> None:
    """Chi-square of (position, index) over seeds; the bound is five standard deviations out."""
    draws = 2000
    table = np.zeros((n, n))
    for seed in range(draws):
        table[np.arange(n), permute(n, seed, 0, np.arange(n))] += 1
    chi = ((table - draws / n) ** 2 / (draws / n)).sum()
    free = (n - 1) ** 2
    assert chi < free + 5 * (2 * free) ** 0.5


def test_neighbours_are_unrelated() -> None:
    n = 20_000
    order = permute(n, 3, 0, np.arange(n)).astype(float)
    following = np.corrcoef(order[:-1], order[1:])[0, 1]
    placed = np.corrcoef(order, np.arange(n))[0, 1]
    assert abs(following) < 5 / n**0.5
    assert abs(placed) < 5 / n**0.5
