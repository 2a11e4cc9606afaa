"""A key that holds text keeps what was written: in a file, on the command line, and through the frozen file."""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.compose import compose_config
from harness.config.frozen import load_config
from harness.config.predict import PredictConfig
from harness.config.schema import Config
from harness.config.spelling import as_written, override
from harness.config.written import Texts, kinds, load_written, typed, without_none
from harness.errors import UserError

# words that YAML or Hydra read as numbers, switches, dates, times, calls, sweeps, lists or mappings
WORDS = [
    "12:00:00",
    "1:30",
    "695e0514",
    "12e3",
    "1e3",
    "1E3",
    ".5",
    "5.",
    "+3",
    "-2",
    "0",
    "007",
    "0x1F",
    "0o17",
    "0b11",
    "1_000",
    "2026_11_26",
    "2026-11-26",
    "1.5e3_0",
    ".inf",
    "inf",
    "nan",
    ".NaN",
    "on",
    "off",
    "yes",
    "no",
    "y",
    "n",
    "true",
    "false",
    "True",
    "FALSE",
    "=",
    "1,2",
    "a,b",
    "(x)",
    "f(x)",
    "glob(*)",
    "v[1]",
    "[a",
    "[a]",
    "{x}",
    "{x:1}",
    "{x",
    "a=b",
    "%d",
    "$HOME",
    "c#",
    "a&b",
    "it's",
    '"quote',
    "a\\b",
    "a:b",
    "-x",
    "José",
    "实验",
    "2026-11-26T10:00:00",
    "range(3)",
    "lr=0.1,wd=0.1",
    "a|b",
    "<b>x</b>",
    "99999999999999999999",
]
WORDS += ["runs (2)", "a b", " a", "a ", "a #b", "a: b"]
IN_FILES = [
    "null",
    "~",
    "Null",
    "",
    "<<",
    "a\nb",
    "@x",
    "*x",
    "&x",
    "!x",
    "%x",
    "`x",
    "${x}",
    "$${x}",
    "\\${x}",
    "- a",
]


def text_keys(schema: Any, prefix: str = "") -> dict[str, Any]:
    """Every key of text below ``schema``, with its type."""
    found = {}
    for name, kind in kinds(schema).items():
        kind = without_none(kind)
        if kind in (str, Texts, list[str], dict[str, list[str]]):
            found[prefix + name] = kind
        elif is_dataclass(kind):
            found |= text_keys(kind, f"{prefix}{name}.")
    return found


ROOTS = (Config, PredictConfig)


def test_every_section_is_looked_at() -> None:
    found = text_keys(Config)
    assert {
        "name",
        "launcher.time",
        "data.revision",
        "data.path",
        "tracker.project",
        "launcher.modules",
    } <= set(found)
    assert "law.name" in text_keys(PredictConfig)
    assert len(found) > 50


STRIDE = 7
"""Every key gets every seventh word, beginning with another; all words in a row would take minutes."""


def everywhere(schema: Any, words: Sequence[str], shift: int) -> dict[str, Any]:
    """A file's content with a word in every key of text; with another ``shift`` another word."""
    made: dict[str, Any] = {}
    for number, (key, kind) in enumerate(text_keys(schema).items()):
        word = words[(number + shift) % len(words)]
        *sections, last = key.split(".")
        inner = made
        for name in sections:
            inner = inner.setdefault(name, {})
        several = {"list[str]": [word], "dict[str, list[str]]": {word: [word]}}
        inner[last] = several.get(str(kind), word)
    return made


def container(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True)


def within(wanted: Any, found: Any) -> bool:
    """Whether ``found`` has every value of ``wanted``, of the same type."""
    if isinstance(wanted, dict):
        return all(name in found and within(value, found[name]) for name, value in wanted.items())
    return type(wanted) is type(found) and wanted == found


# without YAML's own signs
BARE = [
    word
    for word in WORDS
    if word[0] not in "[{\"'% " and word[-1] not in " :" and not {"#", ": "} & {*word, word[1:3]}
]


@pytest.mark.parametrize("schema", ROOTS)
@pytest.mark.parametrize("shift", range(0, len(BARE), STRIDE))
def test_a_file_keeps_what_was_written(shift: int, schema: Any) -> None:
    written = yaml.safe_dump(everywhere(schema, [f"_{number}_" for number in range(len(BARE))], shift))
    for number, word in enumerate(BARE):
        written = written.replace(f"_{number}_", word)
    wanted = everywhere(schema, BARE, shift)
    assert within(wanted, container(typed(schema, load_written(written))))


@pytest.mark.parametrize("schema", ROOTS)
@pytest.mark.parametrize("shift", range(0, len(WORDS + IN_FILES), STRIDE))
def test_the_frozen_file_keeps_it(shift: int, schema: Any) -> None:
    wanted = everywhere(schema, WORDS + IN_FILES, shift)
    frozen = OmegaConf.to_yaml(typed(schema, wanted))
    again = container(typed(schema, load_written(frozen)))
    assert within(without_keys(wanted), again)
    assert within(without_keys(wanted), container(OmegaConf.create(frozen))), "what OmegaConf alone reads"


def without_keys(wanted: dict[str, Any]) -> dict[str, Any]:
    """Names of arms are plain; an interpolation in a key is none."""
    return {name: value for name, value in wanted.items() if name != "arms"}


TYPED = ("name", "runs_dir", "data.revision", "group", "path", "+data.domains.prose")


