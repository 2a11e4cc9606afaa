"""Reading a file of keys: YAML within limits, and the line that each key stands in."""

import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from harness.errors import UserError

LARGEST = 1 << 20  # bytes of a file
MOST_VALUES = (
    20_000  # with what aliases (*x) repeat: a few lines of them can stand for more than any memory holds
)
DEEPEST = 40  # levels of lists and sections: Python's own recursion ends far above

TAGS = ("!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")))

PACKAGE = re.compile(r"#\s*@package\b[ \t:]*(.*?)\s*$", re.MULTILINE)
GLOBAL = "_global_"
HEADER = f"# @package {GLOBAL}"


class LimitedLoader:
    """For a reader of YAML: refuses what is nested too deeply, too much in all, or a part of itself."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)  # type: ignore[call-arg]
        self._values, self._depth = 0, 0
        self._within: list[str] = []  # anchors of what is being read
        self._sizes: dict[str, int] = {}  # of what has an anchor, with all that is in it

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Called by PyYAML for every value."""
        event = self.peek_event()  # type: ignore[attr-defined]
        anchor, before = event.anchor, self._values
        if isinstance(event, yaml.AliasEvent):
            if anchor in self._within:
                raise _error(f"'*{anchor}' stands inside what it refers to; write it out", event.start_mark)
            self._values += self._sizes.get(anchor, 0)
        self._values += 1
        if self._values > MOST_VALUES:
            raise _error(
                f"holds more than {MOST_VALUES:,} values, repeated ones counted; shorten it", event.start_mark
            )
        tag = getattr(event, "tag", None)
        if tag and tag not in TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            raise _error(
                f"the tag '{shown}' is not read here; write a plain value, a text in quotes", event.start_mark
            )
        if self._depth >= DEEPEST:
            raise _error(f"is nested more than {DEEPEST} levels deep; no key is", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return super().compose_node(parent, index)  # type: ignore[misc]
        self._depth += 1
        self._within.append(anchor or "")
        node = super().compose_node(parent, index)  # type: ignore[misc]
        self._within.pop()
        self._depth -= 1
        if anchor:
            self._sizes[anchor] = self._values - before
        return node


def _error(problem: str, mark: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


# what PyYAML says, and what a reader of it can do
EXPLAINED = (
    (r"found character '\\t'.*", "a tab stands where YAML takes spaces only; indent by spaces"),
    (r"found duplicate key (.*)", r"the key '\1' is there a second time; keep one of them"),
    (r"found undefined alias '?([^']*)'?", r"'*\1' refers to nothing that is marked '&\1'; write it out"),
    (
        r"mapping values are not allowed here",
        "a ':' too many, or wrong indentation; a text with ': ' needs quotes",
    ),
    (r"but found another document", "a second document begins; keep one, without '---'"),
    (r"found unhashable key", "a key must be a plain word, not a list or a section"),
    (
        r"unacceptable character #x([0-9a-f]+): .*",
        r"a control character (U+\1) that no YAML has; remove it",
    ),
)


def explain(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """The line of ``text``, from 1, in which ``error`` was found, and what it is and what mends it."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)  # of a character that is none
    line = mark.line + 1 if mark else text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
    context, problem = getattr(error, "context", None) or "", getattr(error, "problem", None) or str(error)
    problem = " ".join(problem.partition(' in "')[0].split())
    if "flow" in context:
        opened = error.context_mark.line + 1
        return (
            opened,
            f"the bracket that opens here is not closed, or lacks a comma before line {line}; add it",
        )
    if "quoted scalar" in context and "end of stream" in problem:
        return error.context_mark.line + 1, "the quote that opens here is not closed; close it"
    for pattern, said in EXPLAINED:
        if re.fullmatch(pattern, problem):
            return line, re.sub(pattern, said, problem)
    if ";" in problem:  # our own
        return line, problem
    return (
        line,
        f"no YAML ({problem[:200]}); correct it, or put quotes around a text with signs of YAML's own",
    )


@dataclass(frozen=True)
class KeyFile:
    """A file of keys.

    Attributes:
        path: as people are told it.
        package: the section its keys belong to, dotted; empty for the whole configuration.
        header: the package that the file itself names; None where it names none.
        text, root: its YAML, as text and as nodes with their places.
        values: the same as plain data.
    """

    path: str
    package: str
    header: str | None
    text: str
    root: yaml.Node
    values: dict[str, Any]

    def line(self, path: Sequence[str | int]) -> int | None:
        """The line, from 1, of the value at ``path``; of the deepest part of it that is there; None without any."""
        node, found = self.root, None
        for part in path:
            inner = _inner(node, part)
            if inner is None:
                break
            key, node = inner
            found = key.start_mark.line + 1
        return found

    def has(self, path: Sequence[str | int]) -> bool:
        """Whether there is a value at ``path``."""
        node = self.root
        for part in path:
            inner = _inner(node, part)
            if inner is None:
                return False
            _, node = inner
        return True

    def at(self, line: int | None) -> str:
        """``configs/experiment/mine.yaml:3``."""
        return f"{self.path}:{line or 1}"


def _inner(node: Any, part: str | int) -> tuple[Any, Any] | None:
    """The node of a key or item, and the node of its value."""
    if isinstance(node, yaml.MappingNode):
        # the last of equal keys is what counts; merged ones (<<) come first
        return next(((key, value) for key, value in reversed(node.value) if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def read_text(path: Path) -> str:
    """The text of the file of keys at ``path``.

    Raises:
        UserError: it is no file, too large, or no UTF-8.
    """
    shown = show_path(path)
    if why := unreadable(path):
        raise UserError(f"{shown}: {why}; a file of keys (YAML) is expected there")
    if (size := path.stat().st_size) > LARGEST:
        raise UserError(
            f"{shown}: {size:,} bytes, where a file of keys has at most {LARGEST:,}; is it another file?"
        )
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{shown}:{line}: no UTF-8 text (byte 0x{content[error.start]:02x}); save the file as UTF-8"
        ) from None


def unreadable(path: Path) -> str:
    """Why ``path`` is no file that can be read; empty where it is one."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "a link to nothing" if path.is_symlink() else "there is no such file"
    except OSError as error:  # links in a circle
        return str(error.strerror)
    if stat.S_ISREG(mode):
        return ""
    return "a folder" if stat.S_ISDIR(mode) else "no plain file (a pipe, a socket or a device)"


def show_path(path: Path) -> str:
    """``path`` from the working directory, where it is below that."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def package_header(text: str) -> tuple[str | None, int]:
    """The package that the comments at the beginning of ``text`` name, None without one, and its line, from 1.

    A header further down counts for nothing: its line is given, with None.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(("#", "%", "---")):
            break
        if found := PACKAGE.match(line.strip()):
            return found[1], number
    late = PACKAGE.search(text)
    return None, text.count("\n", 0, late.start()) + 1 if late else 0


def check_defaults(file: KeyFile) -> None:
    """Refuse a ``defaults`` list that Hydra cannot read, or that chooses in words that it does not take.

    Raises:
        UserError: the line, and how it should be.
    """
    entry = _inner(file.root, "defaults")
    if entry is None:
        return
    key, node = entry
    example = "'- override /data: text'"
    if not isinstance(node, yaml.SequenceNode):
        raise UserError(
            f"{file.at(key.start_mark.line + 1)}: defaults: must be a list, one choice a line: {example}"
        )
    for item in node.value:
        where = file.at(item.start_mark.line + 1)
        one = isinstance(item, yaml.MappingNode) and len(item.value) == 1
        if isinstance(item, yaml.ScalarNode) and item.tag.endswith(":str"):
            if Path(file.path).stem == item.value:
                raise UserError(f"{where}: defaults: names its own file '{item.value}'; remove it")
            continue
        chosen = item.value[0][1] if one else None
        plain = isinstance(chosen, yaml.ScalarNode) or (
            isinstance(chosen, yaml.SequenceNode)
            and all(isinstance(x, yaml.ScalarNode) for x in chosen.value)
        )
        if not plain:
            raise UserError(f"{where}: defaults: every entry is one choice, group and file: {example}")
        group = item.value[0][0].value
        if (
            file.header == GLOBAL
            and "@" not in group
            and not re.fullmatch(r"(override|optional) +/.*", group)
        ):
            bare = group.removeprefix("override ").strip().lstrip("/")
            raise UserError(
                f"{where}: defaults: '{group}' changes no choice; write '- override /{bare}: {_shown(chosen)}'"
            )


def _shown(node: Any) -> str:
    return (
        str(node.value)
        if isinstance(node, yaml.ScalarNode)
        else f"[{', '.join(x.value for x in node.value)}]"
    )
