"""Passages that questions share with the training text, found exactly by one pass over its tokens.

A question overlaps where any 50 characters of its context and right answer stand in the training text: of bytes 50 of
them, of other tokens as many as cover 50 characters on average. (Brown et al. 2020, appendix C, take 13 words, which
are longer; what overlaps there does here.)
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data import Corpus

CHARACTERS = 50
CHUNK = 1 << 22  # tokens at once
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
SIEVE_BITS = 24


def window(corpus: Corpus) -> int:
    """Tokens that cover 50 characters on average."""
    return max(2, math.ceil(CHARACTERS / corpus.bytes_per_token))


def overlapping(
    corpus: Corpus, questions: Sequence[Sequence[int]], progress: Callable[[float], None] = lambda share: None
) -> list[bool]:
    """Which questions overlap with the training split: a passage of :func:`window` tokens stands in it.

    Args:
        questions: the tokens of each; one that is shorter than the window overlaps with nothing.
        progress: told the share that is done.

    Raises:
        UserError: a corpus that is only declared, or whose files are damaged.
    """
    width = window(corpus)
    hashes = [_hashes(np.asarray(ids, dtype=np.uint64), width) for ids in questions]
    wanted = np.unique(np.concatenate([*hashes, np.empty(0, np.uint64)]))
    found = _found(corpus.tokens("train"), wanted, width, progress)
    return [bool(found[np.searchsorted(wanted, mine)].any()) if len(mine) else False for mine in hashes]


def _found(
    tokens: NDArray[np.generic], wanted: NDArray[np.uint64], width: int, progress: Callable[[float], None]
) -> NDArray[np.bool_]:
    """Which of the ``wanted`` hashes, sorted and different, a window of ``tokens`` has."""
    found = np.zeros(len(wanted), dtype=bool)
    sieve = np.zeros(1 << SIEVE_BITS, dtype=bool)
    sieve[_sieved(wanted)] = True
    for begin in range(0, max(0, len(tokens) - width + 1), CHUNK):
        made = _hashes(tokens[begin : begin + CHUNK + width - 1].astype(np.uint64), width)
        likely = np.unique(made[sieve[_sieved(made)]])
        places = np.searchsorted(wanted, likely)
        inside = places < len(wanted)
        hit = places[inside][wanted[places[inside]] == likely[inside]]
        found[hit] = True
        progress(min(1.0, (begin + CHUNK) / len(tokens)))
    return found


def _sieved(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (hashes >> np.uint64(64 - SIEVE_BITS)).astype(np.int64)


def _hashes(tokens: NDArray[np.uint64], width: int) -> NDArray[np.uint64]:
    """A hash of every window: the polynomial of its tokens modulo 2^64, from differences of prefix sums.

    Two of a few hundred million windows and a few hundred thousand questions' agree by chance once in 10^5 corpora.
    """
    if len(tokens) < width:
        return np.empty(0, dtype=np.uint64)
    with np.errstate(over="ignore"):
        powers = np.cumprod(np.full(len(tokens), FACTOR, dtype=np.uint64))
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((tokens + np.uint64(1)) * powers)])
        inverse = np.uint64(pow(int(FACTOR), -1, 1 << 64))
        back = np.cumprod(np.full(len(tokens) - width + 1, inverse, dtype=np.uint64))
        made = (sums[width:] - sums[:-width]) * back
        made ^= made >> np.uint64(29)  # the low bits of a polynomial modulo 2^64 are the weaker ones
        return np.asarray(made * np.uint64(0xBF58476D1CE4E5B9), dtype=np.uint64)
