"""Functional forms and counting conventions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.fit import FitOptions, Points, fit_points, read_points
from harness.fit.approach_2 import fit_approach_2
from harness.fit.counting import compute_counts, counting_table, parameter_counts
from harness.fit.form_comparison import compare_forms
from harness.report.figures.sensitivity import convention_label
from tests.fit.synthetic import sweep


@pytest.mark.slow
def test_the_forms_predict_held_out_budgets_as_known(published: Points) -> None:
    """240 points, trained on C <= 6.6e20 (201 runs), log-RMSE on the other 39."""
    found = compare_forms(published, FitOptions(holdout_above=6.6e20), 1e23)
    assert found is not None
    assert (found.n_train, found.n_test) == (201, 39)
    by_name = {form.name: form for form in found.forms}
    assert by_name["standard"].holdout_log_rmse == pytest.approx(0.01165, abs=2e-5)
    assert by_name["tied"].holdout_log_rmse == pytest.approx(0.00979, abs=2e-5)
    assert by_name["kappa"].holdout_log_rmse == pytest.approx(0.01083, abs=2e-5)
    # From more starts lower minima of these exist than a single start reaches (REFERENCE: .0383 and .0048).
    assert by_name["kaplan"].holdout_log_rmse == pytest.approx(0.0266, abs=1e-4)
    assert by_name["interaction"].holdout_log_rmse == pytest.approx(0.0096, abs=1e-4)
    assert "at_bound" in by_name["interaction"].flags
    assert [form.rank for form in found.forms] == [1, 2, 3, 4, 5, 6]
    errors = [form.holdout_log_rmse for form in found.forms]
    assert errors == sorted(errors)
    assert by_name["standard"].objective == pytest.approx(0.0010182740178, rel=1e-6)
    assert by_name["farseer"].told_apart is None, "the first"
    assert [by_name[name].told_apart for name in ("interaction", "tied", "kappa")] == [False] * 3
    assert [by_name[name].told_apart for name in ("standard", "kaplan")] == [True, True]
    assert found.verdict.startswith(
        "farseer, interaction, tied, kappa cannot be told apart by the held-out runs"
    )


def test_every_form_gets_near_the_law_that_it_can_be() -> None:
    """Farseer's form ended at an rms of 1.64 in ln L by least squares, and was ranked."""
    for delta in (1e-3, np.inf):
        points = sweep(budgets=(1e18, 1e19, 1e20), sizes=9, noise=0.004)
        found = compare_forms(points, FitOptions(huber_delta=delta, draws=20), 1e21)
        assert found is not None
        errors = {form.name: form.log_rmse for form in found.forms}
        for name in ("standard", "kappa", "interaction", "farseer"):
            assert errors[name] < 0.006, (name, delta)


@pytest.mark.slow
def test_the_right_form_is_seldom_told_from_the_first() -> None:
    """On data of the standard law another form was first in 8 of 12, and nothing said that it was luck."""
    apart, first = 0, 0
    for seed in range(12):
        points = sweep(budgets=(1e18, 1e19, 1e20, 1e21), sizes=9, noise=0.004, seed=seed)
        found = compare_forms(points, FitOptions(huber_delta=np.inf), 1e22)
        assert found is not None
        standard = next(form for form in found.forms if form.name == "standard")
        apart += standard.told_apart is True
        first += standard.rank == 1
    assert apart <= 1, "one in twenty each way"
    assert first < 12, "or there was nothing to tell"


def test_a_wrong_form_is_told_apart() -> None:
    """A law with a floor, of little noise: Kaplan's form has none."""
    found = compare_forms(sweep(sizes=9, noise=0.001), FitOptions(draws=60), 1e22)
    assert found is not None
    kaplan = next(form for form in found.forms if form.name == "kaplan")
    assert kaplan.told_apart is True
    assert kaplan.squared_difference_interval is not None
    assert kaplan.squared_difference_interval[0] > 0
    assert "worse" in found.verdict
    assert "kaplan" in found.verdict.split("worse")[1]


def test_without_draws_nothing_is_said_to_be_told() -> None:
    found = compare_forms(sweep(sizes=7, noise=0.003), FitOptions(draws=0), 1e22)
    assert found is not None
    assert all(form.told_apart is None for form in found.forms)
    assert "without draws it cannot be told" in found.verdict


def test_a_table_too_small_to_compare_is_not_compared() -> None:
    assert compare_forms(sweep(sizes=2), FitOptions(), 1e22) is None


def test_compare_is_part_of_the_fit_and_its_text() -> None:
    fit = fit_points(
        sweep(budgets=(1e18, 1e19, 1e20), sizes=7, noise=0.002), FitOptions(draws=0, compare=True)
    )
    assert fit.comparison is not None
    assert len(fit.comparison.forms) == 6
    assert fit.comparison.n_test == 7
    assert "Forms by log-RMSE" in fit.summary()


def counted_in_many_ways(noise: float = 0.0) -> Points:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=9, noise=noise)
    body = points.params - 3e4 * np.sqrt(points.params) ** 0.7
    extra = {
        "params_non_embedding": body,
        "params_matrices": 0.99 * body,
        "params_head": np.zeros(len(points)),
        "params_embedding": points.params - body,
        "flops_6nd": points.flops,
        "flops_6nd_non_embedding": 6 * body * points.tokens,
    }
    return Points(points.params, points.tokens, points.flops, points.loss, budget=points.budget, extra=extra)


