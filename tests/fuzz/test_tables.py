"""Anyone's table of runs with mistakes in it: read with every row accounted for, or refused in one line."""

import codecs
import csv
import os
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit import read_points
from tests.fuzz.calls import Ended, call
from tests.fuzz.mutations import examples, mutated

SIZES = (1e6, 2e6, 4e6, 8e6)
ROWS = tuple((n, d, 6 * n * d, 1.7 + 400 / n**0.34 + 410 / d**0.28) for n in SIZES for d in (1e8, 3e8, 9e8))
PLAIN = "params,tokens,flops,loss\n" + "".join(f"{n:g},{d:g},{c:g},{v:.4f}\n" for n, d, c, v in ROWS)
NAMED = "run_id,status,seed,budget,params,tokens,flops,loss,loss_se\n" + "".join(
    f"r{i},finished,0,{c:g},{n:g},{d:g},{c:g},{v:.4f},0.002\n" for i, (n, d, c, v) in enumerate(ROWS)
)
EXAMPLES = examples(150)


@pytest.mark.parametrize("base", [PLAIN, NAMED, PLAIN.replace(",", ";"), NAMED.replace(",", "\t")])
@given(data=st.data())
@EXAMPLES
def test_every_row_is_used_or_named_or_the_table_is_refused(
    base: str, data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    content = data.draw(mutated(base))
    path.write_bytes(content)
    try:
        points = read_points(path)
    except UserError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert len(said) < 2000
        return
    for column in (points.params, points.tokens, points.flops, points.loss):
        assert np.all(np.isfinite(column))
        assert np.all(column > 0)
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    lines = content.decode(encoding, "replace").splitlines()
    delimiter = max(",;\t", key=next(line for line in lines if line).count)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        rows = sum(any(cell.strip() for cell in row) for row in csv.reader(file, delimiter=delimiter)) - 1
    unsaid = re.search(r"(\d+) rows? without a loss or tokens left out", " ".join(points.notes))
    named = sum(one.rows for one in points.excluded) + points.earlier_rows + (int(unsaid[1]) if unsaid else 0)
    assert len(points) + named == rows


def refused(arguments: list[str], folder: Path) -> Ended:
    ended = call(arguments, folder)
    ended.assert_one_line()
    return ended


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\0" * 100,
        b"\xff\xfea\0",
        b"PK\x03\x04" + bytes(50),
        b"[" * 10**5,
        b"a," * 10**6,
        bytes(range(256)),
    ],
    ids=["empty", "blank", "NUL", "half UTF-16", "a zip", "deep JSON", "a long line", "binary"],
)
@pytest.mark.parametrize("command", [["fit", "out=fits"], ["predict", "budget=1e20"]], ids=["fit", "predict"])
def test_no_table(
    command: list[str], content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_bytes(content)
    assert "table.csv" in refused([*command, "points=table.csv"], tmp_path).err


@pytest.mark.parametrize(
    "name", ["pipe", "socket", "/dev/zero", "folder", "nowhere.csv", "a\nb", "x" * 300, "link", ""]
)
def test_no_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("link").symlink_to("link")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        refused(["fit", f"points={name}", "out=fits"], tmp_path)
        refused(["predict", f"points={name}", "budget=1e20"], tmp_path)
        refused(["predict", f"fit={name}", "budget=1e20"], tmp_path)


def test_a_table_from_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    read, write = os.pipe()
    os.write(write, PLAIN.encode())
    os.close(write)
    ended = call(["fit", f"points=/dev/fd/{read}", "out=fits", "analysis.draws=0"], tmp_path)
    os.close(read)
    assert not ended.faults(), ended.err
    assert ended.status == 0
    assert "12 runs" in ended.out
