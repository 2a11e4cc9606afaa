"""Tables in and out: a DataFrame is read as the file with the same rows is, and what is made from a fit is in it."""

import csv
import io
import itertools
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset

from harness import (
    FitOptions,
    UserError,
    fit_points,
    load_sweep,
    predict_from,
    read_points,
    tables,
    write_fit,
)
from harness.fit import Fit, Points

ROOT = Path(__file__).resolve().parents[2]
TABLES = sorted((ROOT / "results").glob("*/runs.csv"))

MESSY = """Run Name,State,N,training tokens,final loss,dataset,step,note
a,finished,1000000,4e7,3.1,c4,10,
a,finished,1000000,8e7,3.0,c4,20,x
b,crashed,2e6,4e7,,c4,10,
c,finished,2e6,2e7,nan,wiki,30,y
d,finished,4000000.5,1e7,3.25,wiki,40,
d,finished,4000000.5,1e7,3.25,wiki,40,
e,finished,-1,1e7,3.3,wiki,40,
"""


def same(one: Points, other: Points) -> None:
    """Two tables are equal but for the numbers of their lines."""
    for field in fields(Points):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in ("lines", "excluded", "notes"):
            continue
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name])
        else:
            np.testing.assert_array_equal(a, b)
    assert [(gone.run, gone.rows) for gone in one.excluded] == [
        (gone.run, gone.rows) for gone in other.excluded
    ]


def frame_of(path: Path) -> pd.DataFrame:
    """A file's rows with its numbers to the last bit, which pandas's own reader gives in some versions only."""

    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    numbers = columns.keys() - {"run_id", "status", "shape", "optimizer", "parametrization", "reason"}
    return pd.DataFrame(
        {
            name: [float(cell or "nan") for cell in column] if name in numbers else column
            for name, column in columns.items()
        }
    )


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
@pytest.mark.parametrize("rows", ["last", "all"])
def test_a_frame_is_read_as_its_file(path: Path, rows: str) -> None:
    frame = frame_of(path)
    same(read_points(frame, rows), read_points(path, rows))


@pytest.mark.parametrize("rows", ["last", "all"])
def test_a_messy_table_means_the_same_in_memory(rows: str) -> None:
    expected = read_points(io.StringIO(MESSY), rows)
    frame = pd.read_csv(io.StringIO(MESSY))
    assert len(expected) == (2 if rows == "last" else 3)
    same(read_points(frame, rows), expected)
    same(read_points(frame.convert_dtypes(), rows), expected)  # pandas's own kinds of numbers, with <NA>
    same(read_points(frame.astype({"State": "category"}), rows), expected)
    same(read_points(frame.set_index("Run Name"), rows), expected)
    same(read_points({name: list(column) for name, column in frame.items()}, rows), expected)


def test_what_becomes_a_frame_is_one() -> None:
    expected = read_points(io.StringIO(MESSY))
    frame = pd.read_csv(io.StringIO(MESSY))
    same(read_points(pa.Table.from_pandas(frame)), expected)
    same(read_points(Dataset.from_pandas(frame)), expected)


