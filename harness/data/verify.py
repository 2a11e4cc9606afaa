"""Whether the files of a prepared corpus are as they were written: read once for every version of them.

A version is what the file system says of a file: its size, its times and its inode. ``verified.json`` in the corpus's
folder keeps those that were found sound, so a sweep reads a large corpus once, not once a cell; where it cannot be
written, each process reads for itself.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from harness.data.meta import META, SPLITS, TOKENIZER_FOLDER, Meta, fingerprint, offsets_file, tokens_file
from harness.files import file_sha256, strict_json, write_atomic

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: several processes may all look
    fcntl = None  # type: ignore[assignment]

STAMP = "verified.json"
INCOMPLETE = "files are missing or cut short"
PATIENCE = 600.0  # seconds to wait for another process that reads: it may be frozen
LOOK = 0.05  # seconds between two looks whether it has ended
TICK = 0.02  # seconds; two changes within one tick of the file system's clock have the same time

Versions = dict[str, list[int]]
"""By file below the folder: size, mtime and ctime in nanoseconds, inode."""

_sound: dict[Path, Versions] = {}


def damage(folder: Path, meta: Meta) -> str:
    """What is wrong with the files of the corpus in ``folder``; empty where nothing is."""
    if not meta.dtype:  # declared: it has none
        return ""
    found = versions(folder, meta)
    if found is None or not _has_sizes(found, meta):
        return INCOMPLETE
    if _is_known(folder, found):
        return ""
    with _one_at_a_time(folder):
        if _is_known(folder, found):  # another process has looked meanwhile
            return ""
        if any(ctime > time.time_ns() - TICK * 1e9 for _, _, ctime, _ in found.values()):
            time.sleep(TICK)
        wrong = _look(folder, meta)
        if not wrong and versions(folder, meta) != found:
            wrong = "its files changed while they were read"
        if not wrong:
            _remember(folder, found)
    return wrong


def changed(folder: Path, meta: Meta, before: Versions | None) -> str:
    """Why what was read from the corpus since its files were as ``before`` cannot be trusted; empty where it can.

    A file that has only other times is read again; one with another inode is not the one that was read.
    """
    now = versions(folder, meta)
    if now == before:
        return ""
    if (
        now is None
        or before is None
        or any(now.get(name, [0])[-1] != one[-1] for name, one in before.items())
    ):
        return "they are others by now"
    return damage(folder, meta)


def file_hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a corpus but its meta, by name below ``folder``."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (META, STAMP)]
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths}


def _look(folder: Path, meta: Meta) -> str:
    try:
        return _look_at_hashes(folder, meta) if meta.files else _look_at_content(folder, meta)
    except (OSError, ValueError, EOFError) as error:
        return f"a file cannot be read: {error}"


def _look_at_hashes(folder: Path, meta: Meta) -> str:
    wrong = [name for name, digest in meta.files.items() if file_sha256(folder / name) != digest]
    if not wrong and _fingerprint([meta.files[f"{split}.bin"] for split in SPLITS], meta) != meta.fingerprint:
        return "its tokens are not those of its fingerprint"
    return f"{', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} not as written" if wrong else ""


def _look_at_content(folder: Path, meta: Meta) -> str:
    """The same for a corpus from before its files' hashes were kept: its fingerprint is one of the tokens."""
    hashes = [file_sha256(tokens_file(folder, split)) for split in SPLITS]
    if _fingerprint(hashes, meta) != meta.fingerprint:
        return "its tokens are not those of its fingerprint"
    documents = {"train": meta.train_documents, "heldout": meta.heldout_documents}
    for split, number in documents.items():
        path = offsets_file(folder, split)
        tokens = np.memmap(tokens_file(folder, split), meta.dtype, "r") if number else np.empty(0)
        if not _separates(np.load(path), tokens, number, meta.separator):
            return f"{path.name} does not say where documents begin"
    if meta.tokenizer == "bytes" and (meta.train_bytes, meta.heldout_bytes) != (
        meta.train_tokens - meta.train_documents,
        meta.heldout_tokens - meta.heldout_documents,
    ):
        return f"{META} does not count the bytes of its tokens"
    for path in _tokenizer_files(folder):
        if path.suffix == ".json":
            strict_json(path.read_bytes())
    return ""


def _fingerprint(hashes: list[str], meta: Meta) -> str:
    return fingerprint(hashes, meta.vocab_size, meta.separator)


def _separates(offsets: np.ndarray, tokens: np.ndarray, documents: int, separator: int) -> bool:
    if offsets.dtype != np.int64 or offsets.shape != (documents + 1,):
        return False
    ends = offsets[1:]
    rising = offsets[0] == 0 and offsets[-1] == len(tokens) and bool((ends > offsets[:-1]).all())
    return rising and bool((tokens[ends - 1] == separator).all())


def _tokenizer_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / TOKENIZER_FOLDER).glob("*") if path.is_file())


def versions(folder: Path, meta: Meta) -> Versions | None:
    """The versions of all files that the corpus consists of; None where one is missing."""
    names = [META, *meta.files]
    if not meta.files:
        pairs = ((tokens_file(folder, split), offsets_file(folder, split)) for split in SPLITS)
        names += [path.name for pair in pairs for path in pair]
        tokenizer = [f"{TOKENIZER_FOLDER}/{path.name}" for path in _tokenizer_files(folder)]
        if not tokenizer:
            return None
        names += tokenizer
    try:
        stats = {name: (folder / name).stat() for name in names}
    except OSError:
        return None
    return {name: [s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for name, s in stats.items()}


def _has_sizes(found: Versions, meta: Meta) -> bool:
    """Whether the token files have the sizes that the meta says: sequences are views by its counts."""
    width = np.dtype(meta.dtype).itemsize
    sizes = {"train.bin": meta.train_tokens * width, "heldout.bin": meta.heldout_tokens * width}
    return all(found.get(name, [-1])[0] == size for name, size in sizes.items())


def _is_known(folder: Path, found: Versions) -> bool:
    if _sound.get(folder.absolute()) == found:
        return True
    try:
        return bool(json.loads((folder / STAMP).read_bytes()) == found)
    except (OSError, ValueError, RecursionError):
        return False


def _remember(folder: Path, found: Versions) -> None:
    _sound[folder.absolute()] = found
    with suppress(
        OSError
    ):  # a folder that may only be read, or a full disk: the next process looks for itself
        write_atomic(folder / STAMP, json.dumps(found) + "\n")


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """One process looks, and the others find that it has; where none can say so, all look at once."""
    if fcntl is None or not os.access(folder, os.W_OK):
        yield
        return
    with (folder / META).open("rb") as file:
        deadline = time.monotonic() + PATIENCE
        while not _is_locked(file.fileno()) and time.monotonic() < deadline:
            time.sleep(LOOK)
        yield


def _is_locked(handle: int) -> bool:
    """Whether there is nothing to wait for: the file is locked, or cannot be, as on some network file systems."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
