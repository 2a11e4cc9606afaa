"""The whole way: a table in, typed results, files and text out."""

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit import (
    Approach2,
    Fit,
    FitOptions,
    Points,
    PowerLaw,
    fit_points,
    load_fit,
    read_points,
    write_fit,
)
from harness.fit.agreement import compare_approaches
from harness.fit.bootstrap import joint_intervals, percentile_interval
from harness.fit.encoding import decode, encode, json_key
from harness.fit.laws import Optimum
from harness.fit.pipeline import prepare
from harness.fit.summary import frontier_table, quantity
from tests.fit.synthetic import curves, sweep

QUICK = FitOptions(draws=60)


@pytest.fixture(scope="module")
def demo() -> tuple[Points, Fit]:
    """The size of a first look: three budgets of six sizes."""
    points = sweep(budgets=(1e17, 3e17, 1e18), sizes=6, noise=0.003)
    return points, fit_points(points, QUICK, curves(points))


def test_a_demo_sweep_gets_all_three_approaches(demo: tuple[Points, Fit]) -> None:
    _, fit = demo
    for approach in fit.approaches:
        assert approach.a is not None
        assert approach.b is not None
        assert approach.a_interval is not None
        assert approach.draws is not None
        assert len(approach.draws) == 60
    predictions = fit.predict(1e19)
    assert list(predictions) == ["approach_1", "approach_2", "approach_3"]
    for prediction in predictions.values():
        low, high = prediction.params_interval or (0, 0)
        assert 0 < low < high
        assert prediction.tokens_per_param == pytest.approx(prediction.tokens / prediction.params)
        assert 1 < prediction.loss < 5
    assert "no_floor" not in predictions["approach_3"].flags
    with pytest.raises(UserError, match="positive number of FLOPs"):
        fit.predict(-1)


def test_the_contract_of_fit_json(demo: tuple[Points, Fit], tmp_path: Path) -> None:
    _, fit = demo
    path = write_fit(fit, tmp_path / "new")
    data = json.loads(path.read_text())
    for name in ("approach_1", "approach_2", "approach_3"):
        assert {"a", "b", "a_interval", "b_interval", "level", "status"} <= set(data[name])
    assert {"budget", "params_opt", "tokens_opt", "loss_opt", "status"} <= set(
        data["approach_2"]["budgets"][0]
    )
    law = {"E", "A", "B", "alpha", "beta"}
    assert law | {f"{name}_se" for name in law} <= set(data["approach_3"])
    assert data["count"] == "params"
    assert data["n_points"] == 18
    assert data["excluded"] == []
    assert data["bootstrap"] == {"kind": "auto", "draws": 60, "seed": 0}


def test_a_fit_comes_back_from_its_files(demo: tuple[Points, Fit], tmp_path: Path) -> None:
    _, fit = demo
    write_fit(fit, tmp_path)
    again = load_fit(tmp_path)
    assert again.to_json() == fit.to_json()
    assert again.predict(3e18) == fit.predict(3e18)
    assert again.summary() == fit.summary()
    assert np.array_equal(again.approach_1.envelope, fit.approach_1.envelope)
    (tmp_path / "draws.npz").unlink()
    bare = load_fit(tmp_path / "fit.json").predict(3e18)["approach_3"]
    assert bare.params == fit.predict(3e18)["approach_3"].params
    assert "no_interval" in bare.flags


def test_files_that_are_no_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_fit(tmp_path)
    for text in ("", "[]", "{}", '{"approach_1": 3}', "\x00"):
        (tmp_path / "fit.json").write_text(text)
        with pytest.raises(UserError, match=r"fit\.json: not what was written .* `isoflop fit`"):
            load_fit(tmp_path)


def test_the_same_seed_gives_the_same_fit(demo: tuple[Points, Fit]) -> None:
    points, fit = demo
    assert fit_points(points, QUICK, curves(points)).to_json() == fit.to_json()
    # Order of the runs is no information: the point estimates do not see it.
    shuffled = points.select(np.random.default_rng(1).permutation(len(points)))
    other = fit_points(shuffled, FitOptions(draws=0))
    assert other.approach_2.a == pytest.approx(fit.approach_2.a, rel=1e-9)
    assert other.approach_3.a == pytest.approx(fit.approach_3.a, rel=1e-6)


def test_seeds_of_a_cell_are_replicates() -> None:
    first, second = (sweep(budgets=(1e18, 1e19, 1e20), sizes=7, noise=0.004, seed=s) for s in (0, 1))
    columns = [np.concatenate(pair) for pair in zip(_columns(first), _columns(second), strict=True)]
    both = Points(*columns, budget=columns[2], seed=np.repeat([0, 1], 21))
    fit = fit_points(both, QUICK)
    assert fit.n_points == 42
    assert fit.approach_2.budgets[0].n_points == 14


