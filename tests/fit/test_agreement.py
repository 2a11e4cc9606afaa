"""What counts as disagreement: a, N*, D* and L*, by the interval of their difference."""

from dataclasses import replace

import numpy as np
import pytest

from harness.fit import Approach1, Approach2, FitOptions, LossLaw, PowerLaw, fit_points
from harness.fit.agreement import compare_approaches
from harness.fit.results import PowerApproach
from tests.fit.synthetic import curves, sweep

TARGET = 1e20
# Half a 90% interval of a normal quantity over its standard deviation.
HALF = 1.645


def approach(
    name: str = "approach_2",
    kind: type[PowerApproach] = Approach2,
    a: float = 0.5,
    log_d: float = 0.0,
    loss: float = 2.5,
    half: tuple[float, float, float] = (0.05, 0.05, 0.05),
    status: str = "ok",
    draws: int = 400,
) -> PowerApproach:
    """An approach with that a, ln D* above 2.3 at the target and L* there, and half its 90% intervals of the three."""
    rng = np.random.default_rng(sum(map(ord, name)))
    log_c = np.log(TARGET)
    floor = loss - 0.5
    row = np.array(
        [-a * log_c + 20.0, a, 2.3 + log_d - 0.5 * log_c, 0.5, floor, np.log(0.5) + 0.1 * log_c, 0.1]
    )
    drawn = np.tile(row, (max(draws, 20), 1))
    noise = rng.standard_normal((len(drawn), 3))
    # Percentiles of the very draws give the half-widths asked for.
    noise /= (np.quantile(noise, 0.95, axis=0) - np.quantile(noise, 0.05, axis=0)) / 2
    noise -= (np.quantile(noise, 0.95, axis=0) + np.quantile(noise, 0.05, axis=0)) / 2
    turn = half[0] * noise[:, 0]
    drawn[:, 1] += turn
    drawn[:, 0] -= turn * log_c
    drawn[:, 2] += half[1] * noise[:, 1]
    drawn[:, 4] += half[2] * noise[:, 2]
    return kind(
        name=name,
        a=a,
        b=0.5,
        params_law=PowerLaw(float(np.exp(row[0])), a),
        tokens_law=PowerLaw(float(np.exp(row[2])), 0.5),
        loss_law=LossLaw(floor, 0.5 * TARGET**0.1, 0.1),
        draws=drawn if draws else None,
        flags=() if status == "ok" else (status,),
        notes=() if status == "ok" else ("for a reason",),
        status=status,
    )


def test_losses_that_lie_apart_are_a_disagreement() -> None:
    """L* 2.767 (2.712, 2.816) against 2.953 (2.910, 2.998), N* and D* alike."""
    one = approach("approach_2", loss=2.764, half=(0.05, 0.05, 0.052))
    two = approach("approach_3", loss=2.954, half=(0.05, 0.05, 0.044))
    found = compare_approaches((one, two), TARGET)
    assert found.status == "disagree"
    assert found.ratio == pytest.approx(1.0)
    assert (
        "approach_2 and approach_3 on L*: 2.764 (2.712 to 2.816) against 2.954 (2.910 to 2.998)"
        in found.message
    )
    assert "on N*" not in found.message
    assert found.loss_opt == {"approach_2": pytest.approx(2.764), "approach_3": pytest.approx(2.954)}
    assert found.tokens_opt == {name: pytest.approx(np.exp(2.3)) for name in found.loss_opt}


def test_a_training_loss_is_not_compared_with_held_out_ones() -> None:
    training = approach("approach_1", Approach1, loss=2.0)
    assert compare_approaches((training, approach(loss=2.5)), TARGET).status == "agree"
    held_out = approach("approach_3", loss=2.0)
    assert compare_approaches((held_out, approach(loss=2.5)), TARGET).status == "disagree"


@pytest.mark.parametrize("apart", [0.5, 3.0])
def test_an_envelope_from_before_the_cooldown_does_not_decide(apart: float) -> None:
    """On grids that drift across the optimum its N* is off by as much as 2.5, and nothing is amiss with the others."""
    early = approach("approach_1", Approach1, log_d=apart, status="mid_run", half=(0.05, apart / 3, 0.05))
    found = compare_approaches((early, approach(), approach("approach_3")), TARGET)
    assert found.status == "agree"
    assert found.ratio == pytest.approx(1.0)
    assert found.message.endswith("is left out of this: it differs beyond its interval")
    assert found.tokens_opt is not None
    assert found.tokens_opt["approach_1"] is not None
    late = approach("approach_1", Approach1, log_d=apart, half=(0.05, 0.05, 0.05))
    assert compare_approaches((late, approach(), approach("approach_3")), TARGET).status == "disagree"
    alone = compare_approaches((early, approach()), TARGET)
    assert (alone.status, alone.ratio) == ("unknown", None)
    assert alone.message.startswith(
        "nothing to compare approach_2 with; approach_1, whose points come from before"
    )


