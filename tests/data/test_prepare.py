"""Preparing once: the split, the cache, the fingerprint, and processes that meet or die."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import (
    Corpus,
    DataConfig,
    TokenizerConfig,
    open_corpus,
    prepare,
    prepare_domains,
    prepared,
)
from harness.data.sources import PythonSource
from harness.errors import UserError
from tests.data.texts import split_documents, text_config, text_corpus, write_texts
from tests.workers import FORKED, forked

BYTES = TokenizerConfig()

SLOWLY = """
import sys, time
from pathlib import Path
from harness.data import TokenizerConfig, prepare
from harness.data.tokenizer import ByteEncoder
from tests.data.texts import text_config

def slow(self, documents, encode=ByteEncoder.encode):
    print("encoding", flush=True)
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
    return encode(self, documents)

ByteEncoder.encode = slow
texts, cache = map(Path, sys.argv[1:3])
corpus = prepare(text_config(texts), TokenizerConfig(), cache, lambda line: print(line, flush=True))
print("done", corpus.fingerprint)
"""


def start_slow(texts: Path, cache: Path, go_on: Path) -> subprocess.Popen[str]:
    """Another process that prepares ``texts`` and waits half-way until ``go_on`` exists."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(texts), str(cache), str(go_on)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def corpora_in(cache: Path) -> list[Path]:
    """Finished corpora in a cache."""
    return [entry for entry in cache.iterdir() if entry.is_dir() and not entry.name.startswith(".")]


@settings(deadline=None, max_examples=15)
@given(
    fraction=st.floats(0.1, 0.5), copies=st.integers(0, 5), deduplicate=st.booleans(), seed=st.integers(0, 99)
)
def test_no_document_is_on_both_sides(
    tmp_path_factory: pytest.TempPathFactory, fraction: float, copies: int, deduplicate: bool, seed: int
) -> None:
    tmp_path = tmp_path_factory.mktemp("split")
    folder = write_texts(tmp_path / "texts", 50, seed, words=10)
    originals = sorted(folder.rglob("*.txt"))
    for i in range(copies):
        shutil.copy(originals[7 * i], folder / f"copy{i}.txt")
    config = text_config(folder, heldout_fraction=fraction, deduplicate=deduplicate)
    corpus = prepare(config, BYTES, tmp_path / "cache")
    train, heldout = split_documents(corpus, "train"), split_documents(corpus, "heldout")
    assert not set(train) & set(heldout)
    assert set(train) | set(heldout) == {path.read_bytes() for path in originals}
    assert len(train) + len(heldout) == 50 + (0 if deduplicate else copies)
    assert corpus.meta.skipped == ({"duplicate": copies} if deduplicate and copies else {})
    assert corpus.meta.train_documents == len(train)


def test_a_document_keeps_its_side_when_others_come(tmp_path: Path) -> None:
    before = text_corpus(tmp_path)
    write_texts(tmp_path / "texts" / "added", 40, seed=1)
    after = text_corpus(tmp_path)
    assert after.folder != before.folder
    for split in ("train", "heldout"):
        assert set(split_documents(before, split)) < set(split_documents(after, split))


