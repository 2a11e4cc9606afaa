"""Which rows of a table are a run's result, what names a run, and that no row is lost."""

import csv
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit import FitOptions, Points, fit_points, read_points
from harness.fit.laws import CostLaw, Law
from tests.fit.synthetic import CHINCHILLA, sweep

EARLIER = (
    "{} earlier rows of {} runs left out: a run's result is its last row; analysis.rows=all fits all rows, "
    "clustered by run"
)


def table(tmp_path: Path, text: str, rows: str = "last") -> Points:
    path = tmp_path / "points.csv"
    path.write_text(text, encoding="utf-8")
    return read_points(path, rows)


def told(points: Points) -> dict[str, str]:
    return {gone.run: gone.reason for gone in points.excluded}


# Two runs of three evaluations each, in the order in which they were logged.
HISTORY = (
    "run_id,params,tokens,loss\n"
    "a,1e8,1e9,4.0\n"
    "b,2e8,1e9,3.9\n"
    "a,1e8,2e9,3.5\n"
    "b,2e8,3e9,3.1\n"
    "a,1e8,3e9,3.2\n"
    "b,2e8,2e9,3.4\n"
)


def test_a_run_is_its_row_with_the_most_tokens_and_a_note_counts_the_others(tmp_path: Path) -> None:
    points = table(tmp_path, HISTORY)
    assert points.run_id == ("b", "a")
    assert points.loss.tolist() == [3.1, 3.2]
    assert points.lines == (5, 6)
    assert points.excluded == ()
    assert points.earlier_rows == 4
    assert points.notes[1:] == (EARLIER.format(4, 2),)


def test_all_rows_where_they_are_asked_for(tmp_path: Path) -> None:
    points = table(tmp_path, HISTORY, "all")
    assert points.run_id == ("a", "b", "a", "b", "a", "b")
    assert points.earlier_rows == 0
    assert len(points.notes) == 1, "that C was derived"
    with pytest.raises(UserError, match="rows must be one of"):
        table(tmp_path, HISTORY, "first")
    with pytest.raises(UserError, match="rows must be one of"):
        FitOptions(rows="first")


def test_of_rows_at_equal_tokens_the_later_is_the_result_and_the_note_says_how_they_differ(
    tmp_path: Path,
) -> None:
    text = "run,params,tokens,loss,eval_set\n" + "".join(
        f"{run},1e8,1e9,{loss},{name}\n"
        for run in "abc"
        for loss, name in ((3.0, "books"), (f"3.3{ord(run)}", "code"))
    )
    points = table(tmp_path, text)
    assert points.loss.tolist() == [3.397, 3.398, 3.399]
    assert points.notes[-1] == (
        EARLIER.format(3, 3)
        + "; of 3 runs several rows have the most tokens, and the later one was taken: they differ in eval_set"
    )


def test_what_a_history_logs_between_evaluations_is_no_result(tmp_path: Path) -> None:
    """The row after the last evaluation has no loss; a loss that ends long before the run is of no cooled model."""
    text = (
        "id,params,tokens,loss\n"
        "a,1e8,1e9,3.5\na,1e8,1.5e9,\na,1e8,2e9,3.2\na,1e8,2.01e9,\n"
        "b,1e8,1e9,3.5\nb,1e8,1.5e9,\nb,1e8,2e9,\n"
        "c,1e8,1e9,3.5\nc,1e8,2e9,nan\n"
        "d,1e8,1e9,\nd,1e8,2e9,\n"
    )
    points = table(tmp_path, text)
    assert points.run_id == ("a",)
    assert points.loss.tolist() == [3.2]
    assert told(points) == {
        "b": "no loss at its end: its last is at 50% of its tokens",
        "c": "loss is missing",
        "d": "loss is missing",
    }
    assert [gone.rows for gone in points.excluded] == [1, 2, 1], "by line: b's last row, d's two, c's last"
    assert points.earlier_rows == 3
    assert "3 rows without a loss or tokens left out, of 2 runs with other rows" in points.notes
    every = table(tmp_path, text, "all")
    assert every.loss.tolist() == [3.5, 3.2, 3.5, 3.5]
    assert told(every).keys() == {"c", "d"}