def test_rows_of_a_frame_are_named_by_position() -> None:
    frame = pd.read_csv(io.StringIO(MESSY)).drop(columns="Run Name")
    gone = {one.row: one.reason for one in read_points(frame).excluded}
    assert {2, 3, 5, 6} == set(gone)
    assert "params is not positive" in gone[6]
    frame["final loss"] = ["3.1", "3", "", "", "3,2", "3,2", "3"]
    with pytest.raises(
        UserError, match=r"'final loss' has commas and points before decimals \('3,2' and '3\.1'\)"
    ):
        read_points(frame)
    frame["final loss"] = ["3.1", "3", "", "", "low", "3.2", "3"]
    with pytest.raises(UserError, match=r"^table: row 4, column final loss: 'low' is not a number$"):
        read_points(frame)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "table: no rows"),
        ({"params": []}, "table: no rows"),
        (pd.DataFrame({"params": [1e6], "loss": [3.0]}), "table: missing column tokens or flops"),
        ({"params": [1e6, 2e6], "loss": [3.0]}, "different lengths"),
        ({"params": 1e6, "tokens": 1e8, "loss": 3}, "column 'params' is 1000000.0, not a list"),
        ({"params": "1e6"}, "column 'params' is '1e6', not a list"),
        ([[1, 2, 3]], "a list is no table"),
        (None, "a NoneType is no table"),
        (io.BytesIO(b"params"), "a BytesIO is no table"),
        (io.StringIO(""), "table: empty"),
        (pd.Series([1.0, 2.0]), "is 1.0, not a list"),
        ({name: np.zeros(100_001) for name in ("params", "tokens", "loss")}, "100,001 rows to fit"),
        (
            {"params": {1e6, 2e6}, "tokens": [1e8, 1e8], "loss": [3, 3]},
            "column 'params' is a set, not a list",
        ),
        ({"params": b"ab", "tokens": [1e8, 1e8], "loss": [3, 3]}, "column 'params' is b'ab', not a list"),
        ({"params": {0: 1e6}, "tokens": [1e8], "loss": [3]}, "column 'params' is a dict, not a list"),
        ({"params": itertools.count(), "tokens": [1e8], "loss": [3]}, "different lengths"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_table_is_one_line(table: object, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_points(table)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_of_a_pivot_are_named_by_both_levels() -> None:
    frame = pd.DataFrame(
        {
            ("params", ""): [1e6, 2e6],
            ("tokens", ""): [1e8, 2e8],
            ("loss", ""): [3.0, 2.9],
            ("lr", "max"): [1, 2],
        }
    )
    assert list(read_points(frame).extra) == ["lr_max"]


def test_no_level_of_a_pivot_is_lost() -> None:
    long = {"params": [1e6] * 2, "tokens": [1e8] * 2, "seed": [0, 1], "loss": [3.0, 9.0]}
    wide = pd.DataFrame(long).pivot(index=["params", "tokens"], columns="seed", values=["loss"])
    said = r"missing column loss; it has params, tokens, loss 0, loss 1; .*perhaps 'loss 0' or 'loss 1'"
    with pytest.raises(UserError, match=said):
        read_points(wide)


@pytest.mark.parametrize("word", ["nan", "None"])
def test_a_word_is_a_word_in_memory_too(word: str) -> None:
    rows = {"run": ["a", word], "state": ["finished", word], "params": [1e6, 2e6], "tokens": [1e8, 1e8]}
    table = {**rows, "loss": [3.0, 9.9]}
    text = "".join(",".join(map(str, row)) + "\n" for row in [table, *zip(*table.values(), strict=True)])
    expected = read_points(io.StringIO(text))
    assert [gone.run for gone in expected.excluded] == [word]
    same(read_points(table), expected)


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return load_sweep(ROOT / "results/demo").fit(FitOptions(draws=40))


def test_points_come_back_from_their_frame() -> None:
    points = load_sweep(ROOT / "results/demo").points
    same(read_points(tables.points(points)), points)


def test_a_table_has_what_the_fit_has(fitted: Fit) -> None:
    frame = tables.exponents(fitted).set_index("approach")
    for approach in fitted.approaches:
        line = frame.loc[approach.name]
        assert (line.a, line.b, line.status) == (approach.a, approach.b, approach.status)
        assert (line.a_low, line.a_high) == approach.a_interval
    assert frame.columns.tolist() == [
        *("a", "b", "a_se", "b_se", "a_low", "a_high", "b_low", "b_high", "level", "bootstrap", "n_points"),
        *("smallest_flops", "largest_flops", "extrapolation_limit", "status", "notes"),
    ]
    minima = tables.minima(fitted)
    assert minima.loss_opt.tolist() == [one.loss_opt for one in fitted.approach_2.budgets]
    assert minima.columns[-2:].tolist() == ["status", "notes"]
    law = tables.law(fitted).set_index("parameter")
    assert law.value.to_dict() == {
        name: getattr(fitted.approach_3, name) for name in ("E", "A", "B", "alpha", "beta")
    }
    assert (law.low["E"], law.high["E"]) == fitted.approach_3.E_interval
    assert fitted.backtest is not None
    assert len(tables.backtest(fitted)) == len(fitted.backtest.rows) > 0
    for approach in fitted.approaches:
        drawn = tables.draws(fitted, approach.name)
        assert approach.a_interval is not None
        low, high = approach.a_interval
        assert drawn.a.quantile(0.05) == pytest.approx(low, rel=1e-6)
        assert drawn.a.quantile(0.95) == pytest.approx(high, rel=1e-6)


def test_optima_are_those_of_the_fit(fitted: Fit) -> None:
    frame = tables.optima(fitted, [1e11, 1e12])
    assert len(frame) == 6
    for _, line in frame.iterrows():
        expected = fitted.predict(line.flops)[line.approach]
        assert line.params == expected.params
        assert line.status == expected.status
        low, high = expected.loss_interval or (np.nan, np.nan)
        np.testing.assert_array_equal([line.loss_low, line.loss_high], [low, high])
    pd.testing.assert_frame_equal(tables.optima(fitted, 1e12), frame[3:].reset_index(drop=True))
    result = predict_from(fitted, budget=1e12)
    pd.testing.assert_frame_equal(tables.optima(result), tables.optima(fitted, [1e12]))
    with pytest.raises(UserError, match="its own budget"):
        tables.optima(result, [1e11])
    with pytest.raises(UserError, match="no 'approach_4'; there are approach_1, approach_2, approach_3"):
        tables.draws(fitted, "approach_4")


def test_what_takes_no_part_is_listed() -> None:
    points = read_points(io.StringIO(MESSY))
    frame = tables.excluded(points)
    assert frame.columns.tolist() == ["run", "reason", "row", "rows"]
    assert len(frame) == len(points.excluded) > 0
    assert tables.excluded(load_sweep(ROOT / "results/demo")).columns.tolist() == [
        "run",
        "reason",
        "row",
        "rows",
    ]


def test_runs_and_cells_of_a_sweep() -> None:
    sweep = load_sweep(ROOT / "results/demo")
    table = frame_of(ROOT / "results/demo/runs.csv")
    assert tables.runs(sweep)[table.columns].run_id.tolist() == table.run_id.tolist()
    assert tables.runs(sweep).loss.tolist() == table.loss.tolist()
    cells = tables.cells(sweep)
    assert cells.run_id.tolist() == [cell.run_id for cell in sweep.plan.cells]
    assert (cells.tokens_per_param * cells.params).round().tolist() == cells.tokens.tolist()


def test_what_the_runs_do_not_support_is_missing() -> None:
    fit = fit_points(load_sweep(ROOT / "results/demo").points, FitOptions(draws=0, backtest=False))
    line = tables.exponents(fit).set_index("approach").loc["approach_1"]
    assert pd.isna(line.a)
    assert pd.isna(line.a_low)
    assert line.status == "no_curves"
    assert len(tables.backtest(fit)) == 0
    with pytest.raises(UserError, match=r"approach_3 has no bootstrap draws"):
        tables.draws(fit)


def test_a_table_and_a_fit_are_one_line_in_a_notebook(fitted: Fit) -> None:
    points = read_points(io.StringIO(MESSY))
    assert repr(points) == "<Points: 2 runs, C from 2.4e+14 to 4.8e+14 FLOPs, 4 runs left out>"
    assert repr(points.select([])) == "<Points: 0 runs, 4 runs left out>"
    assert re.fullmatch(
        r"<Fit of 21 runs: approach_1 \w+ \(a = 0\.\d{3}\), approach_2 ok .*; summary\(\) prints all>",
        repr(fitted),
    )


WITH_ONE = [
    tables.points,
    tables.excluded,
    tables.runs,
    tables.cells,
    tables.exponents,
    tables.minima,
    tables.law,
    tables.optima,
    tables.backtest,
    tables.draws,
]


@pytest.mark.parametrize("function", WITH_ONE)
@pytest.mark.parametrize("given", [None, "results/demo", 3, {}])
def test_what_is_of_another_kind_is_refused_by_name(function: Callable[[Any], Any], given: object) -> None:
    with pytest.raises(UserError, match=f"^tables.{function.__name__}: a {type(given).__name__} is not a "):
        function(given)


def test_what_is_no_fit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^write_fit: a dict is not a fit"):
        write_fit({}, tmp_path / "out")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_without_draws_the_missing_numbers_are_numbers() -> None:
    fit = fit_points(load_sweep(ROOT / "results/demo").points, FitOptions(draws=0))
    for frame in (tables.law(fit), tables.exponents(fit), tables.optima(fit), tables.minima(fit)):
        ends = [name for name in frame if name.endswith(("low", "high", "se"))]
        assert ends
        assert all(frame[name].dtype == np.float64 for name in ends), frame.dtypes
