"""Long work says that it goes on where there is no terminal, and a table loses no digit in a narrow one."""

import io
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from harness.launch.progress import Progress
from harness.launch.worker import Ended
from harness.plan.followup import replicates
from harness.text import counted
from harness.train.job import Job
from harness.workflow.terminal import show_table, working
from tests.train.small import small_jobs


def plain(width: int = 80) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width), out


def test_work_without_a_terminal_prints_a_line_now_and_then() -> None:
    console, out = plain()
    with working(console, "fitting …", seconds=0.05):
        time.sleep(0.2)
    said = out.getvalue()
    assert said.startswith("fitting … 0 s\n")
    assert said.count("\n") >= 2
    time.sleep(0.1)
    assert out.getvalue() == said, "it ends with the work"


def test_short_work_prints_nothing() -> None:
    console, out = plain()
    with pytest.raises(KeyboardInterrupt), working(console, "fitting …"):
        raise KeyboardInterrupt
    assert out.getvalue() == ""


def test_a_table_is_as_wide_as_it_is() -> None:
    console, out = plain(width=40)
    table = Table(box=None)
    for number in range(12):
        table.add_column(f"heading {number}", no_wrap=True)
    table.add_row(*(f"1.2345{number}" for number in range(12)))
    show_table(table, console)
    assert all(f"1.2345{number}" in out.getvalue() for number in range(12))
    assert "…" not in out.getvalue()
    assert console.width == 40


def test_the_lines_of_a_sweep_tell_its_cells_apart(tmp_path: Path, text_folder: Path) -> None:
    job: Job = small_jobs(tmp_path, text_folder, "grid.budgets=[2e8]")[1][0]
    twin = replicates([job.cell], [1])[0]
    console, out = plain(width=200)
    with Progress([job], 1, 1, console, [job.cell, twin]) as view:
        view.started(job)
        assert ", seed 0" in view._summary()
        view.retried(job, "its worker died (SIGKILL)", 1.0)
        view.ended(job, Ended(job.cell.run_id, "finished", 3.2, 1.0))
    again, done = out.getvalue().splitlines()
    assert again.startswith(f"↻ {job.cell.run_id}  {job.cell.spec.shape.label} at 2e+08, seed 0  its worker")
    assert "  seed 0  N=" in done
    assert "lr" not in done


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1200, "1,200 cells")]
)
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "cell") == text
    assert counted(number, "branch", "branches").endswith("branch" if number == 1 else "branches")