def test_a_fit_of_a_history_is_of_its_last_rows(tmp_path: Path) -> None:
    """The first evaluations are of models before their cooldown, the larger the hotter: another exponent."""
    final = sweep(budgets=(1e17, 1e18, 1e19, 1e20), sizes=7, noise=0.002)
    law = Law.from_theta(np.array(CHINCHILLA))
    rows = ["ID,State,N,tokens seen,val/loss,_step"]
    for i, run in enumerate(final.run_id):
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            tokens = final.tokens[i] * share
            hot = (1 - share) * 0.08 * math.log(final.params[i] / 1e6)
            loss = float(law.loss(final.params[i], tokens)) * math.exp(hot) if share < 1 else final.loss[i]
            rows.append(f"{run},finished,{final.params[i]!r},{tokens!r},{loss!r},{int(share * 1000)}")
    text = "\n".join(rows).replace("np.float64(", "").replace(")", "")
    points, every = table(tmp_path, text), table(tmp_path, text, "all")
    assert EARLIER.format(112, 28) in points.notes
    assert points.loss.tolist() == final.loss.tolist()
    first = every.select([every.run_id.index(run) for run in final.run_id])
    a = {
        name: fit_points(used, FitOptions(draws=0)).approach_3.a
        for name, used in (("last", points), ("first", first))
    }
    truth = Law.from_theta(np.array(CHINCHILLA), CostLaw()).exponents[0]
    assert abs(a["last"] - truth) < 0.01
    assert abs(a["first"] - truth) > 0.03
    assert fit_points(points, FitOptions(draws=0)).rows == "last"
    assert fit_points(every, FitOptions(draws=0)).rows == "all"
    assert fit_points(every, FitOptions(draws=0)).n_points == 140


@pytest.mark.parametrize("header", ["run_id", "run", "run_name", "id", "Run ID", "ID", "run.name"])
def test_what_names_a_run(tmp_path: Path, header: str) -> None:
    points = table(tmp_path, HISTORY.replace("run_id", header))
    assert points.run_id == ("b", "a")


def test_the_first_choice_of_a_name_and_a_second_where_the_first_names_no_runs(tmp_path: Path) -> None:
    text = "id,run,params,tokens,loss\n1,a,1e8,1e9,3.5\n2,a,1e8,2e9,3.2\n3,b,2e8,1e9,3.4\n"
    points = table(tmp_path, text)
    assert points.run_id == ("a", "b")
    assert set(points.extra) == set()
    again = table(tmp_path, text.replace("3,b", "3,a"))
    assert again.run_id == ("1", "2", "3")
    assert "column 'run' names no runs: rows of 'a' differ in params (1e+08 and 2e+08)" in again.notes
    assert "run_id is column 'id'" in again.notes


@pytest.mark.parametrize(
    ("column", "values"), [("params", ("1e8", "1.1e8")), ("budget", ("1e18", "1e19")), ("seed", ("0", "1"))]
)
def test_a_column_whose_rows_are_of_different_runs_names_none(
    tmp_path: Path, column: str, values: tuple[str, str]
) -> None:
    cells = {"params": "1e8", "tokens": "1e9", "budget": "1e18", "seed": "0"}
    lines = [",".join(("run", *cells, "loss"))]
    for value, tokens, loss in zip(values, ("1e9", "2e9"), ("3.5", "3.2"), strict=True):
        lines.append(",".join(("50M", *{**cells, "tokens": tokens, column: value}.values(), loss)))
    points = table(tmp_path, "\n".join(lines))
    assert points.run_id == ("row 2", "row 3")
    low, high = (f"{float(value):g}" for value in values)
    assert f"column 'run' names no runs: rows of '50M' differ in {column} ({low} and {high})" in points.notes


def test_parameters_that_differ_by_rounding_are_of_one_run(tmp_path: Path) -> None:
    points = table(tmp_path, HISTORY.replace("a,1e8,1e9", "a,1.004e8,1e9"))
    assert points.run_id == ("b", "a")


def test_a_generic_name_that_repeats_names_no_run(tmp_path: Path) -> None:
    """Eight sizes at five budgets, called by their size: 40 runs."""
    p = sweep(sizes=8)
    names = [f"size {i % 8}" for i in range(40)]
    lines = ["Name,params,tokens,flops,loss"]
    lines += [
        f"{name},{n},{d},{c},{loss}"
        for name, n, d, c, loss in zip(names, p.params, p.tokens, p.flops, p.loss, strict=True)
    ]
    points = table(tmp_path, "\n".join(lines))
    assert len(points) == 40
    assert points.text["name"] == tuple(names)
    assert points.notes == (
        "column 'Name' repeats its names, so every row is a run of its own; if it names runs: columns.run='Name'",
    )
    one = table(tmp_path, "\n".join(lines[:9]))
    assert one.run_id == tuple(names[:8])
    assert one.text == {}


