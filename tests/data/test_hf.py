"""Datasets through ``load_dataset``: local files of each format, streamed or not; errors in one line."""

import gzip
import json
from pathlib import Path

import pytest

from harness.data import Corpus, DataConfig, TokenizerConfig, prepare
from harness.errors import UserError

ROWS = [{"text": f"document {i}: " + "some words " * (i % 9), "n": i} for i in range(120)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("files")
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "a.parquet")
    (folder / "a.txt").write_text("\n".join(row["text"] for row in ROWS))
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("datasets")))
    datasets.disable_progress_bars()


def hf(tmp_path: Path, **settings: object) -> Corpus:
    values = {"name": "rows", "kind": "hf", "heldout_fraction": 0.2, **settings}
    return prepare(DataConfig(**values), TokenizerConfig(), tmp_path / "cache")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(("path", "file"), [("json", "a.jsonl"), ("parquet", "a.parquet"), ("text", "a.txt")])
def test_local_files(tmp_path: Path, files: Path, path: str, file: str, streaming: bool) -> None:
    corpus = hf(tmp_path, path=path, data_files=str(files / file), streaming=streaming)
    documents = corpus.meta.train_documents + corpus.meta.heldout_documents
    assert documents == len(ROWS)
    direct = hf(tmp_path, path="json", data_files=[str(files / "a.jsonl")])
    if path != "text":  # its reader may differ in white space at the ends of lines
        assert corpus.fingerprint == direct.fingerprint


def test_a_local_folder(tmp_path: Path, files: Path) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "train.jsonl").write_text((files / "a.jsonl").read_text())
    assert (
        hf(tmp_path, path=str(folder)).fingerprint
        == hf(tmp_path, path="json", data_files=str(files / "a.jsonl")).fingerprint
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_file_that_is_here_needs_no_reader_named(tmp_path: Path, files: Path, name: str) -> None:
    direct = hf(tmp_path, path="json", data_files=str(files / "a.jsonl"))
    assert hf(tmp_path, path=str(files / name)).fingerprint == direct.fingerprint
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress((files / "a.jsonl").read_bytes()))
    assert hf(tmp_path, path=str(tmp_path / "a.jsonl.gz")).fingerprint == direct.fingerprint
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"data\.path: data=hf reads files that end in \.parquet"):
        hf(tmp_path, path=str(tmp_path / "a.zip"))


def test_streaming_stops_at_its_limit(tmp_path: Path, files: Path) -> None:
    corpus = hf(tmp_path, path="json", data_files=str(files / "a.jsonl"), streaming=True, max_documents=30)
    assert corpus.meta.train_documents + corpus.meta.heldout_documents == 30


def test_it_is_reused_until_a_file_changes(
    tmp_path: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    file = tmp_path / "mine.jsonl"
    file.write_text((files / "a.jsonl").read_text())
    first = hf(tmp_path, path="json", data_files=str(tmp_path / "*.jsonl"))
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("read again"))
        assert hf(tmp_path, path="json", data_files=str(tmp_path / "*.jsonl")).folder == first.folder
    file.write_text(file.read_text() + "\n" + json.dumps({"text": "one more", "n": 0}))
    assert hf(tmp_path, path="json", data_files=str(tmp_path / "*.jsonl")).fingerprint != first.fingerprint


def test_bpe_reads_twice(tmp_path: Path, files: Path) -> None:
    config = DataConfig(
        name="rows", kind="hf", path="json", data_files=str(files / "a.jsonl"), streaming=True
    )
    corpus = prepare(config, TokenizerConfig(kind="bpe", vocab_size=300), tmp_path)
    assert corpus.vocab_size == 300
    assert corpus.meta.train_documents > 50


def test_a_mistake_found_while_training_a_tokenizer_is_one_line(tmp_path: Path, files: Path) -> None:
    config = DataConfig(
        name="rows", kind="hf", path="json", data_files=str(files / "a.jsonl"), text_field="n"
    )
    with pytest.raises(UserError, match="column 'n' holds int"):
        prepare(config, TokenizerConfig(kind="bpe", vocab_size=300), tmp_path)


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"path": "nobody/nothing"}, "HF_HUB_OFFLINE is set"),
        ({"path": "json", "data_files": "missing.jsonl"}, "data.data_files"),
        (
            {"path": "json", "data_files": "a.jsonl", "text_field": "body"},
            "no column 'body' .*; it has text, n",
        ),
        ({"path": "json", "data_files": "a.jsonl", "text_field": "n"}, "column 'n' holds int"),
        ({"path": "json", "data_files": "a.jsonl", "split": "test"}, "data.split"),
        ({"path": "parquet", "data_files": "a.txt"}, "cannot read it"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    files: Path,
    settings: dict[str, object],
    says: str,
    streaming: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=says) as error:
        hf(tmp_path, **settings, streaming=streaming)
    assert "\n" not in str(error.value)
    assert not [entry for entry in (tmp_path / "cache").glob("*") if entry.is_dir()]
