"""What is named in passing is there: commands, keys, choices, scripts and targets in prose, comments and docstrings.

Nothing is run here; fenced blocks are tried by test_documents.py.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.commands.texts import COMMANDS, RENAMED
from harness.config.mistakes import check_override
from harness.config.overrides import current_overrides, refuse_unread
from harness.config.predict import PredictConfig
from harness.config.schema import Config
from harness.errors import UserError
from harness.packaged import config_folder
from tests.docs.blocks import ROOT, documents
from tests.docs.test_links import FENCED

VALUE = r"(?:\"[^\"]*\"|\[[^\]]*\]|[^\s\"';,)`\[\]]+)"
PAIR = rf"(?:'\+*[a-z][\w.@+]*=[^']*'|\"[a-z][\w.@+]*=[^\"]*\"|\+*[a-z][\w.@]*=(?:'[^']*'|{VALUE}))"
ISOFLOP = re.compile(rf"\bisoflop (?P<command>[a-z]+)(?P<rest>(?:\s+(?:{PAIR}|--[a-z]+))*)")
SCRIPT = re.compile(
    r"\bpython3? (?:(?P<path>(?:scripts|docker)/[\w/]+\.py)|-m (?P<module>scripts(?:\.\w+)+))"
    r"(?P<rest>(?: +[^\s`|]+)*)"
)
MAKE = re.compile(r"`make (?P<target>[a-z]+)[^`]*`|'make (?P<quoted>[a-z]+)[^']*'")
CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
SETTING = re.compile(rf"{PAIR}(?: {PAIR})*")
# NAME, FOLDER, ENTITY/PROJECT, …: somebody else's word stands there
PLACEHOLDER = re.compile(r"[A-Z]{2,}|…|\bfirst_id\b")
OWN = ("mine",)  # a reader's own files of configs/
NAMED = ("plan", "sweep", "train", "tune", "calibrate", "report", "compare", "validate", "reproduce")
GROUPS = {path.name for path in config_folder().iterdir() if path.is_dir()}


@dataclass(frozen=True)
class Mention:
    """Words in a file, and how it names them."""

    at: str
    text: str


def prose() -> Iterator[Mention]:
    """The text of every document, without fenced blocks."""
    for file in documents():
        yield Mention(file, FENCED.sub("", (ROOT / file).read_text(encoding="utf-8")))


def comments() -> Iterator[Mention]:
    """Comments of configurations, sbatch files and the Dockerfile; docstrings and messages of Python."""
    for pattern in ("configs/**/*.yaml", "slurm/*.sbatch", "docker/Dockerfile", "Makefile"):
        for path in sorted(ROOT.glob(pattern)):
            lines = path.read_text(encoding="utf-8").splitlines()
            text = "\n".join(line.partition("#")[2].strip("# ") for line in lines if "#" in line)
            yield Mention(path.relative_to(ROOT).as_posix(), text)
    for pattern in ("scripts/**/*.py", "harness/**/*.py", "docker/*.py"):
        for path in sorted(ROOT.glob(pattern)):
            if path.name != "texts.py":  # whose examples test_documents.py runs
                yield Mention(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


EVERYWHERE = [*prose(), *comments()]


def problem(command: str, overrides: list[str]) -> str:
    """Why a command would not take these overrides; empty where it would, as far as keys and choices say."""
    schema: Any = PredictConfig if command == "predict" else Config
    try:
        if command:
            refuse_unread(command, overrides)
        for override in current_overrides(overrides):
            check_override(override, schema)
            key, _, value = override.partition("=")
            there = {path.stem for path in (config_folder() / key).glob("*.yaml")}
            if key in GROUPS and value not in there and value not in ("null", *OWN):
                return f"there is no {key}/{value}"
    except UserError as error:
        return str(error)
    keys = {override.partition("=")[0] for override in overrides}
    if command in NAMED and keys and not keys & {"experiment", "name", "fits"}:
        return "names no experiment"
    return ""


def test_commands_take_what_is_said_of_them() -> None:
    found, wrong = 0, []
    for mention in EVERYWHERE:
        for match in ISOFLOP.finditer(mention.text):
            command, rest = match["command"], match["rest"]
            if not rest.strip():
                continue  # its name alone, or a sentence about isoflop
            words = [word for word in shlex.split(rest.rstrip(".:")) if not word.startswith("--")]
            if PLACEHOLDER.search(rest) or "{" in rest:
                continue
            found += 1
            command = RENAMED.get(command, command)
            if command not in COMMANDS:
                wrong.append(f"{mention.at}: there is no command '{command}'")
            elif said := problem(command, words):
                wrong.append(f"{mention.at}: {match[0]}: {said}")
    assert found > 25
    assert not wrong, "\n".join(wrong)


def test_settings_are_keys_with_such_values() -> None:
    found, wrong = 0, []
    for mention in prose():
        for code in CODE.findall(mention.text):
            if SETTING.fullmatch(code) and not PLACEHOLDER.search(code) and "{" not in code:
                found += 1
                words = shlex.split(code)
                if (said := problem("", words)) and problem("predict", words):
                    wrong.append(f"{mention.at}: {code}: {said}")
    assert found > 10
    assert not wrong, "\n".join(wrong)


def test_scripts_are_there_and_know_their_options() -> None:
    found, wrong = 0, []
    for mention in EVERYWHERE:
        for match in SCRIPT.finditer(mention.text):
            path = ROOT / (match["path"] or match["module"].replace(".", "/"))
            if not match["path"]:
                path = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
            found += 1
            if not path.is_file():
                wrong.append(f"{mention.at}: there is no {path.relative_to(ROOT)}")
                continue
            source = path.read_text(encoding="utf-8")
            rest = re.split(r" #|  +", match["rest"].strip())[0]
            for option in re.findall(r"(?<!\S)--[\w-]+", rest):
                if f'"{option}"' not in source:
                    wrong.append(f"{mention.at}: {match[0]}: no option {option}")
    assert found > 30
    assert not wrong, "\n".join(wrong)


def test_make_has_the_targets_that_are_named() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = {
        match["target"] or match["quoted"] for mention in EVERYWHERE for match in MAKE.finditer(mention.text)
    }
    assert {"demo", "test"} <= found
    assert not found - set(targets)


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        ("plan", ["grid.sizs=3"], "did you mean"),
        ("plan", ["experiment=none"], "there is no experiment/none"),
        ("plan", ["points=x.csv"], "does not read"),
        ("plan", ["data=text", "path=x"], "names no experiment"),
        ("predict", ["grid.sizes=3"], "grid"),
    ],
)
def test_what_is_wrong_is_found(command: str, words: list[str], said: str) -> None:
    assert said in problem(command, words)
