"""A prepared corpus whose files are not as they were written is never used: it is made anew, or one line says so."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import Corpus, DataConfig, TokenizerConfig, open_corpus, prepare, verify
from harness.errors import UserError
from harness.files import seal, seal_text, unseal, unseal_text
from tests.data.texts import text_config, text_corpus

BPE = TokenizerConfig(kind="bpe", vocab_size=300)
NOT_JSON = [b"", b"null", b"[]", b'""', b'{"name": 1}', b"\x80\x00\xff"]


def content(corpus: Corpus) -> dict[str, bytes]:
    """All that is used of a corpus: its files, and its facts but for the time that it took."""
    facts = {name: value for name, value in corpus.meta.to_json().items() if name != "seconds"}
    files = {name: (corpus.folder / name).read_bytes() for name in corpus.meta.files}
    return {**files, "meta": json.dumps(facts, sort_keys=True).encode()}


def as_before_seals(corpus: Corpus) -> None:
    """Make the corpus one of an earlier version: no hash but the fingerprint."""
    meta = json.loads((corpus.folder / "meta.json").read_text())
    del meta["files"], meta["sha256"]
    (corpus.folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
    (corpus.folder / "verified.json").unlink()


def rewrite(path: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    assert bytes(data) != path.read_bytes()
    path.write_bytes(data)


def zero_half(data: bytearray) -> None:
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)


def flip(data: bytearray) -> None:
    data[len(data) // 2] ^= 1


def halve(data: bytearray) -> None:
    del data[len(data) // 2 :]


@pytest.mark.parametrize("old", [False, True], ids=["sealed", "of an earlier version"])
@pytest.mark.parametrize("change", [zero_half, flip, halve])
@pytest.mark.parametrize("name", ["train.bin", "heldout.bin", "train.offsets.npy", "heldout.offsets.npy"])
def test_token_files_are_made_anew(
    name: str, change: Callable[[bytearray], None], old: bool, tmp_path: Path
) -> None:
    before = content(corpus := text_corpus(tmp_path))
    if old:
        as_before_seals(corpus)
        assert open_corpus(corpus.folder).fingerprint == corpus.fingerprint
    rewrite(corpus.folder / name, change)
    with pytest.raises(UserError, match=r"no complete corpus there .*'isoflop plan' prepares it anew"):
        open_corpus(corpus.folder)
    said: list[str] = []
    again = prepare(text_config(tmp_path / "texts"), TokenizerConfig(), tmp_path / "cache", say=said.append)
    assert content(again) == before
    assert len(said) == 1
    assert str(corpus.folder) in said[0]
    assert said[0].endswith("it is made anew")


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {name: value}
            for name in ("train_bytes", "heldout_bytes", "train_documents")
            for value in (7, None)
        ),
        *({"heldout_tokens": value} for value in (1, -1, "5", 1.5, True, None)),
        {"dtype": "<u4"},
        {"dtype": "O"},
        {"separator": 3},
        {"vocab_size": 3},
        {"skipped": []},
        {"colour": "red"},
    ],
    ids=str,
)
@pytest.mark.parametrize("old", [False, True], ids=["sealed", "of an earlier version"])
def test_a_meta_with_a_wrong_value_is_made_anew(wrong: dict, old: bool, tmp_path: Path) -> None:
    before = content(corpus := text_corpus(tmp_path))
    if old:
        as_before_seals(corpus)
    path = corpus.folder / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))
    with pytest.raises(UserError, match="no complete corpus there"):
        open_corpus(corpus.folder)
    assert content(text_corpus(tmp_path)) == before


@pytest.mark.parametrize("name", ["meta.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"])
@pytest.mark.parametrize("text", NOT_JSON)
def test_a_file_of_something_else_is_made_anew(name: str, text: bytes, tmp_path: Path) -> None:
    before = content(corpus := text_corpus(tmp_path, BPE))
    (corpus.folder / name).write_bytes(text)
    with pytest.raises(UserError, match="no complete corpus there"):
        open_corpus(corpus.folder)
    assert content(text_corpus(tmp_path, BPE)) == before


def test_a_declared_corpus_that_says_something_else_is_made_anew(tmp_path: Path) -> None:
    config = DataConfig(name="c4", kind="declared", unique_tokens=1e9, vocab_size=32000)
    path = prepare(config, TokenizerConfig(), tmp_path).folder / "meta.json"
    for wrong in (*NOT_JSON, json.dumps(seal(json.loads(path.read_text()) | {"train_tokens": 5})).encode()):
        path.write_bytes(wrong)
        assert prepare(config, TokenizerConfig(), tmp_path).train_tokens == 10**9


@pytest.mark.parametrize("what", ["a link to a damaged one", "a link to nothing", "a file"])
def test_what_is_no_folder_is_replaced(what: str, tmp_path: Path) -> None:
    sound = text_corpus(tmp_path)
    before, elsewhere = content(sound), tmp_path / "elsewhere"
    sound.folder.rename(elsewhere)
    if what == "a file":
        sound.folder.write_text("")
    else:
        sound.folder.symlink_to(elsewhere)
    if what == "a link to nothing":
        shutil.rmtree(elsewhere)
    else:
        rewrite(elsewhere / "train.bin", zero_half)
    again = text_corpus(tmp_path)
    assert content(again) == before
    assert again.folder.is_dir()
    assert not again.folder.is_symlink()


def test_where_the_text_is_gone_one_line_names_the_corpus(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    rewrite(corpus.folder / "train.bin", zero_half)
    there = DataConfig(name="texts", kind="prepared", path=str(corpus.folder))
    with pytest.raises(UserError, match=r"no complete corpus there \(train\.bin is not as written\)"):
        prepare(there, TokenizerConfig(), tmp_path / "cache")


def test_hidden_changes_are_seen(tmp_path: Path) -> None:
    """The time of a change can be set back, but not that of the file's entry."""
    corpus = text_corpus(tmp_path)
    path = corpus.folder / "train.bin"
    times = path.stat()
    rewrite(path, flip)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(UserError, match=r"train\.bin is not as written"):
        open_corpus(corpus.folder)


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed from now on, by a process that remembers nothing."""
    names: list[str] = []
    real = verify.file_sha256
    monkeypatch.setattr(verify, "_sound", {})
    monkeypatch.setattr(verify, "file_sha256", lambda path: names.append(path.name) or real(path))
    return names


def test_files_are_read_once_for_each_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = text_corpus(tmp_path)
    names = hashed(monkeypatch)
    for _ in range(3):
        open_corpus(corpus.folder)
    assert names == [], "the process that made it left word"
    os.utime(corpus.folder / "train.bin")
    open_corpus(corpus.folder)
    assert names.count("train.bin") == 1
    open_corpus(corpus.folder)
    assert names.count("train.bin") == 1
    shutil.copytree(corpus.folder, tmp_path / "copy")
    open_corpus(tmp_path / "copy")
    assert names.count("train.bin") == 2, "word of other files is none"
    for wrong in NOT_JSON:
        (corpus.folder / "verified.json").write_bytes(wrong)
        verify._sound.clear()
        assert open_corpus(corpus.folder).fingerprint == corpus.fingerprint


def test_a_folder_that_cannot_be_written_is_read_once_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = text_corpus(tmp_path)
    (corpus.folder / "verified.json").unlink()
    names = hashed(monkeypatch)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(verify, "write_atomic", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    for _ in range(3):
        assert open_corpus(corpus.folder).fingerprint == corpus.fingerprint
    assert names.count("train.bin") == 1
    assert not (corpus.folder / "verified.json").exists()


LOOK = """
import sys, time
from harness.data import open_corpus, verify

