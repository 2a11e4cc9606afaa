"""Every command, file and line of Python that the documents show works as printed, in their order."""

import re
from pathlib import Path

import pytest

from harness.commands.texts import COMMANDS
from tests.docs.blocks import Command, blocks, commands, documents
from tests.docs.handled import INSTEAD, SMALLER, exists, instead_of
from tests.docs.world import World, follow, reader

MAKERS = ("isoflop reproduce experiment=demo", "isoflop compare experiment=ablations")
"""README's commands that make what other examples ask about."""
LAST = ("fit", "report", "predict", "validate", "reproduce", "status", "next", "clean", "cancel")
"""Commands that ask about what the others have made: their examples come after those."""


def typed_in(file: str) -> list[str]:
    """The commands of a document, without their comments."""
    return [re.sub(r"\s+#.*", "", one.text) for block in blocks(file) for one in commands(block)]


def examples() -> list[Command]:
    """The examples in the help of every command."""
    first = [name for name in COMMANDS if name not in ("fetch", *LAST)]
    return [
        Command(f"isoflop {name} --help", line.strip())
        for name in ("fetch", *first, *LAST)
        for line in COMMANDS[name].splitlines()
        if line.startswith("  ")
    ]


def told(world: World) -> str:
    """What went wrong, and what took longest."""
    slowest = sorted(world.seconds, key=lambda one: -world.seconds[one])[:12]
    times = "\n".join(f"    {world.seconds[one]:5.1f} s  {one[:110]}" for one in slowest)
    return "\n\n" + "\n".join(world.failures) + f"\n\n  slowest:\n{times}\n"


@pytest.mark.parametrize(
    "file",
    [pytest.param(file, marks=[pytest.mark.slow] if file == "README.md" else []) for file in documents()],
)
def test_a_document_works_as_printed(file: str, tmp_path: Path) -> None:
    """After README's commands the examples in the help of every command, too."""
    if not any(block.language in ("python", "yaml") or list(commands(block)) for block in blocks(file)):
        return
    with reader(tmp_path) as world:
        follow(file, world)
        if file == "README.md":
            try_the_examples_in_the_help(world)
        print(told(world))
        assert not world.failures, told(world)
        if file == "README.md":
            the_files_of_a_sweep_are_there(world)


def try_the_examples_in_the_help(world: World) -> None:
    """Where README was followed, which has trained what they ask about; those that it has, too, were tried there."""
    readme = {" ".join(text.split()) for text in typed_in("README.md")}
    assert readme.issuperset(MAKERS)
    tried = [command for command in examples() if command.text not in readme]
    assert len(tried) > 20
    for command in tried:
        world.command(command)


def the_files_of_a_sweep_are_there(world: World) -> None:
    """README's table 'What you get', after the demo."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = readme.split("| file in `runs/<name>/`")[1].split("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert {"report.html", "fit.json", "cells/<run_id>/"} <= set(names)
    sweep = world.folder / "runs" / "demo"
    exists(*(sweep / name.rstrip("/").replace("<run_id>", "*") for name in names))
    for name in ("record.json", "curve.csv"):
        exists(next((sweep / "cells").iterdir()) / name)


def test_no_entry_is_there_for_nothing() -> None:
    typed = [text for file in documents() for text in typed_in(file)]
    typed += [command.text for command in examples()]
    for one in INSTEAD:
        assert any(instead_of(text) is one for text in typed), f"nothing is like {one.pattern}"
    for small in SMALLER:
        assert any(re.search(small.pattern, text) for text in typed), f"nothing is like {small.pattern}"
