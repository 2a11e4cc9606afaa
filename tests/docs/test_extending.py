"""The examples of docs/extending*.md, followed: files are written, diffs applied to a copy of the package, and used."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import extended
from tests.docs.blocks import ROOT, Block, blocks

PAGES = ("docs/extending.md", "docs/extending-program.md")
NEW_MODULE = re.compile(r"# (?P<path>harness/[\w/]+\.py)\n")


def hunks(text: str) -> Iterator[tuple[str, str, str]]:
    """Of every hunk of a diff the file, the lines that are there and those that replace them."""
    for part in re.split(r"^--- ", text, flags=re.MULTILINE)[1:]:
        path, _, rest = part.partition("\n")
        for hunk in re.split(r"^@@\n", rest, flags=re.MULTILINE)[1:]:
            lines = hunk.rstrip("\n").split("\n")
            old = [line[1:] for line in lines if not line.startswith("+")]
            new = [line[1:] for line in lines if not line.startswith("-")]
            yield path, "\n".join(old), "\n".join(new)


def apply(block: Block, folder: Path) -> None:
    """Apply a diff below ``folder``; what it replaces must stand there once."""
    for path, old, new in hunks(block.text):
        file = folder / path
        text = file.read_text(encoding="utf-8")
        if not old:  # lines that are only added, before the first class
            file.write_text(
                text.replace("\n\n\nclass ", f"\n\n\n{new.rstrip()}\n\n\nclass ", 1), encoding="utf-8"
            )
            continue
        assert f"\n{text}".count(f"\n{old}\n") == 1, f"{block.at}: {path} has not once:\n{old}"
        file.write_text(f"\n{text}".replace(f"\n{old}\n", f"\n{new}\n")[1:], encoding="utf-8")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of its configs with all that the pages add."""
    folder = tmp_path_factory.mktemp("extended")
    for name in ("harness", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for page in PAGES:
        for block in blocks(page):
            module = NEW_MODULE.match(block.text) if block.language == "python" else None
            path = module["path"] if module else block.names
            if path:
                assert not (folder / path).exists(), f"{block.at}: there is a {path} already"
                (folder / path).write_text(block.text, encoding="utf-8")
            elif block.language == "diff":
                apply(block, folder)
    return folder


@pytest.fixture(scope="module")
def found(package: Path) -> dict[str, str]:
    """What went wrong with each of :data:`tests.docs.extended.CHECKS` in the extended package; "" where nothing did."""
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.extended"],
        cwd=package,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    assert Path(results.pop("package")) == package / "harness", "the package is the extended one"
    return results


@pytest.mark.parametrize("name", extended.CHECKS)
def test_what_a_page_adds_works(name: str, found: dict[str, str]) -> None:
    assert found[name] == ""


def test_what_was_added_passes_the_linter(package: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--config",
            str(ROOT / "pyproject.toml"),
            str(package / "harness"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
