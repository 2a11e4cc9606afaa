"""Folders of text with mistakes in them: every byte is trained on, held out or counted as left out."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from harness.data.config import DataConfig, TokenizerConfig
from harness.data.document import SNIFFED
from harness.data.prepare import prepare
from harness.errors import UserError
from tests.fuzz.calls import call
from tests.fuzz.mutations import examples, mutated

TEXT = "".join(f"Chapter {i}.\nIt was the {i}th of the month.\n\n" for i in range(200))
LINES = "".join(f'{{"text": "line {i} of a file of records", "source": "web"}}\n' for i in range(60))
plain = st.one_of(mutated(TEXT), st.binary(max_size=300), st.text(max_size=300).map(str.encode))
EXAMPLES = examples(60)


@given(files=st.lists(st.tuples(plain, st.booleans()), min_size=1, max_size=4), number=st.integers(0, 10**9))
@EXAMPLES
def test_every_byte_of_plain_text_is_used_or_counted(
    files: list[tuple[bytes, bool]], number: int, tmp_path: Path
) -> None:
    folder = tmp_path / f"text{number}"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / "sound.txt").write_text(TEXT)
    size = len(TEXT)
    for i, (content, compressed) in enumerate(files):
        # another encoding has another number of bytes, a byte order mark is none of the text
        content = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe\xef\xbb\xbf")
        path = folder / (f"{i}.txt.gz" if compressed else f"{i}.txt")
        path.write_bytes(gzip.compress(content) if compressed else content)
        # of what is no text its size on the disk
        size += path.stat().st_size if b"\0" in content[:SNIFFED] else len(content)
    data = DataConfig("text", "text", path=str(folder), deduplicate=False, document_bytes=256)
    meta = prepare(data, TokenizerConfig(), tmp_path / "cache").meta
    used = meta.train_bytes + meta.heldout_bytes
    note(f"{used} used; {meta.left_out}; {files}")
    assert used + sum(one["bytes"] for one in meta.left_out.values()) == size
    assert meta.source_files == len(files) + 1


@given(
    content=mutated(LINES),
    name=st.sampled_from(("a.jsonl", "a.json", "a.jsonl.gz", "a.parquet", "a.jsonl.zst")),
)
@EXAMPLES
def test_records_with_mistakes(content: bytes, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / "sound.txt").write_text(TEXT)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    data = DataConfig("text", "text", path=str(folder), document_bytes=256)
    try:
        meta = prepare(data, TokenizerConfig(), tmp_path / "cache").meta
    except UserError as error:
        refused = str(error)
    else:
        left = meta.skipped
        assert meta.train_documents + meta.heldout_documents > 0
        assert name.endswith((".jsonl", ".json", ".gz")) or left
        return
    assert name in refused
    assert "\n" not in refused.strip()


BROKEN = {
    "empty": b"",
    "binary": bytes(range(256)),
    "blank": b"\n\n  \n",
    "half a gzip": gzip.compress(TEXT.encode())[:40],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.parquet", "a.txt.zst", "a.zip"])
@pytest.mark.parametrize("kind", ["text", "hf"])
def test_nothing_to_read(
    kind: str, name: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("books").mkdir()
    (Path("books") / name).write_bytes(content)
    for path in ("books", f"books/{name}"):
        ended = call(
            ["plan", "experiment=demo", f"data={kind}", f"path={path}", "cache_dir=cache", "runs_dir=runs"],
            tmp_path,
        )
        lasting = tuple(name for name in ended.written if name.startswith("runs"))
        assert ended.status == 2, ended.err
        assert not lasting
        assert len(ended.err.strip().split("\n")) == 1, ended.err