def slow(path, real=verify.file_sha256):
    if path.name == "train.bin":
        print("reads", flush=True)
        time.sleep(1)
    return real(path)

verify.file_sha256 = slow
open_corpus(sys.argv[1])
"""


def test_of_several_processes_one_reads(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    (corpus.folder / "verified.json").unlink()
    command = [sys.executable, "-c", LOOK, str(corpus.folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(said) == ["", "", "reads\n"]


def test_a_process_that_is_frozen_while_it_reads_does_not_stop_others_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = text_corpus(tmp_path)
    names = hashed(monkeypatch)
    (corpus.folder / "verified.json").unlink()
    monkeypatch.setattr(verify, "PATIENCE", 0.2)
    with (corpus.folder / "meta.json").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        open_corpus(corpus.folder)
    assert names.count("train.bin") == 1


def test_a_corpus_that_is_replaced_at_this_moment_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = text_corpus(tmp_path)
    hashed(monkeypatch)
    (corpus.folder / "verified.json").unlink()
    real = verify._is_known

    def gone_then(folder: Path, found: verify.Versions) -> bool:
        (folder / "meta.json").unlink()
        return real(folder, found)

    monkeypatch.setattr(verify, "_is_known", gone_then)
    with pytest.raises(UserError, match="no complete corpus there"):
        open_corpus(corpus.folder)


def test_old_offsets_are_held_against_the_tokens(tmp_path: Path) -> None:
    corpus = text_corpus(tmp_path)
    as_before_seals(corpus)
    path = corpus.folder / "heldout.offsets.npy"
    offsets = np.load(path)
    for wrong in (
        offsets[::-1],
        offsets + 1,
        np.delete(offsets, 3),
        offsets.astype(np.float64),
        offsets[None],
    ):
        np.save(path, wrong)
        with pytest.raises(UserError, match=r"heldout\.offsets\.npy does not say where documents begin"):
            open_corpus(corpus.folder)
    np.save(path, offsets)
    open_corpus(corpus.folder)


def test_seals() -> None:
    data = {"a": [1, 2.5, None], "b": {1: "x"}}
    assert unseal(json.loads(json.dumps(seal(data)))) == json.loads(json.dumps(data))
    assert unseal({"a": 1}) == {"a": 1}, "of an earlier version"
    for wrong in (seal(data) | {"a": [1, 2.5, 0]}, seal(data) | {"c": 1}, [], None, "x"):
        with pytest.raises(ValueError, match=r"SHA-256|a mapping"):
            unseal(wrong)
    text = "a: 1\nb: 2\n"
    assert unseal_text(seal_text(text)) == text
    assert unseal_text(text) == text
    sealed = seal_text(text)
    for wrong in (sealed.replace("b: 2", "b: 3"), sealed + "c: 1\n", sealed[:-3], sealed[1:], " \n"):
        with pytest.raises(ValueError, match=r"SHA-256|empty"):
            unseal_text(wrong)
