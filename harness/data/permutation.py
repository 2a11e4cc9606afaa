"""A shuffled order that needs no state: position in, index out.

An epoch's order is a keyed Feistel network on pairs (left, right) in Z_m × Z_m, m = ceil(sqrt(n)), restricted
to ``n`` values by walking on while the image is outside. Every round is invertible, so the order is an exact
permutation for any ``n``. It is integer arithmetic only: the same on every machine and numpy version, which
numpy's own generators do not promise. Any position costs the same, so resuming needs nothing but the step.
"""

from functools import lru_cache
from math import isqrt

import numpy as np
from numpy.typing import NDArray

ROUNDS = 8
BLOCK = 4096  # positions computed at once, so that a small batch pays a slice and no arithmetic

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


def permute(n: int, seed: int, epoch: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices at ``positions`` of the order of ``n`` things in ``epoch``; all within ``range(n)``."""
    side = isqrt(n - 1) + 1 if n > 1 else 1
    keys = _round_keys(seed, epoch)
    values = _network(positions.astype(np.uint64), side, keys)
    outside = np.flatnonzero(values >= n)
    while len(outside):
        values[outside] = _network(values[outside], side, keys)
        outside = outside[values[outside] >= n]
    return values.astype(np.int64)


def stream(n: int, seed: int, start: int, stop: int) -> NDArray[np.int64]:
    """Indices ``start`` to ``stop`` of the endless stream: each epoch is a permutation of ``range(n)``."""
    parts = []
    while start < stop:
        epoch, position = divmod(start, n)
        block, offset = divmod(position, BLOCK)
        part = _block(n, seed, epoch, block)[offset : offset + stop - start]
        parts.append(part)
        start += len(part)
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64), *parts])


@lru_cache(maxsize=16)
def _block(n: int, seed: int, epoch: int, block: int) -> NDArray[np.int64]:
    indices = permute(n, seed, epoch, np.arange(block * BLOCK, min(n, (block + 1) * BLOCK), dtype=np.int64))
    indices.setflags(write=False)
    return indices


def _network(values: NDArray[np.uint64], side: int, keys: list[int]) -> NDArray[np.uint64]:
    m = np.uint64(side)
    left, right = values // m, values % m
    for key in keys:
        left, right = right, (left + _mix(right + np.uint64(key)) % m) % m
    return left * m + right


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014); arithmetic modulo 2^64."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_FIRST)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_SECOND)
    return x ^ (x >> np.uint64(31))


def _mix_int(x: int) -> int:
    x = ((x ^ (x >> 30)) * _FIRST) & _MASK
    x = ((x ^ (x >> 27)) * _SECOND) & _MASK
    return x ^ (x >> 31)


def _round_keys(seed: int, epoch: int) -> list[int]:
    state = _mix_int((_mix_int((seed + _GOLDEN) & _MASK) + epoch) & _MASK)
    return [_mix_int((state + (i + 1) * _GOLDEN) & _MASK) for i in range(ROUNDS)]