def test_a_loss_that_falls_to_nothing_is_not_compared() -> None:
    """Approach 2's law without a floor made a clean narrow sweep a disagreement in three of twenty."""
    low = approach(loss=2.2)
    assert compare_approaches((low, approach("approach_3", loss=2.5)), TARGET).status == "disagree"
    floorless = replace(low, loss_law=LossLaw(0.0, 2.2 * TARGET**0.1, 0.1), largest_flops=TARGET / 10)
    assert "no_floor" in floorless.predict(TARGET).flags
    assert compare_approaches((floorless, approach("approach_3", loss=2.5)), TARGET).status == "agree"


def test_tokens_are_compared_too() -> None:
    found = compare_approaches((approach(), approach("approach_3", log_d=0.4)), TARGET)
    assert found.status == "disagree"
    assert "on D*: 9.97 (" in found.message
    assert "on a" not in found.message


@pytest.mark.parametrize(("apart", "status"), [(0.9, "agree"), (1.3, "disagree")])
def test_two_intervals_make_one_of_the_difference(apart: float, status: str) -> None:
    """A difference of so many times the standard deviation of 2.81, at which .005 of equal estimates lie apart."""
    critical = 2.807 * np.hypot(0.05, 0.05) / HALF
    found = compare_approaches((approach(), approach("approach_3", log_d=apart * critical)), TARGET)
    assert found.status == status


def test_an_interval_that_is_not_bounded_contradicts_nothing_above_it() -> None:
    open_ended = approach()
    assert open_ended.draws is not None
    open_ended.draws[:40, 2] = 1e4
    higher, lower = (approach("approach_3", log_d=shift) for shift in (3.0, -3.0))
    assert compare_approaches((open_ended, higher), TARGET).status != "disagree"
    assert compare_approaches((open_ended, lower), TARGET).status == "disagree"


def test_without_draws_a_factor_decides() -> None:
    pair = (approach(draws=0), approach("approach_3", log_d=np.log(1.4), draws=0))
    assert compare_approaches(pair, TARGET).status == "agree"
    pair = (approach(draws=0), approach("approach_3", log_d=np.log(1.6), draws=0))
    assert compare_approaches(pair, TARGET).status == "disagree"


def test_differences_that_matter_to_nobody_are_none() -> None:
    """Without noise every interval is a point; the approaches' own rounding must not be a disagreement."""
    exact = (0.0, 0.0, 0.0)
    near = approach("approach_3", log_d=0.005, loss=2.5005, half=exact)
    assert compare_approaches((approach(half=exact), near), TARGET).status == "agree"
    far = approach("approach_3", log_d=0.02, half=exact)
    assert compare_approaches((approach(half=exact), far), TARGET).status == "disagree"


def test_an_agreement_of_doubted_answers_is_no_confirmation() -> None:
    doubted = (approach(status="misfit"), approach("approach_3", status="at_bound"))
    found = compare_approaches(doubted, TARGET)
    assert found.status == "agree"
    assert (
        "approach_2 misfit, approach_3 at_bound), so that they agree confirms none of them" in found.message
    )
    trusted = compare_approaches((doubted[0], approach("approach_3")), TARGET)
    assert "confirms none" not in trusted.message
    # It agrees with a misfit, and the whole page called that an agreement.
    assert (
        "only approach_3 is to be used (approach_2 misfit): this agreement does not confirm it"
        in trusted.message
    )
    mild = compare_approaches((approach(status="at_edge"), approach("approach_3")), TARGET)
    assert mild.message.endswith("no more than their intervals allow")
    # Doubt is no reason not to compare.
    assert compare_approaches((doubted[0], approach("approach_3", loss=3.0)), TARGET).status == "disagree"


def test_clean_sweeps_hardly_ever_disagree() -> None:
    """One of 1,800 did in six designs (see the module); here a few, with curves, as a whole fit makes them."""
    for seed in range(6):
        points = sweep(budgets=tuple(np.geomspace(1e18, 1e20, 5)), sizes=7, width=2, noise=0.004, seed=seed)
        found = fit_points(points, FitOptions(draws=100, seed=seed), curves(points)).agreement
        assert found.status in ("agree", "unclear")
        assert found.tokens_opt is not None
        assert found.loss_opt is not None
        assert set(found.tokens_opt) == set(found.params_opt) == set(found.loss_opt)
