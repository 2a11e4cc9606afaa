"""Any key with any value: planned, or refused in one line with nothing written."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.config.predict import PredictConfig
from harness.config.schema import Config
from harness.config.written import kinds, without_none
from tests.fuzz.calls import call
from tests.fuzz.mutations import examples

PLAN = ("plan", "experiment=demo", "data=declared", "data.unique_tokens=1e12", "data.vocab_size=256")
PREDICT = ("predict", "fit=hoffmann2022", "budget=1e21")
VALUES = (
    *(
        "",
        " ",
        "x",
        "null",
        "true",
        "-1",
        "0",
        "0.5",
        "1",
        "3",
        "1e9",
        "1e18",
        "1e59",
        "1e308",
        "inf",
        "nan",
        "1e400",
    ),
    *(
        "99999999999999999999",
        "1,2",
        "[]",
        "[1]",
        "[1,1]",
        "[x]",
        "[[1]]",
        "{}",
        "{a: 1}",
        "${x}",
        "${a",
        "'",
        "{",
        "[",
    ),
    *(
        "a b",
        "=",
        "a=b",
        "\\",
        "~",
        "/dev/null",
        "/",
        "..",
        "a/b",
        "-x",
        "é",
        "１",
        "x" * 300,
        "é" * 200,
        "a\nb",
        "\t",
    ),
    *(
        "choice(1,2)",
        "range(1,5)",
        "int(3)",
        "1:2",
        "12:00:00",
        "0x10",
        "1_000",
        "@x",
        "#",
        "a#b",
        "!!int 3",
        "&a",
    ),
)


def leaves(schema: Any, prefix: str = "") -> Iterator[str]:
    """The dotted keys of a dataclass that are no sections, and those of its sections."""
    for name, kind in kinds(schema).items():
        kind = without_none(kind)
        if is_dataclass(kind):
            yield from leaves(kind, f"{prefix}{name}.")
        yield prefix + name


KEYS = sorted({f"{key}" for key in leaves(Config)})
QUESTIONS = sorted({f"{key}" for key in leaves(PredictConfig)})
# Other folders than the test's own would be written to.
ELSEWHERE = ("runs_dir", "cache_dir", "out")
overrides = st.builds(
    "{}{}={}".format,
    st.sampled_from(("",) * 8 + ("+", "++", "~")),
    st.sampled_from([key for key in KEYS if key not in ELSEWHERE]),
    st.sampled_from(VALUES),
)
asked = st.builds("{}={}".format, st.sampled_from(QUESTIONS), st.sampled_from(VALUES))
EXAMPLES = examples(20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@given(some=st.lists(overrides, min_size=1, max_size=2))
@EXAMPLES
def test_a_plan_or_one_line(some: list[str], folder: Path) -> None:
    call(
        [*PLAN, f"cache_dir={folder}/cache", f"runs_dir={folder}/runs", *some], folder
    ).assert_done_or_one_line()


@given(some=st.lists(asked, min_size=1, max_size=2))
@example(some=["serving.device.name=x"])  # a section that is null
@example(some=["recipe.lr.value=1"])
@EXAMPLES
def test_an_answer_or_one_line(some: list[str], folder: Path) -> None:
    call([*PREDICT, *some], folder).assert_done_or_one_line()


@given(text=st.text(max_size=30))
@example(text="=")
@example(text="a=${b}")
@example(text="--")
@EXAMPLES
def test_any_argument(text: str, folder: Path) -> None:
    arguments = [*PLAN, f"cache_dir={folder}/cache", f"runs_dir={folder}/runs"]
    call([*arguments, f"name=mine{text}"], folder).assert_done_or_one_line()
    if not text.startswith("-"):  # argparse's own business
        call([*arguments, "--config", text], folder).assert_done_or_one_line()


@pytest.mark.parametrize(
    "mistake",
    [
        ("grid.budgets=[]",),
        ("grid.budgets=[1e3]",),
        ("grid.params=[1e15]", "ladder=demo"),
        ("schedule.tokens=100",),
        ("model.options={no_such: 1}",),
    ],
    ids=lambda mistake: mistake[0],
)
@pytest.mark.parametrize("command", ["plan", "train"])
def test_no_text_is_read_for_a_grid_that_cannot_be(
    command: str, mistake: tuple[str, ...], folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments: Any, **options: Any) -> None:
        raise AssertionError("the text is read")

    monkeypatch.setattr("harness.workflow.experiment.prepare", read)
    arguments = [command, "experiment=demo", "data=text", f"path={text_folder}", "run=0", "tokenizer=bpe"]
    call(
        [one for one in arguments if command == "train" or one != "run=0"] + list(mistake), folder
    ).assert_one_line()
