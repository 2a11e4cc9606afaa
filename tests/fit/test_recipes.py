"""Hyperparameters within one (N, D): which columns they are, the best recipe of each, and the surface's minimum."""

import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.errors import UserError
from harness.fit import FitOptions, Points, fit_points, load_fit, read_points, read_published, write_fit
from harness.fit.best_cells import Recipes, most_optimism, optimism_of
from harness.fit.options import CELLS
from harness.fit.reader import VARIABLE
from harness.fit.recipes import choose_cells, fitted_cells
from harness.fit.varied import recipe_cells, varied_columns
from scripts.cells_study import DESIGNS, RULES, Response, errors, rule_at
from tests.fit.synthetic import sweep

RESULTS = sorted(Path(__file__).resolve().parents[2].glob("results/*/runs.csv"))
FAST = {"draws": 0, "backtest": False}
TUNED = {
    "demo-tune": ["lr", "embedding_lr"],
    "cpu_frontier-tune": ["lr", "embedding_lr"],
    "demo-muon-tune": ["muon_lr"],
}


def names(points: Points) -> list[str]:
    return [column.name for column in varied_columns(points).recipes]


def with_column(points: Points, name: str, values: Sequence[float] | NDArray[np.generic]) -> Points:
    return replace(points, extra={**points.extra, name: np.asarray(values, dtype=float)})


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_only_tunings_of_this_project_mix_recipes(path: Path) -> None:
    points = read_points(path)
    tuned = TUNED.get(path.parent.name, ["lr"])
    assert names(points) == (tuned if path.parent.name.endswith("-tune") else [])
    flags = choose_cells(points, FitOptions()).flags
    assert [flag.code for flag in flags] == ["mixed_recipes"] * path.parent.name.endswith("-tune")


def test_the_published_points_mix_none() -> None:
    if not os.environ.get(VARIABLE):
        pytest.skip(f"needs {VARIABLE}")
    assert choose_cells(read_published(), FitOptions()).cells is None


def test_what_a_run_had_as_its_result_is_no_hyperparameter() -> None:
    points = Response(noise=0.003).make()
    rng = np.random.default_rng(0)
    n = len(points)
    for name, values in {
        "train_loss": points.loss + 0.01 * rng.standard_normal(n),
        "seconds": points.flops / 1e15 * rng.uniform(0.9, 1.1, n),
        "tokens_per_second": rng.uniform(1e5, 2e5, n),
        "final_lr": points.extra["lr"] / 10,
        "grad_norm": np.round(points.loss, 1),
        "gpus": rng.integers(1, 3, n) * 4.0,
        "something": points.loss**2,
        "outlier": points.loss > np.median(points.loss),
    }.items():
        points = with_column(points, name, np.asarray(values, dtype=float))
    points = replace(points, text={"host": tuple(f"node{i % 5}" for i in range(n))})
    assert names(points) == ["lr", "batch_size"]


