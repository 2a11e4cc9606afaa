"""A report, and a prediction, read the rows of a run as the fit did."""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.fit import BudgetOptimum, Points, load_fit, read_points
from harness.fit.laws import Law
from harness.fit.used import left_out
from harness.report.data import members, used_points
from harness.report.figures.catalogue import FIGURES
from harness.report.files import write_report
from harness.report.tables.runs import runs_table
from harness.workflow.report import from_points
from tests.fit.synthetic import CHINCHILLA, sweep

SHARES = (0.25, 0.5, 1.0)


def history(path: Path) -> Path:
    """35 runs of three evaluations; the first run has crashed, the second's first loss is no number."""
    p = sweep(budgets=(1e17, 1e18, 1e19, 1e20, 1e21), sizes=7, noise=0.001)
    law = Law.from_theta(np.array(CHINCHILLA))
    lines = ["run,State,params,tokens,loss"]
    for i, run in enumerate(p.run_id):
        for share in SHARES:
            loss = float(law.loss(p.params[i], p.tokens[i] * share)) if share < 1 else float(p.loss[i])
            state = "crashed" if i == 0 else "finished"
            said = "nan" if i == 1 and share == SHARES[0] else repr(loss)
            lines.append(f"{run},{state},{float(p.params[i])!r},{float(p.tokens[i]) * share!r},{said}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("rows", "used"), [("last", 34 - 2), ("all", 34 * 3 - 1 - 2)])
def test_a_report_and_its_fit_are_of_the_same_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: str, used: int
) -> None:
    table = history(tmp_path / "history.csv")
    asked = [f"points={table}", "analysis.draws=0", "analysis.exclude_highest=2", f"analysis.rows={rows}"]
    main(["fit", *asked, f"out={tmp_path}"])
    printed = capsys.readouterr().out
    assert "run-0 (3 rows, the last row 4): State crashed" in printed
    assert ("68 earlier rows of 34 runs left out" in printed) == (rows == "last")
    fit = load_fit(tmp_path)
    assert (fit.n_points, fit.rows) == (used, rows)
    # The report is not told how the fit read the table: the fit's file says so.
    data = from_points(table, tmp_path)
    assert len(data.points) == used
    assert len(data.table) == used + 2
    reasons = left_out(data.table, fit)
    assert sum(map(bool, reasons)) == 2
    highest = np.argsort(data.table.loss)[-2:]
    assert all("highest" in reasons[i] for i in highest)
    states = [row[-1] for row in runs_table(data).rows]
    assert states.count("used") == used
    assert "left out: State crashed" in states
    assert states.count("left out: loss is missing") == (rows == "all")
    html = write_report(data, tmp_path, FIGURES[:1]).html.read_text(encoding="utf-8")
    assert "it is not the fit of these runs" not in html.replace("\n", " ")

    main(["predict", *asked, "budget=1e21", "write=" + str(tmp_path / "predicted.json")])
    assert f"{used} runs" in capsys.readouterr().out


def test_a_profile_has_a_runs_rows_near_its_budget_only() -> None:
    points = Points(
        [1e8, 2e8] * 3,
        [1e9] * 2 + [2e9] * 2 + [4e9] * 2,
        [6e17, 12e17, 12e17, 24e17, 24e17, 48e17],
        [3.0] * 6,
        ("a", "b") * 3,
    )
    assert members(points, BudgetOptimum(budget=12e17, run_ids=("b", "a"))) == [1, 2]
    assert members(points, BudgetOptimum(budget=24e17, run_ids=("b", "a", "a"))) == [2, 3, 4]
    assert members(points, BudgetOptimum(budget=24e17, run_ids=("c",))) == []


def test_a_fit_of_an_earlier_version_leaves_out_by_run(tmp_path: Path) -> None:
    table = history(tmp_path / "history.csv")
    main(["fit", f"points={table}", f"out={tmp_path}", "analysis.draws=0", "analysis.exclude_highest=2"])
    written = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    del written["rows"], written["sha256"], written["draws_sha256"]
    for gone in written["excluded"]:
        del gone["rows"]
        if "highest" in gone["reason"]:
            gone["row"] = None
    (tmp_path / "fit.json").write_text(json.dumps(written), encoding="utf-8")
    fit = load_fit(tmp_path)
    assert fit.rows == "last"
    assert len(used_points(read_points(table, fit.rows), fit)) == 32


def test_a_report_and_a_prediction_read_the_columns_and_the_filter_as_the_fit_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    p = sweep(budgets=(1e18, 1e19, 1e20, 1e21), sizes=7, noise=0.001)
    path = tmp_path / "theirs.csv"
    lines = ["Active N (M);D;Smoothed CE;corpus"]
    for corpus, off in (("c4", 1.0), ("code", 0.7)):
        lines += [
            f"{n / 1e6:.9f};{d:.0f};{loss * off:.9f};{corpus}".replace(".", ",")
            for n, d, loss in zip(p.params, p.tokens, p.loss, strict=True)
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = [f"points={path}", "where=corpus == 'c4'", "analysis.draws=0", "analysis.backtest=false"]
    asked += ["analysis.count=active_n_m", "analysis.loss=Smoothed CE"]
    main(["fit", *asked, f"out={tmp_path}"])
    assert "28 of 56 rows kept out by where=corpus == 'c4'" in capsys.readouterr().out
    fit = load_fit(tmp_path)
    assert fit.n_points == 28
    assert fit.columns == {"params": "Active N (M)", "tokens": "D", "loss": "Smoothed CE"}
    assert fit.where == "corpus == 'c4'"
    truth = Law.from_theta(np.array(CHINCHILLA)).exponents[0]
    assert fit.approach_3.a == pytest.approx(truth, abs=0.02)
    data = from_points(path, tmp_path)
    assert len(data.points) == 28
    np.testing.assert_allclose(np.sort(data.points.loss), np.sort(p.loss), rtol=1e-8)
    main(["predict", *asked, "budget=1e20", "--json"])
    said = json.loads(capsys.readouterr().out)
    assert "28 runs" in said["source"]


def test_a_fit_of_before_there_were_filters_is_read(tmp_path: Path) -> None:
    old = json.loads((Path(__file__).parents[2] / "results/demo/fit.json").read_text(encoding="utf-8"))
    if {"columns", "where"} & old.keys():
        old.pop("columns"), old.pop("where"), old.pop("sha256", None)
    (tmp_path / "fit.json").write_text(json.dumps(old), encoding="utf-8")
    fit = load_fit(tmp_path)
    assert (fit.columns, fit.where) == ({}, "")
