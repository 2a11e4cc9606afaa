"""``isoflop evaluate`` from a trained sweep to the table, the laws, the page and a prediction."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from harness.cli import main
from harness.config.compose import compose_config
from harness.errors import UserError
from harness.evaluate import scoring
from harness.evaluate.job import EvaluateJob
from harness.runs.frozen import frozen_plan
from harness.runs.record import Record, parse_record
from harness.runs.table import records
from harness.runs.tasks import read_tasks
from harness.tracking.files import summary_values
from harness.train.job import Job, PreemptedError, Watch
from harness.workflow.evaluate import evaluate_runs
from harness.workflow.rules import sweep_folder
from tests.train.small import overrides

SETTINGS = (
    "seq_len=128",
    "data.heldout_fraction=0.4",
    "train.export=all",
    "grid.budgets=[2e8,4e8]",
    "grid.sizes=3",
    "launcher.workers=1",
)


@pytest.fixture(scope="module")
def trained(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny sweep, trained, whose models are kept."""
    folder = tmp_path_factory.mktemp("trained")
    main(["sweep", *overrides(folder, text_folder, *SETTINGS)])
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(trained, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def typed(folder: Path, text: Path, *more: str) -> list[str]:
    return overrides(folder, text, *SETTINGS, *more)


def scored(folder: Path, text: Path, *more: str) -> list[str]:
    return ["evaluate", *typed(folder, text, "evaluate.items=50", *more)]


def scores_of(folder: Path) -> dict[str, dict[str, object]]:
    cells = folder / "runs" / "small" / "cells"
    return {path.parent.name: json.loads(path.read_text()) for path in cells.glob("*/tasks.json")}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """How many questions were scored, call by call, in this process."""
    calls: list[tuple[str, int]] = []
    score = scoring.score

    def counting(scorer: object, asked: list[object], *more: object) -> object:
        calls.append((type(scorer).__name__, len(asked)))
        return score(scorer, asked, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "score", counting)
    return calls


def jobs_of(folder: Path, text: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> list[EvaluateJob]:
    """The jobs of an evaluation, none of which was executed."""
    from harness.workflow import evaluate

    class Idle:
        def train(self, work: object) -> object:
            from harness.launch.launcher import Outcome

            return Outcome.QUEUED

    monkeypatch.setattr(evaluate, "launcher_of", lambda config: Idle())
    from rich.console import Console

    from harness.launch.launcher import Continuation

    config, yaml = compose_config(typed(folder, text, "evaluate.items=50", *more))
    sweep = sweep_folder(config)
    asked, _ = evaluate_runs(
        config, frozen_plan(sweep), sweep, Continuation("evaluate", yaml), Console(quiet=True)
    )
    return list(asked.jobs)


def test_all_of_it(folder: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(scored(folder, text_folder))
    said = capsys.readouterr()
    assert "overlap with the training text" in said.out
    assert "Accuracy of the run with the lowest loss at each budget" in said.out
    assert "%|" not in said.err  # no bars of the libraries
    sweep = folder / "runs" / "small"
    before = scores_of(folder)
    assert len(before) == 6
    with (sweep / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        tasks = before[row["run_id"]]["tasks"]
        assert isinstance(tasks, dict)
        for name, score in tasks.items():
            assert float(row[f"accuracy_{name}"]) == score["accuracy"]
            assert float(row[f"bits_per_byte_{name}_se"]) == score["bits_per_byte_se"]
    for name in tasks:
        assert (sweep / "tasks" / name / "fit.json").exists()
        assert (sweep / "tasks" / name / "accuracy.json").exists()

    # nothing is scored again, and what follows has the scores
    main(scored(folder, text_folder))
    assert "all 6 runs with a model are scored" in capsys.readouterr().out
    assert scores_of(folder) == before
    main(["fit", *typed(folder, text_folder, "analysis.draws=20", "analysis.backtest=false")])
    main(["report", *typed(folder, text_folder)])
    page = (sweep / "report.html").read_text()
    assert "Accuracy of the run with the lowest loss at each budget" in page
    assert "From loss to tasks" in page


def test_it_goes_on_task_by_task(
    folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch, counted: list[tuple[str, int]]
) -> None:
    job = jobs_of(folder, text_folder, monkeypatch)[0]
    assert len(job.missing()) == len(job.tasks) >= 3
    stop: list[int] = []

    def report(step: object) -> None:
        stop.append(1)

    with pytest.raises(PreemptedError):
        job.execute(Watch(report=report, should_stop=lambda: len(stop) == 2))
    first = read_tasks(job.folder.tasks, job.cell.run_id)
    assert len(first) == 2
    assert job.end() is None
    end = job.execute(Watch())
    assert end.status == "finished"
    assert len(counted) == len(job.tasks)  # the first two were not scored again
    after = read_tasks(job.folder.tasks, job.cell.run_id)
    assert {name: after[name] for name in first} == first
    assert job.end() is not None
    # a damaged file is scored again, whole
    job.folder.tasks.write_text(job.folder.tasks.read_text().replace("0.", "1.", 1))
    assert len(job.missing()) == len(job.tasks)
    job.execute(Watch())
    assert read_tasks(job.folder.tasks, job.cell.run_id) == after


def test_a_job_is_plain_data(folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobs_of(folder, text_folder, monkeypatch)[0]
    again = Job.from_json(json.loads(json.dumps(job.to_json())))
    assert isinstance(again, EvaluateJob)
    assert again == job
    assert again.kind == "evaluate"


def test_questions_that_changed_are_not_scored_as_the_old_ones(
    folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another evaluation, with another limit, has prepared its own before this job came to be scored."""
    job = jobs_of(folder, text_folder, monkeypatch)[0]
    assert (
        jobs_of(folder, text_folder, monkeypatch, "evaluate.limit=7")[0].tasks[0].digest
        != job.tasks[0].digest
    )
    with pytest.raises(UserError, match="its questions are others"):
        job.execute(Watch())
    assert read_tasks(job.folder.tasks, job.cell.run_id) == {}


def test_what_scores_needs_neither_the_tasks_nor_their_files(
    folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compute node may reach no hub."""
    job = jobs_of(folder, text_folder, monkeypatch)[0]
    for task in job.tasks:
        for path in (Path(task.spec), Path(task.spec).with_suffix(".jsonl")):
            path.unlink()
    monkeypatch.setattr("harness.evaluate.library._load", None)
    assert job.execute(Watch()).status == "finished"
    assert not job.missing()


def test_models_that_are_gone_are_one_line(
    folder: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = sorted((folder / "runs" / "small" / "cells").iterdir())
    shutil.rmtree(cells[0] / "model")
    main(scored(folder, text_folder, "evaluate.limit=10"))
    said = capsys.readouterr().out
    assert f"1 finished run has no model any more: {cells[0].name}; train.export=all keeps them" in said
    assert len(scores_of(folder)) == 5
    for cell in cells:
        shutil.rmtree(cell / "model", ignore_errors=True)
    with pytest.raises(SystemExit):
        main(scored(folder, text_folder))
    error = capsys.readouterr().err
    assert "none of the 6 finished runs" in error
    assert error.count("\n") == 1


def test_a_damaged_model_fails_alone(
    folder: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = sorted((folder / "runs" / "small" / "cells").iterdir())
    weights = cells[0] / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:300])
    with pytest.raises(SystemExit):
        main(scored(folder, text_folder, "evaluate.limit=10"))
    error = capsys.readouterr().err
    assert "1 of 6 cells failed" in error
    assert cells[0].name in error
    assert "UserError" not in error
    assert len(scores_of(folder)) == 5
    # the others are fitted all the same
    assert (folder / "runs" / "small" / "tasks" / "word" / "accuracy.json").exists()


def test_scores_on_other_questions_are_never_side_by_side(
    folder: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(scored(folder, text_folder, "evaluate.limit=10"))
    cells = sorted((folder / "runs" / "small" / "cells").iterdir())
    shutil.rmtree(cells[0] / "model")
    capsys.readouterr()
    main(scored(folder, text_folder, "evaluate.limit=20"))
    assert "1 finished run without scores on these questions" in capsys.readouterr().out
    questions = {run: one["tasks"]["word"]["questions"] for run, one in scores_of(folder).items()}  # type: ignore[index]
    assert questions[cells[0].name] == 10
    assert sorted(questions.values()) == [10, 20, 20, 20, 20, 20]
    with (folder / "runs" / "small" / "runs.csv").open() as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    assert [run for run, row in rows.items() if row["accuracy_word"] == ""] == [cells[0].name]
    stored = json.loads((folder / "runs" / "small" / "tasks" / "word" / "accuracy.json").read_text())
    assert stored["fit"]["runs"] == 5


def test_another_corpus_is_refused(
    folder: Path, text_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for i in range(40):
        (other / f"{i}.txt").write_text("".join(f"Another text, number {i} and {k}.\n" for k in range(200)))
    with pytest.raises(SystemExit):
        main([*scored(folder, text_folder), f"data.path={other}"])
    assert "was trained on another corpus" in capsys.readouterr().err


def test_a_tracker_gets_the_scores_with_the_record(folder: Path, text_folder: Path) -> None:
    main(scored(folder, text_folder, "evaluate.limit=10"))
    config, _ = compose_config(typed(folder, text_folder))
    sweep = sweep_folder(config)
    for run_id, record in records(sweep, frozen_plan(sweep)).items():
        assert record.tasks
        sent = summary_values(record)
        assert sent["tasks"]["word"]["accuracy"] == record.tasks["word"].accuracy
        assert parse_record(sent["record"], run_id) == record
        alone = Record.from_json({k: v for k, v in record.to_json().items() if k != "tasks"})
        assert "tasks" not in alone.to_json()


def test_a_model_of_another_run_is_refused(
    folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = jobs_of(folder, text_folder, monkeypatch)
    sizes = {job.cell.params.total: job for job in jobs}
    small, large = sizes[min(sizes)], sizes[max(sizes)]
    shutil.rmtree(small.folder.model)
    shutil.copytree(large.folder.model, small.folder.model)
    with pytest.raises(UserError, match="it is another's"):
        small.execute(Watch())
    assert not small.folder.tasks.exists()


def test_a_run_that_is_trained_again_has_no_scores_of_the_model_before(
    folder: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs_of(folder, text_folder, monkeypatch)[0]
    job.execute(Watch())
    job.folder.record.write_text("{}")
    main(["sweep", *typed(folder, text_folder)])
    assert job.folder.record.read_text() != "{}"
    assert not job.folder.tasks.exists()