def test_counting_moves_the_exponent() -> None:
    table = counted_in_many_ways()
    rows = counting_table(table, FitOptions())
    known = {(r.count, r.compute, r.approach): r for r in rows}
    assert len(rows) == 3 * 2 * 2
    base = known["params", "flops", "approach_3"]
    other = known["params_non_embedding", "flops", "approach_3"]
    assert base.a == pytest.approx(0.28 / 0.62, rel=1e-5)
    assert other.a > base.a + 0.01
    # Compute is no power law of this N: the law's D/N is off, says so, and the profile's is the one to read.
    assert "approximate_cost" in other.flags
    assert other.status == "misfit", "nor is the law one of this N, and without noise that shows"
    total, body_only = (known[c, "flops", "approach_2"] for c in ("params", "params_non_embedding"))
    assert body_only.a > total.a + 0.01
    assert body_only.tokens_per_param > total.tokens_per_param
    crooked = known["params", "flops_6nd_non_embedding", "approach_2"]
    assert crooked.status == "not_isoflop"
    own = fit_approach_2(replace(table, flops=table.extra["flops_6nd_non_embedding"]), FitOptions(draws=200))
    assert (own.status, own.a) == (crooked.status, crooked.a), "one verdict everywhere"
    assert "Sensitivity to the N and C conventions" in fit_points(table, FitOptions(draws=0)).summary()


@pytest.mark.parametrize("share", [0.002, 0.3])
def test_the_optimizers_flops_are_a_convention_where_they_are_more_than_rounding(share: float) -> None:
    """No column ``flops_*`` has them; where ``flops`` has, under grid.count_optimizer, it is that convention."""
    points = counted_in_many_ways()
    optimizer = share * points.flops * (points.params / points.params.min()) ** 0.3
    own = {"flops_appendix_f": points.flops, "flops_optimizer": optimizer}
    plain = replace(points, extra=points.extra | own)
    computes = compute_counts(plain)
    assert ("flops_appendix_f + optimizer" in computes) == (share > 0.01)
    charged = compute_counts(replace(plain, flops=points.flops + optimizer))
    assert "flops_appendix_f + optimizer" not in charged, "it is 'flops' already"
    if share > 0.01:
        assert np.array_equal(computes["flops_appendix_f + optimizer"], points.flops + optimizer)
        assert (
            convention_label("params", "flops_appendix_f + optimizer") == "N total · C Appendix F + optimizer"
        )


CONVENTIONS = [
    ("params", "flops"),
    ("params_non_embedding", "flops"),
    ("params", "flops_6nd_non_embedding"),
    ("params_matrices", "flops"),
]


@pytest.mark.parametrize(("count", "compute"), CONVENTIONS)
def test_a_row_of_conventions_says_what_a_fit_under_it_says(count: str, compute: str) -> None:
    """The same numbers, the same status and the same reasons, whichever convention the table was made from."""
    table = counted_in_many_ways(noise=0.003)
    options = FitOptions(draws=60, count=count, compute=compute)
    fit = fit_points(table, options)
    for made_from in (fit, fit_points(table, FitOptions(draws=60))):
        rows = [row for row in made_from.counting if (row.count, row.compute) == (count, compute)]
        if made_from is not fit and count == "params_matrices":
            assert not rows, "no convention of the table's own, so only where it is asked for"
            continue
        assert [row.approach for row in rows] == ["approach_2", "approach_3"]
        for row, approach in zip(rows, (fit.approach_2, fit.approach_3), strict=True):
            assert (row.status, row.flags, row.notes) == (approach.status, approach.flags, approach.notes)
            assert (row.a, row.b) == (approach.a, approach.b)
            assert row.budget == fit.largest_flops
            assert row.tokens_per_param == approach.predict(fit.largest_flops).tokens_per_param


def test_one_verdict_of_the_sweep_on_one_gpu() -> None:
    """Its approach 2 was unstable in one table and ok in the other."""
    fit = fit_points(read_points(Path(__file__).parents[2] / "results" / "one_gpu" / "runs.csv"))
    assert fit.approach_2.status == "unstable"
    rows = {(row.count, row.compute, row.approach): row for row in fit.counting}
    for approach in (fit.approach_2, fit.approach_3):
        row = rows["params", "flops", approach.name]
        assert (row.status, row.flags, row.a) == (approach.status, approach.flags, approach.a)


def test_a_tied_head_is_counted_from_the_embedding() -> None:
    extra = {"params_matrices": [5.0], "params_head": [0.0], "params_embedding": [3.0]}
    points = Points([8.0], [1.0], [48.0], [1.0], extra={k: np.array(v) for k, v in extra.items()})
    # Equal to the total here, so it is the same convention and not a second row.
    assert list(parameter_counts(points)) == ["params"]
    extra["params_norms"] = [1.0]
    other = Points([9.0], [1.0], [54.0], [1.0], extra={k: np.array(v) for k, v in extra.items()})
    assert parameter_counts(other)["matrices + head"].tolist() == [8.0]
