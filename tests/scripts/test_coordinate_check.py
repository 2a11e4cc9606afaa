"""The coordinate check as a tool: whose shapes and hyperparameters it takes, what it writes and refuses."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config.compose import compose_config
from harness.model.ladder import build_ladder
from harness.model.parametrization import Parametrization
from harness.plan.recipe import apply_recipe
from scripts import coordinate_check as tool

SMALL = (
    "experiment=transfer",
    "seq_len=16",
    "ladder.rows=[{width:16,heads:2,head_dim:8,layers:[1]}]",
    "parametrization.base_width=16",
    "parametrization.base_layers=1",
    "recipe.batch_tokens.value=32",
)
FEW = ("--widths", "1,2,4", "--depths", "1,2", "--steps", "2", "--seeds", "1")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = tmp_path / "text"
    text.mkdir()
    for number in range(12):
        (text / f"{number}.py").write_text(f"x{number} = {number}\n" * 400, encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


TEXT = ("data=text", "data.path=text", "data.patterns=['*.py']", "data.deduplicate=false")


def test_it_prints_exponents_and_writes_every_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool.main([*SMALL, *TEXT, *FEW, "--out", "out"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in printed[2:]] == list(tool.KINDS) * 2
    assert "width 16 to 64" in printed[2]
    assert (tmp_path / "out" / "coordinates.png").stat().st_size > 10_000
    with (tmp_path / "out" / "coordinates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * (3 + 2) * 3 * len(tool.ACTIVATIONS)
    first = [row for row in rows if row["width"] == "16" and row["layers"] == "1"]
    by_kind = {
        kind: [
            (r["size"], r["change"]) for r in first if (r["parametrization"], r["axis"]) == (kind, "width")
        ]
        for kind in tool.KINDS
    }
    assert by_kind["standard"] == by_kind["mup"] == by_kind["completep"], "at the base they are one"


def test_hyperparameters_are_those_of_the_base() -> None:
    config, _ = compose_config([*SMALL, "recipe.lr.params=-0.5"])
    shape = tool.base_shape(build_ladder(config.ladder, config.model, 256, 16).shapes, config)
    made = apply_recipe(config.recipe, shape, 1e6, 16)
    wide = tool.scaled(shape, "width", 4)
    assert (wide.width, wide.heads, wide.head_dim, wide.ffw) == (64, 8, 8, 4 * shape.ffw)
    assert tool.scaled(shape, "width", 4, larger_heads=True).head_dim == 32
    standard, mup = (tool.specification(shape, wide, kind, made, 16) for kind in ("standard", "mup"))
    assert standard.optimizer == mup.optimizer == made.optimizer
    assert mup.parametrization == Parametrization("mup", 16, 1, 8)
    names = ("model.layers.0.mlp.up_proj.weight", "matrices")
    assert mup.init_std * mup.scale(*names).init == pytest.approx(standard.init_std), (
        "1 / root of the width in both"
    )


def test_what_a_family_cannot_take_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([*SMALL, *TEXT, *FEW, "model=llama", "model.tied=true"]) == 0
    said = capsys.readouterr()
    assert "left out: parametrization=mup" in said.err
    assert [line.split("|")[1].strip() for line in said.out.splitlines()[2:]] == [
        "standard",
        *tool.KINDS,
    ], "in depth nothing is missing"


def test_a_base_that_is_not_in_the_ladder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([*SMALL, *TEXT, "parametrization.base_width=24"]) == 2
    assert "the ladder has no shape of width 24" in capsys.readouterr().err


def test_exponents_are_of_the_largest_scales() -> None:
    def row(scale: int, name: str, change: float) -> tool.Row:
        return tool.Row("mup", "width", scale, 2, 0, tool.Coordinate(1, name, 1.0, change))

    rows = [row(s, name, 1.0 if s < 8 else s) for name in tool.ACTIVATIONS for s in (1, 2, 8, 16, 32)]
    line = next(line for line in tool.table(rows, 1) if line.startswith("| mup"))
    assert line.count("+1.00") == len(tool.ACTIVATIONS)
    assert replace(rows[0], axis="layers").scale == 2
