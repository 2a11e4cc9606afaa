"""What a corpus is without, and why: counted while its text is read, kept in its meta, and said whenever it is used."""

from collections.abc import Mapping
from typing import Any

from harness.data.meta import Meta
from harness.text import counted, visible

REMEDIES = {
    "undecodable": (
        "not UTF-8 (or not what data.encoding says)",
        "convert it, or name its encoding, e.g. data.encoding=latin-1",
    ),
    "binary": ("binary", "if it holds text, convert it, or data.patterns chooses other files"),
    "archive": ("archives", "unpack them"),
    "document": ("documents of other programs", "convert them to plain text"),
    "table": ("data files of other formats", "convert them to .parquet or .jsonl, or read them with data=hf"),
    "compressed": (
        "compressed by a method that is not read",
        "decompress them, or use .gz, .zst, .bz2 or .xz",
    ),
    "damaged": ("damaged or cut short, from there on", "fetch them again"),
    "unreadable": ("not to be read", "look at their permissions"),
    "folder": ("folders that may not be listed", "look at their permissions"),
    "broken_link": ("links to nothing", "mend or remove them"),
    "no_text": (
        "without the key or column data.text_field",
        "name another with data.text_field, if that is wrong",
    ),
    "null": ("null in data.text_field", ""),
}
"""By reason: what is left out, and what the user can do about it; the other reasons are named in :data:`EXPECTED`."""

EXPECTED = {
    "duplicate": ("duplicate", "duplicates"),
    "empty": ("empty", "empty"),
    "hidden": ("hidden", "hidden"),
    "linked_again": ("link to a folder that is read already", "links to folders that are read already"),
    "special": ("pipe, socket or device", "pipes, sockets or devices"),
}
"""Reasons that need nobody to do anything: of one, and of several."""


class LeftOut:
    """Counts what is left out, by reason.

    Attributes:
        skipped: documents, or files that have none, by reason.
        details: by reason the ``files`` they are in, their ``bytes`` as far as they are known (of text as UTF-8; of
            what cannot be read as text, those on the disk), and the first of them as an ``example``.
    """

    def __init__(self) -> None:
        self.skipped: dict[str, int] = {}
        self.details: dict[str, dict[str, Any]] = {}
        self._last: dict[str, str] = {}

    def __call__(self, reason: str, where: str, size: int = 0) -> None:
        """One more document, ``size`` bytes of it, of the file ``where``."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1
        detail = self.details.setdefault(reason, {"files": 0, "bytes": 0, "example": where})
        detail["files"] += self._last.get(reason) != where
        detail["bytes"] += size
        self._last[reason] = where


def left_out(meta: Meta, remedies: bool = True) -> list[str]:
    """A phrase for each reason that someone should look at, and one for all others; none where nothing was left out.

    Args:
        remedies: also say what can be done about it.
    """
    phrases = [_problem(reason, meta, remedies) for reason in REMEDIES if meta.skipped.get(reason)]
    others = [
        f"{counted(number, *EXPECTED.get(reason, (reason, reason)))}{_share(reason, meta, ' ({} of the bytes)')}"
        for reason, number in sorted(meta.skipped.items())
        if reason not in REMEDIES and number
    ]
    return [*phrases, *([", ".join(others)] if others else [])]


def _problem(reason: str, meta: Meta, remedies: bool) -> str:
    what, remedy = REMEDIES[reason]
    remedy = f"; {remedy}" if remedies and remedy else ""
    detail, documents = meta.left_out.get(reason), meta.skipped[reason]
    if not detail:  # a corpus from before this was kept
        return f"{documents:,} documents or files: {what}{remedy}"
    files = f"{detail['files']:,} of {meta.source_files:,} files" if meta.source_files else ""
    parts = [f"{documents:,} documents"] if documents != detail["files"] or not files else []
    amount = " in ".join([*parts, *([files] if files else [])])
    example = f", e.g. {visible(str(detail['example']))}"
    loud = "WARNING: " if reason == "undecodable" and _fraction(reason, meta) > LOUD else ""
    return f"{loud}{amount}{_share(reason, meta, ' ({} of the bytes)')}: {what}{example}{remedy}"


LOUD = 0.1  # of the bytes: more is hardly meant, where it is text of another encoding


def _fraction(reason: str, meta: Meta) -> float:
    """The share of ``reason`` of all bytes, those used and those left out."""
    gone = sum(detail["bytes"] for detail in meta.left_out.values())
    total = meta.train_bytes + meta.heldout_bytes + gone
    return meta.left_out.get(reason, {}).get("bytes", 0) / total if total else 0.0


def _share(reason: str, meta: Meta, text: str) -> str:
    share = _fraction(reason, meta)
    if not share:
        return ""
    return text.format("under 0.1%" if share < 0.001 else f"{share:.1%}" if share < 0.1 else f"{share:.0%}")


def summary(skipped: Mapping[str, int]) -> str:
    """The reasons and numbers alone, for an error."""
    return ", ".join(f"{number:,} {reason.replace('_', ' ')}" for reason, number in sorted(skipped.items()))
