"""Groups of a table: fits apart, laws that share exponents, and the test whether they do."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit import FitOptions, Points, load_fit, write_fit
from harness.fit.by_group import GroupedFit, fit_by
from harness.fit.groups import share_exponents, split_by
from tests.fit.synthetic import sweep

BUDGETS = (1e18, 1e19, 1e20)
LAWS = {
    "c4": (1.69, 406.4, 410.7, 0.34, 0.28),
    "code": (1.0, 300.0, 700.0, 0.34, 0.28),
    "wiki": (1.9, 500.0, 300.0, 0.34, 0.28),
}
OTHER = {**LAWS, "code": (1.0, 300.0, 700.0, 0.45, 0.28)}


def groups_of(
    laws: dict[str, tuple[float, ...]], noise: float, seed: int = 0, sizes: int = 7
) -> dict[str, Points]:
    return {
        name: sweep(law, BUDGETS, sizes, noise=noise, seed=10 * seed + i)
        for i, (name, law) in enumerate(laws.items())
    }


def table_of(groups: dict[str, Points]) -> Points:
    columns = {
        name: np.concatenate([getattr(one, name) for one in groups.values()])
        for name in ("params", "tokens", "flops", "loss", "budget")
    }
    data = tuple(name for name, one in groups.items() for _ in range(len(one)))
    return Points(**columns, text={"data": data}, extra={"kind": np.repeat((1.0, 2.0, 3.0), len(data) // 3)})


@pytest.mark.parametrize("form", ["standard", "kappa"])
def test_shared_exponents_and_own_levels_are_found(form: str) -> None:
    found, sharing = share_exponents(groups_of(LAWS, 0.0), FitOptions(draws=0, form=form, huber_delta=np.inf))
    for name, law in LAWS.items():
        three = found[name]
        assert (three.E, three.alpha, three.beta) == pytest.approx((law[0], *law[3:]), rel=1e-2)
        assert three.a == pytest.approx(0.28 / 0.62, rel=1e-3)
    assert len({three.alpha for three in found.values()}) == 1
    assert sharing.p is None or sharing.p > 0.01


def test_the_order_of_groups_changes_nothing() -> None:
    groups = groups_of(LAWS, 0.002)
    options = FitOptions(draws=0, huber_delta=np.inf)
    forth, p = share_exponents(groups, options)
    back, q = share_exponents(dict(reversed(groups.items())), options)
    for name in LAWS:
        assert forth[name].theta() == pytest.approx(back[name].theta(), rel=1e-4)
    assert p.statistic == pytest.approx(q.statistic, rel=1e-4)


def test_groups_that_scale_otherwise_are_told() -> None:
    found, sharing = share_exponents(groups_of(OTHER, 0.003), FitOptions(draws=0))
    assert sharing.p is not None
    assert sharing.p <= 0.01
    assert sharing.status == "not_shared"
    assert all("not_shared" in three.flags for three in found.values())
    assert sharing.alpha["code"] == pytest.approx(0.45, abs=0.04)
    assert sharing.alpha["c4"] == pytest.approx(0.34, abs=0.04)


@pytest.mark.slow
def test_the_test_of_sharing_seldom_warns_of_groups_that_share() -> None:
    """At .01 and at .1, in 60 sets of three groups; and the shared exponent's interval of 90% covers."""
    p_values, held = [], 0
    for seed in range(60):
        found, sharing = share_exponents(
            groups_of(LAWS, 0.003, seed), FitOptions(draws=100, huber_delta=np.inf)
        )
        assert sharing.p is not None
        p_values.append(sharing.p)
        interval = found["code"].a_interval
        assert interval is not None
        held += interval[0] <= 0.28 / 0.62 <= interval[1]
    assert np.mean(np.array(p_values) <= 0.01) <= 0.05
    assert np.mean(np.array(p_values) <= 0.1) <= 0.2
    assert held / 60 >= 0.82


