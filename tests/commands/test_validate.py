"""``isoflop validate`` as a user runs it: nothing is trained before the prediction stands, and it cannot be moved."""

import hashlib
import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.commands import validate
from harness.fit import FitOptions, fit_points, read_points, write_fit
from harness.train.job import Job
from tests.train.small import overrides, small_jobs

GRID = ("grid.sizes=6", "grid.span=4", "grid.center_params=12000")
QUESTION = ("validate.budget=1e9", "validate.factors=[0.5,1,2]", "validate.seeds=[0,1]", "name=again")


def fitted(folder: Path, text: Path) -> Path:
    """The tiny experiment with a fit of made-up losses, whose optimum at 5e8 is 10,000 parameters."""
    _, jobs = small_jobs(folder, text, *GRID)
    middle = min(
        (job.cell for job in jobs if job.cell.budget == 5e8), key=lambda c: abs(c.params.total - 1e4)
    )
    n0, d0 = middle.params.total, middle.tokens

    def row(i: int, job: Job) -> str:
        cell, wobble = job.cell, 0.002 * (i * 5 % 7 - 3)
        loss = 1 + (cell.params.total / n0) ** -0.35 + (cell.tokens / d0) ** -0.35 + wobble
        return f"{cell.run_id},{cell.budget},{cell.params.total},{cell.tokens},{cell.flops},{loss}"

    sweep = folder / "runs" / "small"
    rows = ["run_id,budget,params,tokens,flops,loss", *(row(i, job) for i, job in enumerate(jobs))]
    (sweep / "runs.csv").write_text("\n".join(rows) + "\n")
    write_fit(fit_points(read_points(sweep / "runs.csv"), FitOptions(draws=100)), sweep)
    return sweep


def arguments(folder: Path, text: Path, *more: str) -> list[str]:
    asked = [*GRID, f"validate.fit={folder}/runs/small", *QUESTION, *more]
    return ["validate", *overrides(folder, text, "launcher.workers=2", *asked)]


