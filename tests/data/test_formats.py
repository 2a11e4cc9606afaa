"""What a folder of text may hold: read, or counted with its reason and said; an error where the file was named."""

import bz2
import gzip
import json
import lzma
import os
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from harness.data import DataConfig, TokenizerConfig, prepare
from harness.data.formats import format_of
from harness.data.left_out import LeftOut, left_out
from harness.data.sources import open_source
from harness.errors import UserError
from tests.data.texts import text_config, write_texts

TEXTS = [f"text {i}: naïve 世界 " + "words " * (i % 7) for i in range(40)]
ROWS = [{"text": text, "n": i} for i, text in enumerate(TEXTS)]
LINES = "\n".join(map(json.dumps, ROWS)).encode()
NOISE = os.urandom(60_000).hex().encode()


def frames(data: bytes) -> bytes:
    """Zstandard in two frames, as parallel compressors write it."""
    half = len(data) // 2
    return zstandard.compress(data[:half]) + zstandard.compress(data[half:])


def parquet(path: Path, columns: dict[str, object]) -> None:
    """A Parquet file of several row groups."""
    pq.write_table(pa.table(columns), path, row_group_size=16)


def read(config: DataConfig) -> tuple[list[str], LeftOut]:
    """The texts of all documents, and what is left out."""
    gone = LeftOut()
    return [document.text for document in open_source(config).documents(gone)], gone


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.ndjson", "A.JSONL", "a.json", "array.json", "strings.json", "a.parquet"]
)
@pytest.mark.parametrize(
    ("ending", "compress"),
    [("", bytes), (".gz", gzip.compress), (".zst", frames), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_records_of_every_kind(
    tmp_path: Path, name: str, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"{name}{ending}"
    if name == "a.parquet":
        parquet(path, {"n": list(range(40)), "text": TEXTS})
        if ending:
            path.write_bytes(compress(path.read_bytes()))
            with pytest.raises(UserError, match=r"nothing to read .*decompress"):
                open_source(text_config(path))
            return
    else:
        values = {
            "array.json": json.dumps(ROWS, indent=1),
            "strings.json": json.dumps(TEXTS, ensure_ascii=False),
        }
        path.write_bytes(compress(values[name].encode() if name in values else LINES))
    assert read(text_config(path))[0] == TEXTS


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_an_array_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("harness.data.records.BLOCK", block)
    (tmp_path / "a.json").write_text(" " + json.dumps(ROWS, ensure_ascii=False) + "\n")
    assert read(text_config(tmp_path / "a.json"))[0] == TEXTS


@pytest.mark.parametrize(
    ("ending", "compress"),
    [("gz", gzip.compress), ("zst", frames), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
def test_compressed_text_is_the_text(tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]) -> None:
    text = "\n\n".join(TEXTS * 200).encode()
    for name, data in (("plain", text), ("compressed", compress(text))):
        (tmp_path / name).mkdir()
        (tmp_path / name / ("a.txt" if name == "plain" else f"a.txt.{ending}")).write_bytes(data)
    config = text_config(tmp_path / "plain", document_bytes=5000)
    plain, packed = (read(replace(config, path=tmp_path / name))[0] for name in ("plain", "compressed"))
    assert plain == packed
    damaged = tmp_path / "damaged" / f"b.txt.{ending}"
    damaged.parent.mkdir()
    damaged.write_bytes(compress(NOISE)[:20_000])
    with pytest.raises(UserError, match=rf"{damaged}: damaged, or cut short .*fetch it again"):
        read(replace(config, path=damaged))
    _, gone = read(replace(config, path=damaged.parent))
    assert gone.skipped == {"damaged": 1}
    assert gone.details["damaged"]["example"] == damaged.name


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("latin-1", "latin-1"),
        ("cp1252", "cp1252"),
        ("utf-8", "utf-8-sig"),
        ("utf-8", "utf-16"),
        ("utf-16", "utf-16"),
    ],
)
def test_other_encodings(tmp_path: Path, encoding: str, written: str) -> None:
    text = "\n\n".join(f"Grüße {i} aus Köln" for i in range(3000))
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(written))
    assert "".join(read(text_config(path, document_bytes=2000, encoding=encoding))[0]) == text


def test_half_a_latin_1_corpus_is_said_with_its_share_and_its_remedy(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 40)
    for i in range(20):
        (folder / f"old{i}.txt").write_bytes(f"{i}: Grüße aus Köln\n".encode("latin-1") * 15)
    corpus = prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache")
    again = prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache")
    (line,) = left_out(again.meta)
    total = sum(path.stat().st_size for path in folder.rglob("*.txt"))
    share = sum(path.stat().st_size for path in folder.glob("old*")) / total
    assert line.startswith(f"WARNING: 20 of 60 files ({share:.0%} of the bytes): not UTF-8")
    assert "e.g. old0.txt; convert it" in line
    assert "data.encoding=latin-1" in line
    named = prepare(text_config(folder, encoding="cp1252"), TokenizerConfig(), tmp_path / "cache")
    assert named.fingerprint != corpus.fingerprint
    assert not left_out(named.meta)


def test_everything_in_a_folder_is_read_or_counted(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 30)
    outside = write_texts(tmp_path / "outside", 3, seed=1)
    (folder / "records.jsonl").write_text(
        '{"text": "one"}\n{"text": null}\n{"other": 1}\n\n{"text": "two"}\n'
    )
    (folder / "package.json").write_text('{\n  "name": "stays text"\n}\n')
    (folder / "log.json").write_text('{"level": "stays text"}\n{"level": "too"}\n')
    parquet(folder / "other.parquet", {"body": ["x"]})
    (folder / "bad.parquet").write_bytes(b"PAR1")
    (folder / "inside.gz").write_bytes(gzip.compress(b"\0" * 900))
    for name in ("a.zip", "b.tar.gz", "c.pdf", "d.docx", "e.arrow", "f.lz4"):
        (folder / name).write_bytes(b"anything")
    (folder / ".hidden").write_text("x")
    (folder / ".git").mkdir()
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.txt"))
    (folder / "nowhere.txt").symlink_to("missing")
    (folder / "self.txt").symlink_to("self.txt")
    (folder / "loop").symlink_to(".")
    (folder / "link").symlink_to(outside)
    (folder / "twice").symlink_to(outside)
    (folder / "system").symlink_to("/proc")
    (folder / "two\nlines.zip").write_bytes(b"x")
    texts, gone = read(text_config(folder))
    assert len([text for text in texts if "stays text" in text]) == 2
    assert {"one", "two"} <= set(texts)
    assert len(texts) == 30 + 3 + 2 + 2
    assert gone.skipped == {
        "archive": 3,
        "binary": 1,
        "broken_link": 2,
        "compressed": 1,
        "damaged": 1,
        "document": 2,
        "hidden": 2,
        "linked_again": 3,
        "no_text": 2,
        "null": 1,
        "special": 2,
        "table": 1,
    }
    lines = left_out(prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache").meta)
    assert "archives, e.g. a.zip; unpack them" in "".join(lines)
    assert "2 hidden, 3 links to folders that are read already, 2 pipes, sockets or devices" in lines[-1]
    assert not [line for line in lines if not line.isprintable()]


def test_a_corpus_from_before_this_was_kept_says_what_it_knows(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 20)
    meta = prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache").meta
    old = replace(meta, skipped={"undecodable": 3, "duplicate": 2}, left_out={}, source_files=0)
    first, second = left_out(old)
    assert first.startswith("3 documents or files: not UTF-8")
    assert second == "2 duplicates"
    assert left_out(meta) == []


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.zip", b"PK", r"a\.zip \(archives\); unpack them"),
        ("a.pdf", b"%PDF", "convert them to plain text"),
        ("a.jsonl", LINES + b'\n{"text": "', r"a\.jsonl:41: not JSON"),
        ("a.jsonl", LINES + b'\n{"text": ' + b"[" * 100_000, r"a\.jsonl:41: not JSON \(nested too deeply\)"),
        ("a.jsonl", LINES + b'\n{"text": NaN}', r"a\.jsonl:41: 'text' holds float, not text"),
        ("a.jsonl", LINES + '\n{"text": "ü"}'.encode("latin-1"), r"a\.jsonl:41: not UTF-8 .*data\.encoding"),
        ("a.jsonl", b'{"text": null}\n{"body": ""}', "no documents .*1 no text, 1 null"),
        ("a.json", b'{"body": "x"}\n' * 30, r"a\.json:1: no text in 'text' \(it has: body\)"),
        ("a.json", b'[{"text": "x"}, {"text": ', "element 2 of its array is not JSON"),
        ("a.json", b'[{"text": "x"}, ' + b"[" * 100_000, "element 2 .*nested too deeply"),
        ("a.parquet", b"PAR1", r"a\.parquet: damaged, or cut short"),
        ("a.gz", b"plain text", r"a\.gz: damaged, or cut short \(Not a gzipped file"),
    ],
)
def test_a_file_that_was_named_is_one_clear_line(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=says) as error:
        prepare(text_config(tmp_path / name), TokenizerConfig(), tmp_path / "cache")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"body": ["x"]}, "no column 'text'; it has body"),
        ({"text": [1]}, "column 'text' holds int64, not text"),
    ],
)
def test_a_column_of_a_parquet_file(tmp_path: Path, columns: dict[str, object], says: str) -> None:
    parquet(tmp_path / "a.parquet", columns)
    with pytest.raises(UserError, match=rf"a\.parquet: {says}.*data\.text_field"):
        read(text_config(tmp_path / "a.parquet"))
    parquet(tmp_path / "a.parquet", {"body": ["one", None, "two"]})
    texts, gone = read(text_config(tmp_path / "a.parquet", text_field="body"))
    assert (texts, gone.skipped) == (["one", "two"], {"null": 1})


