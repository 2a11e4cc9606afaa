"""Commands that cannot be run as they are printed, each with the reason and what is checked instead; and what makes the
others small. A command that no entry knows is run as printed. An entry that fits no command fails a test.
"""

import contextlib
import io
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import parser
from harness.commands.texts import COMMANDS
from tests.docs.blocks import ROOT

if TYPE_CHECKING:
    from tests.docs.world import World

# A run of a few steps, planned and trained by itself.
TINY = (
    "name=tiny",
    "tracker=none",
    "seq_len=32",
    "grid.budgets=[5e8]",
    "grid.sizes=2",
    "grid.span=2",
    "grid.center_params=9000",
    "grid.center_budget=5e8",
    "recipe.min_steps=10",
    "data.eval_tokens=2048",
)


@dataclass(frozen=True)
class Smaller:
    """Overrides that are appended to commands, and never replace what was typed."""

    pattern: str
    overrides: tuple[str, ...]


SMALLER = (
    Smaller(r"^isoflop (fit|report|reproduce|sweep|tune|compare|validate)\b", ("analysis.draws=20",)),
    # what a run leaves in W&B is the same in every sweep: the demo's are enough
    Smaller(
        r"^isoflop (tune|compare|validate)\b|\bexperiment=(one_gpu|cpu_frontier)\b",
        ("tracker=none",),
    ),
    # seconds of real training of small models, one at a time, where it would be minutes
    Smaller(
        r"^isoflop calibrate\b",
        (
            *TINY[2:],
            "calibrate.seconds=0.05",
            "calibrate.sizes=2",
            "calibrate.side_by_side=[1]",
            "ladder=demo",
        ),
    ),
    # a few megabytes stand for a corpus of the hub, or of gigabytes
    Smaller(
        r"\b(data=rfc|experiment=(one_gpu|cpu_frontier|domains|kaplan|validate)|fineweb)\b",
        ("data.max_epochs=1e9",),
    ),
    Smaller(r"\btokenizer=bpe\b", ("tokenizer.sample_bytes=2_000_000",)),
)


@dataclass(frozen=True)
class Instead:
    """What is done in place of a command."""

    pattern: str
    why: str
    check: Callable[["World", str, Sequence[str]], None]


def dry(world: "World", text: str, words: Sequence[str]) -> None:
    """``make`` says what it would do."""
    made = recipe(words[words.index("make") + 1 :])
    assert made, f"{text}: make would do nothing"


def recipe(arguments: Sequence[str]) -> list[str]:
    """The lines that ``make`` would run."""
    # -B: whatever is up to date here
    command = ["make", "-n", "-B", "-C", str(ROOT), "--no-print-directory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def demo(world: "World", text: str, words: Sequence[str]) -> None:
    """What the recipe does once the packages are there."""
    lines = [line.removeprefix(".venv/bin/") for line in recipe(words[1:])]
    typed = [line for line in lines if line.startswith("isoflop ")]
    assert typed, f"{text}: runs no isoflop"
    for line in typed:
        world.isoflop(line)


def gpu_dry_run(world: "World", text: str, words: Sequence[str]) -> None:
    """The list of stages is made here."""
    from scripts.evidence.__main__ import main

    dry(world, text, words)
    assert main(["--dry-run", "--state", str(world.folder / "evidence"), "--out", "one_gpu"]) == 0


def keys_are_known(world: "World", text: str, words: Sequence[str]) -> None:
    """The command is one, and its keys are those of its configuration."""
    world.isoflop(re.sub(r"\s+#.*", "", text) + " --config")


def composed(world: "World", text: str, words: Sequence[str]) -> None:
    """The command is one, and its keys are those of its configuration."""
    line = re.sub(r"\s+#.*", "", text)
    assert "speedup: 1.2" in world.isoflop(f"{line} --config")


def installed(world: "World", text: str, words: Sequence[str]) -> None:
    """What pip is told to take is here, or is what the line before it makes; extras and files are there."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    wheel = f"dist/isoflop-{project['version']}-py3-none-any.whl"
    named = [word for word in words[2:] if not word.startswith("-")]
    for flag, value in pairwise(words):
        if flag in ("-c", "-r"):
            assert (ROOT / value).is_file(), f"{text}: there is no {value}"
            named.remove(value)
        elif flag in ("-w", "--index-url"):
            named.remove(value)
    assert named, f"{text}: names nothing to install"
    for one in named:
        found = re.fullmatch(r"(?P<what>[^\[]+)(\[(?P<extras>[\w,-]+)\])?(?P<version>.*)", one)
        assert found, f"{text}: {one}"
        known = {".": True, wheel: True, "torch": True}.get(found["what"])
        assert known, f"{text}: {found['what']} is neither the checkout nor its wheel ({wheel})"
        for extra in (found["extras"] or "").split(","):
            assert not extra or extra in project["optional-dependencies"], f"{text}: no extra '{extra}'"


def fetched(world: "World", text: str, words: Sequence[str]) -> None:
    """The command line is read, and text is put where that corpus is looked for."""
    options = parser().parse_args(words[1:])
    for one in options.overrides:
        if one.startswith("data="):
            world.put_corpus(one.removeprefix("data="))


def built(world: "World", text: str, words: Sequence[str]) -> None:
    """The files that the image is made from are there, and its line stands in the Dockerfile's head, too."""
    assert (ROOT / words[words.index("-f") + 1]).is_file()
    head = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").split("\nARG ")[0]
    assert re.sub(r" *#.*", "", text) in head, f"{text}: the Dockerfile's head has another line"


def contained(world: "World", text: str, words: Sequence[str]) -> None:
    """What the image's entry point is given is planned here."""
    image = next(i for i, word in enumerate(words) if word.startswith("isoflop:") or word == "isoflop")
    assert words[image + 1] in COMMANDS
    world.isoflop(shlex.join(["isoflop", "plan", *words[image + 2 :]]))


def converted(world: "World", text: str, words: Sequence[str]) -> None:
    """It is made from an image that the lines before build."""
    image = words[-1].removeprefix("docker-daemon://")
    name = image if not image.endswith(":latest") else image.removesuffix(":latest")
    assert f"-t {name} " in (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


def trained(world: "World", text: str, words: Sequence[str]) -> None:
    """One small cell, planned first, in this process; with torchrun's or without."""
    overrides = list(words[words.index("train") + 1 :])
    overrides = [one for one in overrides if one != "run=RUN_ID"]
    run_id = world.first_run([*overrides, *TINY])
    world.isoflop(shlex.join(["isoflop", "train", *overrides, f"run={run_id}", *TINY]))
    assert (world.folder / "runs" / "tiny" / "cells" / run_id / "record.json").is_file()


def checked(world: "World", text: str, words: Sequence[str]) -> None:
    """Two widths and depths and two steps, in this process."""
    from scripts.coordinate_check import main

    few = ("--widths", "1,2", "--depths", "1,2", "--steps", "2", "--seeds", "1")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*words[words.index("scripts.coordinate_check") + 1 :], *few]) == 0


