"""The fenced blocks of a Markdown file, and the commands, files and code in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = ("console", "bash", "sh", "shell")
FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,})(?P<language>[^\s`]*).*$")
NAMED = re.compile(r"#\s*(?P<path>[\w./-]+\.(?:ya?ml))\b")  # the first comment of a block that is a file


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        file: from the checkout's root.
        line: of the first line inside, from 1.
        language: what stands behind the fence, in small letters.
    """

    file: str
    line: int
    language: str
    text: str

    @property
    def at(self) -> str:
        """``README.md:23``."""
        return f"{self.file}:{self.line}"

    @property
    def names(self) -> str:
        """The file that a block of YAML is to be written to, by its first comment; empty for an excerpt."""
        found = NAMED.match(self.text.lstrip()) if self.language in ("yaml", "yml") else None
        return found["path"] if found else ""


@dataclass(frozen=True)
class Command:
    """What is typed at one prompt, continuation lines joined."""

    at: str
    text: str


def documents() -> list[str]:
    """Every Markdown file that people read, from the checkout's root; README first."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "results" / "README.md"]
    names = sorted(path.relative_to(ROOT).as_posix() for path in found)
    return sorted(names, key=lambda name: name != "README.md")


def blocks(file: str, text: str | None = None) -> Iterator[Block]:
    """The fenced blocks of ``file``.

    Raises:
        ValueError: one is not closed.
    """
    lines = ((ROOT / file).read_text(encoding="utf-8") if text is None else text).splitlines()
    opened: tuple[int, str, str] | None = None
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        if opened is None:
            if found := FENCE.match(bare):
                opened = number + 1, found["language"].lower(), found["fence"]
        elif bare == opened[2]:
            first, language, _ = opened
            indent = min((len(x) - len(x.lstrip()) for x in lines[first - 1 : number - 1] if x), default=0)
            inside = "\n".join(x[indent:] for x in lines[first - 1 : number - 1])
            yield Block(file, first, language, inside + "\n")
            opened = None
    if opened:
        raise ValueError(f"{file}:{opened[0] - 1}: this block is not closed")


def commands(block: Block) -> Iterator[Command]:
    """What is typed in a block of a shell: lines after ``$ ``, each with those that it goes on in.

    A block without a prompt is all typed, but for comments.
    """
    if block.language not in CONSOLE:
        return
    lines = block.text.splitlines()
    prompts = any(line.startswith("$ ") for line in lines)
    number = 0
    while number < len(lines):
        first, line = number, lines[number]
        number += 1
        if prompts and not line.startswith("$ "):
            continue  # what was printed
        typed = line.removeprefix("$ ")
        while typed.endswith("\\") and number < len(lines):
            typed = f"{typed[:-1].rstrip()} {lines[number].removeprefix('> ').strip()}"
            number += 1
        if typed.strip() and not typed.lstrip().startswith("#"):
            yield Command(f"{block.file}:{block.line + first}", typed.strip())
