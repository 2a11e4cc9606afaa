"""Writing a split's token file as documents come, and hashing it on the way."""

import hashlib
import os
from array import array
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.data.corpus import offsets_file, tokens_file


def token_dtype(vocab_size: int) -> str:
    """The smallest little-endian unsigned type that holds every id."""
    return "<u1" if vocab_size <= 1 << 8 else "<u2" if vocab_size <= 1 << 16 else "<u4"


class SplitWriter:
    """Appends documents to one split of a corpus folder.

    Attributes:
        tokens, bytes: written so far; tokens include the separators.
    """

    def __init__(self, folder: Path, split: str, dtype: str, separator: int) -> None:
        self._offsets_file = offsets_file(folder, split)
        self._file = tokens_file(folder, split).open("wb", buffering=1 << 20)
        self._hash = hashlib.sha256()
        self._dtype = np.dtype(dtype)
        self._separator = np.array([separator], dtype).tobytes()
        self._offsets = array("q", [0])
        self.tokens = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def documents(self) -> int:
        """Documents written so far."""
        return len(self._offsets) - 1

    def add(self, ids: NDArray[Any], size: int) -> None:
        """Append one document of ``size`` bytes of text, and the separator."""
        data = ids.astype(self._dtype, copy=False).tobytes() + self._separator
        self._file.write(data)
        self._hash.update(data)
        self.tokens += len(ids) + 1
        self.bytes += size
        self._offsets.append(self.tokens)

    def finish(self) -> str:
        """Everything to disk; the SHA-256 of the token file."""
        self._file.flush()
        os.fsync(self._file.fileno())
        with self._offsets_file.open("wb") as file:
            np.save(file, np.frombuffer(self._offsets, dtype=np.int64))
            file.flush()
            os.fsync(file.fileno())
        return self._hash.hexdigest()