def test_the_token_file_is_what_the_meta_says(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    for split, tokens in (("train", corpus.train_tokens), ("heldout", corpus.heldout_tokens)):
        offsets = corpus.offsets(split)
        assert offsets[0] == 0
        assert offsets[-1] == tokens == len(corpus.tokens(split))
        assert (corpus.tokens(split)[offsets[1:] - 1] == corpus.separator).all()


def test_it_is_reused_and_no_text_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare(DataConfig(), BYTES, tmp_path)
    made = (first.folder / "meta.json").stat().st_mtime_ns
    monkeypatch.setattr(PythonSource, "documents", lambda *_: pytest.fail("it reads the text again"))
    said: list[str] = []
    again = prepare(DataConfig(), BYTES, tmp_path, said.append)
    assert again.folder == first.folder
    assert (again.folder / "meta.json").stat().st_mtime_ns == made
    assert not said
    assert first.train_tokens > 8_000_000
    assert 0.05 < first.heldout_tokens / first.train_tokens < 0.2


def test_evaluation_and_epochs_do_not_retokenise(tmp_path: Path) -> None:
    first = text_corpus(tmp_path)
    assert text_corpus(tmp_path, eval_tokens=5, max_epochs=9).folder == first.folder


@pytest.mark.parametrize(
    "change",
    [
        {"heldout_fraction": 0.4},
        {"deduplicate": False},
        {"max_documents": 9},
        {"max_bytes": 999},
        {"name": "b"},
    ],
)
def test_what_changes_the_tokens_or_the_meta_makes_another(tmp_path: Path, change: dict[str, object]) -> None:
    assert text_corpus(tmp_path).folder != text_corpus(tmp_path, **change).folder


def test_a_copy_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    here = text_corpus(tmp_path)
    shutil.copytree(tmp_path / "texts", tmp_path / "elsewhere" / "renamed", copy_function=shutil.copyfile)
    there = prepare(text_config(tmp_path / "elsewhere" / "renamed", name="other"), BYTES, tmp_path / "cache2")
    assert there.fingerprint == here.fingerprint
    assert there.folder.name != here.folder.name


@pytest.mark.parametrize("how", ["edit", "rename_order", "remove", "split"])
def test_other_content_has_another_fingerprint(tmp_path: Path, how: str) -> None:
    before = text_corpus(tmp_path)
    file = tmp_path / "texts" / "part0" / "000.txt"
    if how == "edit":
        file.write_text(file.read_text(encoding="utf-8").replace("0:", "9:", 1), encoding="utf-8")
        os.utime(file, ns=(0, 0))
    elif how == "rename_order":
        file.rename(file.with_name("zzz.txt"))
    elif how == "remove":
        file.unlink()
    after = text_corpus(tmp_path, **({"heldout_fraction": 0.35} if how == "split" else {}))
    assert after.fingerprint != before.fingerprint


def test_the_bytes_are_little_endian_and_small(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    assert corpus.meta.dtype == "<u1"
    assert (corpus.folder / "train.bin").stat().st_size == corpus.train_tokens
    assert text_corpus(tmp_path, TokenizerConfig(kind="bpe", vocab_size=300)).meta.dtype == "<u2"


def test_progress_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.data.cache.INTERVAL", 0.0)
    said: list[str] = []
    folder = write_texts(tmp_path / "texts")
    prepare(text_config(folder), TokenizerConfig(kind="bpe", vocab_size=300), tmp_path / "cache", said.append)
    assert "training the tokenizer" in said[0]
    assert "60 documents" in said[-1]
    assert "MB/s" in said[-1]


def test_without_a_terminal_lines_come_now_and_then_and_a_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_texts(tmp_path / "texts")
    said: list[str] = []
    prepare(text_config(folder), BYTES, tmp_path / "cache", said.append, interval=20.0)
    assert not said, "what is done at once needs no line"
    monkeypatch.setattr("harness.data.cache.FIRST", 0.0)
    prepare(text_config(folder, name="b"), BYTES, tmp_path / "cache", said.append, interval=20.0)
    first, last = said
    assert re.fullmatch(r"corpus b: \d+%, 60 documents, .* MB, .* tokens, .* MB/s, .* left", first)
    assert re.fullmatch(r"corpus b: 60 documents, .* MB, .* tokens in .*, .* MB/s", last)


def test_killed_half_way_it_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    texts, cache = write_texts(tmp_path / "texts"), tmp_path / "cache"
    process = start_slow(texts, cache, tmp_path / "never")
    assert process.stdout is not None
    assert process.stdout.readline() == "encoding\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert corpora_in(cache) == []
    assert list(cache.glob(".*building*"))
    corpus = prepare(text_config(texts), BYTES, cache)
    assert corpora_in(cache) == [corpus.folder]
    assert not list(cache.glob(".*building*"))
    assert corpus.fingerprint == prepare(text_config(texts), BYTES, tmp_path / "cache2").fingerprint


def test_an_interrupted_one_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.data.tokenizer.ByteEncoder.encode", interrupt)
    with pytest.raises(KeyboardInterrupt):
        text_corpus(tmp_path)
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    texts, cache, go_on = write_texts(tmp_path / "texts"), tmp_path / "cache", tmp_path / "go_on"
    first = start_slow(texts, cache, go_on)
    assert first.stdout is not None
    assert first.stdout.readline() == "encoding\n"
    second = start_slow(texts, cache, go_on)
    assert second.stdout is not None
    assert "another process is preparing it" in second.stdout.readline()
    go_on.touch()
    ends = [process.communicate(timeout=60)[0].splitlines() for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert ends[0][-1] == ends[1][-1]
    assert len(ends[1]) == 1
    assert len(corpora_in(cache)) == 1


def _prepare_without_locks(texts: Path, cache: Path, together: Barrier, found: Path) -> None:
    import harness.data.cache

    harness.data.cache.fcntl = None  # type: ignore[assignment]
    together.wait(60)
    found.write_text(prepare(text_config(texts), BYTES, cache).fingerprint)


def test_without_locks_the_first_to_finish_wins(tmp_path: Path) -> None:
    texts, cache = write_texts(tmp_path / "texts", 400), tmp_path / "cache"
    together, paths = FORKED.Barrier(3), [tmp_path / f"found-{i}" for i in range(3)]
    processes = [forked(_prepare_without_locks, texts, cache, together, path) for path in paths]
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    found = [path.read_text() for path in paths]
    assert len(set(found)) == 1
    (folder,) = corpora_in(cache)
    assert open_corpus(folder).fingerprint == found[0]
    assert not list(cache.glob(".*building*"))


def test_a_full_disk_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.data.cache.SplitWriter.add", full)
    with pytest.raises(UserError, match="the disk is full"):
        text_corpus(tmp_path)
    assert not [entry for entry in (tmp_path / "cache").iterdir() if entry.is_dir()]


def test_a_cache_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(UserError, match="cache_dir"):
        text_corpus(tmp_path)


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """A corpus several times the allowed growth: documents stream through."""
    import tracemalloc

    path = tmp_path / "big.txt"
    block = "\n\n".join(f"paragraph {i} " + "word " * 50 for i in range(4000))
    with path.open("w") as file:
        for i in range(60):
            file.write(f"{i}\n{block}\n\n")
    size = path.stat().st_size
    assert size > 60e6
    tracemalloc.start()
    corpus = prepare(text_config(path, document_bytes=100_000, deduplicate=True), BYTES, tmp_path / "cache")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6
    assert corpus.meta.train_bytes + corpus.meta.heldout_bytes <= size


def test_opening_reads_nothing_but_the_meta(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = text_corpus(tmp_path)
    opened_files: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(io, "open", noting(opened_files, io.open))  # of pathlib
        patch.setattr("builtins.open", noting(opened_files, open))  # of NumPy
        opened: Corpus = open_corpus(corpus.folder)
        assert opened_files == ["meta.json"]
        opened.batch(0, 0, 2, 8)
        assert "train.bin" in opened_files, "what is read would be seen"
    assert np.array_equal(opened.batch(0, 0, 2, 8), corpus.batch(0, 0, 2, 8))


def noting(names: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which opens a file, and the name of what it opens in ``names``."""

    def opening(file: Any, *arguments: Any, **options: Any) -> Any:
        names.append(Path(file).name)
        return function(file, *arguments, **options)

    return opening


def test_the_bytes_path_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.data import *; "
        f"prepare(DataConfig(max_documents=40), TokenizerConfig(), {str(tmp_path)!r}); "
        "print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_corpus_is_found_by_its_folder_where_the_text_is_gone(tmp_path: Path) -> None:
    data = text_config(
        write_texts(tmp_path / "texts"), domains={"prose": str(write_texts(tmp_path / "prose"))}
    )
    cache = tmp_path / "cache"
    corpus = prepare(data, BYTES, cache)
    domain = prepare_domains(data, BYTES, corpus, 16, cache)["prose"]
    shutil.rmtree(tmp_path / "texts")
    shutil.rmtree(tmp_path / "prose")
    there = prepared(data, corpus.folder, {"prose": domain.folder})
    assert (there.name, there.max_epochs, there.eval_tokens) == (data.name, data.max_epochs, data.eval_tokens)
    assert prepare(there, BYTES, cache).folder == corpus.folder
    assert prepare_domains(there, BYTES, corpus, 16, cache)["prose"].folder == domain.folder
    with pytest.raises(UserError, match="no complete corpus there"):
        prepare(prepared(data, tmp_path / "elsewhere", {}), BYTES, cache)
    with pytest.raises(UserError, match="name the folder of a tokenised corpus"):
        DataConfig(kind="prepared")
