"""What a shell is offered at a TAB."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import argcomplete
import argcomplete.io
import pytest

from harness.cli import main, parser
from harness.commands.texts import COMMANDS
from harness.completion.words import KEYS, complete
from scripts.write_keys import keys_text
from tests.imports import imported

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a finished sweep, and an experiment of one's own."""
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment" / "mine.yaml").write_text("# @package _global_\nname: demo\n")
    shutil.copytree(
        ROOT / "results" / "demo", tmp_path / "runs" / "demo", ignore=shutil.ignore_patterns("cells")
    )
    shutil.copytree(ROOT / "results" / "demo-tune", tmp_path / "runs" / "demo-tune")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "plan.json").write_text("{")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_keys_are_those_of_the_schema() -> None:
    assert KEYS.read_text(encoding="utf-8") == keys_text(), "run python scripts/write_keys.py"


@pytest.mark.parametrize(
    ("command", "word", "typed", "offered"),
    [
        ("plan", "exp", (), ["experiment="]),
        ("plan", "experiment=mi", (), ["experiment=mine"]),
        ("plan", "grid.b", (), ["grid.budgets="]),
        ("plan", "followup.ra", (), ["followup.rates="]),
        ("plan", "prec", (), ["precision="]),
        ("plan", "precision=", (), ["precision=auto", "precision=fp32", "precision=bf16"]),
        ("fit", "compare=", (), ["compare=true", "compare=false"]),
        ("fit", "++analysis.solver=v", (), ["++analysis.solver=varpro"]),
        ("fit", "poi", (), ["points="]),
        ("plan", "poi", (), []),
        ("plan", "run", (), ["runs_dir="]),
        ("train", "run", (), ["run=", "runs_dir="]),
        ("train", "run=c7", ("experiment=mine",), ["run=c7c9e72d1bae"]),
        ("train", "run=c7", ("name=broken",), []),
        ("status", "name=", (), ["name=demo", "name=demo-tune"]),
        ("status", "name=", ("runs_dir=elsewhere",), []),
        ("predict", "fit=r", (), ["fit=runs/demo"]),
        ("predict", "fit=h", (), ["fit=hoffmann2022"]),
        ("predict", "fit=runs/demo/fi", (), ["fit=runs/demo/figures/", "fit=runs/demo/fit.json"]),
        ("predict", "experiment=", (), []),
        ("predict", "device=h1", (), ["device=h100"]),
        ("predict", "device@serving.device=h1", (), ["device@serving.device=h100"]),
        ("predict", "bud", (), ["budget="]),
        ("validate", "validate.fit=", (), ["validate.fit=runs/demo"]),
        ("fit", "points=runs/demo/ru", (), ["points=runs/demo/runs.csv"]),
        ("fetch", "data=", (), ["data=linux", "data=rfc"]),
        ("fetch", "", (), ["cache_dir=", "data.", "data=", "experiment=", "path="]),
        ("plan", "data=nothing", (), []),
        ("plan", "no.such.key", (), []),
    ],
)
def test_a_word_becomes_what_can_stand_there(
    command: str, word: str, typed: tuple[str, ...], offered: list[str]
) -> None:
    assert complete(command, word, typed) == offered


@pytest.mark.parametrize("command", COMMANDS)
def test_a_section_alone_opens(command: str) -> None:
    words = complete(command, "")
    assert words, "every command takes overrides"
    assert all(word[-1] in "=." for word in words)
    if command not in ("fetch", "predict"):
        assert "grid." in words
        assert complete(command, "gri") == complete(command, "grid.")


class Finder(argcomplete.CompletionFinder):
    def _init_debug_stream(self) -> None:
        """Its own takes the file descriptor 9, whoever has it."""
        argcomplete.io.debug_stream = io.StringIO()


def offered(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What argcomplete tells bash of ``line``."""
    given = {
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_SHELL": "bash",
    }
    for name, value in {
        **given,
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'@><=;|&(:",
    }.items():
        monkeypatch.setenv(name, value)
    told = io.StringIO()
    with pytest.raises(SystemExit):
        Finder()(parser(), always_complete_options=False, exit_method=sys.exit, output_stream=told)
    return told.getvalue().split("\n")


def test_a_line_is_read_as_bash_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered("isoflop ", monkeypatch) == [*COMMANDS, "completion"]
    assert offered("isoflop plan experiment=min", monkeypatch) == ["mine "], "bash has the word from '=' on"
    assert offered("isoflop plan experiment=mine grid.b", monkeypatch) == ["grid.budgets="]
    assert offered("isoflop train experiment=mine run=c7", monkeypatch) == ["c7c9e72d1bae "]
    assert offered("isoflop completion z", monkeypatch) == ["zsh "]
    assert offered("isoflop predict --j", monkeypatch) == ["--json "]


def test_in_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    (tmp_path / "script").write_text(
        capsys.readouterr().out
        + "COMP_LINE='isoflop fit experiment=min' COMP_POINT=26 COMP_TYPE=9\n"
        + '_python_argcomplete isoflop\necho "<${COMPREPLY[*]}>"\n'
    )
    command = tmp_path / "bin" / "isoflop"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m harness "$@"\n')
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "script"],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "<mine >\n", done.stderr


@pytest.mark.parametrize(
    ("shell", "line"),
    [("zsh", "compdef _python_argcomplete isoflop"), ("fish", "complete --command isoflop")],
)
def test_other_shells_have_theirs(shell: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", shell])
    assert line in capsys.readouterr().out


def test_a_tab_does_not_wait_for_libraries() -> None:
    code = (
        "from harness.cli import parser; from harness.completion.words import complete; parser()\n"
        "assert complete('plan', 'grid.b') and complete('plan', 'experiment=d') and complete('train', 'run=')"
    )
    assert imported(code, "numpy", "scipy", "omegaconf", "hydra", "torch", "yaml") == []
