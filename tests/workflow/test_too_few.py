"""A plan that no fit can come of says so before it is trained; one that can be fitted says nothing."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.workflow.experiment import plan_experiment, prepare_corpus, say_left_out

DECLARED = ("name=x", "data=declared", "data.unique_tokens=1e9", "data.vocab_size=256", "ladder=tiny")
GRID = ("grid.budgets=[1e12]", "grid.center_params=1e4", "grid.center_budget=1e11")


@pytest.mark.parametrize(
    ("sizes", "said"), [(1, "1 run of 1 size: every"), (2, "2 runs of 2 sizes: every"), (3, "")]
)
def test_fewer_sizes_than_any_approach_needs_are_said(sizes: int, said: str, tmp_path: Path) -> None:
    config = compose_config([*DECLARED, *GRID, f"cache_dir={tmp_path}", f"grid.sizes={sizes}"])[0]
    console = Console(file=io.StringIO(), width=200)
    say_left_out(plan_experiment(config, prepare_corpus(config, console)), console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("no frontier can be fitted" in printed) == bool(said)
    assert said in printed
