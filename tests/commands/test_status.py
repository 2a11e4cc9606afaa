"""What ``status`` shows: cells that can be told apart, follow-ups, the plan's own time, and the right sweep."""

import re
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.begun import ASKS, CONTINUES, compose_begun
from harness.errors import UserError
from harness.launch.local import LocalConfig
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from tests.records import fake_record
from tests.train.small import overrides, small_jobs

FOLLOWUPS = ("followup.seeds=[1,2]", "followup.rates=[0.5]", "followup.horizons=[1.5]", "launcher.workers=2")
TEXT = """# @package _global_
defaults:
  - override /data: text
  - override /tracker: none
name: mine
analysis: {draws: 20}
"""


def folder_of(place: Path) -> SweepFolder:
    return SweepFolder(place / "runs" / "small")


def train(folder: SweepFolder, budgets: int = 1) -> None:
    """Records of all cells of the smallest budgets, as if they were trained."""
    cells = frozen_plan(folder).cells
    for budget in sorted({cell.budget for cell in cells})[:budgets]:
        for number, cell in enumerate(one for one in cells if one.budget == budget):
            fake_record(cell, 3.0 + number).write(folder.cell(cell.run_id).record)


def rows(shown: str) -> list[list[str]]:
    """The cells of the rows of a table, without the run's id."""
    found = [line.split() for line in shown.splitlines() if re.match(r" ?[0-9a-f]{12} ", line)]
    return [row[1:] for row in found]


def test_status_has_the_follow_ups_the_counts_and_the_time_of_the_plan(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = overrides(tmp_path, text_folder, *FOLLOWUPS, "grid.seeds=[0,3]")
    main(["plan", *told])
    planned = capsys.readouterr().out
    main(["status", *told])
    shown = capsys.readouterr().out
    for text in (planned, shown):
        assert (
            "8 follow-up runs, once each budget's best cell is known: seeds 1, 2; peak learning rate × 0.5"
            in text
        )
    times = [re.findall(r"about ([^,]*? with 2 workers)", text) for text in (planned, shown)]
    assert len(times[0]) == 2
    assert times[0] == times[1]
    assert "12 … pending" in shown

    train(folder_of(tmp_path))
    main(["status", *told])
    shown = capsys.readouterr().out
    assert shown.count("(ablation)") == 2, "a rate and a horizon of the budget whose best cell is known"
    assert "6 ✔ finished, 10 … pending" in shown
    assert "and 4 follow-up runs" in shown
    assert {"seed", "lr", "horizon"} <= set(shown.splitlines()[0].split())
    alike = [tuple(row[: row.index("✔" if "✔" in row else "…")]) for row in rows(shown)]
    assert len(set(alike)) == len(alike) == 16


def test_an_ordinary_sweep_stays_narrow(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_jobs(tmp_path, text_folder, "launcher.workers=1")
    main(["status", "name=small", f"runs_dir={tmp_path}/runs"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "budget", "shape", "N", "D", "state", "loss"]
    *_, cells, optimizer = map(str.strip, lines)
    assert re.fullmatch(r"6 … pending; about \d+ s with 1 worker", cells)
    assert "of C, which no budget pays for" in optimizer, "batches of four sequences"


@pytest.mark.parametrize("command", [one for one in ASKS if one != "watch"])  # which says so, and waits
def test_a_name_that_is_almost_a_sweeps_is_an_error(
    command: str, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_jobs(tmp_path, text_folder)
    for name, hint in (
        ("smal", "did you mean name=small?"),
        ("quite-another", "make one with 'isoflop plan'"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main([command, f"name={name}", f"runs_dir={tmp_path}/runs"])
        assert stopped.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"isoflop: {tmp_path}/runs/{name}/plan.json: no plan there; {hint}")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["small"], "nothing is written"


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of an experiment whose text, grid and tracker were typed."""
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment" / "mine.yaml").write_text(TEXT)
    (tmp_path / "texts").mkdir()
    for number in range(30):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"text {number} says hello to the world " * 60)
    monkeypatch.chdir(tmp_path)
    small = [one for one in overrides(tmp_path, tmp_path / "texts") if "=" in one][4:]
    kept = [one for one in small if not one.startswith(("runs_dir", "path", "seq_len"))]
    main(["plan", "experiment=mine", "path=texts", "seq_len=16", "grid.seeds=[0,1]", "ladder=demo", *kept])
    return tmp_path


def test_what_was_typed_when_a_sweep_was_begun_need_not_be_typed_again(begun: Path) -> None:
    for command in ASKS:
        config, _ = compose_begun(command, ["experiment=mine"])
        assert (config.data.path, config.seq_len, config.grid.seeds) == ("texts", 16, [0, 1])
        assert config.analysis.draws == 20
    by_name, _ = compose_begun("fit", ["name=mine", "analysis.degree=3", "launcher=slurm"])
    assert (by_name.data.path, by_name.analysis.draws, by_name.analysis.degree) == ("texts", 20, 3)
    assert not isinstance(by_name.launcher, LocalConfig), "what is typed now counts"
    with pytest.raises(UserError, match=r"grid\.sizes"):
        compose_begun("status", ["experiment=mine", "grid.sizes=abc"])
    (begun / "configs" / "experiment" / "mine.yaml").unlink()
    assert compose_begun("status", ["experiment=mine"])[0].data.path == "texts", "the folder is enough"


def test_status_and_cancel_of_it_need_no_more_than_its_name(
    begun: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    main(["status", "experiment=mine"])
    assert "12 … pending" in capsys.readouterr().out
    main(["cancel", "experiment=mine"])
    assert capsys.readouterr().out == "nothing of this sweep is queued or runs\n"


def test_who_goes_on_is_told_what_was_typed(begun: Path) -> None:
    for command in CONTINUES:
        with pytest.raises(UserError, match=r"data\.path: missing") as stopped:
            compose_begun(command, ["experiment=mine"])
        assert str(stopped.value).endswith(
            "the sweep in runs/mine was begun with path=texts: give the same overrides"
        )
    with pytest.raises(UserError, match=r"data\.path: missing") as other:
        compose_begun("sweep", ["experiment=mine", "name=another"])
    assert "begun" not in str(other.value)


def test_a_tracker_that_was_switched_off_stays_so(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_jobs(tmp_path, text_folder)  # with tracker=none
    told = ["experiment=demo", "name=small", f"runs_dir={tmp_path}/runs"]
    assert compose_begun("report", told)[0].tracker.name == "none"
    assert compose_begun("report", [*told, "tracker=tensorboard"])[0].tracker.name == "tensorboard"


@pytest.mark.parametrize("command", ["status", "cancel"])
def test_arms_that_nobody_began_are_begun_by_compare(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "experiment=kaplan", f"runs_dir={tmp_path}"])
    assert left.value.code == 2
    assert "no plan there; 'isoflop compare' plans and trains its arms" in capsys.readouterr().err
