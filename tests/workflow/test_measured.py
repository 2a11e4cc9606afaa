"""What ``plan`` and ``sweep`` say of cells beyond what their recipe was measured at."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands.plan import plan_table
from harness.config.compose import compose_config
from harness.config.frozen import different_rule, load_recipe
from harness.plan.measured import outside
from harness.workflow.experiment import plan_experiment, prepare_corpus, say_measured
from harness.workflow.terminal import show_table

DECLARED = ("experiment=demo", "data=declared", "data.unique_tokens=1e9", "data.vocab_size=256")


def said(folder: Path, *more: str) -> tuple[list[str], str, int]:
    """Lines of the table, the line about the recipe, and how many cells are outside."""
    config = compose_config([*DECLARED, f"cache_dir={folder}", *more])[0]
    console = Console(file=io.StringIO(), width=200)
    plan = plan_experiment(config, prepare_corpus(config, Console(quiet=True)))
    show_table(plan_table(plan, recipe=config.recipe), console)
    assert isinstance(console.file, io.StringIO)
    table = console.file.getvalue().splitlines()
    console.file = io.StringIO()
    say_measured(config, plan, console)
    off = [cell for cell in plan.cells if outside(cell, config.recipe)]
    return table, console.file.getvalue().strip(), len(off)


def test_cells_beyond_the_recipe_have_it_in_a_column(tmp_path: Path) -> None:
    table, line, off = said(tmp_path)
    assert table[0].rstrip().endswith("outside the recipe")
    assert sum(row.rstrip().endswith(("x N", "x D", "x D/N")) for row in table) == off > 0
    assert "2x N" in table[-1] or "2x N" in table[-2]
    assert line.startswith(
        "recipe demo was measured at 5.80k to 80.1k parameters, 300k to 1.20M tokens and 3.75 to 207 tokens per "
        "parameter; "
    )
    assert f"{off} of 21 cells are outside" in line


@pytest.mark.parametrize("measured", [("[1,1e9]", "[1,1e12]"), ("[]", "[]")])
def test_inside_or_unknown_there_is_no_column(measured: tuple[str, str], tmp_path: Path) -> None:
    params, tokens = measured
    ranges = f"recipe.measured={{params:{params},tokens:{tokens},tokens_per_param:[]}}"
    table, line, off = said(tmp_path, ranges)
    assert off == 0
    assert "outside" not in table[0]
    assert ("all inside" in line) == (params != "[]")
    assert ("does not say over which sizes" in line) == (params == "[]")


def test_where_a_recipe_was_measured_changes_no_run(tmp_path: Path) -> None:
    _, yaml = compose_config([*DECLARED])
    (tmp_path / "config.yaml").write_text(yaml, encoding="utf-8")
    other = compose_config([*DECLARED, "recipe.measured.params=[]", "recipe.measured.tokens=[]"])[0]
    assert different_rule(other, tmp_path / "config.yaml") is None
    assert "lr.value" in (
        different_rule(compose_config([*DECLARED, "recipe.lr.value=1"])[0], tmp_path / "config.yaml") or ""
    )
    recipe = load_recipe(yaml)
    assert recipe is not None
    assert recipe.measured.params == [5800, 80112]
    assert load_recipe("grid: {}") is None