def refused(told: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(told)
    assert left.value.code == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    return printed


def test_compute_is_counted_and_a_base_is_named_as_in_the_runs_of_the_fit(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise N* is predicted at a compute that the candidates do not have, or they are trained at other rates."""
    fitted(tmp_path, text_folder)
    paid = refused(arguments(tmp_path, text_folder, "grid.count_optimizer=true"), capsys)
    assert "counted without the optimizer; set grid.count_optimizer=false" in paid
    other = ("model=granite", "parametrization=completep", "parametrization.base_width=12")
    small_jobs(tmp_path, text_folder, *GRID, *other, "parametrization.base_layers=1")
    moved = refused(
        arguments(
            tmp_path, text_folder, *other, "parametrization.base_layers=1", "parametrization.base_head_dim=12"
        ),
        capsys,
    )
    assert "parametrization.base_head_dim" in moved
    assert not (tmp_path / "runs" / "again" / "prediction.json").exists()


@pytest.mark.slow
def test_predict_train_and_compare_once(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(tmp_path, text_folder)
    told = arguments(tmp_path, text_folder)
    main(told)
    first = capsys.readouterr().out
    folder = tmp_path / "runs" / "again"
    prediction = json.loads((folder / "prediction.json").read_text())
    result = json.loads((folder / "validation.json").read_text())
    runs = {run for one in prediction["candidates"] for run in one["run_ids"].values()}
    assert {path.parent.name for path in folder.glob("cells/*/record.json")} == runs
    assert len(runs) == 6
    registered = (folder / "prediction.json").stat().st_mtime_ns
    assert all(path.stat().st_mtime_ns > registered for path in folder.glob("cells/*/record.json"))
    for one, planned in zip(result["candidates"], prediction["candidates"], strict=True):
        for seed, run_id in planned["run_ids"].items():
            record = json.loads((folder / "cells" / run_id / "record.json").read_text())
            assert record["loss"] == one["losses"][seed]
            assert record["params_total"] == planned["params"]
            assert record["tokens"] == planned["tokens"]
    assert result["verdict"] in " ".join(first.split())
    assert result["prediction_sha256"] in first.replace("\n", "")
    assert "figures/validation.png" in (folder / "validation.md").read_text()
    assert (folder / "figures" / "validation.png").stat().st_size > 10_000

    kept = {p: p.stat().st_mtime_ns for p in folder.rglob("*.json")}
    main(told)
    again = capsys.readouterr().out
    assert "nothing to train" in again
    assert again[again.index("3 sizes") :] == first[first.index("3 sizes") :]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.json")} == kept

    # afterwards the prediction can neither be bettered nor replaced
    path = folder / "prediction.json"
    text = path.read_text()
    path.write_text(text.replace('"winner": ', '"winner":  '))
    assert "altered after it was registered" in refused(told, capsys)
    path.unlink()
    assert "gone, but its hash is there" in refused(told, capsys)
    (folder / "prediction.sha256").unlink()
    assert "no prediction.json from before them" in refused(told, capsys)
    path.write_text(text)
    assert "nothing shows that prediction.json is older" in refused(told, capsys)
    assert {p: p.stat().st_mtime_ns for p in kept if p != path} == {
        p: t for p, t in kept.items() if p != path
    }


def test_the_prediction_stands_before_anything_is_trained(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = fitted(tmp_path, text_folder)
    folder = tmp_path / "runs" / "again"

    class ReachedError(Exception):
        pass

    def instead(*_: object) -> None:
        digest = hashlib.sha256((folder / "prediction.json").read_bytes()).hexdigest()
        assert (folder / "prediction.sha256").read_text() == f"{digest}  prediction.json\n"
        raise ReachedError

    monkeypatch.setattr(validate, "train_missing", instead)
    told = arguments(tmp_path, text_folder)
    with pytest.raises(ReachedError):
        main(told)
    text = (folder / "prediction.json").read_text()
    main([*told, "validate.train=false"])
    assert (folder / "prediction.json").read_text() == text, (
        "registering alone trains nothing and changes nothing"
    )
    prediction = json.loads(text)
    assert prediction["winner"] == 1.0
    assert prediction["losses_by"] == "approach_3"
    # sizes about the N* of approach 2, for approach 3 is unidentified in so few runs
    assert [one["shape"] for one in prediction["candidates"]] == ["8x2", "16x2", "28x2"]
    assert all(
        one["loss_interval"][0] < one["loss"] < one["loss_interval"][1] for one in prediction["candidates"]
    )
    assert all(one["run_interval"][0] < one["loss_interval"][0] for one in prediction["candidates"])

    # a second call stands by the first, to the byte; one killed between file and hash goes on
    (folder / "prediction.sha256").unlink()
    with pytest.raises(ReachedError):
        main(told)
    assert (folder / "prediction.json").read_text() == text

    # altered, with the hash made to fit
    bettered = text.replace('"level": 0.9', '"level": 0.95')
    assert bettered != text
    (folder / "prediction.json").write_text(bettered)
    assert "altered after it was registered" in refused(told, capsys)
    digest = hashlib.sha256(bettered.encode()).hexdigest()
    (folder / "prediction.sha256").write_text(f"{digest}  prediction.json\n")
    assert "level was registered as 0.95 and would now be 0.9" in refused(told, capsys)

    # the fit moved after the prediction
    (folder / "prediction.json").write_text(text)
    (folder / "prediction.sha256").write_text(
        f"{hashlib.sha256(text.encode()).hexdigest()}  prediction.json\n"
    )
    with pytest.raises(ReachedError):
        main(told)
    write_fit(fit_points(read_points(sweep / "runs.csv"), FitOptions(draws=100, seed=1)), sweep)
    assert "fit.sha256 was registered as" in refused(told, capsys)
    (folder / "prediction.json").write_text("{}")
    (folder / "prediction.sha256").write_text(f"{hashlib.sha256(b'{}').hexdigest()}  prediction.json\n")
    assert "prediction.json: not what was written" in refused(told, capsys)
    assert not list(folder.glob("cells/*"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["validate.fit=''"], "validate: name a finished sweep"),
        (["validate.fit=nowhere"], "nowhere/fit.json: no such file"),
        (["validate.budget=5e8"], "is not above the fit's largest"),
        (["validate.factors=[1,1.01]"], "ladder: 1 and 1.01 times N* = 1."),
        (["validate.factors=[1,1e4]"], "ladder: no shape near"),
        (["recipe.lr.value=0.02"], "trained otherwise: recipe.lr.value is 0.01069 there and 0.02 here"),
        (["schedule=wsd"], "trained otherwise: schedule.kind is cosine there and wsd here"),
        (["data.heldout_fraction=0.2"], "trained on another corpus"),
        (["grid.count=6nd"], "the fit counts compute as appendix_f"),
        (["validate.approach=approach_1"], "has no frontier to predict from"),
        (["data.max_epochs=0.001"], "is too small"),
    ],
)
def test_a_users_mistake_is_one_line_before_anything_is_written(
    more: list[str], message: str, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fitted(tmp_path, text_folder)
    assert message in refused(arguments(tmp_path, text_folder, *more), capsys)
    assert not (tmp_path / "runs" / "again").exists()