def test_an_unknown_column_counts_where_it_was_set_and_losses_follow_it() -> None:
    points = Response(noise=0.001, rates=4).make()
    i = np.arange(len(points))
    knob = np.array((0.1, 0.2, 0.4, 0.8))[(i + i // 4) % 4]
    followed = replace(with_column(points, "gamma", knob), loss=points.loss + 0.02 * knob)
    assert names(followed) == ["lr", "batch_size", "gamma"]
    idle = with_column(points, "gamma", np.random.default_rng(1).permutation(knob))
    assert names(idle) == ["lr", "batch_size"]
    text = tuple("muon" if value > 0.3 else "adam" for value in knob)
    assert names(replace(points, text={"optimizer": text})) == ["lr", "batch_size", "optimizer"]


def test_a_column_that_says_the_same_again_is_told_with_the_first() -> None:
    points = Response(columns=("learning_rate", "batch_tokens")).make()
    steps = np.round(points.tokens / points.extra["batch_tokens"])
    points = with_column(
        with_column(points, "batch_size", points.extra["batch_tokens"] / 2048), "steps", steps
    )
    found = varied_columns(points).recipes
    assert [(one.name, one.also) for one in found] == [
        ("learning_rate", ()),
        ("batch_tokens", ("batch_size",)),
    ]


def test_horizons_in_whole_steps_are_one_cell_and_data_sets_are_not() -> None:
    points = Response(sizes=2, horizons=2).make()
    batch = points.extra["batch_size"] * 2048
    whole = replace(points, tokens=np.round(points.tokens / batch) * batch)
    assert len(np.unique(whole.tokens)) > 10
    assert np.array_equal(recipe_cells(whole), recipe_cells(points))
    assert len(np.unique(recipe_cells(points))) == 4
    half = tuple(("c4", "pile")[i % 2] for i in range(len(points)))
    assert len(np.unique(recipe_cells(replace(points, text={"dataset": half})))) == 8
    checkpoints = replace(points, run_id=tuple(f"run {i % 7}" for i in range(len(points))))
    assert len(np.unique(recipe_cells(checkpoints))) == 4


def test_a_table_of_mixed_recipes_is_not_ok() -> None:
    points = Response(noise=0.002).make()
    fit = fit_points(points, FitOptions(**FAST))
    assert "mixed_recipes" in fit.approach_3.flags
    assert "lr (100 values) and batch_size (80 values) vary in 20 of 20 cells" in fit.summary()
    for cells in ("best", "surface"):
        other = fit_points(points, FitOptions(cells=cells, **FAST))
        assert other.n_points == 20
        assert "mixed_recipes" not in other.approach_3.flags


def test_recipes_that_make_no_difference_are_said_and_not_warned_of() -> None:
    points = Response(noise=0.002, reach=(0.05, 0.05)).make()
    found = choose_cells(points, FitOptions())
    assert found.flags == ()
    assert found.cells is not None
    assert "lr (100 values)" in found.cells.notes[0]


def test_seeds_alone_never_warn_and_change_no_table() -> None:
    once = sweep(noise=0.01)
    both = Points(
        *(np.tile(getattr(once, name), 3) for name in ("params", "tokens", "flops", "loss")),
        seed=np.repeat((0, 1, 2), len(once)),
        budget=np.tile(once.flops, 3),
    )
    points = replace(both, loss=both.loss + 0.03 * np.random.default_rng(0).standard_normal(len(both)))
    for cells in CELLS:
        found = choose_cells(points, FitOptions(cells=cells))
        assert found.table is points
        assert found.flags == ()
        assert found.cells is not None
        assert len(found.cells.notes) == 1
        assert found.cells.noise == pytest.approx(0.03, rel=0.15)
        assert "seed (3 values) varies in 75 of 75 cells" in found.cells.notes[0]


def test_a_table_without_variation_is_the_same_under_every_option(tmp_path: Path) -> None:
    points = sweep(noise=0.005)
    written = set()
    for cells in CELLS:
        fit = fit_points(points, FitOptions(cells=cells, draws=40))
        path = write_fit(fit, tmp_path / cells)
        written.add((path.read_bytes(), (path.parent / "draws.npz").read_bytes(), fit.summary()))
    assert len(written) == 1


def test_the_best_of_each_cell_is_the_law_where_there_is_no_noise() -> None:
    points = Response(rates=5, batches=5).make()
    on = replace(
        points, extra={name: np.exp(np.round(np.log(column), 6)) for name, column in points.extra.items()}
    )
    best = np.flatnonzero(np.isin(points.loss, [points.loss[recipe_cells(on) == c].min() for c in range(20)]))
    truth = Response().truth(points.params, points.tokens)
    exact = np.where(np.isin(np.arange(len(points)), best), truth, points.loss)
    fit = fit_points(replace(on, loss=exact), FitOptions(cells="best", **FAST)).approach_3
    assert (fit.E, fit.alpha, fit.beta) == pytest.approx((1.69, 0.34, 0.28), rel=1e-4)


def test_the_surface_finds_noiseless_quadratics_exactly() -> None:
    points = Response().make()
    cells = choose_cells(points, FitOptions(cells="surface")).cells
    assert cells is not None
    for j, rule in enumerate(cells.rules):
        assert (rule.params_exponent, rule.tokens_exponent) == pytest.approx(RULES[j, 1:], abs=1e-6)
        assert rule.value == pytest.approx(rule_at(rule.params, rule.tokens)[j], rel=1e-6)
    for one in cells.optima:
        assert one.loss == pytest.approx(float(Response().truth(one.params, one.tokens)), abs=1e-9)
        assert float(one.values["lr"]) == pytest.approx(rule_at(one.params, one.tokens)[0], rel=1e-5)


@pytest.mark.parametrize("cells", CELLS)
@given(seed=st.integers(0, 1000))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_changes_nothing(cells: str, seed: int) -> None:
    points = Response(noise=0.003, seeds=2, sizes=3, horizons=3).make()
    other = points.select(np.random.default_rng(seed).permutation(len(points)))
    first, second = (choose_cells(one, FitOptions(cells=cells)) for one in (points, other))
    assert first.cells is not None
    assert second.cells is not None
    assert first.flags == second.flags
    assert first.cells.notes == second.cells.notes
    if cells != "mean":
        assert first.table.loss == pytest.approx(second.table.loss, abs=1e-12)
        assert first.table.run_id == second.table.run_id


def test_diverged_runs_bend_no_surface() -> None:
    points = Response(noise=0.002).make()
    rate = points.extra["lr"] / np.array(
        [rule_at(n, d)[0] for n, d in zip(points.params, points.tokens, strict=True)]
    )
    burst = replace(points, loss=np.where(rate > 2.9, points.loss + 3.0, points.loss))
    cells = choose_cells(burst, FitOptions(cells="surface")).cells
    assert cells is not None
    assert cells.left_out >= (rate > 2.9).sum() > 20
    off = [one.loss - float(Response().truth(one.params, one.tokens)) for one in cells.optima]
    assert np.abs(off).max() < 0.005
    assert cells.rules[0].params_exponent == pytest.approx(-0.7, abs=0.05)


def test_sparse_cells_take_their_shape_from_the_others() -> None:
    points = Response(noise=0.002).make()
    cell = recipe_cells(points)
    keep = np.ones(len(points), dtype=bool)
    for c in range(0, 20, 3):  # a single run is left, near the best but off it
        mine = np.flatnonzero(cell == c)
        keep[np.setdiff1d(mine, mine[np.argsort(points.loss[mine])[3]])] = False
    found = choose_cells(points.select(keep), FitOptions(cells="surface"))
    off = found.table.loss - Response().truth(found.table.params, found.table.tokens)
    assert len(found.table) == 20
    assert np.abs(off).max() < 0.008
    assert found.table.loss_se is not None
    lone = np.arange(20) % 3 == 0
    assert found.table.loss_se[lone].min() > found.table.loss_se[~lone].max()


def refused(points: Points) -> str:
    with pytest.raises(UserError, match=r"analysis\.cells=surface: ") as caught:
        choose_cells(points, FitOptions(cells="surface"))
    assert "\n" not in str(caught.value)
    assert "analysis.cells=best" in str(caught.value)
    return str(caught.value)


def test_what_no_surface_can_be_fitted_to_is_refused_in_a_line() -> None:
    points = Response(noise=0.002).make()
    words = tuple(("adam", "muon")[i % 2] for i in range(len(points)))
    assert "optimizer is text" in refused(replace(points, text={"optimizer": words}))
    decay = np.tile((0.0, 0.1), len(points) // 2)
    assert "weight_decay has values that are not positive" in refused(
        with_column(points, "weight_decay", decay)
    )
    assert "weight_decay has 2 different values" in refused(with_column(points, "weight_decay", decay + 0.1))
    empty = np.where(np.arange(len(points)) == 4, np.nan, points.extra["lr"])
    assert "lr is empty in 1 runs" in refused(with_column(points, "lr", empty))
    i = np.arange(len(points))
    few = points.select((i % 20 == 3) | ((i % 20 == 11) & (i < 100)))  # one a cell, two in five
    assert "do not determine a surface" in refused(few)
    best = np.array([rule_at(n, d)[0] for n, d in zip(points.params, points.tokens, strict=True)])
    arched = replace(points, loss=points.loss - 0.08 * np.log(points.extra["lr"] / best) ** 2)
    assert "no minimum along lr: " in refused(arched)


def test_a_minimum_beyond_what_was_tried_is_marked() -> None:
    points = Response(noise=0.001, rates=9).make()
    best = np.array([rule_at(n, d)[0] for n, d in zip(points.params, points.tokens, strict=True)])
    low = points.select(points.extra["lr"] < 0.7 * best)
    for cells in ("best", "surface"):
        found = choose_cells(low, FitOptions(cells=cells))
        assert [flag.code for flag in found.flags] == ["recipe_at_edge"]
        assert "the best lr" in found.flags[0].note
        assert found.cells is not None
        assert sum("lr" in one.at_edge for one in found.cells.optima) >= 15
    fit = fit_points(low, FitOptions(cells="best", **FAST))
    assert "recipe_at_edge" in fit.approach_3.flags


def test_the_optimism_of_equal_recipes_is_that_of_the_normal_minimum() -> None:
    assert most_optimism(np.array([1, 2, 10]), 2.0) == pytest.approx((0.0, 2 / np.pi**0.5, 3.0775), abs=1e-3)
    rng = np.random.default_rng(0)
    cells = [Recipes(0.01 / 2**0.5 * rng.standard_normal(10), np.full(10, 2.0)) for _ in range(60)]
    found = optimism_of(cells, 0.01, 600, 0.9, rng)
    assert found.mean == pytest.approx(1.5388 * 0.01 / 2**0.5, rel=0.15)
    assert found.interval[0] < found.mean < found.interval[1]
    apart = [Recipes(np.arange(10.0), np.full(10, 2.0)) for _ in range(5)]
    assert optimism_of(apart, 0.01, 600, 0.9, rng).mean == 0.0


def test_seeds_correct_the_best_recipe() -> None:
    made = Response(noise=0.01, seeds=3, rates=7, batches=5)
    raw, corrected = [], []
    for seed in range(6):
        found = choose_cells(made.make(seed), FitOptions(cells="best"))
        assert found.cells is not None
        assert found.cells.optimism is not None
        off = found.table.loss - made.truth(found.table.params, found.table.tokens)
        corrected.append(off.mean())
        raw.append(off.mean() - found.cells.optimism)
    assert np.mean(raw) < -0.004
    assert abs(np.mean(corrected)) < 0.3 * abs(np.mean(raw))


def test_without_seeds_the_optimism_is_bounded_and_uneven_numbers_are_said() -> None:
    points = Response(noise=0.004).make()
    found = choose_cells(points, FitOptions(cells="best")).cells
    assert found is not None
    assert found.optimism is None
    assert found.optimism_at_most == pytest.approx(1.867 * 0.004, rel=0.2)
    assert "moves E and hardly N*" in found.notes[1]
    cell = recipe_cells(points)
    fewer = points.select((cell % 2 == 0) | (np.arange(len(points)) % 20 < 6))
    uneven = choose_cells(fewer, FitOptions(cells="best")).cells
    assert uneven is not None
    assert "moves N* as well" in uneven.notes[1]


def test_fit_json_keeps_what_became_of_the_cells(tmp_path: Path) -> None:
    points = Response(noise=0.003, seeds=2).make()
    for cells in CELLS:
        fit = fit_points(points, FitOptions(cells=cells, **FAST))
        read = load_fit(write_fit(fit, tmp_path / cells))
        assert read.cells == fit.cells
        assert read.cells is not None
        assert read.cells.choice == cells
        table = fitted_cells(points, read.cells)
        assert len(table) == fit.n_points
        if cells != "mean":
            assert sorted(table.loss) == pytest.approx(
                sorted(choose_cells(points, FitOptions(cells=cells)).table.loss)
            )


def test_columns_are_found_in_a_file() -> None:
    points = Response(noise=0.003, sizes=3, horizons=3).make()
    rows = zip(points.params, points.tokens, *points.extra.values(), points.loss, strict=True)
    text = "N,D,Learning Rate,bs,loss\n" + "\n".join(",".join(map(repr, map(float, row))) for row in rows)
    assert names(read_points(io.StringIO(text))) == ["learning_rate", "bs"]


def test_cells_whose_best_values_lie_off_the_rules_have_minima_of_their_own() -> None:
    made = Response(sizes=6, horizons=5, rates=8, batches=5, noise=0.003, apart=0.3)
    found = choose_cells(made.make(3), FitOptions(cells="surface"))
    assert found.cells is not None
    assert found.cells.uneven is not None
    assert found.cells.uneven > 2
    assert found.cells.noise == pytest.approx(0.003, rel=0.15)
    off = found.table.loss - made.truth(found.table.params, found.table.tokens)
    assert np.abs(off).max() < 0.003
    assert found.table.loss_se is not None
    assert 0.7 < np.std(off / found.table.loss_se) < 1.4
    for j, rule in enumerate(found.cells.rules):
        assert rule.params_exponent_interval is not None
        low, high = rule.params_exponent_interval
        assert low - 0.1 < RULES[j, 1] < high + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["skewed, with a cliff", "noisy", "cells apart", "small"])
def test_intervals_of_the_surface_hold_the_truth(name: str) -> None:
    found = [errors(DESIGNS[name].make(100 + seed), "surface", 60) for seed in range(12)]
    assert all(one.error for one in found)
    # What the surface gets wrong all cells share, which can look like structure: a false alarm in some thirty.
    assert sum(one.trusted for one in found) >= 10
    for quantity in ("a", "ln N*", "loss", "exponents of lr", "exponents of batch_size"):
        held = np.mean([one.held[quantity] for one in found])
        assert held > 0.6, f"{quantity}: nominal .9"
    assert abs(np.mean([one.error["loss"] for one in found])) < 0.0005
    assert abs(np.mean([one.error["a"] for one in found])) < 0.003


@pytest.mark.slow
def test_a_surface_is_many_times_more_precise_than_the_best_or_the_mean() -> None:
    scatter = {
        cells: np.std([errors(DESIGNS["noisy"].make(seed), cells, 0).error["ln N*"] for seed in range(6)])
        for cells in ("best", "surface")
    }
    assert scatter["surface"] < scatter["best"] / 2
