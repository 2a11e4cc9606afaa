"""Training curves of anyone's runs, joined to their table."""

import gzip
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import load_sweep, read_curves
from harness.errors import UserError
from harness.fit import (
    Approach1,
    Curve,
    Curves,
    FitOptions,
    Points,
    fit_points,
    load_fit,
    read_points,
    write_fit,
)
from harness.fit.approach_1 import fit_approach_1
from tests.fit.synthetic import curves, optimum, sweep

OPTIONS = FitOptions(draws=40, backtest=False)
POINTS = sweep(budgets=np.geomspace(1e18, 1e21, 7), sizes=15)


def long(along: dict[str, Curve]) -> pd.DataFrame:
    """Curves as one table."""
    parts = [
        pd.DataFrame({"run": run, "step": one.step, "tokens": one.tokens, "train_loss": one.train_loss})
        for run, one in along.items()
    ]
    return pd.concat(parts, ignore_index=True)


def approach_1(points: Points, along: Any) -> Approach1:
    return fit_approach_1(points, OPTIONS, along)


def assert_same(one: Approach1, other: Approach1) -> None:
    assert one.envelope is not None
    assert other.envelope is not None
    np.testing.assert_allclose(one.envelope, other.envelope, rtol=1e-9)
    np.testing.assert_allclose([one.a, one.b], [other.a, other.b], rtol=1e-9)
    assert one.a_interval == pytest.approx(other.a_interval, rel=1e-9)
    assert one.flags == other.flags


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's curves as a long CSV."""
    path = tmp_path_factory.mktemp("curves") / "curves.csv"
    long(dict(load_sweep("results/demo").curves)).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame,
        lambda frame: frame.drop(columns="tokens"),  # runs.csv has steps and batch_tokens
        lambda frame: frame.drop(columns="step"),
        lambda frame: frame.rename(columns={"run": "Run Name", "step": "trainer/global_step"}),
        lambda frame: frame.sample(frac=1, random_state=0),
    ],
    ids=["whole", "steps", "tokens", "other names", "shuffled"],
)
def test_an_exported_sweep_has_the_approach_1_of_the_sweep(
    demo: Path, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    own = load_sweep("results/demo")
    change(pd.read_csv(demo, dtype={"run": str})).to_csv(tmp_path / "c.csv", index=False)
    table = read_points("results/demo/runs.csv")
    assert_same(approach_1(table, read_curves(tmp_path / "c.csv", table)), approach_1(own.points, own.curves))


@pytest.mark.parametrize("folder", ["results/demo", "results/demo/cells"])
def test_a_folder_with_a_curve_for_each_run_is_read(folder: str) -> None:
    own = load_sweep("results/demo")
    found = read_curves(folder, own.points)
    assert found.keys() == own.curves.keys()
    assert_same(approach_1(own.points, found), approach_1(own.points, own.curves))


def test_exact_curves_of_a_known_law_give_its_frontier() -> None:
    fit = approach_1(POINTS, read_curves(long(curves(POINTS)), POINTS))
    assert fit.a == pytest.approx(0.28 / 0.62, abs=0.02)
    assert fit.predict(1e22).params == pytest.approx(optimum(1e22)[0], rel=0.1)


def test_every_format_gives_the_same(tmp_path: Path) -> None:
    frame = long(curves(POINTS, logged=30))
    ends = frame.run.map(dict(zip(POINTS.run_id, POINTS.tokens, strict=True)))
    frame["step"] = (1e4 * frame.tokens / ends).round(9)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True, double_precision=15)
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    (tmp_path / "runs").mkdir()
    for run, part in frame.groupby("run"):
        part.drop(columns="run").to_csv(tmp_path / "runs" / f"{run}.csv", index=False)
    (tmp_path / "runs" / "notes.txt").write_text("no table")
    (tmp_path / "tensorboard").mkdir()
    for run, part in frame.groupby("run"):
        renamed = part.rename(columns={"step": "Step", "train_loss": "Value"}).drop(columns=["run", "tokens"])
        renamed.insert(0, "Wall time", 1.7e9)
        renamed.to_csv(tmp_path / "tensorboard" / f"run-{run}-tag-train_loss.csv", index=False)
    wide = frame.pivot_table(index="step", columns="run", values="train_loss")
    wide.columns = [f"{run} - train/loss" for run in wide.columns]
    wide.insert(0, wide.columns[0] + "__MIN", 0.0)
    wide.reset_index().rename(columns={"step": "Step"}).to_csv(tmp_path / "wandb.csv", index=False)
    points = replace(POINTS, extra={"steps": np.full(len(POINTS), 1e4)})
    expected = approach_1(points, read_curves(frame, points))
    for name in ("a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "runs", "tensorboard", "wandb.csv"):
        found = read_curves(tmp_path / name, points)
        assert len(found) == len(points), name
        np.testing.assert_allclose(
            approach_1(points, found).envelope, expected.envelope, rtol=1e-7, err_msg=name
        )


def some() -> tuple[Points, pd.DataFrame]:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=5)
    return points, long(curves(points, logged=30))


