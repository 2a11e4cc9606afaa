"""What ``isoflop fit`` says of runs and curves that are not there."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.report.diagnostics import diagnostics
from harness.runs.curve import digest_of
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import read_record
from harness.workflow.report import from_sweep
from tests.report.synthetic import make_sweep


def test_runs_that_have_not_ended_and_curves_that_cannot_be_read_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_sweep(tmp_path / "synthetic")
    told = ["fit", "experiment=demo", f"runs_dir={tmp_path}", "name=synthetic", *QUICK]
    main(told)
    printed = capsys.readouterr().out
    assert "planned runs" not in printed
    assert "training curve of" not in printed

    cells = frozen_plan(folder).cells
    paths = [folder.cell(cell.run_id) for cell in cells[:4]]
    paths[0].record.unlink()
    paths[1].curve.unlink()
    paths[2].curve.write_text("")
    paths[3].curve.write_text(paths[3].curve.read_text().splitlines()[0] + "\nnonsense\n")
    main(told)
    printed = capsys.readouterr().out
    assert f"{len(cells) - 1} of {len(cells)} planned runs have ended" in printed
    assert (
        f"without the training curve of 1 finished run: there is no curve.csv: {cells[1].run_id}" in printed
    )
    unread = f"{cells[2].run_id}, {cells[3].run_id}"
    assert f"without the training curve of 2 finished runs: curve.csv cannot be read: {unread}" in printed
    assert "record" not in printed.replace("record.json", "")


QUICK = ("analysis.draws=0", "analysis.compare=false", "analysis.backtest=false")


def with_digests(folder: SweepFolder) -> None:
    """The records of a synthetic sweep know their curves from here on."""
    for cell in frozen_plan(folder).cells:
        paths = folder.cell(cell.run_id)
        record = read_record(paths.record, cell.run_id)
        assert record is not None
        replace(record, curve_sha256=digest_of(paths.curve.read_text())).write(paths.record)


def flip(text: str) -> str:
    """Another digit in the middle of a loss."""
    rows = text.splitlines()
    cells = rows[50].split(",")
    cells[4] = cells[4][:-3] + str((int(cells[4][-3]) + 5) % 10) + cells[4][-2:]
    rows[50] = ",".join(cells)
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class Without:
    """A sweep that lacks one training curve, in ``runs/True`` where the records know their curves, and its fit."""

    runs: Path
    run_id: str
    curve: str
    approach_1: dict[str, Any]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Without:
    runs = tmp_path_factory.mktemp("without")
    folder = make_sweep(runs / "synthetic")
    curve = folder.cell(frozen_plan(folder).cells[3].run_id).curve
    text = curve.read_text()
    shutil.copytree(folder.path, runs / "False")
    with_digests(folder)
    curve.unlink()
    shutil.copytree(folder.path, runs / "True")
    main(["fit", "experiment=demo", f"runs_dir={runs}", "name=synthetic", *QUICK])
    fitted = json.loads(folder.fit.read_text())["approach_1"]
    return Without(runs, curve.parent.name, text, fitted)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("damage", "unknown"),
    [
        (flip, ""),
        (
            lambda text: "".join(text.splitlines(keepends=True)[:60]),
            "its steps do not rise to the last of the run",
        ),
        (
            lambda text: "".join(text.splitlines(keepends=True)[:30] + text.splitlines(keepends=True)[60:]),
            "missing",
        ),
        (
            lambda text: "".join(text.splitlines(keepends=True)[:1] + text.splitlines(keepends=True)[30:]),
            "missing",
        ),
        (lambda text: text.replace("\n", ",x\n", 60).replace(",", ",-", 300), "cannot be read"),
        (lambda text: "\0" * len(text), "cannot be read"),
    ],
    ids=["flipped", "cut", "holed", "headless", "mangled", "zeros"],
)
def test_a_damaged_curve_takes_no_part_and_fit_and_page_say_so(
    damage: Callable[[str], str],
    unknown: str,
    known: bool,
    without: Without,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The fit is that without the curve; where the record does not know the curve, what is implausible is found."""
    shutil.copytree(without.runs / f"{known}", tmp_path / "synthetic")
    folder = SweepFolder(tmp_path / "synthetic")
    curve = folder.cell(without.run_id).curve
    curve.write_text(damage(without.curve))
    capsys.readouterr()
    main(["fit", "experiment=demo", f"runs_dir={tmp_path}", "name=synthetic", *QUICK])
    printed = capsys.readouterr().out
    if not known and not unknown:
        assert "training curve of" not in printed, "nothing shows it"
        return
    why = unknown if not known or "read" in unknown else "the record has another SHA-256"
    assert "approach 1 is without the training curve of 1 finished run" in printed
    assert why in printed
    assert curve.parent.name in printed
    assert json.loads(folder.fit.read_text())["approach_1"] == without.approach_1
    page = from_sweep(folder, frozen_plan(folder), folder.path)
    assert any(why in finding.text for finding in diagnostics(page))
    assert curve.parent.name not in page.curves


@pytest.mark.parametrize("damage", ["null", "another run's", "a digit", "cut short"])
def test_a_damaged_record_is_named_and_nothing_is_fitted(
    damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_sweep(tmp_path / "synthetic")
    first, second = (folder.cell(cell.run_id).record for cell in frozen_plan(folder).cells[:2])
    text = first.read_text()
    digit = re.sub(r'("loss": \d\.)\d', r"\g<1>00", text)
    assert digit != text
    first.write_text(
        {"null": "null", "another run's": second.read_text(), "a digit": digit}.get(damage, text[:-40])
    )
    told = ["fit", "experiment=demo", f"runs_dir={tmp_path}", "name=synthetic", *QUICK]
    with pytest.raises(SystemExit) as ended:
        main(told)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        f"isoflop: {first}: not what was written; 'isoflop sweep' trains"
    )
    first.unlink()
    main(told)
    assert "planned runs have ended; the fit is of these" in capsys.readouterr().out
