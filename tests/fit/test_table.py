"""Ugly tables: each gets an answer or one clear line."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit import FitOptions, Points, fit_points, read_points
from harness.fit.read import files
from harness.fit.read.limits import MAX_RUNS
from harness.fit.table import NO_UNITS, clean
from tests.fit.synthetic import sweep

GOOD = "params,tokens,flops,loss\n1e8,2e9,1.2e18,3.0\n2e8,2e9,2.4e18,2.9\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "points.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_plain_table(tmp_path: Path) -> None:
    points = read_points(written(tmp_path, GOOD))
    assert len(points) == 2
    assert points.params.tolist() == [1e8, 2e8]
    assert points.run_id == ("row 2", "row 3")
    assert points.excluded == ()
    assert points.notes == ()


@pytest.mark.parametrize(
    "header",
    [
        "N,D,C,L",
        "Model Size,Training Tokens,Training FLOP,loss",
        "\ufeffparams,tokens,flops,loss",
        " Params , Tokens,FLOPs, Loss ",
        "params_total,num_tokens,training_flops,val_loss",
    ],
)
def test_aliases_and_marks_are_understood(tmp_path: Path, header: str) -> None:
    points = read_points(written(tmp_path, GOOD.replace("params,tokens,flops,loss", header)))
    assert points.loss.tolist() == [3.0, 2.9]
    assert points.tokens.tolist() == [2e9, 2e9]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    assert len(read_points(written(tmp_path, GOOD.replace(",", separator).replace("\n", "\r\n")))) == 2


@pytest.mark.parametrize(
    ("header", "row", "derived"),
    [
        ("Model Size,Training FLOP,loss", "1e8,1.2e18,3", "tokens"),
        ("params,tokens,loss", "1e8,2e9,3", "flops"),
        ("tokens,flops,loss", "2e9,1.2e18,3", "params"),
    ],
)
def test_one_of_three_is_derived_and_said_so(tmp_path: Path, header: str, row: str, derived: str) -> None:
    points = read_points(written(tmp_path, f"{header}\n{row}\n"))
    assert (points.params[0], points.tokens[0], points.flops[0]) == pytest.approx((1e8, 2e9, 1.2e18))
    assert any(f"{derived} from" in note for note in points.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("params,tokens,flops,loss\n", "no rows"),
        ("params,tokens,flops\n1,2,12\n", "missing column loss"),
        ("a,b\n1,2\n", "missing column loss and two of the columns params, tokens and flops; it has a, b"),
        ("params,loss\n1,2\n", "missing column tokens or flops; it has params, loss"),
        (GOOD.replace("2.9", "good"), "row 3, column loss: 'good' is not a number"),
        (GOOD.replace("2e8", "2e8x"), "row 3, column params: '2e8x' is not a number"),
        (GOOD.replace("2.9\n", "2.9,7\n"), "row 3 has 5 cells, the header has 4"),
        ("params,params,tokens,flops,loss\n1,1,1,6,1\n", "two columns are called params"),
        (b"\xff\xfep\x00a\x00", "has one column, pa"),
        (b"params,tokens,flops,loss\n1,\x00,6,1\n", "NUL"),
        ("x" * 2_000_000, "longer than"),
    ],
)
def test_one_clear_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match="points") as caught:
        read_points(written(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_points(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is a folder"):
        read_points(tmp_path)


def test_a_huge_file_is_refused_promptly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there are too many runs to fit, the rest of the file is not read."""
    path = written(tmp_path, "params,tokens,flops,loss\n" + "1e8,2e9,1.2e18,3.0\n" * (10 * MAX_RUNS))
    read, bounded = [], files._bounded

    def noting(name: str, first: str, lines: TextIO) -> Iterator[str]:
        for line in bounded(name, first, lines):
            read.append(line)
            yield line

    monkeypatch.setattr(files, "_bounded", noting)
    with pytest.raises(UserError, match=r"more than 100,000 rows to fit.*columns\.run=NAME"):
        read_points(path)
    assert len(read) == MAX_RUNS + 2, "the header, and one row too many"


def test_unusable_rows_are_listed_with_row_and_reason(tmp_path: Path) -> None:
    text = (
        "run_id,status,params,tokens,flops,loss,reason\n"
        "a,finished,1e8,2e9,1.2e18,3.0,\n"
        "b,diverged,1e8,2e9,1.2e18,,loss rose at step 40\n"
        "c,finished,1e8,2e9,1.2e18,nan,\n"
        "d,finished,1e8,2e9,1.2e18,-1,\n"
        "e,finished,0,2e9,1.2e18,3,\n"
        "a,finished,1e8,2e9,1.2e18,3.0,\n"
        "f,finished,1e8,2e9,1.2e21,3.0,\n"
        "g,finished,1e8,2e9,1.2e18,inf,\n"
        "\n"
        "h,finished,2e8,2e9,2.4e18,2.9,\n"
    )
    points = read_points(written(tmp_path, text))
    assert points.run_id == ("a", "h")
    told = {(e.run, e.row): e.reason for e in points.excluded}
    assert told["b", 3] == "status diverged: loss rose at step 40"
    assert told["c", 4] == "loss is missing"
    assert told["d", 5] == "loss is not positive (-1)"
    assert told["e", 6] == "params is not positive (0)"
    assert told["a", 7] == "duplicate of a in row 2"
    assert "inconsistent: flops is 1e+03 times" in told["f", 8]
    assert told["g", 9] == "loss is not finite"