def test_rows_without_a_name_are_runs_of_their_own(tmp_path: Path) -> None:
    points = table(tmp_path, "params,tokens,loss\n1e8,1e9,3.5\n1e8,2e9,3.2\n1e8,3e9,3.1\n")
    assert points.run_id == ("row 2", "row 3", "row 4")
    partly = table(
        tmp_path, "run_id,params,tokens,loss\na,1e8,1e9,3.5\n,1e8,2e9,3.2\n,1e8,3e9,3.1\na,1e8,2e9,3.3\n"
    )
    assert partly.run_id == ("row 3", "row 4", "a")


@pytest.mark.parametrize(
    ("header", "word", "finished"),
    [
        *(
            (h, w, "finished")
            for h in ("State", "run_state", "Run Status", "status")
            for w in ("crashed", "odd")
        ),
        ("outcome", "OOM", "ok"),
        ("how it went", "CANCELLED", "COMPLETED"),
        ("slurm", "OUT_OF_MEMORY", "completed"),
        ("finished", "False", "True"),
        ("is_completed", "0", "1"),
        ("diverged", "yes", "no"),
        ("Failed", "TRUE", "FALSE"),
        ("crashed", "1.0", "0.0"),
    ],
)
def test_rows_that_did_not_finish_take_no_part(tmp_path: Path, header: str, word: str, finished: str) -> None:
    rows = [(f"r{i}", f"{1 + i}e8", 3.0 - i / 10, word if i == 1 else finished) for i in range(4)]
    text = f"run,params,tokens,loss,{header}\n" + "".join(f"{r},{n},1e9,{v},{s}\n" for r, n, v, s in rows)
    points = table(tmp_path, text)
    assert points.run_id == ("r0", "r2", "r3")
    unknown = ", which is no word for a finished run here (finished, completed, done, success or ok is)"
    assert told(points) == {"r1": f"{header} {word.lower()}" + unknown * (word == "odd")}
    assert points.text == {}
    assert set(points.extra) == set()
    by_name = header.lower().replace(" ", "_") in ("state", "run_state", "run_status", "status")
    note = f"column {header!r} says how runs ended: 1 row ({word.lower()}) took no part"
    assert (note in points.notes) != by_name


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("bleu", ("0.3", "nan", "0.2", "nan")),
        ("comment", ("failed", "odd seed", "ok", "")),
        ("outcome", ("ok", "done", "ok", "done")),
        ("completed", ("0.5", "1", "0.25", "1")),
        ("failed", ("0", "2", "0", "1")),
        ("dropout", ("true", "false", "true", "false")),
    ],
)
def test_what_is_no_state_leaves_no_row_out(tmp_path: Path, header: str, words: tuple[str, ...]) -> None:
    text = f"params,tokens,loss,{header}\n" + "".join(f"{i}e8,1e9,3,{w}\n" for i, w in enumerate(words, 1))
    points = table(tmp_path, text)
    assert len(points) == 4
    assert points.excluded == ()


def test_several_columns_of_states(tmp_path: Path) -> None:
    text = (
        "run,State,outcome,reason,params,tokens,loss\n"
        "a,finished,diverged,loss rose,1e8,1e9,3\n"
        "b,killed,failed,,2e8,1e9,oops\n"
        "c,finished,ok,,3e8,1e9,3\n"
    )
    points = table(tmp_path, text)
    assert points.run_id == ("c",)
    assert told(points) == {"a": "outcome diverged: loss rose", "b": "State killed, outcome failed"}


def test_a_run_whose_last_row_is_unfinished_is_left_out_whole(tmp_path: Path) -> None:
    lines = HISTORY.splitlines()
    states = ("state", "running", "finished", "running", "finished", "crashed", "running")
    text = "\n".join(f"{line},{state}" for line, state in zip(lines, states, strict=True))
    for rows in ("last", "all"):
        points = table(tmp_path, text, rows)
        assert set(points.run_id) == {"b"}
        gone = {excluded.run: excluded for excluded in points.excluded}
        assert (gone["a"].reason, gone["a"].row, gone["a"].rows) == ("state crashed", 6, 3)
        assert (gone["b"].reason, gone["b"].row, gone["b"].rows) == ("state running", 7, 1)
        assert len(points) == (1 if rows == "last" else 2)


