"""A filter of rows: what it lets through, what it refuses and where, and that it is text to Hydra."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.fit import read_points
from harness.fit.read.cells import Cells
from harness.fit.read.in_memory import cells_of
from harness.fit.read.lookup import entries_where, labels
from harness.fit.read.table_columns import TableColumns
from harness.fit.read.where import rows_where

NAN = float("nan")
TABLE = {
    "params": [1e7, 2e7, 4e8, 8e8, 8e8],
    "Data Set": ["c4", "rpj", "c4", "", "it's"],
    "outlier": ["False", "True", "", "False", "True"],
    "val/acc": [0.5, NAN, 0.7, 0.9, 0.1],
    "model": ["10M", "20M", "400M", "800M", "800M"],
    "bytes": [4.0, 4.0, 4.0, 5.0, 5.0],
}


def table() -> TableColumns:
    cells: Cells = cells_of(TABLE)
    return TableColumns(cells, {"params": np.array(TABLE["params"]), "budget": np.array([1e18] * 5)})


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("params > 1e8", [2, 3, 4]),
        ("params>100M", [2, 3, 4]),
        ("params >= 0.4B and params <= 400_000k", [2]),
        ("10M < params <= 4e8", [1, 2]),
        ("`Data Set` == 'c4'", [0, 2]),
        ('"Data Set" == "c4"', [0, 2]),
        ("data_set == 'c4' or data_set == 'rpj'", [0, 1, 2]),
        ("data_set in ('c4', 'rpj')", [0, 1, 2]),
        ('data_set in ("c4", "rpj",)', [0, 1, 2]),
        ("data_set not in ('c4')", [1, 4]),
        ("data_set != 'c4'", [1, 4]),
        ("not data_set == 'c4'", [1, 4]),
        ("data_set is missing", [3]),
        ("data_set is not missing", [0, 1, 2, 4]),
        ("not (data_set is missing)", [0, 1, 2, 4]),
        ("data_set == 'it\\'s'", [4]),
        ("outlier != True", [0, 3]),
        ("outlier == false", [0, 3]),
        ("outlier", [1, 4]),
        ("not outlier", [0, 3]),
        ("val/acc > 0.6", [2, 3]),
        ("val_acc > .6", [2, 3]),
        ("not val_acc > .6", [0, 4]),
        ("val_acc < 5 or params == 2e7", [0, 1, 2, 3, 4]),
        ("val_acc < 0 and params == 2e7", []),
        ("not (val_acc < 0 and params == 1e7)", [0, 1, 2, 3, 4]),
        ("params == 1e7 or params == 2e7 and outlier", [0, 1]),
        ("(params == 1e7 or params == 2e7) and outlier", [1]),
        ("'c4' == data_set and 1e8 < params", [2]),
        ("budget == 1e18 and NOT outlier AND Params > 0", [0, 3]),
        ("model == '800M'", [3, 4]),
        ("params in (1e7, 20M)", [0, 1]),
        ("bytes == -4 or bytes==+5", [3, 4]),
        ("params > bytes", [0, 1, 2, 3, 4]),
    ],
)
def test_it_lets_through(text: str, rows: list[int]) -> None:
    truth = rows_where(text, table())
    assert np.flatnonzero(truth.yes).tolist() == rows
    assert not (truth.yes & truth.no).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("params > ", "a column, a number or a 'text' is expected, at the end"),
        ("parms > 1", "no column 'parms'; did you mean 'params'? (the table has params, Data Set"),
        ("`Data Sets` == 'c4'", "did you mean 'Data Set'?"),
        ('"Data Sets" == "c4"', "did you mean 'Data Set'?"),
        ("dataset = 'c4'", "write '==' for '=', at character 9"),
        ("params > 1 & outlier", "write 'and' for '&', at character 12"),
        ("params > 1 || outlier", "write 'or' for '|'"),
        ("(params > 1", "')' is expected, at the end"),
        ("params > 1)", "'and' or 'or' is expected between two tests, at character 11"),
        ("params > 'c4'", "column 'params' has numbers, and 'c4' is a text, at character 10"),
        ("data_set > 3", "column 'data_set' has text such as 'c4', and this is a number, at character 12"),
        ("data_set < 'c4'", "'<' compares numbers, at character 10"),
        ("params == True", "column 'params' is not of true and false, at character 11"),
        ("params", "a comparison is expected"),
        ("1 == 1", "a comparison needs a column"),
        ("data_set == 'c4", "this ' is not closed, at character 13"),
        ("params > 1e8 and", "is expected, at the end"),
        ("params is 3", "'is missing' or 'is not missing' is expected"),
        ("data_set in 'c4'", "'(' is expected"),
        ("params not > 3", "'in' is expected after 'not'"),
        ("params > 1;import os", "';' has no meaning here"),
        ("__import__('os').system('true')", "'.' has no meaning here"),
        ("(" * 500 + "params > 1" + ")" * 500, "more than 50 brackets"),
        ("not " * 500 + "outlier", "more than 50 brackets"),
        ("params > 1" + " or params > 1" * 1000, "longer than 10,000 characters"),
        ("params > 1\x1b[2J", "has no meaning here"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        rows_where(text, table())
    line = str(caught.value)
    assert line.startswith("where: ")
    assert said in line
    assert line.isprintable()
    assert len(line) < 800


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            (
                *("params", "outlier", "`Data Set`", "'c4'", "1e8", "(", ")", "and", "or", "not", "in", "is"),
                *("missing", "==", "<", "!=", ",", '"', "'", "True", "-", "é", "\n", "0x1", "1e999", "nan"),
            )
        ),
        max_size=9,
    )
)
def test_anything_is_a_filter_or_refused(words: list[str]) -> None:
    try:
        truth = rows_where(" ".join(words), table())
    except UserError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert refused.isprintable()
        return
    assert len(truth.yes) == 5
    assert not (truth.yes & truth.no).any()


@given(st.lists(st.sampled_from([0, 1, 2]), min_size=2, max_size=2), st.sampled_from(["and", "or"]))
def test_opposites_are_those_of_three_valued_logic(kinds: list[int], word: str) -> None:
    """``not (a and b)`` is ``not a or not b``, also where cells are missing."""
    parts = [("outlier", "val_acc > 0.4", "data_set == 'c4'")[kind] for kind in kinds]
    other = {"and": "or", "or": "and"}[word]
    one = rows_where(f"not ({parts[0]} {word} {parts[1]})", table())
    same = rows_where(f"not {parts[0]} {other} not {parts[1]}", table())
    assert one.yes.tolist() == same.yes.tolist()
    assert one.no.tolist() == same.no.tolist()


HISTORY = (
    "run,params,tokens,loss,set\n"
    "a,1e8,1e9,4.0,c4\na,1e8,2e9,3.5,c4\na,1e8,2e9,9.5,code\n"
    "b,2e8,5e8,3.9,c4\nb,2e8,1e9,3.1,c4\nb,2e8,1e9,8.1,code\n"
)


def test_rows_are_filtered_before_the_last_is_taken_and_all_rows_say_where_a_run_ends(
    tmp_path: Path,
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HISTORY)
    assert read_points(path).loss.tolist() == [9.5, 8.1]
    points = read_points(path, where="set == 'c4'")
    assert points.loss.tolist() == [3.5, 3.1]
    assert "2 of 6 rows kept out by where=set == 'c4'" in points.notes
    assert points.earlier_rows == 2
    short = read_points(path, where="tokens < 1.5e9 and set == 'c4'")
    assert short.loss.tolist() == [3.1], "a row from the middle of a longer run is no result"
    assert [(gone.run, gone.reason) for gone in short.excluded] == [
        ("a", "no loss at its end: its last is at 50% of its tokens")
    ]
    every = read_points(path, "all", where="tokens < 1.5e9 and set == 'c4'")
    assert every.loss.tolist() == [4.0, 3.9, 3.1]
    with pytest.raises(UserError, match=r"where: no row of t\.csv satisfies"):
        read_points(path, where="tokens > 1e12")


def test_a_run_that_did_not_finish_stays_out_whatever_rows_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "run,params,tokens,loss,State\na,1e8,1e9,4,running\na,1e8,2e9,3,crashed\nb,1e8,3e9,3,finished\n"
    )
    points = read_points(path, where="tokens != 2e9")
    assert points.run_id == ("b",)
    assert [(gone.run, gone.reason, gone.rows) for gone in points.excluded] == [("a", "State crashed", 1)]


@pytest.mark.parametrize("every", ["last", "all"])
@pytest.mark.parametrize(
    "text", ["loss > 3.05", "seed == 1", "set in ('a')", "seed is missing", "tokens <= 2e9"]
)
def test_every_row_is_accounted_for(text: str, every: str, tmp_path: Path) -> None:
    rows = [
        (run, tokens, 3 + 0.1 * i, seed, name)
        for i, (run, tokens, seed, name) in enumerate(
            itertools.product(("r", "s", ""), ("1e9", "2e9", ""), ("1", ""), ("a", "b"))
        )
    ]
    path = tmp_path / "t.csv"
    text_of = "".join(f"{r},1e8,{t},{v},{q},{n}\n" for r, t, v, q, n in rows)
    path.write_text("run,params,tokens,loss,seed,set\n" + text_of)
    points = read_points(path, every, where=text)
    out = int(next(note for note in points.notes if "kept out by" in note).split()[0])
    silent = sum(int(note.split()[0]) for note in points.notes if "without a loss or tokens" in note)
    gone = sum(one.rows for one in points.excluded)
    assert len(points) + gone + points.earlier_rows + silent + out == len(rows)


@pytest.mark.parametrize(
    "text",
    [
        "params > 1e8 and dataset == 'c4' and outlier != True",
        "a in ('x', 'y')",
        "x == 1",
        "'c4' == dataset",
        "`val loss` < 3, 4",
        "[1]",
        "a: 3",
        "{a}",
        "8e9",
        "loss<3",
        "not outlier",
        'a == "b"',
        "a == 'it\\'s'",
    ],
)
def test_it_is_text_on_the_command_line(text: str) -> None:
    config, _ = compose_config(["experiment=demo", f"where={text}", f"columns.loss={text}"])
    assert config.where == text
    assert config.columns.loss == text


def test_points_that_were_read_are_filtered_and_grouped_by_the_same_names() -> None:
    points = read_points(
        {
            "N (M)": [10, 20, 30, 40],
            "tokens": [1e9] * 4,
            "loss": [4.0, 3.5, 3.2, 3.0],
            "Data Set": ["c4", "c4", "rpj", ""],
            "lr": [0.1, 0.1, 0.2, NAN],
            "run": list("abcd"),
        }
    )
    assert entries_where(points, "`Data Set` == 'c4' and params > 10M").tolist() == [
        False,
        True,
        False,
        False,
    ]
    assert entries_where(points, "run_id in ('a', 'd')").tolist() == [True, False, False, True]
    assert entries_where(points, "lr is missing or `N (M)` == 1e7").tolist() == [True, False, False, True]
    assert labels(points, "Data Set") == labels(points, "data_set") == ("c4", "c4", "rpj", "")
    assert labels(points, "lr") == ("0.1", "0.1", "0.2", "")
    assert labels(points, "params") == ("10000000", "20000000", "30000000", "40000000")
    assert labels(points, "run_id") == tuple("abcd")
    with pytest.raises(UserError, match=r"points: no column 'set' .*; the table has lr, data_set, N \(M\)"):
        labels(points, "set")


def test_a_word_in_a_row_that_is_kept_out_is_no_mistake() -> None:
    table = {
        "run": ["a", "b", "mean"],
        "params": [1e8, 2e8, 1.5e8],
        "tokens": [1e9] * 3,
        "loss": ["3", "2.9", "± .1"],
    }
    with pytest.raises(UserError, match=r"row 2, column loss: '± \.1' is not a number"):
        read_points(table)
    assert read_points(table, where="run != 'mean'").loss.tolist() == [3, 2.9]
