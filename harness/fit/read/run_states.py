"""How the runs of a table ended, whatever its columns call it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.fit.read.aliases import REASON
from harness.fit.read.cells import Cells, Column
from harness.text import counted

# Columns that say how a run ended, by their name: a word that is not known there has not finished.
STATES = ("status", "state", "run_state", "run_status")
FINISHED = frozenset(
    {"finished", "ok", "done", "complete", "completed", "success", "successful", "succeeded"}
)
UNFINISHED = frozenset(
    {
        *("running", "pending", "queued", "scheduled", "waiting", "starting", "started", "in progress"),
        *("crashed", "failed", "failure", "error", "killed", "aborted", "stopped", "interrupted"),
        *("preempted", "preempting", "canceled", "cancelled", "timeout", "timed out", "node fail"),
        *("oom", "out of memory", "diverged", "nan", "unfinished", "incomplete"),
    }
)
NO_WORD = frozenset({"", "na", "n/a", "none", "null", "-"})
# What is said of a word that is neither: it may be one for a finished run, or the column about something else.
NOT_KNOWN = ", which is no word for a finished run here (finished, completed, done, success or ok is)"
# Columns of true and false, by their name (an "is_" before it means the same).
TRUE = frozenset({"true", "yes", "1", "1.0", "t", "y"})
FALSE = frozenset({"false", "no", "0", "0.0", "f", "n"})


@dataclass(frozen=True, eq=False)
class RunStates:
    """How every row's run ended: what it says, "" where it finished; (n,). ``columns`` say so."""

    said: NDArray[np.object_]
    columns: frozenset[int]
    notes: tuple[str, ...]

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Boolean, (n,)."""
        return np.asarray(self.said == "", dtype=bool)


def run_states(cells: Cells, others: Iterable[int]) -> RunStates:
    """Reads all columns that say how a run ended.

    These are those called ``status``, ``state`` and the like; columns of true and false called ``finished``,
    ``diverged`` and the like; and any other of which every word is a known state of runs and one of them an
    unfinished one. A note names what was recognised by its words.

    Args:
        others: columns that hold something else.
    """
    said = np.full(len(cells.lines), "", dtype=object)
    columns, notes, others = set(), [], set(others)
    for i, column in enumerate(cells.columns):
        if i in others:
            continue
        by_name = column.plain in STATES
        unfinished = _unfinished_words(column, by_name)
        if unfinished is None:
            continue
        columns.add(i)
        header = column.header.strip()
        words = column.words
        told = np.array([_told(header, word.lower(), by_name) for word in words], dtype=object)
        gone = np.array([word.lower() in unfinished for word in words], dtype=bool)[column.codes]
        for row in np.flatnonzero(gone).tolist():
            said[row] += f"{', ' if said[row] else ''}{told[column.codes[row]]}"
        if gone.any() and not by_name:
            seen = ", ".join(sorted({words[code].lower() for code in np.unique(column.codes[gone])}))
            notes.append(
                f"column {header!r} says how runs ended: {counted(int(gone.sum()), 'row')} ({seen}) took no part"
            )
    for i in cells.called([REASON])[:1]:
        rows = np.flatnonzero(said != "")
        for row, reason in zip(rows.tolist(), cells.columns[i].text(rows), strict=True):
            said[row] += f": {reason}" if reason else ""
    return RunStates(said, frozenset(columns), tuple(notes))


def _told(header: str, word: str, by_name: bool) -> str:
    """What a row is left out for, of a column with this word."""
    known = not by_name or _spaced(word) in UNFINISHED or word in NO_WORD
    return f"{header} {word}" + ("" if known else NOT_KNOWN)


def _unfinished_words(column: Column, by_name: bool) -> set[str] | None:
    """The column's words that say a run did not finish; None where the column says nothing of the kind."""
    found = column.words if by_name else column.few(2 * len(FINISHED | UNFINISHED | NO_WORD))
    if found is None:
        return None
    words = {word.lower() for word in found} - {""}
    if by_name:
        return {word for word in words if _spaced(word) not in FINISHED}
    if len(words) > len(FINISHED | UNFINISHED | NO_WORD):
        return None
    flag = _spaced(column.plain.removeprefix("is_").removeprefix("has_"))
    if words and words <= TRUE | FALSE:
        return words & FALSE if flag in FINISHED else words & TRUE if flag in UNFINISHED else None
    told = {word: _spaced(word) for word in words - NO_WORD}
    # A column of numbers writes a missing one as nan: without another word it says nothing of runs.
    if set(told) <= {"nan"} or not set(told.values()) <= FINISHED | UNFINISHED:
        return None
    return {word for word, text in told.items() if text in UNFINISHED} or None


def _spaced(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", word.lower()).strip()
