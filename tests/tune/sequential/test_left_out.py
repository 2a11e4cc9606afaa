"""Points and runs of a tuning in rounds that take no part: each is named."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from harness.plan.cell import Cell
from harness.plan.recipe_rules import Rule
from harness.report.figures.tuned_axes import draw_rounds
from harness.report.style import figure_style
from harness.tune.config import TuneConfig
from harness.tune.sequential.recipe import tuned_recipe
from harness.tune.sequential.results import VALUE_STATUSES
from harness.tune.sequential.rounds import STOPPED, known_rounds
from harness.tune.sequential.tables import print_points, print_rounds_fit
from tests.tune.sequential.known import answers, noise, trainer_of, tuned
from tests.tune.test_design import RECIPE, RULES, Facts

TUNE = TuneConfig(
    design="sequential",
    axes=["rate", "batch"],
    params=[8e3, 4e4],
    horizons=[0.5, 1.0],
    rounds=4,
    tolerance=0.0,
    draws=200,
)


def bowl(cell: Cell) -> float:
    rate, batch = np.log(cell.spec.optimizer.lr / 0.01), np.log(cell.spec.batch_tokens / 500)
    return float(3 + 0.1 * rate**2 + 0.05 * batch**2 + noise(cell))


def test_one_point_whose_runs_all_diverge_does_not_void_the_others() -> None:
    def loss(cell: Cell) -> float | None:
        return None if cell.params.total < 1e4 and cell.tokens < 8e4 else bowl(cell)

    _, rounds, fit = tuned(TUNE, RULES, loss)
    assert (rounds.stopped, len(rounds.cells)) == ("diverged", 1), "more rounds would be spent for nothing"
    assert "diverged" in STOPPED
    assert fit.curvature is not None
    gone, *others = fit.points
    assert {value.status for value in gone.values.values()} == {"diverged"} <= VALUE_STATUSES.keys()
    assert gone.loss_opt is None
    for point in others:
        assert point.values["rate"].best == pytest.approx(0.01, rel=0.1)
        assert point.values["batch"].best == pytest.approx(500, rel=0.15)
    rate, batch = fit.rules
    assert rate.rule(2e4, 5e5) == pytest.approx(0.01, rel=0.1)
    assert batch.rule(2e4, 5e5) == pytest.approx(500, rel=0.15)
    label = "N=5.80k D=65.7k"
    assert (label, "diverged") in rate.excluded
    assert any(label in note and "lower the learning rate" in note for note in fit.notes)
    assert tuned_recipe("x", fit, RECIPE, {}).measured.tokens[0] > gone.tokens
    assert sum(trial.loss is None for trial in fit.trials) == gone.runs
    with figure_style():
        draw_rounds(fit).draw_without_rendering()
    out = io.StringIO()
    print_rounds_fit(fit, Console(file=out, width=150))
    assert "diverged" in out.getvalue()


def test_a_point_with_too_few_finished_runs_does_not_void_the_others_either() -> None:
    def loss(cell: Cell) -> float | None:
        small = cell.params.total < 1e4 and cell.tokens < 8e4
        # its centre alone finishes
        return None if small and noise(cell, 1) != noise(centre, 1) else bowl(cell)

    made = trainer_of(TUNE, RULES)
    centre = made.cell(0, np.zeros(2), 0)
    _, rounds, fit = tuned(replace(TUNE, rounds=1), RULES, loss)
    assert rounds.stopped == "rounds"
    assert fit.curvature is not None
    assert fit.points[0].values["rate"].status == "too_few_runs"
    assert ("N=5.80k D=65.7k", "too_few_runs") in fit.rules[0].excluded
    assert any("too few of its 6 runs finished" in note for note in fit.notes)


def test_where_every_point_diverges_nothing_is_found_and_nothing_breaks() -> None:
    _, rounds, fit = tuned(TUNE, RULES, lambda cell: None)
    assert rounds.stopped == "diverged"
    assert fit.curvature is None
    assert [one.rule for one in fit.rules] == [RECIPE.lr, RECIPE.batch_tokens]
    assert all(one.status == "flat" for one in fit.rules)
    assert {value.status for point in fit.points for value in point.values.values()} == {"diverged"}


def test_points_and_runs_that_are_left_out_are_printed() -> None:
    tune = replace(TUNE, horizons=[0.02, 1.0], rounds=1, min_steps=300)
    made = trainer_of(tune, replace(RULES, recipe=replace(RECIPE, min_steps=50)))
    assert len(made.points) == 1
    few = "N=5.80k D=2.63k: 20 steps only at the recipe's batch of 128 (tune.min_steps is 300)"
    assert few in made.left_out
    assert made.left_out[-1] == "the points that remain do not tell powers of N and of D apart"
    out = io.StringIO()
    print_points(made, known_rounds(made, tune, lambda cells: {}, {}), Console(file=out, width=200))
    assert out.getvalue().count("left out: ") == len(made.left_out) == 4
    _, _, fit = tuned(tune, replace(RULES, recipe=replace(RECIPE, min_steps=50)), bowl)
    assert any(few in note for note in fit.notes)


def test_horizons_that_the_corpus_makes_one_and_runs_that_are_too_short_are_printed() -> None:
    tune = replace(TUNE, horizons=[1.0, 2.0], min_steps=150)
    made = trainer_of(tune, RULES, Facts(train_tokens=200_000))
    assert [point.capped for point in made.points] == [False, True, True]
    assert any("at horizon 2: the corpus" in line for line in made.left_out)
    assert "do not tell" in made.left_out[-1] or len(made.points) > 2

    recipe = replace(RECIPE, batch_tokens=Rule(768), min_steps=1)
    tight = replace(TUNE, min_steps=150)
    made = trainer_of(tight, replace(RULES, recipe=recipe))
    rounds = known_rounds(made, tight, answers(bowl), {})
    refused = [line for line in rounds.left_out if "of the first round, with fewer steps than" in line]
    assert refused
    assert len(rounds.cells[0]) < 6 * len(made.points)
