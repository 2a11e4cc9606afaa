"""``curves=`` beside ``points=``: approach 1 in fit, groups, page and prediction."""

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import EXIT_USER_ERROR
from harness.fit import load_fit
from tests.docs.world import write_tables
from tests.figures import draw_only

QUICK = ("analysis.draws=40", "analysis.backtest=false")
FIT = ("points=table.csv", "curves=curves.csv", "out=fit")


@pytest.fixture(autouse=True)
def _tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tables(tmp_path)


def test_a_fit_with_curves_has_approach_1_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    main(["fit", *FIT, *QUICK])
    fit = load_fit("fit")
    assert fit.approach_1.a is not None
    assert "curves: training losses of 35 of 35 runs of the table" in fit.notes
    assert "training losses of 35 of 35 runs" in capsys.readouterr().out


def test_groups_have_the_curves_of_their_runs() -> None:
    main(["fit", *FIT, "by=dataset", *QUICK])
    folders = json.loads(Path("fit/groups.json").read_text())["groups"]
    assert len(folders) == 2
    assert all(load_fit(Path("fit") / one["folder"]).approach_1.a is not None for one in folders.values())


def test_a_report_draws_the_curves_and_says_where_the_fit_is_without_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_only(monkeypatch, "training_curves")
    main(["fit", "points=table.csv", "out=fit", *QUICK])
    main(["report", *FIT])
    assert "the fit was made without the training curves" in capsys.readouterr().out
    assert Path("fit/figures/training_curves.png").exists()
    main(["fit", *FIT, *QUICK])
    capsys.readouterr()
    main(["report", *FIT])
    assert "without the training curves" not in capsys.readouterr().out


def test_a_prediction_from_a_table_with_curves_has_approach_1(capsys: pytest.CaptureFixture[str]) -> None:
    main(["predict", "points=table.csv", "curves=curves.csv", "budget=1e21", *QUICK, "--json"])
    answers = json.loads(capsys.readouterr().out)
    assert "no_curves" not in json.dumps(answers)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["fit", "curves=curves.csv", "out=fit"], "name the table with points=FILE"),
        (
            ["predict", "law=hoffmann2022", "curves=curves.csv", "budget=1e21"],
            "name the table with points=FILE",
        ),
        (["fit", "points=table.csv", "curves=none.csv", "out=fit"], "none.csv: no such file"),
        (["fit", "points=table.csv", "curves=table.csv", "out=fit"], "none of them can be used"),
        (["fit", "experiment=demo", "curves=curves.csv"], "name the table with points=FILE"),
    ],
)
def test_a_mistake_is_one_line(typed: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(typed)
    assert left.value.code == EXIT_USER_ERROR
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