@pytest.mark.parametrize(
    "path", ["/dev/zero", "/proc", "/proc/self/mem", "pipe", "a\0b", "a\nb", "~nobody-of-that-name/a"]
)
def test_a_path_that_is_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(UserError, match=r"data\.path: ") as error:
        open_source(text_config(path))
    assert str(error.value).isprintable()


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    folder = write_texts(tmp_path / "texts", 20)
    before = prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache")
    (folder / "more.txt.gz").write_bytes(gzip.compress(b"more"))
    assert (
        prepare(text_config(folder), TokenizerConfig(), tmp_path / "cache").fingerprint != before.fingerprint
    )


def test_many_small_files_are_listed_quickly(tmp_path: Path) -> None:
    for i in range(3000):
        (tmp_path / f"{i}.txt").write_text(f"{i}")
    began = time.process_time()
    source = open_source(text_config(tmp_path))
    source.describe()
    assert time.process_time() - began < 1.0  # 0.05 s, where nothing else runs
    assert source.number_of_files == 3000


def test_formats_by_name() -> None:
    assert format_of("a/b.tar.gz").unread == format_of("B.ZIP").unread == "archive"
    assert format_of("x.JSONL.zst").records == "json_lines"
    assert format_of("x.py").records == format_of("x.py").compression == ""
