"""Replicates join the fit, ablations never do, and neither is trained twice."""

import csv
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import main
from harness.commands import sweep
from harness.commands.invocation import Invocation
from harness.config.compose import compose_config
from harness.launch.launcher import Outcome
from harness.runs.ablations import read_ablations
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from tests.train.small import overrides


@pytest.mark.slow
def test_best_cells_are_followed_up_once(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = overrides(
        tmp_path,
        text_folder,
        "grid.budgets=[2e8]",
        "followup.seeds=[1]",
        "followup.rates=[0.5,2]",
        "followup.horizons=[5]",
        "launcher.workers=2",
    )
    config, yaml = compose_config(arguments)
    console = Console(width=132)
    assert sweep.run(Invocation(config, yaml, console)) is Outcome.DONE
    folder = SweepFolder(tmp_path / "runs" / "small")
    with folder.table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4, "three sizes and one replicate"
    best = min((row for row in rows if row["seed"] == "0"), key=lambda row: float(row["loss"]))
    assert [row["params"] for row in rows if row["seed"] == "1"] == [best["params"]]
    ablations = read_ablations(folder.ablations)
    assert [(ablation.of, ablation.changed, ablation.factor) for ablation in ablations] == [
        (best["run_id"], "rates", 0.5),
        (best["run_id"], "rates", 2.0),
        (best["run_id"], "horizons", 5.0),
    ]
    assert {ablation.run_id for ablation in ablations}.isdisjoint(row["run_id"] for row in rows)
    (other,) = (float(row["loss"]) for row in rows if row["seed"] == "1")
    assert {(ablation.loss_of, ablation.seeds_of) for ablation in ablations} == {(other, 1)}, (
        "not the one it was chosen by"
    )
    assert len(frozen_plan(folder).cells) == 4
    stamps = {path: path.stat().st_mtime_ns for path in folder.path.glob("cells/*/record.json")}
    assert len(stamps) == 7
    capsys.readouterr()
    sweep.run(Invocation(config, yaml, console))
    assert "workers" not in capsys.readouterr().out, "nothing is trained again"
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_new_plan_keeps_replicates_and_says_what_it_drops(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = overrides(tmp_path, text_folder, "grid.budgets=[2e8]", "grid.sizes=2", "followup.seeds=[1]")
    main(["sweep", *toy])
    folder = SweepFolder(tmp_path / "runs" / "small")
    trained = {cell.run_id for cell in frozen_plan(folder).cells}
    assert len(trained) == 3
    capsys.readouterr()
    main(["plan", *toy])
    assert {cell.run_id for cell in frozen_plan(folder).cells} == trained
    assert "no longer in the plan" not in capsys.readouterr().out
    before = {path: path.read_bytes() for path in (folder.plan, folder.config, folder.table)}
    main(["plan", *toy, "grid.budgets=[5e8]"])
    said = " ".join(capsys.readouterr().out.split())
    assert "not written: this plan lacks 3 of the 3 runs and has 2 that are not in" in said
    assert "'isoflop sweep' with the same overrides trains it in its place, name=NAME keeps both" in said
    main(["plan", *toy, "throughput=h100"])
    said = " ".join(capsys.readouterr().out.split())
    assert (
        f"not written: the same runs, with other settings or by another version, are in {folder.plan}" in said
    )
    assert {path: path.read_bytes() for path in before} == before, "runs stand behind it"
    folder.config.write_bytes(before[folder.config][:-1])
    main(["plan", *toy])
    assert folder.config.read_bytes() == before[folder.config], "what is damaged is written anew"
    main(["sweep", *toy, "grid.budgets=[5e8]"])
    said = " ".join(capsys.readouterr().out.split())
    assert "no longer in the plan: 3 finished runs of" in said
    aside = folder.path / "config.yaml.before-1"
    assert aside.read_bytes() == before[folder.config]
    assert f"(its configuration: {aside})" in said
    assert (folder.path / "runs.csv.before-1").read_bytes() == before[folder.table]
    main(["sweep", *toy])
    assert (folder.table.read_bytes(), folder.plan.read_bytes()) == (
        before[folder.table],
        before[folder.plan],
    )