def test_the_wild_bootstrap_serves_the_whole_fit_where_it_is_valid() -> None:
    points = sweep(budgets=(1e18, 1e19, 1e20), sizes=7, noise=0.004)
    options = FitOptions(draws=40, bootstrap="wild", huber_delta=float("inf"))
    fit = fit_points(points, options, curves(points))
    assert [a.bootstrap for a in fit.approaches] == ["pairs within budgets", "wild", "wild"]
    json.dumps(fit.to_json(), allow_nan=False)


def test_exclusion_is_by_rule_and_listed(published_path: Path) -> None:
    points = read_points(published_path)
    table = prepare(points, FitOptions(exclude_highest=5))
    assert len(table) == 240
    assert len(table.excluded) == 5
    assert table.loss.max() < np.sort(points.loss)[-5]
    assert "highest" in table.excluded[0].reason
    assert len(prepare(points, FitOptions(max_loss=3.4))) == (points.loss <= 3.4).sum()


def test_too_little_gives_statuses_not_numbers() -> None:
    fit = fit_points(sweep(sizes=7).select([0, 3]), QUICK)
    assert [a.status for a in fit.approaches] == ["no_curves", "too_few_budgets", "too_few_points"]
    assert fit.agreement.status == "unknown"
    assert "no approach has a frontier" in fit.summary()
    json.dumps(fit.to_json(), allow_nan=False)
    with pytest.raises(UserError, match="no usable runs"):
        fit_points(Points([1.0], [1.0], [6.0], [np.nan]), QUICK)


@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.integers(0, 2**32 - 1), st.integers(1, 25), st.sampled_from([0.0, 0.01, 1.0, 30.0]))
def test_any_table_gets_an_answer(seed: int, n: int, noise: float) -> None:
    """Runs anywhere, losses that may be nothing but noise: statuses, never a traceback, never NaN in the file."""
    rng = np.random.default_rng(seed)
    params, tokens = 10 ** rng.uniform(5, 11, n), 10 ** rng.uniform(6, 12, n)
    if seed % 3 == 0:
        params = np.round(np.log10(params)) * 1e6
    value = 1 + 100 / params**0.3 + 100 / tokens**0.3
    flops = 10 ** np.round(np.log10(6 * params * tokens)) if seed % 2 else 6 * params * tokens
    table = Points(params, tokens, flops, value * np.exp(noise * rng.standard_normal(n)))
    fit = fit_points(table, FitOptions(draws=20))
    json.dumps(fit.to_json(), allow_nan=False)
    assert fit.summary()
    read = decode(Fit, json.loads(json.dumps(encode(fit))))
    for answers in (fit, read):
        for prediction in answers.predict(1e22).values():
            assert prediction.params is None or prediction.params > 0


def test_disagreement_is_printed() -> None:
    points = sweep((1.69, 406.4, 410.7, 0.465, 0.155), width=16, noise=0.0005)
    fit = fit_points(points, replace(QUICK, correct_bias=False))
    assert fit.agreement.status == "disagree"
    assert "approach_2 and approach_3" in fit.agreement.message
    assert "Agreement: disagree" in fit.summary()


def test_wide_intervals_that_overlap_are_no_agreement() -> None:
    """Two approaches a factor of 1.8 apart in N*, with intervals of a factor of two each way."""

    def power(scale: float, spread: float) -> Approach2:
        shifts = np.linspace(-spread, spread, 101)
        draws = np.tile([np.log(scale), 0.5, 0.0, 0.5, 1.0, 1.0, 0.1], (101, 1))
        draws[:, 0] += shifts
        laws = {"params_law": PowerLaw(scale, 0.5), "tokens_law": PowerLaw(1.0, 0.5)}
        return Approach2(a=0.5, b=0.5, a_interval=(0.4, 0.6), draws=draws, **laws)

    def told(ratio: float, spread: float) -> str:
        pair = power(1.0, spread), replace(power(ratio, spread), name="approach_3")
        return compare_approaches(pair, 1e20).status

    assert told(1.8, np.log(2)) == "unclear"
    assert told(1.3, np.log(2)) == "agree"
    assert told(1.8, np.log(1.1)) == "disagree"


def test_the_summary_shows_what_speaks_against_it(demo: tuple[Points, Fit]) -> None:
    _, fit = demo
    text = fit.summary()
    for part in ("Exponents", "Frontier", "D/N", "Warnings", "approach_3"):
        assert part in text
    assert "1e+25" in frontier_table(fit, [1e25])
    assert "extrapolation" in frontier_table(fit, [1e25])
    assert [quantity(v) for v in (None, 12.3, 4567, 1.5e9, 2e12)] == ["-", "12.3", "4.57k", "1.5B", "2T"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("level", 1.0),
        ("draws", -1),
        ("bootstrap", "jackknife"),
        ("degree", 5),
        ("solver", "adam"),
        ("target", 0),
    ],
)
def test_options_are_checked(field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"fit: {field}"):
        FitOptions(**{field: value})


def test_importing_the_fit_is_light() -> None:
    heavy = "('torch', 'hydra', 'wandb', 'matplotlib')"
    code = f"import sys, harness.fit; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _columns(points: Points) -> tuple[np.ndarray, ...]:
    return points.params, points.tokens, points.flops, points.loss


