"""The figures of a report: drawn one after the other, and of very many runs by several processes at once."""

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from harness import cores
from harness.report.data import MissingError, ReportData
from harness.report.figures.catalogue import FIGURES, FigureEntry
from harness.report.saving import Picture, save, show
from harness.report.style import figure_style
from harness.report.style_names import DEFAULT

Drawn = Picture | str
"""A figure, or why there is none."""

MANY_RUNS = 1000
"""From so many runs on, drawing takes much longer than to start a process."""
MOST_PROCESSES = 4


def draw_all(
    data: ReportData, entries: Sequence[FigureEntry], folder: Path | None, style: str = DEFAULT
) -> list[Drawn]:
    """Each of ``entries`` as a page has it, in the default style.

    Args:
        folder: where every figure is saved, too, in ``style``; None writes nothing, and takes no further process:
            a page that is watched leaves the cores to what trains.
    """
    several = folder is not None and len(data.points) >= MANY_RUNS and set(entries) <= set(FIGURES)
    processes = min(cores.available(), MOST_PROCESSES, len(entries)) if several else 1
    if processes < 2:
        return [draw(data, entry, folder, style) for entry in entries]
    shares = [list(entries[i::processes]) for i in range(processes)]
    found: dict[str, Drawn] = {}
    with ExitStack() as stack:
        others = [stack.enter_context(_DrawingProcess(data, share, folder, style)) for share in shares[1:]]
        found |= {entry.name: draw(data, entry, folder, style) for entry in shares[0]}
        for other in others:
            found |= other.drawn()
    # what a process that was killed has not drawn is drawn here
    return [found[one.name] if one.name in found else draw(data, one, folder, style) for one in entries]


def draw(data: ReportData, entry: FigureEntry, folder: Path | None, style: str) -> Drawn:
    """One of :func:`draw_all`."""
    try:
        with figure_style():
            figure = entry.draw(data)
            if folder is not None and style == DEFAULT:
                return save(figure, folder, entry.name)
            shown = show(figure, entry.name)
        if folder is not None:
            with figure_style(style):
                save(entry.draw(data), folder, entry.name)
    except MissingError as missing:
        return str(missing)
    return shown


class _DrawingProcess:
    """Another process that draws ``entries``; it ends with the block."""

    def __init__(
        self, data: ReportData, entries: Sequence[FigureEntry], folder: Path | None, style: str
    ) -> None:
        with tempfile.TemporaryFile() as asked:  # a pipe would be full until the process has begun to read
            pickle.dump((data, [entry.name for entry in entries], folder, style), asked)
            asked.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.report.drawing"],
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )

    def __enter__(self) -> "_DrawingProcess":
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        with self._process:  # closes the pipe, and waits
            pass

    def drawn(self) -> dict[str, Drawn]:
        """What it has drawn, by name; nothing where it failed."""
        assert self._process.stdout is not None
        content = self._process.stdout.read()
        if self._process.wait() != 0:
            return {}
        found: dict[str, Drawn] = pickle.loads(content)
        return found


def main() -> None:
    """Draw what stands on stdin, and write what came of it to stdout."""
    data, names, folder, style = pickle.load(sys.stdin.buffer)
    by_name = {entry.name: entry for entry in FIGURES}
    drawn = {name: draw(data, by_name[name], folder, style) for name in names}
    sys.stdout.buffer.write(pickle.dumps(drawn))


if __name__ == "__main__":
    main()