def notes_of(frame: pd.DataFrame, points: Points) -> str:
    return "\n".join(read_curves(frame, points).notes)


def test_whatever_is_left_out_is_said() -> None:
    points, frame = some()
    assert read_curves(frame, points).notes == ("curves: training losses of 15 of 15 runs of the table",)
    missing = frame[~frame.run.isin(["run-3", "run-4"])]
    assert "13 of 15 runs of the table; without run-3, run-4" in notes_of(missing, points)
    stranger = pd.concat([frame, frame[frame.run == "run-1"].assign(run="other")])
    assert "left out 1 run that the table has not: other" in notes_of(stranger, points)
    nameless = frame.assign(run=frame.run.where(frame.run != "run-2", None))
    assert "left out 30 rows of no named run" in notes_of(nameless, points)
    early = frame[(frame.run != "run-2") | (frame.step < 5000)]
    assert "curves of 1 run (run-2) end early, at 45.2%" in notes_of(early, points)
    turned = notes_of(frame[::-1], points)
    assert "rows of 15 runs (run-0, run-1, run-2 and 12 more) were not in order" in turned
    for bad in (np.nan, 0.0, -1.0, np.inf):
        damaged = frame.copy()
        damaged.loc[[5, 40], "train_loss"] = bad
        assert "left out 2 rows without a loss" in notes_of(damaged, points)
    short = frame[(frame.run != "run-2") | (frame.step == 10000)]
    assert "left out the curves of 1 run (run-2): fewer than two rows" in notes_of(short, points)
    negative = frame.assign(tokens=frame.tokens.where(frame.index != 3, -5.0))
    assert "left out 1 row without a step or tokens, or with negative ones" in notes_of(negative, points)
    excluded = points.without(np.arange(15) == 3, "diverged")
    assert "left out 1 run that the fit leaves out: run-3" in notes_of(frame, excluded)


def test_of_repeated_steps_the_last_row_counts() -> None:
    points, frame = some()
    again = frame[(frame.run == "run-1") & (frame.step < 2000)]
    found = read_curves(pd.concat([again.assign(train_loss=99.0), frame]), points)
    assert f"{len(again)} rows of 1 run (run-1) repeated: the last one of a step is kept" in "\n".join(
        found.notes
    )
    assert_same(approach_1(points, found), approach_1(points, read_curves(frame, points)))


def test_tokens_that_cannot_be_the_tables_are_not_used() -> None:
    points, frame = some()
    longer = frame.assign(tokens=frame.tokens.where(frame.run != "run-1", 8 * frame.tokens))
    assert "(run-1): they go on to 800% of their runs' tokens" in notes_of(longer, points)
    with pytest.raises(UserError, match=r"none of them can be used.*800%"):
        read_curves(frame.assign(tokens=8 * frame.tokens), points)
    with pytest.raises(UserError, match=r"every one ends at 12\.5%"):
        read_curves(frame.assign(tokens=frame.tokens / 8), points)
    anew = frame.assign(tokens=frame.tokens.where((frame.run != "run-1") | (frame.step < 5000), 10.0))
    assert "(run-1): tokens fall while steps rise" in notes_of(anew, points)


