"""Sweeps, predictions and plans from Python are those of the commands."""

import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase

from harness import (
    FitOptions,
    UserError,
    figures,
    fit_points,
    load_fit,
    load_sweep,
    plan_sweep,
    predict_from,
    read_points,
    write_fit,
)
from harness.cli import main
from harness.compare.arm import load_arm
from harness.config.compose import compose_config
from harness.fit.encoding import encode
from harness.library.configured import overrides_of
from harness.runs.files import SweepFolder
from harness.workflow.design import finished_points

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "results/demo"


def test_a_sweep_is_fitted_as_the_command_fits_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(DEMO, tmp_path / "runs/demo")
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    sweep = load_sweep("runs/demo")
    fit = sweep.fit(FitOptions(draws=30))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before, "nothing is written"
    main(["fit", "experiment=demo", "analysis.draws=30"])
    assert encode(fit) == encode(load_fit("runs/demo"))


def test_the_options_of_a_fit_are_the_sweeps_own(tmp_path: Path) -> None:
    sweep = load_sweep(DEMO)
    shutil.copytree(DEMO, tmp_path / "demo")
    config = tmp_path / "demo/config.yaml"
    text = config.read_text(encoding="utf-8")
    assert text.count("  draws: 1000\n") == 1
    checksum, _, settings = text.partition("\n")
    assert checksum.startswith("# SHA-256")
    config.write_text(settings.replace("  draws: 1000\n", "  draws: 27\n"), encoding="utf-8")
    assert load_sweep(tmp_path / "demo").fit().bootstrap["draws"] == 27
    assert sweep.saved_fit().bootstrap["draws"] == 1000


def test_a_sweep_that_trains_still_is_read(tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path / "demo")
    cells = sorted((tmp_path / "demo/cells").iterdir())
    for cell in cells[1:]:
        (cell / "record.json").unlink()
    sweep = load_sweep(tmp_path / "demo")
    assert (len(sweep.points), len(sweep.plan.cells)) == (1, 21)
    (cells[0] / "record.json").unlink()
    with pytest.raises(UserError, match="none of its 21 runs has ended"):
        _ = load_sweep(tmp_path / "demo").points


def test_what_is_no_sweep_or_a_damaged_one_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"runs\.csv: is a file; load_sweep takes a sweep's folder, and read_points"
    ):
        load_sweep(DEMO / "runs.csv")
    with pytest.raises(UserError, match="no plan there"):
        load_sweep(tmp_path / "none")
    shutil.copytree(DEMO, tmp_path / "demo")
    record = next((tmp_path / "demo/cells").iterdir()) / "record.json"
    record.write_text(record.read_text(encoding="utf-8").replace('"steps": ', '"steps": 1'), encoding="utf-8")
    with pytest.raises(UserError, match="not what was written"):
        load_sweep(tmp_path / "demo")


