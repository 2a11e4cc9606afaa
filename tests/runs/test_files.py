"""Files are whole or absent, and records are believed only when they are what they say."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.files import write_atomic, write_json
from harness.runs.files import up_to_date, write_changed
from harness.runs.record import Record, read_record
from harness.runs.table import row, write_table
from tests.plan.test_plan import plan
from tests.records import fake_record


def record() -> Record:
    return fake_record(plan().cells[0], loss=1.25)


def test_a_record_reads_back_equal(tmp_path: Path) -> None:
    written = record()
    written.write(tmp_path / "record.json")
    assert read_record(tmp_path / "record.json", written.run_id) == written


@pytest.mark.parametrize(
    "damage",
    ["absent", "empty", "truncated", "other run", "other spec", "unknown field", "text for a number"],
)
def test_a_damaged_record_is_no_record(tmp_path: Path, damage: str) -> None:
    written = record()
    path = tmp_path / "record.json"
    data = written.to_json()
    if damage == "other spec":
        data["spec"]["seed"] = 7
    if damage == "unknown field":
        data["surprise"] = 1
    if damage == "text for a number":
        data["seconds"] = "3.5"
    text = json.dumps(data)
    if damage != "absent":
        path.write_text({"empty": "", "truncated": text[: len(text) // 2]}.get(damage, text))
    assert read_record(path, "000000000000" if damage == "other run" else written.run_id) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss", -1.0),
        ("tokens", 1),
        ("params_total", 7),
        ("flops", -1e9),
        ("flops_6nd", 1e30),
        ("flops_by_count", {"appendix_f": -1.0}),
        ("flops_by_count", {"6nd": 1e308}),
        ("params", {"total": 7}),
        ("params", {"non_embedding": -1}),
        ("params", {"matrices": 10**12}),
    ],
)
def test_numbers_that_contradict_each_other_are_no_record(tmp_path: Path, field: str, value: Any) -> None:
    """As of an earlier version, which sealed nothing."""
    written, path = record(), tmp_path / "record.json"
    data = written.to_json()
    path.write_text(json.dumps(data))
    assert read_record(path, written.run_id) == written
    data[field] = {**data[field], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(data))
    assert read_record(path, written.run_id) is None


def test_a_record_of_a_tied_head_is_one(tmp_path: Path) -> None:
    """Its group of parameters is 0: the matrix is the embedding's."""
    written, path = record(), tmp_path / "record.json"
    tied = replace(written, params=written.params | {"head": 0})
    tied.write(path)
    assert read_record(path, written.run_id) == tied


def test_a_record_of_a_run_that_ended_before_its_first_step_is_one(tmp_path: Path) -> None:
    written, path = record(), tmp_path / "record.json"
    none = dict.fromkeys(written.flops_by_count, 0.0)
    ended = replace(
        written,
        status="diverged",
        loss=None,
        steps=0,
        tokens=0,
        flops=0.0,
        flops_6nd=0.0,
        flops_by_count=none,
    )
    ended.write(path)
    assert read_record(path, written.run_id) == ended


def test_nan_never_reaches_a_record(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        replace(record(), loss=float("nan")).write(tmp_path / "record.json")
    assert not list(tmp_path.iterdir()), "not even a temporary file"


def test_the_table_reads_back_exactly(tmp_path: Path) -> None:
    import csv

    write_table(tmp_path / "runs.csv", [record()])
    with (tmp_path / "runs.csv").open() as file:
        read = next(csv.DictReader(file))
    for name, value in row(record()).items():
        assert read[name] == ("" if value is None else str(value))
        if isinstance(value, float):
            assert float(read[name]) == value


WRITER = """
import sys
from pathlib import Path
from harness.files import write_json
n = 0
while True:
    write_json(Path(sys.argv[1]), {"n": n, "pad": [n] * 20000})
    n += 1
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    for pause in (0.05, 0.11, 0.17):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        while not path.exists():
            time.sleep(0.01)
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        value = json.loads(path.read_text())
        assert value["pad"] == [value["n"]] * 20000


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path: Path) -> None:
    write_atomic(tmp_path / "x", "old")
    with pytest.raises(TypeError):
        write_json(tmp_path / "x", {"bad": object()})
    assert (tmp_path / "x").read_text() == "old"


def test_an_unchanged_file_keeps_its_time_and_make_semantics_follow(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    assert not up_to_date(target, source)
    write_changed(source, "a")
    stamp = source.stat().st_mtime_ns
    time.sleep(0.01)
    write_changed(target, "made")
    write_changed(source, "a")
    assert source.stat().st_mtime_ns == stamp
    assert up_to_date(target, source)
    time.sleep(0.01)
    write_changed(source, "b")
    assert not up_to_date(target, source)


def test_an_empty_folder_in_a_files_place_gives_way_and_one_with_files_does_not(tmp_path: Path) -> None:
    (tmp_path / "curve.csv").mkdir()
    write_atomic(tmp_path / "curve.csv", "step\n")
    assert (tmp_path / "curve.csv").read_text() == "step\n"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("kept")
    with pytest.raises(OSError, match="not empty"):
        write_atomic(tmp_path / "mine", "step\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (tmp_path / "mine" / "notes").read_text() == "kept"