@pytest.mark.parametrize(("seed", "n", "noise"), [(19827233, 16, 1.0), (4101, 13, 0.01)])
def test_tables_that_once_got_no_answer(seed: int, n: int, noise: float) -> None:
    """An interval that begins at zero; an optimum that is not a number."""
    test_any_table_gets_an_answer.hypothesis.inner_test(seed, n, noise)


def test_a_draw_that_runs_away_is_the_end_of_an_interval() -> None:
    draws = np.tile([0.0, 0.5, 0.0, 0.5, 1.0, 1.0, 0.1], (100, 1))
    draws[:20, 3] = 40.0
    fitted = replace(
        Approach2(name="approach_2", draws=draws, largest_flops=1e20, smallest_flops=1e18),
        params_law=PowerLaw(1.0, 0.5),
        tokens_law=PowerLaw(1.0, 0.5),
    )
    prediction = fitted.predict(1e21)
    assert prediction.tokens_interval is not None
    assert prediction.tokens_interval[1] > 1e300
    assert prediction.status == "wide_interval"
    assert any("interval of D*" in note for note in prediction.notes), "N* alone would not tell"
    assert fitted.predict(1e15).status == "extrapolation", "below the runs, too"


def test_too_few_runs_and_a_single_compute_make_no_law_to_believe() -> None:
    points = sweep(sizes=9)
    few = fit_points(points.select(list(range(7))), QUICK)
    assert few.approach_3.status == "too_few_points"
    budget = np.flatnonzero(points.flops < 1.01 * points.flops.min())
    assert len(budget) >= 8
    one = fit_points(points.select(list(budget)), QUICK)
    assert "unidentified" in one.approach_3.flags


@dataclass(frozen=True)
class Cost:
    hours: float
    dollars: float | None = field(default=None, metadata=json_key("money"))


def test_json_keeps_its_keys_where_a_python_name_has_changed() -> None:
    assert encode(Cost(2.0, 3.0)) == {"hours": 2.0, "money": 3.0}
    assert decode(Cost, {"hours": 2.0, "money": 3.0, "of a later version": 1}) == Cost(2.0, 3.0)


def test_a_draw_that_no_float_holds_is_the_end_of_an_interval_and_an_infinite_one_may_count() -> None:
    draws = np.array([*range(1, 41), np.inf, np.inf, np.inf, np.nan], dtype=float)
    assert percentile_interval(draws, 0.9) == pytest.approx((2.95, 38.05))
    assert percentile_interval(draws, 0.9, keep_infinite=True) == (4.0, np.inf)
    assert percentile_interval(draws[:19], 0.9) is None


def test_joint_intervals_hold_all_quantities_at_once() -> None:
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((20_000, 3)) * (1, 10, 100) + (0, 5, 0)
    found = [one or (0.0, 0.0) for one in joint_intervals(draws, 0.9)]
    inside = np.stack([(low <= x) & (x <= high) for (low, high), x in zip(found, draws.T, strict=True)])
    assert inside.all(axis=0).mean() == pytest.approx(0.9, abs=0.005)
    assert inside.mean(axis=1) == pytest.approx(np.full(3, 0.9 ** (1 / 3)), abs=0.01)
    (alone,) = joint_intervals(draws[:, :1], 0.9)
    assert alone == pytest.approx(percentile_interval(draws[:, 0], 0.9), abs=0.01)
    same = joint_intervals(np.repeat(draws[:, :1], 3, axis=1), 0.9)
    assert same == [alone] * 3, "quantities that move as one need no more than one"


def test_joint_intervals_keep_infinite_draws_and_leave_out_those_without_a_value() -> None:
    draws = np.stack([np.arange(1.0, 101.0), np.arange(1.0, 101.0)[::-1]], axis=1)
    draws[:20, 1], draws[50, 0] = np.inf, np.nan
    first, second = joint_intervals(draws, 0.9)
    assert first is not None
    assert second is not None
    assert np.isfinite(first).all()
    assert (np.isfinite(second[0]), second[1]) == (True, np.inf)
    assert joint_intervals(draws[:19], 0.9) == [None, None]
    logs = np.array([800.0, -800.0])
    optimum = Optimum.of_logs(logs, logs[::-1], np.zeros(2), 1e20)
    assert np.isfinite(optimum.params).all()
    assert np.isfinite(optimum.tokens_per_param).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.999])
def test_damaged_draws_are_one_line(tmp_path: Path, share: float) -> None:
    write_fit(fit_points(sweep(noise=0.002), QUICK), tmp_path)
    file = tmp_path / "draws.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError, match=r"draws.npz: not what was written .*; `isoflop fit` writes it anew"):
        load_fit(tmp_path)
    turned = bytearray(whole)
    turned[len(whole) // 2] ^= 0xFF
    file.write_bytes(turned)
    with pytest.raises(UserError, match=r"draws.npz: not what was written .*; `isoflop fit` writes it anew"):
        load_fit(tmp_path)
