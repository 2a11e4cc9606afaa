"""Where documents come from, and what is said when there are none."""

import json
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.data import DataConfig, TokenizerConfig, prepare
from harness.data.document import Document, select
from harness.data.left_out import LeftOut
from harness.data.sources import open_source
from harness.errors import UserError
from tests.data.texts import text_config, write_texts


def documents(config: DataConfig) -> Iterator[Document]:
    """All that are found, before any is left out."""
    return open_source(config).documents(LeftOut())


def skips(config: DataConfig) -> tuple[list[str], dict[str, int]]:
    """The ids of the documents found, and what was skipped."""
    left_out = LeftOut()
    found = [document.id for document in open_source(config).documents(left_out)]
    return found, left_out.skipped


def test_the_standard_library_without_its_tests() -> None:
    found = [document.id for document in documents(DataConfig())]
    assert len(found) > 400
    assert found == sorted(found)
    assert "stdlib/argparse.py" in found
    assert not [id for id in found if "site-packages" in id or "/test/" in id or "/tests/" in id]
    assert not [id for id in found if "_sysconfigdata" in id]


def test_more_with_tests_and_with_installed_packages() -> None:
    plain = open_source(DataConfig()).total_bytes
    tests = open_source(DataConfig(include_tests=True)).total_bytes
    installed = open_source(DataConfig(kind="python_installed"))
    assert plain is not None
    assert tests is not None
    assert tests > 1.5 * plain
    names = {row[0] for row in installed.describe()}
    assert "packages/numpy/__init__.py" in names
    assert "stdlib/argparse.py" in names


def test_an_interpreter_without_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(UserError, match="no library sources"):
        open_source(DataConfig())


def test_a_folder_is_read_in_one_order(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts", 9)
    (tmp_path / "texts" / ".hidden").write_text("not this")
    found, _ = skips(text_config(tmp_path / "texts"))
    assert [id.split("#")[0] for id in found] == sorted(f"part{i % 3}/{i:03d}.txt" for i in range(9))


def test_patterns_choose_files(tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "sub/c.md", "sub/d.py"):
        path = tmp_path / "texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    assert skips(text_config(tmp_path / "texts", patterns=["*.md"]))[0] == ["a.md#0", "sub/c.md#0"]
    assert skips(text_config(tmp_path / "texts", patterns=["sub/*"]))[0] == ["sub/c.md#0", "sub/d.py#0"]
    with pytest.raises(UserError, match=r"matching \*\.rst"):
        open_source(text_config(tmp_path / "texts", patterns=["*.rst"]))


def test_a_list_of_files_and_folders(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts", 2)
    (tmp_path / "more.txt").write_text("more")
    found, _ = skips(text_config([str(tmp_path / "more.txt"), str(tmp_path / "texts")]))
    assert found == ["more.txt/more.txt#0", "texts/part0/000.txt#0", "texts/part1/001.txt#0"]


def test_what_is_not_text_is_left_out_and_counted(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 40)
    (folder / "image.png").write_bytes(b"\x89PNG\x00\x00" * 50)
    (folder / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    (folder / "late_nul.txt").write_bytes(b"x" * 9000 + b"\0")
    (folder / "empty.txt").write_bytes(b"")
    (folder / "blank.txt").write_bytes(b" \n\t\n")
    (folder / "copy.txt").write_bytes((folder / "part0" / "000.txt").read_bytes())
    corpus = prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache")
    assert corpus.meta.skipped == {"binary": 2, "duplicate": 1, "empty": 2, "undecodable": 1}
    assert corpus.meta.train_documents + corpus.meta.heldout_documents == 40
    kept = prepare(text_config(folder, deduplicate=False), TokenizerConfig(), tmp_path / "cache")
    assert kept.meta.train_documents + kept.meta.heldout_documents == 41


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_left_out(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 5)
    (folder / "part0" / "000.txt").chmod(0)
    assert skips(text_config(folder))[1] == {"unreadable": 1}


def test_a_file_that_vanishes_is_left_out(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 5)
    source = open_source(text_config(folder))
    (folder / "part0" / "000.txt").unlink()
    left_out = LeftOut()
    assert len(list(source.documents(left_out))) == 4
    assert left_out.skipped == {"unreadable": 1}


@pytest.mark.parametrize("kind", ["missing", "folder", "empty_file", "binary", "blank"])
def test_nothing_to_read_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "texts"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"empty_file": b"", "binary": b"\0\1\2", "blank": b"\n\n"}[kind])
    with pytest.raises(UserError) as error:
        prepare(text_config(path), TokenizerConfig(), tmp_path / "cache")
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert not [entry for entry in (tmp_path / "cache").glob("*") if entry.is_dir()]


def test_one_large_file_gives_both_splits(tmp_path: Path) -> None:
    """Someone's single book: cut at blank lines into enough documents to hold some out."""
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(f"Paragraph {i}. " + "It was a dark night. " * (i % 17) for i in range(3000)))
    corpus = prepare(
        text_config(path, document_bytes=0, heldout_fraction=0.1), TokenizerConfig(), tmp_path / "cache"
    )
    assert corpus.meta.train_documents + corpus.meta.heldout_documents >= 200
    assert 0.03 < corpus.heldout_tokens / path.stat().st_size < 0.2
    assert corpus.meta.train_bytes + corpus.meta.heldout_bytes == path.stat().st_size


def test_one_document_cannot_be_split(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("short")
    with pytest.raises(UserError, match=r"1 document\(s\) none is (held-out|training).*heldout_fraction"):
        prepare(text_config(path), TokenizerConfig(), tmp_path / "cache")


def test_a_separator_cuts_documents(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("<|endoftext|>".join(f"story {i}" for i in range(50)))
    found = list(documents(text_config(path, separator="<|endoftext|>")))
    assert [document.text for document in found] == [f"story {i}" for i in range(50)]


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps({"body": f"text {i}\n"}) for i in range(5)) + "\n\n")
    found = list(documents(text_config(path, text_field="body")))
    assert [document.text for document in found] == [f"text {i}\n" for i in range(5)]
    with pytest.raises(UserError, match=r"a\.jsonl:1: no text in 'text' \(it has: body\)"):
        list(documents(text_config(path)))
    path.write_text('{"text": "fine"}\n{"text": ')
    with pytest.raises(UserError, match=r"a\.jsonl:2: not JSON"):
        list(documents(text_config(path)))
    path.write_text("[1]\n")
    with pytest.raises(UserError, match="no text in 'text'"):
        list(documents(text_config(path)))


def test_half_a_surrogate_pair_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"text {i}"}) for i in range(40)]
    path.write_text("\n".join([*lines, '{"text": "\\ud800"}']))
    corpus = prepare(text_config(path), TokenizerConfig(), tmp_path / "cache")
    assert corpus.meta.skipped == {"undecodable": 1}


@pytest.mark.parametrize(("limit", "value", "expected"), [("max_documents", 7, 7), ("max_bytes", 60, 3)])
def test_limits_stop_reading(tmp_path: Path, limit: str, value: float, expected: int) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"a text of some length {i}"}) for i in range(50)]
    path.write_text("\n".join([*lines, "this is never read, or it would be an error"]))
    config = text_config(path, heldout_fraction=0.5, **{limit: value})
    assert len(list(select(open_source(config), config, LeftOut()))) == expected
