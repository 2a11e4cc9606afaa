"""The notebook of the documents runs from top to bottom, and shows what is committed."""

import copy
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).resolve().parents[2] / "docs"


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """A cell's outputs as text without its numbers, whose last digits depend on libraries; a picture by its kind."""
    found = []
    for output in cell.get("outputs", ()):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        found.append(re.sub(r"[-+\d.,]*\d(e[+-]\d+)?", "#", re.sub(r" +", " ", text)))
        found += sorted(output.get("data", {}))
    return found


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_is_committed() -> None:
    committed = nbformat.read(DOCS / "library.ipynb", as_version=4)
    run = copy.deepcopy(committed)
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(
        run, kernel_name="python3", timeout=300, resources={"metadata": {"path": str(DOCS)}}
    ).execute()
    code = [
        (now, then) for now, then in zip(run.cells, committed.cells, strict=True) if now.cell_type == "code"
    ]
    assert sum("image/png" in shown(now) for now, _ in code) == 2
    for now, then in code:
        assert shown(now) == shown(then), now.source
        assert not any(output.get("name") == "stderr" for output in now.outputs)
