"""A validation with tasks, end to end: accuracies are registered before training, then scored and judged."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import main
from harness.evaluate.prepared import TaskSource
from harness.evaluate.sources import prepare_tasks
from harness.fit import fit_points, read_points, write_fit
from harness.runs.tasks import TaskScore
from harness.workflow.experiment import prepare_corpus
from harness.workflow.rules import sweep_folder
from harness.workflow.task_fits import fit_tasks
from tests.train.small import overrides, small_jobs

pytestmark = pytest.mark.slow

QUICK = ("evaluate.items=50", "analysis.draws=40", "analysis.backtest=false")
SWEEP = (
    "seq_len=128",
    "data.heldout_fraction=0.4",
    "grid.sizes=6",
    "grid.span=4",
    "grid.center_params=12000",
)


def typed(folder: Path, text: Path, *more: str) -> list[str]:
    return overrides(folder, text, *SWEEP, "launcher.workers=1", *more)


def made_up(params: float, tokens: float, source: TaskSource) -> TaskScore:
    """A score by laws that are known: such small models answer nothing."""
    loss = 1 + 30 / params**0.4 + 100 / tokens**0.4
    accuracy = source_chance(source) + 0.5 / (1 + math.exp((loss - 3.5) / 0.5))
    return TaskScore(
        *(accuracy, 0.02, accuracy, 0.02, loss, 0.05),
        *(50, 20, source_chance(source), 0, 0, accuracy, loss, source.digest, "0"),
    )


def source_chance(source: TaskSource) -> float:
    return 1 / 3 if source.name == "bracket" else 0.25


@dataclass
class Scored:
    """What a record is to a fit of tasks."""

    tasks: dict[str, TaskScore]


@pytest.fixture
def fitted(tmp_path: Path, text_folder: Path) -> Path:
    """A planned sweep, whose losses and scores are made up, and its fits."""
    config, jobs = small_jobs(tmp_path, text_folder, *SWEEP, *QUICK)
    sweep, console = sweep_folder(config), Console(quiet=True)
    corpus = prepare_corpus(config, console)
    silent = lambda text: None  # noqa: E731
    sources = prepare_tasks([], config.evaluate, corpus, config.seq_len, sweep.tasks, silent, silent)
    found = {}
    names = [f"bits_per_byte_{source.name}" for source in sources]
    rows = [",".join(("run_id", "budget", "params", "tokens", "flops", "loss", *names))]
    for i, cell in enumerate(job.cell for job in jobs):
        n, d = cell.params.total, cell.tokens
        scores = {source.name: made_up(n, d, source) for source in sources}
        found[cell.run_id] = Scored(scores)
        loss = 1 + (n / 1.2e4) ** -0.35 + (d / 7e3) ** -0.35 + 0.002 * (i * 5 % 7 - 3)
        values = [loss, *(one.bits_per_byte for one in scores.values())]
        rows.append(",".join(map(str, (cell.run_id, cell.budget, n, d, cell.flops, *values))))
    sweep.table.write_text("\n".join(rows) + "\n")
    fit_tasks(config, sweep, sources, found, console)  # type: ignore[arg-type]
    write_fit(fit_points(read_points(sweep.table), config.analysis), sweep.path)
    return tmp_path


def test_accuracies_are_registered_scored_and_judged(
    fitted: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = (
        f"validate.fit={fitted}/runs/small",
        "validate.budget=1e9",
        "validate.factors=[1,2]",
        "validate.seeds=[0,1]",
        "validate.approach=approach_3",
        "name=again",
    )
    told = ["validate", *typed(fitted, text_folder, *asked)]
    main([*told, "validate.train=false"])
    folder = fitted / "runs" / "again"
    registered = (folder / "prediction.json").read_text()
    tasks = json.loads(registered)["tasks"]
    assert {one["task"] for one in tasks} >= {"word", "next_line"}
    assert all(len(one["candidates"]) == 2 for one in tasks)
    assert not list(folder.glob("cells/*/record.json"))
    capsys.readouterr()
    main(told)
    said = capsys.readouterr().out
    assert (folder / "prediction.json").read_text() == registered
    result = json.loads((folder / "validation.json").read_text())
    scored = {path.parent.name: json.loads(path.read_text()) for path in folder.glob("cells/*/tasks.json")}
    assert len(scored) == 4
    ids = {one["factor"]: one["run_ids"] for one in json.loads(registered)["candidates"]}
    for task in result["tasks"]:
        for one in task["candidates"]:
            for seed, value in one["accuracies"].items():
                assert scored[ids[one["factor"]][seed]]["tasks"][task["task"]]["accuracy"] == value
    assert "On tasks the predicted optimum scored higher" in said
    assert "Accuracy on tasks, predicted and measured" in (folder / "validation.md").read_text()
    # the same again changes nothing, and without tasks there are none
    main(told)
    assert json.loads((folder / "validation.json").read_text()) == result
    main([*(one for one in told if one != "name=again"), "name=plain", "validate.tasks=false"])
    plain = fitted / "runs" / "plain"
    assert "tasks" not in json.loads((plain / "prediction.json").read_text())
    assert not list(plain.glob("cells/*/model"))
