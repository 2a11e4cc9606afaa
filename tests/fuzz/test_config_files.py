"""A user's own configs/ with mistakes in it: composed, or refused in one line that names the file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.calls import Ended, call
from tests.fuzz.mutations import mutated

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
EXAMPLES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
BOMB = f"{PACKAGE}a0: &a0 [x, x]\n" + "".join(
    f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}, *a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)
)


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
    plan(folder, *arguments, "recipe=mine").assert_done_or_one_line()


def test_the_file_without_mistakes(folder: Path) -> None:
    (folder / "configs" / "experiment" / "mine.yaml").write_text(EXPERIMENT)
    ended = plan(folder, "experiment=mine")
    assert ended.status == 0, ended.err
    assert not ended.faults()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing\n",
        PACKAGE.encode(),
        b"name: mine\n",
        EXPERIMENT.removeprefix(PACKAGE).encode(),
        f"\n\n# of mine\n{EXPERIMENT}".replace("# @package", "#@ package").encode(),
        b"- a\n- b\n",
        b"text\n",
        b"\0",
        EXPERIMENT.encode("utf-16"),
        EXPERIMENT.replace("first", "première").encode("latin-1"),
        EXPERIMENT.replace("  sizes: 5", "\tsizes: 5").encode(),
        EXPERIMENT.replace("  sizes: 5", "  sizes: 5\n  sizes: 6").encode(),
        EXPERIMENT.replace("4e11]", "4e11").encode(),
        EXPERIMENT.replace("[0, 1]", "&a [0, *a]").encode(),
        EXPERIMENT.replace("[0, 1]", "[0, ${grid.seeds}]").encode(),
        EXPERIMENT.replace("5", "${grid.size}").encode(),
        EXPERIMENT.replace("5", "${nowhere:3}").encode(),
        EXPERIMENT.replace("name: mine", "name: ${name}").encode(),
        EXPERIMENT.replace("[0, 1]", "[" * 5000 + "]" * 5000).encode(),
        EXPERIMENT.replace("5", "!!python/object/apply:os.getcwd []").encode(),
        EXPERIMENT.replace("recipe: demo\n", "recipe: nowhere\n").encode(),
        EXPERIMENT.replace("defaults:", "defaults: 3\nothers:").encode(),
        BOMB.encode(),
        (PACKAGE + "a: &a {b: *a}\n").encode(),
    ],
    ids=[
        *(
            "empty",
            "a comment",
            "only the header",
            "a name and no header",
            "no header",
            "a header that is none",
        ),
        *("a list", "a text", "NUL", "UTF-16", "Latin-1", "a tab", "a key twice", "an open bracket"),
        *(
            "a list in itself",
            "an interpolation of itself",
            "no such key",
            "no such resolver",
            "a name of itself",
        ),
        *(
            "nested deeply",
            "a Python object",
            "no such default",
            "defaults are no list",
            "a bomb",
            "a mapping in itself",
        ),
    ],
)
def test_no_experiment(content: bytes, folder: Path) -> None:
    (folder / "configs" / "experiment" / "mine.yaml").write_bytes(content)
    ended = plan(folder, "experiment=mine")
    ended.assert_one_line()
    assert "mine" in ended.err
    assert ended.seconds < 10


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("made", [_pipe, _folder, _loop, _device])
def test_no_file(made: Callable[[Path], None], folder: Path) -> None:
    made(folder / "configs" / "experiment" / "mine.yaml")
    plan(folder, "experiment=mine").assert_one_line()
