"""Working directories, folders and sweeps of any name: every command works there, or says one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config

NAMES = [
    "José",
    "实验",
    "runs (2)",
    "lr=0.1,wd=0.1",
    "a&b",
    "it's",
    "v[1]",
    "c#",
    "a b",
    "$HOME",
    "{x}",
    "%d",
    "-x",
    "a:b",
]
NAMES += ["trailing ", "new\nline", "${x}", "[red]", "<b>x</b>", "a|b", "$x^2_1$", '"q"', "back\\slash"]
TINY = """# @package _global_
defaults:
  - override /data: text
  - override /tokenizer: bytes
  - override /ladder: demo
  - override /recipe: demo
  - override /tracker: none
path: texts
seq_len: 16
data: {eval_tokens: 64, heldout_fraction: 0.3, max_epochs: 100}
grid: {budgets: [1e8, 2e8], params: [6e3, 9e3, 15e3], min_tokens_per_param: 0}
recipe: {min_steps: 2}
analysis: {draws: 20}
launcher: {workers: 1}
train: {device: cpu}
"""


def make(folder: Path) -> None:
    (folder / "configs" / "experiment").mkdir(parents=True)
    (folder / "configs" / "experiment" / "mine.yaml").write_text(TINY)
    (folder / "texts").mkdir()
    for number in range(40):
        (folder / "texts" / f"{number}.txt").write_text(f"text {number} says hello to the world " * 60)


@pytest.mark.parametrize("name", [name.replace("/", "-") for name in NAMES])
def test_a_folder_of_any_name_has_its_own_configs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    config, _ = compose_config(["experiment=mine", "name=x", f"runs_dir={tmp_path.name}"])
    assert config.data.path == "texts"


def test_a_sweep_of_any_name_is_planned_trained_fitted_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All signs in one name: shells, markup, formats, Hydra, Markdown and mathematics in figures each take some."""
    name = "实验 (2) $x^2_1$ a|b v[red]{x},lr=0.1 it's"
    make(tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    asked = ["experiment=mine", f"name={name}", f"runs_dir=r {name}", f"cache_dir=c {name}"]
    for command in ("plan", "sweep", "status", "fit", "report"):
        main([command, *asked])
        shown = "".join(capsys.readouterr().out.split())
    folder = Path(f"r {name}") / name
    assert {"plan.json", "fit.json", "report.html", "report.md", "config.yaml"} <= set(os.listdir(folder))
    assert "".join(str(folder / "report.html").split()) in shown, "no part of the name is read as markup"
    assert len(list((folder / "cells").glob("*/record.json"))) == 6


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a/b", ".a", "a\x1b[31m"])
def test_a_name_that_no_folder_should_have_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["plan", "experiment=demo", f"name={name}"])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("isoflop: name: must be a plain folder name")
    assert line.isprintable()


@pytest.mark.parametrize("name", ["plain", "实验"])
def test_a_terminal_without_unicode_is_no_reason_to_stop(name: str, tmp_path: Path) -> None:
    make(tmp_path / name)
    there = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "harness", "plan", "experiment=mine", "name=x", "cache_dir=cache"]
    package = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        command, cwd=tmp_path / name, env=there | {"PYTHONPATH": package}, capture_output=True, check=False
    )
    if name == "plain":
        assert (done.returncode, done.stderr) == (0, b"")
    else:
        assert done.returncode == 2
        assert b"set PYTHONUTF8=1" in done.stderr
        assert len(done.stderr.splitlines()) == 1