def studied(world: "World", text: str, words: Sequence[str]) -> None:
    """One seed of some steps of every case, in this process."""
    from scripts.family_study import main

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        main(
            [
                *words[words.index("scripts.family_study") + 1 :],
                "budgets=1e9",
                "seeds=0",
                "data.eval_tokens=2048",
            ]
        )
    assert "| 1e+09 | gpt_neox, serial | 1 |" in printed.getvalue()


INSTEAD = (
    Instead(r"^make demo$", "sets up .venv from a package index; its recipe's other line is run", demo),
    Instead(r"^make gpu ONLY=--dry-run$", "sets up .venv; make -n, and the dry run itself", gpu_dry_run),
    Instead(r"^(\w+=\S+ )?make (test|gpu)\b", "would run these tests within themselves; make -n", dry),
    Instead(
        r"^pip (install|wheel)\b", "changes this environment; tests/test_package.py builds a wheel", installed
    ),
    Instead(
        r"^isoflop watch\b",
        "serves until Ctrl-C; tests/commands/test_watch.py has a real one",
        keys_are_known,
    ),
    Instead(r"^isoflop fetch\b", "hundreds of megabytes by apt; tests/fetch has its steps", fetched),
    Instead(r"^docker build\b", "there is no Docker where tests run; tests/test_docker.py", built),
    Instead(
        r"^docker run\b", "there is no Docker where tests run; what is asked inside is planned", contained
    ),
    Instead(r"^apptainer build\b", "there is no Apptainer where tests run", converted),
    Instead(
        r"^isoflop compare\b.*\bgate=true\b",
        "ends with 1 unless an arm passes; tests/workflow/test_gate.py trains one, here it is composed",
        composed,
    ),
    Instead(
        r"^isoflop evaluate\b|^isoflop predict\b.*\btask=|\bexperiment=tasks(_validation)?\b",
        "what stands in for training leaves no model; tests/evaluate scores real ones, here keys are checked",
        keys_are_known,
    ),
    Instead(r"^python -m scripts\.coordinate_check\b", "minutes; a smaller one", checked),
    Instead(r"^python -m scripts\.family_study\b", "half an hour; some steps of it", studied),
    Instead(
        r"^(torchrun\b.* )?(-m harness|isoflop) train\b.*\brun=RUN_ID\b", "RUN_ID stands for an id", trained
    ),
)


def instead_of(text: str) -> Instead | None:
    """The entry for a command; None where it is run as printed."""
    return next((one for one in INSTEAD if re.search(one.pattern, text)), None)


def smaller(text: str) -> list[str]:
    """What is appended to a command."""
    return [item for one in SMALLER if re.search(one.pattern, text) for item in one.overrides]


def exists(*paths: Path) -> None:
    """Each path is there; a pattern, for one of its files at least."""
    for path in paths:
        if "*" in str(path):
            assert glob(str(path)), f"no {path} was written"
        else:
            assert path.exists(), f"{path} was not written"
