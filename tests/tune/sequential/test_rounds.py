"""Rounds of a tuning: which runs, designed from what, and the recipe they end in."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.model.parametrization import Parametrization
from harness.plan.base import Base
from harness.plan.cell import Cell
from harness.plan.plan import Rules, plan_cell
from harness.plan.recipe_rules import GroupRules, MeasuredRange, OptimizerConfig, RecipeConfig, Rule
from harness.report.figures.tuned_axes import draw_rounds
from harness.report.style import figure_style
from harness.tune.axes import AXES
from harness.tune.config import TuneConfig
from harness.tune.sequential.fit import fit_rounds
from harness.tune.sequential.make_points import make_trainer
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.recipe import rounds_yaml, tuned_recipe
from harness.tune.sequential.results import RULE_STATUSES, VALUE_STATUSES, RoundsFit
from harness.tune.sequential.rounds import (
    STOPPED,
    Memory,
    Rounds,
    known_rounds,
    memory_from_json,
    memory_json,
)
from harness.tune.sequential.tables import print_points, print_rounds_fit
from harness.tune.stored import tuning_from_json
from tests.tune.test_design import RECIPE, RULES, SHAPES, Facts

TUNE = TuneConfig(
    design="sequential",
    axes=["rate", "batch", "weight_decay"],
    params=[8e3, 4e4],
    horizons=[0.25, 1.0],
    rounds=3,
    tolerance=0.0,
    draws=200,
)
TAU = 0.15


def trainer(tune: TuneConfig = TUNE, rules: Rules = RULES) -> Trainer:
    return make_trainer(SHAPES, tune, rules, Facts(), 1.0)


def best(cell: Cell) -> dict[str, float]:
    """Rate and batch as powers of N and D; weight decay by the timescale."""
    n, d = cell.params.total, cell.tokens
    rate, batch = 0.01 * (n / 2e4) ** -0.5 * (d / 1e6) ** -0.2, 500 * (d / 1e6) ** 0.4
    return {"rate": rate, "batch": batch, "weight_decay": batch / (rate * TAU * d), "embedding": 3.0}


def loss(cell: Cell, axes: tuple[str, ...]) -> float | None:
    off = {axis: np.log(AXES[axis].value(cell.spec) / best(cell)[axis]) for axis in axes}
    curvature = {"rate": 0.2, "batch": 0.1, "weight_decay": 0.04, "embedding": 0.05}
    if off["rate"] > 2.0:
        return None
    noise = np.random.default_rng(int(cell.run_id, 16)).standard_normal()
    return float(3.0 + 0.5 * sum(curvature[axis] * x**2 for axis, x in off.items()) + 0.003 * noise)


def answer(cells: list[Cell], axes: tuple[str, ...]) -> dict[str, Any]:
    return {
        cell.run_id: SimpleNamespace(
            loss=(found := loss(cell, axes)), status="diverged" if found is None else "finished", data={}
        )
        for cell in cells
    }


def whole(made: Trainer, tune: TuneConfig = TUNE, memory: Memory | None = None) -> Rounds:
    axes = tuple(axis.name for axis in made.axes)
    return known_rounds(made, tune, lambda cells: answer(cells, axes), {} if memory is None else memory)


def test_a_round_follows_when_all_runs_of_the_one_before_have_ended() -> None:
    made = trainer()
    first = known_rounds(made, TUNE, lambda cells: {}, {})
    assert (len(first.cells), first.stopped) == (1, "")
    every = whole(made)
    assert (len(every.cells), every.stopped) == (3, "rounds")
    assert every.cells[0] == first.cells[0]
    ids = [cell.run_id for _, cell in every.runs]
    assert len(set(ids)) == len(ids)

    done: list[str] = []

    def some(cells: list[Cell]) -> Mapping[str, Any]:
        found = answer(cells, ("rate", "batch", "weight_decay"))
        return {run_id: found[run_id] for run_id in done if run_id in found}

    order = np.random.default_rng(0).permutation(len(first.runs))
    for i in order:
        assert len(known_rounds(made, TUNE, some, {}).cells) == 1
        done.append(first.runs[i][1].run_id)
    assert known_rounds(made, TUNE, some, {}).cells == every.cells[:2], "whichever finished first"


def test_a_failed_run_is_missing_and_a_diverged_one_is_a_result() -> None:
    made = trainer()

    def failed(cells: list[Cell]) -> Mapping[str, Any]:
        found = answer(cells, ("rate", "batch", "weight_decay"))
        one = cells[3].run_id
        return found | {one: SimpleNamespace(loss=None, status="failed", data={})}

    assert len(known_rounds(made, TUNE, failed, {}).cells) == 1
    assert not known_rounds(made, TUNE, failed, {}).stopped


def test_more_rounds_keep_those_there_are_and_a_loose_tolerance_stops_early() -> None:
    made = trainer()
    three = whole(made)
    assert whole(made, replace(TUNE, rounds=4)).cells[:3] == three.cells
    soon = whole(made, replace(TUNE, tolerance=0.5))
    assert soon.stopped == "tolerance"
    assert len(soon.cells) < 3
    assert STOPPED.keys() >= {soon.stopped, three.stopped}
    left = [excess for excess in three.excess if excess is not None]
    assert left == sorted(left, reverse=True)


def test_what_was_designed_is_remembered_as_it_was() -> None:
    made, memory = trainer(), Memory()
    three = whole(made, memory=memory)
    assert len(memory) == 2
    read = memory_from_json(json.loads(json.dumps(memory_json(memory))))
    key = next(iter(read))
    p, h = read[key][0]
    read[key][0] = (p, h + 0.01)  # another machine would have designed it so
    again = whole(made, memory=read)
    assert again.cells[1][0] != three.cells[1][0]
    assert again.cells[1][1:] == three.cells[1][1:]
    assert len(read) > 2, "the third round is designed from other runs"


@pytest.mark.parametrize("wrong", [(99, [0.0, 0.0, 0.0]), (0, [0.0]), (0, 0.0), (0, [1e308, 0.0, 0.0])])
def test_a_remembered_round_that_cannot_be_one_of_these_is_designed_again(wrong: tuple[int, Any]) -> None:
    made, memory = trainer(), Memory()
    rounds = whole(made, memory=memory)
    kept = memory_json(memory)
    data = json.loads(json.dumps(kept))
    next(iter(data["rounds"].values()))[0] = list(wrong)
    read = memory_from_json(data)
    assert whole(made, memory=read).cells == rounds.cells
    assert memory_json(read) == kept
    next(iter(data["rounds"].values()))[0] = [0, [None, 0.0, 0.0]]
    with pytest.raises(ValueError, match="not finite"):
        memory_from_json(data)


def test_the_centre_is_the_recipe_s_own_run_and_runs_keep_to_their_limits() -> None:
    made = trainer()
    point = made.points[0]
    cell = made.cell(0, np.zeros(3), 0)
    assert plan_cell(point.shape, cell.budget, 0, RULES, Facts()).run_id == cell.run_id
    assert [p.tokens / q.tokens for p, q in ((made.points[1], point), (made.points[3], made.points[2]))] == [
        4,
        4,
    ]
    tight = replace(TUNE, min_steps=200)
    for _, cell in whole(trainer(tight), tight).runs:
        assert cell.spec.steps >= 200
        assert cell.spec.batch_tokens % 128 == 0


def test_the_rules_are_found_and_the_recipe_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer()
    fit = fit_rounds("t", made, whole(made), TUNE)
    rate, batch, decay = fit.rules
    assert (rate.rule.params, rate.rule.tokens) == pytest.approx((-0.5, -0.2), abs=0.1)
    assert batch.rule.params == 0
    assert batch.rule.tokens == pytest.approx(0.4, abs=0.1)
    assert decay.timescale is not None
    assert decay.ratio is not None
    assert decay.timescale.value == pytest.approx(TAU, rel=0.25)
    assert decay.ratio.value == pytest.approx(0, abs=0.2)
    for p, point in enumerate(made.points):
        wanted = best(made.cell(p, np.zeros(3), 0))
        for one in fit.rules:
            assert one.rule(point.params, point.tokens) == pytest.approx(wanted[one.axis], rel=0.35)
            assert fit.points[p].values[one.axis].status in VALUE_STATUSES
        assert fit.points[p].rule_excess == pytest.approx(0, abs=0.01)
    assert {one.status for one in fit.rules} <= RULE_STATUSES.keys()
    two = 0.5 * 0.2 * np.log(2) ** 2
    assert rate.cost_of_two == pytest.approx(two, rel=0.2)
    assert rate.cost_of_two_interval is not None
    assert rate.cost_of_two_interval[0] < two < rate.cost_of_two_interval[1]

    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "recipe").mkdir(parents=True)
    (tmp_path / "configs" / "recipe" / "mine.yaml").write_text(rounds_yaml("mine", fit, RECIPE, {}))
    config, _ = compose_config(["recipe=mine"])
    assert config.recipe == tuned_recipe("mine", fit, RECIPE, {})
    assert config.recipe.lr == rate.rule
    assert config.recipe.weight_decay == decay.rule
    assert config.recipe.measured.params == [
        min(p.params for p in made.points),
        max(p.params for p in made.points),
    ]
    assert len(config.recipe.measured.tokens) == 2

    # a point without a minimum of the learning rate is none that the recipe was measured at
    largest = max(fit.points, key=lambda point: point.params)
    less = replace(
        fit,
        points=tuple(
            replace(p, values=p.values | {"rate": replace(p.values["rate"], status="beyond")})
            if p.params == largest.params
            else p
            for p in fit.points
        ),
    )
    assert tuned_recipe("mine", less, RECIPE, {}).measured.params[1] < largest.params
    edge = replace(fit, rules=(replace(rate, status="at_edge"), batch, decay))
    none = replace(
        edge,
        points=tuple(
            replace(p, values={axis: replace(value, status="beyond") for axis, value in p.values.items()})
            for p in fit.points
        ),
    )
    assert tuned_recipe("mine", none, config.recipe, {}).measured == MeasuredRange()


def test_a_group_s_multiplier_is_a_constant_and_is_written_as_one() -> None:
    tune = replace(TUNE, axes=["rate", "embedding"], horizons=[1.0])
    made = trainer(tune)
    fit = fit_rounds("t", made, whole(made, tune), tune)
    rate, embedding = fit.rules
    assert rate.status == "untested", "two sizes"
    assert embedding.status == "ok"
    assert embedding.key == "recipe.embedding.lr"
    assert embedding.rule.value == pytest.approx(3, rel=0.25)
    assert (embedding.rule.params, embedding.rule.tokens) == (0, 0)
    recipe = tuned_recipe("x", fit, RECIPE, {})
    assert recipe.embedding == GroupRules(lr=embedding.rule)
    assert recipe.batch_tokens == RECIPE.batch_tokens
    assert "embedding: {lr: {value: " in rounds_yaml("x", fit, RECIPE, {})


def test_what_was_found_survives_its_file_and_is_drawn() -> None:
    made = trainer()
    fit = fit_rounds("t", made, whole(made), TUNE)
    text = json.dumps(fit.to_json(), allow_nan=False)
    read = tuning_from_json(json.loads(text))
    assert isinstance(read, RoundsFit)
    assert read == fit
    with figure_style():
        figure = draw_rounds(read)
        figure.draw_without_rendering()
    assert len(figure.axes) == 2 * len(fit.rules)


def test_a_tuning_none_of_whose_points_has_a_minimum_is_drawn() -> None:
    made = trainer()
    fit = fit_rounds("t", made, whole(made), TUNE)
    points = [
        replace(point, values={axis: replace(value, status="beyond") for axis, value in point.values.items()})
        for point in fit.points
    ]
    with figure_style():
        figure = draw_rounds(replace(fit, points=tuple(points)))
        figure.draw_without_rendering()
    assert figure.axes[0].get_legend() is None


def test_under_a_parametrization_rules_read_the_base() -> None:
    base = Base(Parametrization("mup", 32, 2, 16), 20_000.0)
    recipe = replace(RECIPE, lr=Rule(0.009, -0.6, 2.5e4))
    made = trainer(rules=replace(RULES, base=base, recipe=recipe))
    assert {point.read_params for point in made.points} == {20_000.0}
    fit = fit_rounds("t", made, whole(made), TUNE)
    rate = fit.rules[0]
    assert rate.rule.params == -0.6, "the recipe's own: it is not to be seen at one N"
    assert rate.rule.params_at == pytest.approx(20_000)
    assert rate.rule(20_000, 1e6) == pytest.approx(
        rate.rule.value * (1e6 / rate.rule.tokens_at) ** rate.rule.tokens
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"axes": []}, "tune.axes: name at least one"),
        ({"axes": ["rate", "rate"]}, "none twice"),
        ({"axes": ["speed"]}, "tune.axes: 'speed' is none of rate, batch"),
        ({"steps": {"rate": 2.0}}, "tune.steps: no factor for 'batch'"),
        ({"steps": {"rate": 1.0}}, "tune.steps: must be above 1"),
        ({"horizons": []}, "tune.horizons"),
        ({"design": "grid", "horizons": [1.0, 2.0]}, "tune.design=sequential for several"),
        ({"design": "random"}, "tune.design: 'random' is none of grid, sequential"),
        ({"rounds": 0}, "tune.rounds"),
    ],
)
def test_a_config_that_cannot_be_is_one_clear_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        TuneConfig(**({"design": "sequential"} | values))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tune", "rules", "message"),
    [
        ({"axes": ["muon"]}, {}, "'muon' needs optimizer=muon"),
        ({"axes": ["muon_weight_decay"]}, {}, "'muon_weight_decay' needs optimizer=muon"),
        (
            {"axes": ["weight_decay"]},
            {"optimizer": OptimizerConfig(kind="muon")},
            "have Muon's; take 'muon_weight_decay'",
        ),
        (
            {"axes": ["weight_decay"]},
            {"recipe": replace(RECIPE, weight_decay=Rule(0.0))},
            "weight_decay.value is 0",
        ),
        ({"min_steps": 10**8}, {}, "nothing to train"),
        (
            {"axes": ["rate", "batch"], "steps": {"rate": 2.0, "batch": 1.01}},
            {},
            "'batch' has fewer than three values",
        ),
    ],
)
def test_a_tuning_that_cannot_be_is_refused_before_it_is_trained(
    tune: dict[str, Any], rules: dict[str, Any], message: str
) -> None:
    chosen = replace(TUNE, **tune)
    with pytest.raises(UserError, match=message) as error:
        whole(trainer(chosen, replace(RULES, **rules)), chosen)
    assert "\n" not in str(error.value)


def test_muon_s_rate_and_decay_are_axes_of_their_own() -> None:
    tune = replace(TUNE, axes=["rate", "muon", "muon_weight_decay"])
    made = trainer(tune, replace(RULES, optimizer=OptimizerConfig(kind="muon")))
    at = np.log([1.0, 2.0, 4.0])
    cell = made.cell(0, at, 0)
    assert cell.spec.optimizer.muon is not None
    assert cell.spec.optimizer.muon.lr == pytest.approx(2 * RecipeConfig().muon.lr.value)
    assert cell.spec.optimizer.muon.weight_decay == pytest.approx(4 * RecipeConfig().muon.weight_decay.value)
    assert cell.spec.optimizer.weight_decay == made.cell(0, 0 * at, 0).spec.optimizer.weight_decay
    assert made.place(0, cell) == pytest.approx(at)


def test_under_muon_the_axis_rate_is_called_adamw_s() -> None:
    tune = replace(TUNE, axes=["rate", "batch"])
    for kind, called in (("muon", "AdamW's learning rate"), ("adamw", "learning rate")):
        made = trainer(tune, replace(RULES, optimizer=OptimizerConfig(kind=kind)))
        fit = fit_rounds("t", made, whole(made, tune), tune)
        assert fit.label("rate") == called
        assert tuning_from_json(json.loads(json.dumps(fit.to_json()))) == fit
        said = io.StringIO()
        print_points(made, whole(made, tune), Console(file=said, width=200))
        print_rounds_fit(fit, Console(file=said, width=200))
        assert said.getvalue().count("AdamW's learning rate") == (2 if kind == "muon" else 0)
        assert "\n" + called + " off by a factor of two" in said.getvalue()
