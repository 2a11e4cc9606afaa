"""A user's own configs/ with mistakes in it: composed, or refused in one line that names the file."""

from pathlib import Path

import pytest
from hypothesis import given

from tests.fuzz.calls import Ended, call
from tests.fuzz.mutations import examples, mutated

PACKAGE = "# @package _global_\n"
EXPERIMENT = f"""{PACKAGE}# a first look
defaults:
  - override /data: declared
  - override /recipe: demo

name: mine
data:
  unique_tokens: 1e12
  vocab_size: 256
grid:
  budgets: [1e11, 2e11, 4e11]
  sizes: 5
  seeds: [0, 1]
recipe:
  lr: {{value: 0.002}}
tracker:
  name: none
launcher:
  workers: 2
"""
RECIPE = """lr:
  value: 0.003
batch_tokens:
  value: 4096
"""
EXAMPLES = examples(20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with empty folders of configs."""
    monkeypatch.chdir(tmp_path)
    for group in ("experiment", "recipe", "data"):
        (tmp_path / "configs" / group).mkdir(parents=True)
    return tmp_path


def plan(folder: Path, *arguments: str) -> Ended:
    return call(["plan", f"cache_dir={folder}/cache", f"runs_dir={folder}/runs", *arguments], folder)


@given(content=mutated(EXPERIMENT))
@EXAMPLES
def test_an_experiment_with_mistakes(content: bytes, folder: Path) -> None:
    (folder / "configs" / "experiment" / "mine.yaml").write_bytes(content)
    plan(folder, "experiment=mine").assert_done_or_one_line()


@given(content=mutated(RECIPE))
@EXAMPLES
def test_a_recipe_with_mistakes(content: bytes, folder: Path) -> None:
    (folder / "configs" / "recipe" / "mine.yaml").write_bytes(content)
    arguments = ("experiment=demo", "data=declared", "data.unique_tokens=1e12", "data.vocab_size=256")
    plan(folder, *arguments, "recipe=mine", "--config").assert_done_or_one_line()


def test_the_file_without_mistakes(folder: Path) -> None:
    (folder / "configs" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    ended = plan(folder, "experiment=mine")
    assert ended.status == 0, ended.err
    assert not ended.faults()
