"""Files of tables: every format and compression by its content, other encodings, and what is no table."""

import bz2
import gzip
import io
import json
import lzma
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zstandard

from harness.errors import UserError
from harness.fit import read_points
from harness.fit.read import files, json_files, limits

ROWS: list[dict[str, Any]] = [
    {"run": "a", "N": 1e8, "tokens": 2e9, "loss": 3.0, "set": "c4"},
    {"run": "b", "N": 2e8, "tokens": 2e9, "loss": 2.9, "set": "c4"},
    {"run": "c", "N": 4e8, "tokens": 3e9, "loss": None, "set": "rpj"},
    {"run": "d", "N": 4e8, "tokens": 3e9, "loss": 2.8, "set": "rpj"},
]
FRAME = pd.DataFrame(ROWS)


def parquet() -> bytes:
    out = io.BytesIO()
    FRAME.to_parquet(out)
    return out.getvalue()


def nested() -> str:
    return json.dumps(
        [{"run": row["run"], "config": {k: v for k, v in row.items() if k != "run"}} for row in ROWS]
    )


FORMATS: dict[str, Callable[[], bytes]] = {
    "csv": lambda: FRAME.to_csv(index=False).encode(),
    "tsv": lambda: FRAME.to_csv(index=False, sep="\t").encode(),
    "semicolons": lambda: FRAME.to_csv(index=False, sep=";").encode(),
    "Excel's first line": lambda: b"sep=;\r\n" + FRAME.to_csv(index=False, sep=";").encode(),
    "a mark": lambda: b"\xef\xbb\xbf" + FRAME.to_csv(index=False).encode(),
    "UTF-16": lambda: FRAME.to_csv(index=False).encode("utf-16"),
    "lines": lambda: FRAME.to_json(orient="records", lines=True).encode(),
    "records": lambda: FRAME.to_json(orient="records").encode(),
    "indented": lambda: json.dumps(ROWS, indent=2).encode(),
    "columns": lambda: FRAME.to_json(orient="columns").encode(),
    "index": lambda: FRAME.to_json(orient="index").encode(),
    "split": lambda: FRAME.to_json(orient="split").encode(),
    "table": lambda: FRAME.to_json(orient="table").encode(),
    "values": lambda: json.dumps([list(ROWS[0]), *[list(row.values()) for row in ROWS]]).encode(),
    "lists": lambda: json.dumps(
        FRAME.astype(object).where(FRAME.notna(), None).to_dict(orient="list")
    ).encode(),
    "wrapped": lambda: json.dumps({"version": 2, "data": ROWS}).encode(),
    "by name": lambda: json.dumps(
        {r["run"]: {k: v for k, v in r.items() if k != "run"} for r in ROWS}
    ).encode(),
    "nested": lambda: nested().encode(),
    "NaN": lambda: json.dumps(ROWS).replace("null", "NaN").encode(),
    "parquet": parquet,
}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": gzip.compress,
    "zst": zstandard.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_what_its_content_is(form: str, compression: str, tmp_path: Path) -> None:
    path = tmp_path / "no_ending"
    path.write_bytes(COMPRESSIONS[compression](FORMATS[form]()))
    points = read_points(path)
    assert points.run_id == ("a", "b", "d")
    assert points.params.tolist() == [1e8, 2e8, 4e8]
    assert points.loss.tolist() == [3.0, 2.9, 2.8]
    assert list(points.text.values()) == [("c4", "c4", "rpj")]
    assert [(gone.run, gone.reason) for gone in points.excluded] == [("c", "loss is missing")]


def test_windows_text_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        "params,tokens,loss,Größe\n1e8,2e9,3.0,groß\n2e8,2e9,2.9,klein\n3e8,2e9,2.8,groß\n".encode("cp1252")
    )
    points = read_points(path)
    assert points.text == {"gr_e": ("groß", "klein", "groß")}
    assert "t.csv is not in UTF-8: read as Windows-1252" in points.notes
    assert len(read_points(path, where="`Größe` == 'groß'")) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "t: empty"),
        (b"[]", "JSON without rows"),
        (b"{}", "JSON without rows"),
        (b"[1, 2]", "rows have no names of columns"),
        (b'["a"]', "rows have no names of columns"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 30 + b"1" + b"}" * 30, "nested too deeply"),
        (b'{"params": [1, 2], "loss": [3]}', "different lengths"),
        (b'[{"params": 1}, {"loss": }]', "neither JSON nor JSON lines"),
        (b'{"params": 1}\n{"params": \n', "line 2 is not JSON"),
        (b'{"params": "\\ud800", "loss": 3}', "missing column tokens or flops"),
        (b"PK\x03\x04" + bytes(50), "a zip archive or a workbook (.xlsx); save the sheet as CSV"),
        (pickle.dumps(FRAME), "a pickle, which can hold any program"),
        (parquet()[:-20], "not a whole Parquet file"),
        (gzip.compress(b"params,tokens,loss\n1e8,2e9,3\n" * 99)[:-9], "damaged, or ends too early"),
        (zstandard.compress(b"params,tokens,loss\n1e8,2e9,3\n" * 99)[:-3], "damaged, or ends too early"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
        (b"params,tokens,loss\n1,\0,3\n", "NUL"),
        (b"params tokens loss\n1 2 3\n", "has one column, params tokens loss; between columns stand commas"),
        (b"\x1b[2J,tokens,loss\n1,2,3\n", "missing column params or flops; it has \\x1b[2J, tokens, loss"),
    ],
    ids=range(21),
)
def test_what_is_no_table_is_one_line(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_points(path)
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gz"])
@pytest.mark.parametrize(
    "content",
    [b"params,tokens,loss\n" + b"1e8,2e9,3\n" * 200_000, b"x," * 1_000_000, b'[{"a": 1},' * 200_000],
)
def test_what_is_longer_than_a_limit_is_refused_while_it_is_read(
    content: bytes, compress: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small compressed file may be of any length; the limits are made small here, not the file large."""
    for module in (files, json_files):
        monkeypatch.setattr(module, "MAX_BYTES", 100_000)
    path = tmp_path / "t.csv"
    path.write_bytes(compress(content))
    with pytest.raises(UserError, match=r"more than 512 MB|longer than 1000000 characters"):
        read_points(path)


def test_too_many_rows_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ROWS", 50)
    path = tmp_path / "t.csv"
    path.write_text("run,params,tokens,loss\n" + "a,1e8,2e9,3\n" * 52)
    with pytest.raises(UserError, match="more than 2,000,000 rows; keep the last row of each run"):
        read_points(path)


def test_rows_to_fit_are_limited_and_rows_of_runs_are_not() -> None:
    n = limits.MAX_RUNS + 1
    table = {"params": np.full(n, 1e8), "tokens": np.arange(n) + 1e9, "loss": np.full(n, 3.0)}
    named = table | {"run": np.arange(n) % 7, "params": 1e8 + np.arange(n) % 7}
    points = read_points(named)
    assert len(points) == 7
    assert points.earlier_rows == n - 7
    with pytest.raises(
        UserError, match=r"100,001 rows to fit, and 100,000 at most can be; keep some with where="
    ):
        read_points(named, "all")
    assert len(read_points(named, "all", where="run == 3")) == n // 7 + 1
    with pytest.raises(UserError, match=r"100,001 rows to fit.* columns\.run=NAME"):
        read_points(table)
    assert len(read_points(table, where="tokens < 1000000010")) == 10
