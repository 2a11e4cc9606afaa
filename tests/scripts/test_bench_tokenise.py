"""The benchmark of tokenising at toy size."""

import sys
from pathlib import Path

import pytest

from scripts import bench_tokenise
from tests.data.texts import write_texts


def test_preparing_is_measured_against_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_texts(tmp_path / "texts", 60)
    monkeypatch.setattr(
        sys, "argv", ["bench_tokenise.py", str(folder), "--rounds", "1", "--vocab-size", "300"]
    )
    bench_tokenise.main()
    first, *ways, last = capsys.readouterr().out.splitlines()
    assert first.endswith("MB in 60 documents, bpe300")
    assert [way.partition(":")[0] for way in ways] == ["encode_batch_fast", "prepare", "of bytes"]
    assert last.startswith("prepare reaches ")