def test_text_is_kept_where_it_sorts_runs_into_groups(tmp_path: Path) -> None:
    text = "run,params,tokens,loss,dataset,device,host,rank,bleu\n" + "".join(
        f"r{i},{i}e8,1e9,{4 - i / 10},{'c4' if i % 2 else ''},h100,node-{i},{i},{'low' if i == 2 else i}\n"
        for i in range(1, 6)
    )
    points = table(tmp_path, text)
    assert points.text == {"dataset": ("c4", "", "c4", "", "c4")}
    assert set(points.extra) == {"rank"}
    picked = points.select([4, 1]).without(np.array([False, True]), "odd")
    assert picked.text == {"dataset": ("c4",)}
    assert picked.excluded[0].row == 3
    with pytest.raises(UserError, match="'dataset' is text, not numbers"):
        points.column("dataset")
    with pytest.raises(UserError, match="'dataset' has 1 entries for 2 runs"):
        Points([1, 2], [1, 1], [6, 6], [1, 1], text={"dataset": ("c4",)})


def test_points_that_are_given_are_all_fitted_but_exact_repetitions() -> None:
    p = sweep(sizes=8)
    names = tuple(f"run-{i // 4}" for i in range(len(p)))
    several = Points(p.params, p.tokens, p.flops, p.loss, names, budget=p.budget)
    fit = fit_points(several, FitOptions(draws=0))
    assert (fit.n_points, fit.excluded, fit.rows) == (40, (), "all")
    twice = several.select([*range(40), 7])
    fit = fit_points(twice, FitOptions(draws=0))
    assert fit.n_points == 40
    assert [(gone.run, gone.reason) for gone in fit.excluded] == [("run-1", "duplicate of run-1")]
    seeds = Points([1e8] * 2, [1e9] * 2, [6e17] * 2, [3, 3], ("a", "a"), seed=[0, 1])
    assert len(fit_points(seeds, FitOptions(draws=0)).excluded) == 0


@dataclass(frozen=True)
class Row:
    """One row of a random table, as text."""

    run: str
    tokens: str
    loss: str
    state: str


ROW = st.builds(
    Row,
    run=st.sampled_from(["a", "b", "c", "", ""]),
    tokens=st.sampled_from(["1e9", "1.99e9", "2e9", "3e9", "", "-1", "nan"]),
    loss=st.sampled_from(["3.0", "3.25", "3.5", "", "nan", "-1", "inf"]),
    state=st.sampled_from(["finished", "finished", "finished", "", "crashed", "running"]),
)


def written(rows: list[Row], name: str, with_state: bool) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([name, "params", "tokens", "loss", *(["State"] if with_state else [])])
    for row in rows:
        # One size a run, so that the names are names of runs.
        params = {"a": "1e8", "b": "2e8", "c": "4e8"}.get(row.run, "1e8")
        writer.writerow([row.run, params, row.tokens, row.loss, *([row.state] if with_state else [])])
    return out.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(ROW, min_size=1, max_size=14),
    which=st.sampled_from(["last", "all"]),
    name=st.sampled_from(["run_id", "ID", "name"]),
    with_state=st.booleans(),
)
def test_every_row_is_fitted_excluded_or_counted(
    tmp_path: Path, rows: list[Row], which: str, name: str, with_state: bool
) -> None:
    points = table(tmp_path, written(rows, name, with_state), which)
    without_loss = [re.match(r"(\d+) rows? without a loss or tokens", note) for note in points.notes]
    silent = sum(int(found[1]) for found in without_loss if found)
    earlier = [re.match(r"(\d+) earlier rows? of", note) for note in points.notes]
    assert sum(int(found[1]) for found in earlier if found) == points.earlier_rows
    assert len(points) + sum(gone.rows for gone in points.excluded) + points.earlier_rows + silent == len(
        rows
    )
    assert all(gone.reason and gone.row for gone in points.excluded)
    lines = [*(points.lines or ()), *(gone.row for gone in points.excluded)]
    assert len(set(lines)) == len(lines)
    # What is fitted is what its line says, of a run that finished.
    for i, line in enumerate(points.lines or ()):
        row = rows[line - 2]
        assert (points.tokens[i], points.loss[i]) == (float(row.tokens), float(row.loss))
        assert not with_state or row.state in ("finished", "")
    if which == "last":
        named = [run for run in points.run_id if not run.startswith("row ")]
        assert len(named) == len(set(named))
        for i, line in enumerate(points.lines or ()):
            if name == "name" or not rows[line - 2].run:
                continue
            others = [row for row in rows if row.run == points.run_id[i]]
            reached = [float(row.tokens) for row in others if row.tokens not in ("", "nan")]
            assert points.tokens[i] >= 0.95 * max(reached)
    else:
        assert points.earlier_rows == 0