def test_a_group_of_few_runs_borrows_the_exponents() -> None:
    """Six runs of its own give no law; with the others' exponents its optimum is found."""
    groups = groups_of(LAWS, 0.001)
    groups["code"] = groups["code"].select(np.arange(0, 21, 4))
    found, _ = share_exponents(groups, FitOptions(draws=100))
    truth = sweep(LAWS["code"], (1e20,), 3, width=1.01)
    assert found["code"].predict(1e20).params == pytest.approx(float(np.median(truth.params)), rel=0.1)
    assert found["code"].a_interval is not None


def test_a_table_is_split_by_text_and_by_numbers() -> None:
    table = table_of(groups_of(LAWS, 0.002))
    by_text, by_number = split_by(table, "data"), split_by(table, "kind")
    assert list(by_text) == list(LAWS)
    assert list(by_number) == ["1", "2", "3"]
    for one, other in zip(by_text.values(), by_number.values(), strict=True):
        assert one.loss.tolist() == other.loss.tolist()


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("nothing", "no column 'nothing'"),
        ("one", "has 1 value; groups are from 2"),
        ("each", "has 63 values; groups are from 2"),
        ("gaps", "is empty in 1 row"),
    ],
)
def test_what_is_no_grouping_is_refused(column: str, told: str) -> None:
    table = table_of(groups_of(LAWS, 0.002))
    n = len(table)
    gaps = np.repeat((1.0, 2.0, 3.0), n // 3)
    gaps[5] = np.nan
    table = replace(table, extra={"one": np.ones(n), "each": np.arange(n, dtype=float), "gaps": gaps})
    with pytest.raises(UserError, match=told):
        split_by(table, column)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"form": "kaplan"}, "joint=exponents: needs form standard or kappa"),
        ({"form": "farseer"}, "joint=exponents: needs form"),
        ({"form": "tied"}, "joint=exponents: needs form"),
        ({"fix": {"E": 1.0}}, "with nothing fixed"),
        ({"tie": ["A", "B"]}, "with nothing fixed or tied"),
        ({"bootstrap": "wild"}, "use bootstrap=pairs"),
        ({"solver": "varpro"}, "solver=lbfgs"),
    ],
)
def test_forms_without_levels_of_their_own_are_refused(options: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        share_exponents(groups_of(LAWS, 0.002), FitOptions(draws=0, **options))  # type: ignore[arg-type]


def test_a_group_without_enough_runs_is_named() -> None:
    groups = groups_of(LAWS, 0.002)
    groups["wiki"] = groups["wiki"].select(np.arange(3))
    with pytest.raises(UserError, match="group wiki: 3 cells"):
        share_exponents(groups, FitOptions(draws=0))


@pytest.fixture(scope="module")
def grouped() -> GroupedFit:
    table = table_of(groups_of(LAWS, 0.003))
    return fit_by(table, "data", FitOptions(draws=60, backtest=False), joint="exponents")


def test_each_group_has_its_fit_and_approach_3_is_shared(grouped: GroupedFit) -> None:
    table = table_of(groups_of(LAWS, 0.003))
    apart = fit_by(table, "data", FitOptions(draws=60, backtest=False))
    assert list(grouped.fits) == list(apart.fits) == list(LAWS)
    assert apart.sharing is None
    assert len({fit.approach_3.a for fit in grouped.fits.values()}) == 1
    assert len({fit.approach_3.a for fit in apart.fits.values()}) == 3
    for name, fit in grouped.fits.items():
        assert fit.approach_2.a == apart.fits[name].approach_2.a
        assert fit.where == f"`data` == '{name}'"
        assert fit.n_points == 21


def test_groups_are_written_and_predicted_from(grouped: GroupedFit, tmp_path: Path) -> None:
    for name, folder in grouped.folders().items():
        again = load_fit(write_fit(grouped.fits[name], tmp_path / folder))
        before, after = (one.predict(1e21)["approach_3"] for one in (grouped.fits[name], again))
        assert (after.params, *(after.params_interval or ())) == pytest.approx(
            (before.params, *(before.params_interval or ()))
        )
    text = json.dumps(grouped.to_json(), allow_nan=False)
    assert json.loads(text)["sharing"]["groups"] == list(LAWS)
    assert json.loads(text)["groups"]["code"]["optimum"]["approach_3"]["params"] > 0


def test_the_table_sets_groups_side_by_side(grouped: GroupedFit) -> None:
    text = grouped.summary()
    assert "Groups by data at C = 1e+20" in text
    assert "3 groups may share their exponents" in text
    assert all(text.count(f" {name} ") == 2 for name in LAWS), "approaches 2 and 3"


def test_a_group_without_a_fit_is_named_and_the_others_are_fitted() -> None:
    groups = groups_of(LAWS, 0.003)
    table = table_of(groups)
    loss = np.where(np.array(table.text["data"]) == "wiki", np.nan, table.loss)
    found = fit_by(replace(table, loss=loss), "data", FitOptions(draws=0, backtest=False))
    assert list(found.fits) == ["c4", "code"]
    assert "no usable runs" in found.failed["wiki"]
    assert "wiki: no fit." in found.summary()


def test_names_of_groups_make_folders_that_differ() -> None:
    table = table_of(groups_of(LAWS, 0.003))
    names = {"c4": "a/b", "code": "a b", "wiki": ".."}
    renamed = replace(table, text={"data": tuple(names[name] for name in table.text["data"])})
    found = fit_by(renamed, "data", FitOptions(draws=0, backtest=False)).folders()
    assert found == {"a/b": "a_b", "a b": "a_b-2", "..": "group"}


def test_nothing_but_exponents_can_be_shared() -> None:
    with pytest.raises(UserError, match="'levels' is nothing that groups can share"):
        fit_by(table_of(groups_of(LAWS, 0.003)), "data", FitOptions(draws=0), joint="levels")


def test_a_group_that_the_shared_law_misses_is_told() -> None:
    """Alone it was a misfit; with exponents of another group it was ok, at seven per cent of scatter."""
    groups = groups_of({"c4": LAWS["c4"], "code": LAWS["code"]}, 0.003, sizes=9)
    code = groups["code"]
    groups["code"] = replace(code, loss=code.loss * (1 + 0.1 * np.sin(3 * np.log(code.params))))
    found, _ = share_exponents(groups, FitOptions(draws=40))
    assert "misfit" in found["code"].flags
    floorless = groups_of({"c4": LAWS["c4"], "code": (1e-6, *LAWS["code"][1:])}, 0.003)
    assert "at_bound" in share_exponents(floorless, FitOptions(draws=40))[0]["code"].flags


def test_a_group_without_cells_of_its_own_takes_no_part() -> None:
    """Two cells, each run twice, gave three levels and status ok."""
    groups = groups_of(LAWS, 0.003)
    groups["wiki"] = groups["wiki"].select(np.array([0, 0, 20, 20]))
    with pytest.raises(UserError, match="group wiki: 2 cells"):
        share_exponents(groups, FitOptions(draws=0))
    table = table_of(groups_of(LAWS, 0.003))
    mine = [i for i, name in enumerate(table.text["data"]) if name != "wiki"]
    found = fit_by(
        table.select([*mine, 42, 43]), "data", FitOptions(draws=0, backtest=False), joint="exponents"
    )
    assert list(found.alone) == ["wiki"]
    assert found.sharing is not None
    assert found.sharing.groups == ("c4", "code")
    assert "wiki took no part in sharing. 2 cells" in found.summary()


def test_a_group_of_few_runs_has_draws_of_noise() -> None:
    groups = groups_of(LAWS, 0.003)
    groups["code"] = groups["code"].select(np.arange(0, 21, 4))
    found, _ = share_exponents(groups, FitOptions(draws=60))
    assert {three.bootstrap for three in found.values()} == {"parametric"}
    full, _ = share_exponents(groups_of(LAWS, 0.003), FitOptions(draws=60))
    assert {three.bootstrap for three in full.values()} == {"pairs within groups"}


def test_numbers_that_differ_in_their_last_digits_are_groups() -> None:
    table = table_of(groups_of(LAWS, 0.003))
    values = {"c4": 1 / 3, "code": 0.1 + 0.2, "wiki": 0.3}
    column = np.array([values[name] for name in table.text["data"]])
    found = fit_by(replace(table, extra={"g": column}), "g", FitOptions(draws=0, backtest=False))
    assert len(found.fits) == 3
    assert not found.failed
