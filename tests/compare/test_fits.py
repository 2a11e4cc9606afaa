"""Fits that exist, compared: the numbers are those of arms, and what else they differ in is said."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from harness.cli import main
from harness.compare.arm import Arm, load_arm
from harness.compare.compare import compare_arms
from harness.compare.families import family_cautions, recipe_cautions
from harness.compare.fits import compare_bare, compare_fits
from harness.compare.tables import build
from harness.errors import UserError
from harness.fit import Fit, FitOptions, Points, fit_points, load_fit, write_fit
from harness.plan.recipe_rules import MeasuredRange, RecipeConfig
from harness.runs.files import SweepFolder
from tests.figures import draw_only
from tests.fit.synthetic import CHINCHILLA, sweep
from tests.plan.test_plan import plan
from tests.records import fake_record

OTHER = (1.69, 406.4, 2000.0, 0.28, 0.36)  # a = 0.5625 against 0.4516


@cache
def points(law: tuple[float, ...] = CHINCHILLA, seed: int = 0, scale: float = 1.0) -> Points:
    made = sweep(law, tuple(scale * c for c in (1e18, 1e19, 1e20)), sizes=7, noise=0.003, seed=seed)
    return replace(made, run_id=tuple(f"{law[3]}-{seed}-{scale}-{i}" for i in range(len(made))))


@cache
def fit(
    law: tuple[float, ...] = CHINCHILLA, seed: int = 0, form: str = "standard", level: float = 0.9
) -> Fit:
    return fit_points(points(law, seed), FitOptions(draws=100, backtest=False, form=form, level=level))


def test_numbers_and_verdict_are_those_of_arms() -> None:
    fits = {"x": fit(), "y": fit(OTHER, 1)}
    found = compare_fits(fits)
    arms = compare_arms("x and y", [Arm(name, one, "", "", None) for name, one in fits.items()])
    assert found == arms, "independent fits in one convention have no cautions"
    assert "they differ beyond their intervals" in found.verdict[0]
    exponents, optimum, saving = build(found)
    assert "taken for granted" in saving.note
    assert len(exponents.rows) == len(optimum.rows) == 6
    assert optimum.headings[5] == "loss"
    assert "bits per byte" not in optimum.headings
    assert all(len(row) == len(optimum.headings) for row in optimum.rows)
    assert "losses per token are alike only for the same text and tokenizer" in optimum.note
    assert fits["x"].approach_3.predict(found.flops).loss == pytest.approx(
        float(str(optimum.rows[4][5]).split()[0]), abs=1e-4
    )


def said(first: Fit, second: Fit) -> str:
    (caution,) = compare_fits({"x": first, "y": second}).cautions
    assert "\n" not in caution
    return caution


def test_what_fits_differ_in_or_share_is_said() -> None:
    other = fit(CHINCHILLA, 1)
    assert "x and y are the same fit" in said(fit(), replace(fit()))
    assert "count parameters differently (x: params, y: params_active)" in said(
        fit(), replace(other, count="params_active")
    )
    assert "are of different losses (x: loss, y: loss_code)" in said(fit(), replace(other, loss="loss_code"))
    assert "count compute differently (x: flops, y: flops_6nd)" in said(
        fit(), replace(other, compute="flops_6nd")
    )
    counted = replace(other.approach_3, cost=replace(other.approach_3.cost, kappa=8.0))
    assert "y: flops is 1.33 times 6ND" in said(fit(), replace(other, approach_3=counted))
    nearly = replace(other.approach_3, cost=replace(other.approach_3.cost, kappa=6.2))
    assert compare_fits({"x": fit(), "y": replace(other, approach_3=nearly)}).cautions == ()
    assert "different forms of the law" in said(fit(), fit(CHINCHILLA, 1, "tied"))


def test_shared_runs_are_said() -> None:
    same = replace(fit(), level=0.9, bootstrap={"kind": "other"})
    assert "x and y are fits of the same runs" in said(fit(), same)
    mixed = replace(points(seed=1), run_id=(*points().run_id[:4], *points(seed=1).run_id[4:]))
    part = fit_points(mixed, FitOptions(draws=20, backtest=False))
    assert "x and y have 4 runs of the same name" in said(fit(), part)
    unnamed = tuple(f"row {i + 2}" for i in range(len(points())))
    one, two = (
        fit_points(replace(points(seed=seed), run_id=unnamed), FitOptions(draws=20, backtest=False))
        for seed in (0, 1)
    )
    assert compare_fits({"x": one, "y": two}).cautions == (), "rows of two tables are no runs in common"


def test_other_families_are_said_and_what_holds_one_of_them_back() -> None:
    def cautions(*families: str) -> tuple[str, ...]:
        fits = (fit(), fit(OTHER, 1), fit(CHINCHILLA, 1))
        arms = [
            Arm(name, one, "", "", None, family=family)
            for name, one, family in zip("xyz", fits, families, strict=False)
        ]
        assert compare_arms("arms", arms).cautions == compare_bare(arms).cautions
        return compare_bare(arms).cautions

    (one,) = cautions("llama", "qwen3", "llama")
    assert "different families (x: llama, y: qwen3, z: llama)" in one
    assert "isoflop tune model=…" in one
    tuned, positions = cautions("llama", "gpt2")
    assert "x: llama, y: gpt2" in tuned
    assert positions.startswith("gpt2's learned positions")
    assert "\n" not in tuned + positions
    assert cautions("gpt2", "gpt2") == cautions("", "gpt2") == cautions("", "") == ()


@pytest.mark.parametrize(("kind", "said"), [("standard", 0), ("completep", 1), ("", 1)])
def test_granite_under_standard_is_no_other_family_than_llama(kind: str, said: int) -> None:
    arms = [
        Arm(name, fit(), "", "", None, family=family, parametrization=kind)
        for name, family in (("x", "llama"), ("y", "granite"))
    ]
    assert len(list(family_cautions(arms))) == said


def test_an_arm_whose_recipe_was_measured_elsewhere_is_said(tmp_path: Path) -> None:
    """As a plan says it: beyond the recipe's N and D, under another parametrization, at Muon's own default rate."""
    made = plan()
    sizes = [cell.params.total for cell in made.cells]
    sweep = SweepFolder(tmp_path)
    for cell in made.cells:
        sweep.cell(cell.run_id).record.parent.mkdir(parents=True)
        fake_record(cell, 3.0).write(sweep.cell(cell.run_id).record)
    write_fit(fit(), sweep.path)
    inside, beyond = (
        load_arm(name, sweep, made, RecipeConfig(measured=MeasuredRange(ends)))
        for name, ends in (("in", [min(sizes), max(sizes)]), ("out", [min(sizes) / 8, min(sizes) / 4]))
    )
    assert (inside.recipe, inside.parametrization) == ("", "standard")
    assert f"; {len(made.cells)} of {len(made.cells)} cells are outside" in beyond.recipe
    assert list(recipe_cautions([inside, beyond])) == [f"out: {beyond.recipe}."]


def test_an_optimizer_that_costs_more_than_another_s_is_said_where_no_budget_pays() -> None:
    def cautions(*shares: float) -> tuple[str, ...]:
        fits = (fit(), fit(OTHER, 1))
        arms = [
            Arm(name, one, "", "", None, unpaid_share=share)
            for name, one, share in zip("xy", fits, shares, strict=True)
        ]
        return compare_arms("arms", arms).cautions

    (one,) = cautions(0.004, 0.38)
    assert "(x: 0.004, y: 0.38)" in one
    assert "\n" not in one
    assert cautions(0.004, 0.005) == cautions(0.0, 0.0) == cautions(0.3, 0.38) == ()


def test_a_budget_below_the_runs_of_one_is_said() -> None:
    far = fit_points(points(scale=1e4), FitOptions(draws=20, backtest=False))
    assert "below all runs of y (1e+22 to 1e+24)" in said(fit(), far)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(UserError, match="needs two or more, got 1"):
        compare_fits({"x": fit()})
    with pytest.raises(UserError, match=r"different levels .*x 0.9, y 0.5.*analysis.level"):
        compare_fits({"x": fit(), "y": fit(CHINCHILLA, 1, "standard", 0.5)})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_fit(fit(), "runs/alpha")
    write_fit(fit(OTHER, 1), "g/c4")
    write_fit(fit(CHINCHILLA, 1), "h/c4")
    return tmp_path


def test_fits_are_named_by_folder_file_or_sweep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    main(["compare", "fits=[alpha,g/c4/fit.json,h/c4]"])
    printed = capsys.readouterr().out
    assert "g/c4/fit.json" in printed
    assert "comparison:" not in printed
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    main(["compare", "fits=[runs/alpha,g/c4]", "out=both"])
    assert "comparison: both/compare.md" in capsys.readouterr().out
    found = json.loads((folder / "both/compare.json").read_text())
    assert [arm["name"] for arm in found["arms"]] == ["alpha", "c4"]
    assert (folder / "both/figures/compare.png").exists()
    main(["compare", "fits=[alpha,alpha]"])
    assert "Caution: alpha and alpha (2) are the same fit" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fits=[alpha]"], "fits: a comparison needs two or more, got 1"),
        (["fits=[alpha,alpah]"], "fits: 'alpah' is no fit: .*did you mean runs/alpha"),
        (["fits=[alpha,hoffmann2022]"], "fits: 'hoffmann2022' is no fit"),
        (["fits=[alpha,g]"], "fits: 'g' is no fit"),
        (["fits=[alpha,g/c4]", "experiment=demo"], "fits: compares fits that exist"),
        (["experiment=kaplan", "out=x"], "out: is for fits="),
        (
            ["fits=[alpha,g/c4]", "joint=exponents"],
            "joint: .*runs.csv is not there: laws that share exponents",
        ),
        (["fits=[alpha,g/c4]", "joint=levels"], "joint: 'levels' is nothing that arms can share"),
        (["fits=[alpha,g/c4]", "budget=-1"], "budget: .*"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["compare", *arguments])
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert re.search(message, printed)


def test_one_way_of_naming_a_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("alpha", "runs/alpha", "runs/alpha/fit.json", str(folder / "runs/alpha")):
        assert load_fit(name).approach_3.a == fit().approach_3.a
        main(["predict", f"fit={name}", "budget=1e21"])
        assert "21 runs" in capsys.readouterr().out
    with pytest.raises(UserError, match="did you mean runs/alpha"):
        load_fit("alpah")
    with pytest.raises(UserError, match="did you mean g/c4"):
        load_fit("g/c44")
    (folder / "alpha").mkdir()  # another folder of that name, without a fit
    assert load_fit("alpha").n_points == 21
    with pytest.raises(UserError, match=r"g/fit.json: no such file"):
        load_fit("g")


def test_the_page_of_a_fit_that_exists(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_only(monkeypatch, "isoflop")
    table = points(OTHER, 1)
    columns = zip(table.run_id, table.params, table.tokens, table.flops, table.loss, strict=True)
    lines = ["run_id,params,tokens,flops,loss", *(",".join(map(str, row)) for row in columns)]
    (folder / "mine.csv").write_text("\n".join(lines) + "\n")
    main(["report", "fit=g/c4", "points=mine.csv"])
    assert (folder / "g/c4/report.html").exists()
    main(["report", "fit=g/c4", "points=mine.csv", "out=page"])
    assert (folder / "page/report.html").exists()
    assert not (folder / "page/fit.json").exists()
    for arguments, message in (
        (["fit=g/c4"], "fit: g/c4 has no runs.csv beside fit.json; name the table"),
        (["fit=alpha", "points=mine.csv"], "runs/alpha/fit.json: not a fit of mine.csv"),
        (["fit=alhpa"], "fit: 'alhpa' is no fit"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["report", *arguments])
        assert left.value.code == 2
        assert message in capsys.readouterr().err
    (folder / "g/c4/runs.csv").write_bytes((folder / "mine.csv").read_bytes())
    main(["report", "fit=g/c4", "out=again"])
    assert (folder / "again/report.html").exists()


def test_runs_beside_fits_are_paired_and_their_laws_share_exponents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("one", 0), ("two", 1)):
        table = points(CHINCHILLA, seed)
        write_fit(fit(CHINCHILLA, seed), name)
        columns = zip(table.run_id, table.params, table.tokens, table.flops, table.loss, strict=True)
        lines = ["run_id,params,tokens,flops,loss", *(",".join(map(str, row)) for row in columns)]
        (tmp_path / name / "runs.csv").write_text("\n".join(lines) + "\n")
    main(["compare", "fits=[one,two]", "joint=exponents", "budget=1e22", "out=both"])
    found = json.loads((tmp_path / "both/compare.json").read_text())
    assert [row["pairs"] for row in found["paired"][0]["budgets"]] == [7, 7, 7]
    assert [row["how"] for row in found["savings"][0]["rows"]] == ["pairs"] * 3 + ["trend"]
    assert "laws share alpha" in found["joint"]
    assert (tmp_path / "both/figures/saving.png").exists()
    (tmp_path / "two/runs.csv").write_bytes((tmp_path / "one/runs.csv").read_bytes())
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["compare", "fits=[one,two]", "joint=exponents"])
    assert "not what it was fitted to" in capsys.readouterr().err