QUESTIONS: tuple[dict[str, object], ...] = (
    {"budget": 1e12},
    {"budget": 1e12, "inference_tokens": 1e8, "unique_tokens": 1e6},
    {"params": 7e4, "tokens": 1_400_000},
    {"target_loss": 1.7, "approach": "approach_3", "level": 0.5},
    {"gpu_hours": 10, "device": "h100", "gpus": 8, "smaller": [2, 4.0]},
)


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
@pytest.mark.parametrize("source", [str(DEMO), "hoffmann2022"])
def test_an_answer_is_that_of_the_command(
    source: str, question: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", f"fit={source}", *overrides_of(question), "--json"])
    assert encode(predict_from(source, **question)) == json.loads(capsys.readouterr().out)


def test_what_a_sweep_keeps_out_of_its_fit_is_out_of_it_everywhere() -> None:
    """``where`` of its configuration, as ``isoflop fit`` reads it: in the table, a fit made now, figures and pairs."""
    folder = SweepFolder(ROOT / "results/cpu_frontier")
    sweep = load_sweep(folder.path)
    saved, small = sweep.saved_fit(), sum(record.params_total < 12_000 for record in sweep.records.values())
    assert (saved.where, small) == ("params >= 12000", 9)
    assert len(sweep.points) == saved.n_points == len(sweep.records) - small
    assert sweep.points.notes[-1] == "9 of 120 rows kept out by where=params >= 12000"
    assert sweep.fit(FitOptions(draws=0, backtest=False)).n_points == saved.n_points
    assert figures.isoflop(saved, sweep).axes
    arm = load_arm("one", folder, sweep.plan)
    assert len(arm.runs) == saved.n_points
    assert min(run.params for run in arm.runs) > 12_000
    points = finished_points(sweep.records, FitOptions(), saved.where)
    assert points is not None
    assert len(points) == saved.n_points


def test_a_fit_in_memory_follows_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = load_fit(DEMO)
    shutil.copytree(ROOT / "results/cpu_frontier", tmp_path / "fit")
    monkeypatch.chdir(tmp_path)
    run = predict_from(fit, budget=1e19).run
    assert run is None or run["rules_from"] == "predict.yaml"
    assert predict_from("fit", budget=1e13).run["rules_from"] == "sweep cpu_frontier"  # type: ignore[index]


def test_a_fit_in_memory_answers_as_the_saved_one() -> None:
    sweep = load_sweep(DEMO)
    saved, memory = predict_from(sweep, budget=1e12), predict_from(sweep.saved_fit(), budget=1e12)
    assert memory.answers == saved.answers
    assert saved.run is not None
    assert saved.run["rules_from"] == "sweep demo"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: predict_from("hoffmann2022"), "ask something"),
        (lambda: predict_from("hofmann2022", budget=1e21), "did you mean fit=hoffmann2022"),
        (lambda: predict_from("hoffmann2022", budgt=1e21), "budgt"),
        (lambda: predict_from("hoffmann2022", budget=-1), "budget"),
        (lambda: predict_from("hoffmann2022", budget=1e21, points="x.csv"), "leave out points"),
        (lambda: predict_from("hoffmann2022", budget=object()), "a object is no value"),
        (lambda: predict_from(3, budget=1e21), "a int is no fit"),  # type: ignore[arg-type]
        (lambda: fit_points({"params": [1e6]}), "give read_points"),  # type: ignore[arg-type]
        (lambda: fit_points(load_sweep(DEMO)), "a Sweep is no table that was read"),  # type: ignore[arg-type]
        (lambda: plan_sweep("demo", experiment="kaplan"), "leave out experiment="),
        (lambda: plan_sweep("dmo"), "did you mean"),
        (lambda: plan_sweep("demo", grid={"sizs": 5}), "grid.sizs"),
        (lambda: plan_sweep("demo", grid={"budgets": []}), "budgets"),
        (lambda: plan_sweep("demo", run="abc"), "run"),
        (lambda: plan_sweep("demo", model="qwn3"), "qwen3"),
    ],
)
def test_a_mistake_is_one_line(ask: Callable[[], object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        ask()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_is_that_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my texts").mkdir()
    for i in range(40):
        (tmp_path / f"my texts/{i}.txt").write_text(
            f"sentence {i} of a small corpus. " * 1_000, encoding="utf-8"
        )
    options: dict[str, object] = {
        "data": "text",
        "path": "my texts",
        "cache_dir": tmp_path / "cache",
        "grid": {"budgets": [1e10, 2e10], "sizes": 3},
        "data.max_epochs": 100,
    }
    plan = plan_sweep("demo", **options)
    assert not (tmp_path / "runs").exists()
    main(["plan", "experiment=demo", *overrides_of(options)])
    written = json.loads((tmp_path / "runs/demo/plan.json").read_text(encoding="utf-8"))
    assert [cell.run_id for cell in plan.cells] == [cell["run_id"] for cell in written["cells"]]
    assert len(plan.cells) == 6


@pytest.mark.parametrize(
    "text", ["null", "true", "1e5", "a b", "it's", "a,b", "[1]", "a=b", "é", "${x", "\\", '"', "C:\\x"]
)
def test_text_arrives_as_it_was_given(text: str) -> None:
    config, _ = compose_config(overrides_of({"experiment": "demo", "path": text}))
    assert config.path == text


def test_numbers_of_numpy_are_numbers() -> None:
    given = {
        "grid": {"budgets": np.array([1e11, 3e11]), "sizes": np.int64(5)},
        "data.heldout_fraction": np.float32(0.5),
    }
    config, _ = compose_config(overrides_of({"experiment": "demo", **given}))
    assert (config.grid.budgets, config.grid.sizes) == ([1e11, 3e11], 5)
    assert config.data.heldout_fraction == 0.5


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Hydra, of earlier versions
@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3"])
def test_a_program_that_uses_hydra_keeps_its_own(version: str, tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text("defaults: [schema, _self_]\nvalue: 3\n", encoding="utf-8")
    store = ConfigStore.instance()
    store.store(name="schema", node={"value": 0, "other": 1})
    try:
        with initialize_config_dir(str(tmp_path), version_base=version):
            base = VersionBase.instance().getbase()
            predict_from("hoffmann2022", budget=1e21)
            assert VersionBase.instance().getbase() == base
            assert compose("theirs") == {"value": 3, "other": 1}
    finally:
        store.repo.pop("schema.yaml")
    assert not GlobalHydra.instance().is_initialized()


def test_questions_from_several_threads_get_their_own_answers() -> None:
    budgets = [10.0**power for power in range(18, 26)]

    def ask(budget: float) -> float | None:
        answer = predict_from("hoffmann2022", budget=budget, approach="approach_3").answer
        return answer.params if answer else None

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, budgets)) == [ask(budget) for budget in budgets]


def test_a_home_folder_is_written_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(DEMO, tmp_path / "demo")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load_sweep("~/demo").points) == len(read_points("~/demo/runs.csv"))
    write_fit(load_fit("~/demo"), "~/copy")
    assert predict_from("~/copy", budget=1e12).answers == predict_from("~/demo/fit.json", budget=1e12).answers


def test_results_can_be_sent_to_other_processes() -> None:
    sweep = load_sweep(DEMO)
    _ = sweep.points  # kept once it was read
    again, fit = pickle.loads(pickle.dumps((sweep, sweep.saved_fit())))
    assert again.points.loss.tolist() == sweep.points.loss.tolist()
    assert fit.predict(1e12) == sweep.saved_fit().predict(1e12)