def test_a_count_that_is_not_of_tokens_seen_is_not_used() -> None:
    points, frame = some()
    ends = frame.run.map(dict(zip(points.run_id, points.tokens, strict=True)))
    with pytest.raises(UserError, match="tokens do not rise"):
        read_curves(frame.assign(tokens=ends), points)  # the run's own, in every row
    with pytest.raises(UserError, match="tokens do not rise"):
        read_curves(frame.assign(tokens=2.0**19), points)  # those of a batch
    growing = frame.assign(tokens=frame.tokens.where(frame.run != "run-1", frame.step))
    assert "(run-1): they end at 0.00" in notes_of(growing, points)
    billions = frame.assign(tokens=frame.tokens / 1e9)
    with pytest.raises(UserError, match="every one ends at"):
        read_curves(billions, points)
    found = read_curves(billions.rename(columns={"tokens": "Tokens (B)"}), points)
    np.testing.assert_allclose(found["run-1"].tokens, read_curves(frame, points)["run-1"].tokens)


def test_values_of_several_metrics_are_no_curve() -> None:
    points, frame = some()
    values = frame.rename(columns={"train_loss": "value"})
    assert len(read_curves(values.assign(metric="train/loss"), points)) == 15
    for metric in (["train/loss", "grad_norm"] * (len(frame) // 2), "lr"):
        with pytest.raises(UserError, match="keep the rows of the training loss"):
            read_curves(values.assign(metric=metric), points)


def test_two_runs_of_one_name_in_an_export_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("Step,run-0 - loss,run-0 - loss\n1,3,4\n2,2,3\n")
    with pytest.raises(UserError, match="two columns are of run run-0"):
        read_curves(tmp_path / "w.csv", POINTS)


def test_losses_of_another_unit_are_said() -> None:
    points, frame = some()
    bits = frame.assign(train_loss=frame.train_loss / np.log(2))
    assert "losses of the curves are 1.4 times" in notes_of(bits, points)


def test_steps_alone_need_a_batch_that_is_known() -> None:
    points, frame = some()
    steps = frame.drop(columns="tokens")
    with pytest.raises(UserError, match="steps alone do not say") as caught:
        read_curves(steps, points)  # as many steps in every run: batches that differ
    assert "\n" not in str(caught.value)
    told = replace(points, extra={"max_steps": np.full(15, 1.0), "steps": np.full(15, 10_000.0)})
    exact = read_curves(frame, points)
    for run, curve in read_curves(steps, told).items():
        np.testing.assert_allclose(curve.tokens, exact[run].tokens, rtol=0.01)
        np.testing.assert_allclose(curve.flops, exact[run].flops, rtol=0.01)


def test_curves_that_end_at_one_batch_give_it() -> None:
    points, frame = some()
    batch = 2.0**15
    frame["step"] = np.round(frame.tokens / batch)
    steps = frame.drop(columns="tokens")
    found = read_curves(steps, points)
    assert any("tokens a step" in note for note in found.notes)
    np.testing.assert_allclose(found["run-3"].tokens[-1], points.tokens[3], rtol=0.01)
    # one that stops early is no evidence of a smaller batch
    with pytest.raises(UserError, match="steps alone"):
        read_curves(steps[(steps.run != "run-3") | (frame.tokens < 0.8 * points.tokens[3])], points)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"step": [1, 2], "loss": [3, 2]}, "no column names the runs"),
        ({"run": ["run-0"], "step": [1]}, "has no column train_loss"),
        ({"run": ["run-0"], "loss": [1]}, "has no column step or tokens"),
        (
            {"run": ["x", "y"], "tokens": [1, 2], "loss": [3, 2]},
            "no run of theirs is in the table: they are of x, y",
        ),
        ({"run": ["run-0"], "tokens": [1], "loss": ["abc"]}, "'abc' is not a number"),
        (
            {"run": ["run-0"], "tokens": [1], "loss": [2.0]},
            "none of them can be used: left out the curves of 1 run",
        ),
        ({"run": ["run-0"], "tokens": [1], "perplexity_loss": [2.0]}, "has no column train_loss"),
        ([1, 2], "a list has no curves"),
        ("nowhere.csv", "no such file"),
    ],
)
def test_what_is_no_curve_is_one_line(frame: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read_curves(frame, POINTS)
    assert "\n" not in str(caught.value)


def test_a_table_that_names_no_runs_is_refused() -> None:
    points = read_points({"N": [1e6, 2e6], "D": [4e7, 2e7], "loss": [3.1, 3.0]})
    with pytest.raises(UserError, match=r"columns\.run"):
        read_curves({"run": ["row 1"], "tokens": [1e6], "loss": [3.0]}, points)


def test_two_files_of_one_run_are_refused(tmp_path: Path) -> None:
    for name in ("run-0.csv", "run-0.json"):
        (tmp_path / name).write_text("step,loss\n1,2\n")
    with pytest.raises(UserError, match="two files are of run run-0"):
        read_curves(tmp_path, POINTS)


def test_the_fit_keeps_what_was_said_of_its_curves(tmp_path: Path) -> None:
    points, frame = some()
    found = read_curves(frame[frame.run != "run-3"], points)
    write_fit(fit_points(points, OPTIONS, found), tmp_path)
    assert set(found.notes) <= set(load_fit(tmp_path).notes)
    other = replace(points, extra={"smoothed": points.loss})
    fit = fit_points(other, replace(OPTIONS, loss="smoothed"), found)
    assert fit.approach_1.status == "no_curves"
    assert any("columns.loss" in note for note in fit.notes)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_dirty_rows_give_curves_or_one_line(data: st.DataObject) -> None:
    points, frame = some()
    numbers = st.one_of(
        st.floats(),
        st.integers(-(10**30), 10**30),
        st.sampled_from([None, "", "nan", "1e3", "x", True, [1], "1,5"]),
    )
    frame = frame.sample(frac=1, random_state=data.draw(st.integers(0, 9))).astype(object)
    for _ in range(data.draw(st.integers(1, 12))):
        row, column = data.draw(st.integers(0, len(frame) - 1)), data.draw(st.integers(0, 3))
        value = data.draw(st.text(max_size=5) if column == 0 else numbers)
        frame.iat[row, column] = value
    dropped = data.draw(st.sampled_from([[], ["step"], ["tokens"]]))
    try:
        found = read_curves(frame.drop(columns=dropped), points)
    except UserError as error:
        said = str(error)
        assert "\n" not in said
        return
    assert isinstance(found, Curves)
    for run, curve in found.items():
        place = points.run_id.index(run)
        assert len(curve.tokens) >= 2
        assert np.isfinite(curve.tokens).all()
        assert (np.diff(curve.tokens) >= 0).all()
        assert (curve.train_loss > 0).all()
        assert curve.tokens[-1] <= 1.05 * points.tokens[place] * (1 + 1e-9)
        np.testing.assert_allclose(curve.flops, 6 * points.params[place] * curve.tokens, rtol=1e-9)
    fit_points(points, replace(OPTIONS, draws=0), found)


def test_a_million_rows_take_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    runs, logged = 200, 5000
    names = tuple(map(str, range(runs)))
    tokens = np.arange(1, logged + 1) * 2.0**19
    params = rng.uniform(1e8, 1e9, runs)
    ends = np.full(runs, tokens[-1])
    points = Points(params, ends, 6 * params * ends, rng.uniform(2, 3, runs), names)
    frame = pd.DataFrame(
        {
            "run": np.repeat(np.arange(runs), logged),
            "tokens": np.tile(tokens, runs),
            "train_loss": rng.uniform(2, 4, runs * logged),
        }
    )
    began = time.process_time()
    found = read_curves(frame, points)
    assert time.process_time() - began < 5
    assert len(found) == runs