def test_rows_without_ids_are_duplicates_by_value_unless_their_seeds_differ(tmp_path: Path) -> None:
    twice = "params,tokens,flops,loss\n1e8,2e9,1.2e18,3.0\n1e8,2e9,1.2e18,3.0\n"
    points = read_points(written(tmp_path, twice))
    assert [e.reason for e in points.excluded] == ["duplicate of row 2"]
    seeded = "params,tokens,flops,loss,seed\n1e8,2e9,1.2e18,3.0,0\n1e8,2e9,1.2e18,3.0,1\n"
    assert len(read_points(written(tmp_path, seeded))) == 2


def test_further_columns_are_kept_where_they_are_numbers(tmp_path: Path) -> None:
    text = "run_id,params,tokens,flops,loss,params_head,device,mfu\na,1e8,2e9,1.2e18,3,1e7,cpu,\n"
    points = read_points(written(tmp_path, text))
    assert points.column("params_head").tolist() == [1e7]
    assert set(points.extra) == {"params_head"}
    with pytest.raises(UserError, match=r"no column 'device'; the table has .*params_head"):
        points.column("device")


def test_another_convention_takes_its_columns_and_drops_rows_without_them() -> None:
    head = np.array([np.nan, 5e7])
    points = Points([1e8, 2e8], [1e9, 1e9], [6e17, 1.2e18], [3, 2.9], extra={"params_non_embedding": head})
    counted = points.counted("params_non_embedding")
    assert counted.params.tolist() == [5e7]
    assert counted.excluded[0].reason == "params_non_embedding is missing or not positive"


def test_columns_of_different_length_and_text_are_refused() -> None:
    with pytest.raises(UserError, match="'tokens' has shape"):
        Points([1, 2], [1], [6, 6], [1, 1])
    with pytest.raises(UserError, match="'loss' is not all numbers"):
        Points([1], [1], [6], ["x"])
    with pytest.raises(UserError, match="3 run ids for 1 runs"):
        Points([1], [1], [6], [1], run_id=("a", "b", "c"))


def test_clean_is_idempotent() -> None:
    once = clean(Points([1e4] * 3, [1e6] * 3, [6e10] * 3, [1, 1, np.nan]))
    twice = clean(once)
    assert twice.excluded == once.excluded
    assert len(twice) == 1


def test_millions_and_billions_are_no_plain_numbers() -> None:
    table = clean(Points([70, 7e7], [1.4, 1.4e9], [np.nan, 6e17], [2, 2]))
    assert len(table) == 1
    assert [gone.reason for gone in clean(Points([70], [1.4], [588], [2])).excluded] == [
        "70 parameters on 1.4 tokens: " + NO_UNITS
    ]
    # The larger half of such a table was fitted, and its law was ok.
    n, d = np.array([25.0, 70, 150, 400]), np.array([5e9, 3e9, 2e9, 1e9])
    half = clean(Points(n, d, 6 * n * d, [3.4, 3.2, 3.1, 3]))
    assert len(half) == 0
    assert "params 400 in the same unit as 70 of row 2: write plain numbers" in half.excluded[-1].reason
    # A run of a few hundred tokens is a test run, and says nothing of the unit of the others.
    tests = clean(Points(4 * [1e6], [900, 5000, 9000, 2e4], 4 * [1e10], [3.4, 3.2, 3.1, 3]))
    assert [gone.run for gone in tests.excluded if "same unit" in gone.reason] == []
    # All above 100, and their tokens derived from a plain C: 3e13 of them a parameter.
    derived = clean(Points([150, 400], [1e18 / 900, 1e18 / 2400], [1e18, 1e18], [3, 3]))
    assert [gone.reason for gone in derived.excluded] == [
        "7.41e+12 tokens a parameter: " + NO_UNITS,
        "1.04e+12 tokens a parameter: " + NO_UNITS,
    ]


def test_a_budget_is_counted_as_its_runs_are() -> None:
    """Budgets planned by one convention are other FLOPs by another: what is read off at a budget must use those."""
    plain = sweep(budgets=(1e18, 1e19, 1e20), sizes=7)
    other = 0.5 * plain.flops * (plain.params / 1e9) ** 0.05
    table = replace(
        plain, budget=10 ** np.round(np.log10(plain.flops)), extra={**plain.extra, "flops_6nd": other}
    )
    counted = table.counted(compute="flops_6nd")
    assert counted.budget is not None
    for planned in (1e18, 1e19, 1e20):
        mine = table.budget == planned
        assert np.unique(counted.budget[mine]) == pytest.approx(np.exp(np.log(other[mine]).mean()))
    assert table.counted().budget is table.budget
    fit = fit_points(table, FitOptions(draws=0, compute="flops_6nd"))
    assert len(fit.approach_2.budgets) == 3
    for one in fit.approach_2.budgets:
        assert fit.smallest_flops <= one.budget <= fit.largest_flops
        assert fit.approach_2.predict(one.budget).params == pytest.approx(one.params_opt, rel=0.05)