@pytest.mark.parametrize("first", range(0, len(WORDS), len(TYPED)))
def test_the_command_line_keeps_it(first: int) -> None:
    asked = dict(zip(TYPED, WORDS[first:] + WORDS[:first], strict=False))
    # the last two take lists and mappings, too; a name is a folder's
    asked = {key: word for key, word in asked.items() if word not in ("[a]", "{x:1}") or key in TYPED[:4]}
    asked = {
        key: word for key, word in asked.items() if key != "name" or ("/" not in word and word[0] != ".")
    }
    config, frozen = compose_config([f"{key}={word}" for key, word in asked.items()])
    for found in (config, load_config(frozen)):
        for key, word in asked.items():
            value: Any = found
            for name in key.lstrip("+").split("."):
                value = value[name] if isinstance(value, dict) else getattr(value, name)
            assert value == word, key


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_taken_as_it_is(word: str) -> None:
    assert as_written(f"group={word}", Config) in (override("group", word), f"group={word}")


@pytest.mark.parametrize("schema", ROOTS)
def test_every_key_of_text_takes_it_as_it_is(schema: Any) -> None:
    for key, kind in text_keys(schema).items():
        if kind in (str, Texts):
            for word in ("695e0514", "a,b"):
                assert as_written(f"{key}={word}", schema) == override(key, word)


def test_what_hydra_means_by_quotes_and_signs_is_kept() -> None:
    for written, wanted in {
        "name='x y'": "x y",
        'name="it\'s"': "it's",
        "name=a\\,b": "a,b",
        "name=${seq_len}": "256",
        "name=": "",
        "name='null'": "null",
        "name='1e3'": "1e3",
    }.items():
        assert compose_config([written])[0].name == wanted
    assert compose_config(["group=null"])[0].group is None
    assert compose_config(["runs_dir=~/x"])[0].runs_dir == str(Path.home() / "x")
    with pytest.raises(UserError, match=r"^name: must be a text, got null.*'null'"):
        compose_config(["name=null"])


def test_any_text_can_be_set() -> None:
    for word in [
        *IN_FILES,
        "it's",
        "$HOME",
        "v[1]",
        "'",
        "\\",
        "a\\'",
        "'a'",
        '"',
        "\\\\${x}",
        "a${",
        "???x",
    ]:
        assert compose_config([override("group", word)])[0].group == word


def test_lists_keep_it() -> None:
    asked = ["launcher=slurm", "launcher.modules=[1e3, cuda/12.4, true,695e0514,'a,b']"]
    config, frozen = compose_config(asked)
    assert config.launcher.modules == ["1e3", "cuda/12.4", "true", "695e0514", "a,b"]  # type: ignore[attr-defined]
    assert load_config(frozen) == config
    assert compose_config(["data=text", "path=[1e3,b]"])[0].data.path == ["1e3", "b"]
    domain = compose_config(["+data.domains.x={path: 1_0, document_bytes: 1_0}"])[0].data.domains["x"]
    assert domain == {"path": "1_0", "document_bytes": 10}


def test_a_users_own_files_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "configs" / "experiment"
    folder.mkdir(parents=True)
    (folder / "2026_11_26.yaml").write_text(
        """# @package _global_
defaults:
  - override /launcher: slurm
  - override /data: hf
name: 2026_11_26
path: 1e5
data: {revision: 695e0514, data_files: {train: 007, test: [1e3, on]}}
launcher: {time: 12:00:00, account: 12e3, partition: no, qos: on, workers: 1_0}
grid: {budgets: [1e11, 2_000e8], sizes: 7}
arms: {1e3: [name=1e3], on: [1_0]}
"""
    )
    config, frozen = compose_config(["experiment=2026_11_26"])
    assert load_config(frozen) == config
    assert (config.name, config.path, config.data.path) == ("2026_11_26", "1e5", "1e5")
    assert config.data.revision == "695e0514"
    assert config.data.data_files == {"train": "007", "test": ["1e3", "on"]}
    launcher = vars(config.launcher)
    assert [launcher[one] for one in ("time", "account", "partition", "qos")] == [
        "12:00:00",
        "12e3",
        "no",
        "on",
    ]
    assert (launcher["workers"], config.grid.budgets, config.grid.sizes) == (10, [1e11, 2e11], 7)
    assert config.arms == {"1e3": ["name=1e3"], "on": ["1_0"]}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grid.sizes=abc", "grid.sizes: must be a whole number, got 'abc'"),
        ("launcher.workers=12:00", "launcher.workers: must be a whole number, got '12:00'"),
        ("grid.budgets=[1e11,x]", r"grid.budgets\[1\]: must be a number, got 'x'"),
        ("compare=maybe", "compare: must be true or false, got 'maybe'"),
        ("grid.sizes=1e1", "grid.sizes: must be a whole number, got 10; write it as 10"),
    ],
)
def test_text_that_is_no_number_is_one_line(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        compose_config([override])
    assert "\n" not in str(caught.value)


def test_numbers_are_read_as_before() -> None:
    config = compose_config(
        ["grid.sizes=1_0", "data.max_bytes=2e9", "compare=true", "+model.options.sliding_window=16"]
    )[0]
    assert (config.grid.sizes, config.data.max_bytes, config.compare) == (10, 2_000_000_000, True)
    assert config.model.options == {"sliding_window": 16}
    assert replace(config, compare=False) != config


def test_times_in_a_file_are_no_numbers() -> None:
    with pytest.raises(OmegaConfBaseException, match=r"grid\.sizes"):
        typed(Config, load_written("grid: {sizes: 12:00:00}"))
