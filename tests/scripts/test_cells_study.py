"""The study of recipes within cells: what it makes and what it counts."""

import numpy as np
import pytest

from scripts import cells_study as study


def test_the_best_recipe_of_a_cell_has_the_laws_loss() -> None:
    assert study.Response().rise(np.zeros((1, 2)))[0] == 0
    off = np.random.default_rng(0).uniform(-1.5, 1.5, (50, 2))
    for design in study.DESIGNS.values():
        assert (design.rise(off) > 0).all()
    assert study.FULL.make().params.size == 41 * 66


def test_cells_have_fewer_recipes_where_that_is_asked_for() -> None:
    points = study.DESIGNS["uneven"].make()
    _, counts = np.unique(points.flops.round(-10), return_counts=True)
    assert counts.max() > 4 * counts.min()


def test_a_noiseless_sweep_has_no_error() -> None:
    found = study.errors(study.Response().make(), "surface", 40)
    assert found.error["a"] == pytest.approx(0, abs=1e-5)
    assert found.error["loss"] == pytest.approx(0, abs=1e-9)
    assert study.errors(study.Response(sizes=1, horizons=1).make(), "mean", 0).error == {}


def test_the_table_has_every_quantity() -> None:
    lines = "\n".join(study.study(study.DESIGNS["small"], "surface", 2, 40))
    for name in ("a ", "E ", "ln N*", "loss", "ln lr", "exponents of batch_size"):
        assert f"    {name}" in lines
