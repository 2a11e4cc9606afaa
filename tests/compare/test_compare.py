"""Arms whose truth is known: the same law, and laws whose exponents differ by a tenth."""

import json
import math
from dataclasses import replace
from functools import cache

import pytest

from harness.compare.arm import Arm, score_of
from harness.compare.compare import compare_arms
from harness.compare.difference import ALIKE, DIFFER, UNKNOWN
from harness.compare.figure import draw
from harness.compare.tables import build
from harness.errors import UserError
from harness.fit import Approach2, Approach3, Fit, FitOptions, fit_points
from harness.report.data import MissingError
from harness.report.style import figure_style
from harness.runs.record import Score
from tests.fit.synthetic import CHINCHILLA, curves, optimum, sweep
from tests.plan.test_plan import plan
from tests.records import fake_record

OTHER = (1.69, 406.4, 2000.0, 0.28, 0.36)  # a = 0.5625 against 0.4516
REPETITIONS = 12


@cache
def fit(law: tuple[float, ...], seed: int, draws: int = 200) -> Fit:
    points = sweep(law, (1e18, 1e19, 1e20), sizes=7, noise=0.003, seed=seed)
    return fit_points(points, FitOptions(draws=draws))


def arm(name: str, law: tuple[float, ...], seed: int, corpus: str = "one") -> Arm:
    return Arm(name, fit(law, seed), corpus, corpus, 1 / math.log(2), corpus, 0.05)


def test_equal_laws_are_seldom_told_apart() -> None:
    """Nominal 90% each; of 24 verdicts at least 17 (fewer has a probability of 1 in 500 at 90%).

    A fit in a hundred is called a misfit by chance; its difference is not told.
    """
    verdicts = []
    for i in range(REPETITIONS):
        found = compare_arms("same", [arm("x", CHINCHILLA, 2 * i), arm("y", CHINCHILLA, 2 * i + 1)])
        verdicts += [a.differences[0].by_quantity["a"].verdict for a in found.approaches[1:]]
    assert set(verdicts) <= {ALIKE, DIFFER, UNKNOWN}
    assert verdicts.count(UNKNOWN) <= 2
    assert verdicts.count(ALIKE) >= 17


def doubting(arm: Arm, number: int, code: str) -> Arm:
    """The arm with a doubt about its approach ``number``."""
    approaches = list(arm.fit.approaches)
    one = approaches[number - 1]
    approaches[number - 1] = replace(one, status=code, flags=(code,), notes=("for the test",))
    named = {f"approach_{i}": one for i, one in enumerate(approaches, 1)}
    return replace(arm, fit=replace(arm.fit, **named))


@pytest.mark.parametrize("code", ["misfit", "unidentified", "biased"])
def test_an_approach_by_which_nobody_should_decide_does_not_decide(code: str) -> None:
    first, second = arm("x", CHINCHILLA, 0), arm("y", OTHER, 1)
    found = compare_arms("doubted", [first, doubting(second, 3, code)])
    assert found.decides == "approach_2"
    told = found.verdict[0]
    assert told.startswith("Approach 2: N* ∝ C^a: a is 0.5")
    assert f"Approach 3 (do not use: {code} in y) puts the difference in a at" in told
    by = found.approaches[2].differences[0].by_quantity
    assert {one.verdict for one in by.values()} == {UNKNOWN}
    assert by["a"].reason == f"y: {code}"
    both = compare_arms("doubted", [doubting(doubting(one, 3, code), 2, "misfit") for one in (first, second)])
    assert both.decides == "approach_3", "where all are doubted, the first, and it is said"
    assert both.verdict[0].startswith(f"Approach 3 (do not use: {code} in x and y): N* ∝ C^a")
    mild = compare_arms("doubted", [first, doubting(second, 3, "wide_interval")])
    assert mild.decides == "approach_3"
    assert mild.verdict[0].startswith("Approach 3 (caution: wide interval in y): N* ∝ C^a")
    for code in ("at_bound", "unstable"):
        shaky = compare_arms("doubted", [first, doubting(second, 3, code)])
        assert shaky.decides == "approach_2", "its difference could not be told"


def test_unequal_laws_differ_in_exponents_and_optimum() -> None:
    found = compare_arms("other", [arm("x", CHINCHILLA, 0), arm("y", OTHER, 1, "two")])
    assert found.decides == "approach_3"
    for approach in found.approaches[1:]:
        by = approach.differences[0].by_quantity
        assert by["a"].verdict == by["b"].verdict == DIFFER
        assert by["a"].value == pytest.approx(0.36 / 0.64 - 0.28 / 0.62, abs=0.04)
        truth = math.log(optimum(1e20, OTHER)[0] / optimum(1e20)[0])
        assert by["log_params"].value == pytest.approx(truth, abs=0.25)
        assert by["log_params"].interval is not None
    text, saved = found.verdict
    assert "the losses are of different texts" in saved
    assert text.startswith("Approach 3: N* ∝ C^a: a is 0.5")
    assert text.count("they differ beyond their intervals") == 3
    ratio = found.approaches[2].differences[0].by_quantity["log_params"].value
    assert ratio is not None
    assert f"N* at C = 10²⁰ FLOPs is {math.exp(ratio):.2f} (" in text
    assert "times that of x in y: they differ" in text
    assert "Approach 2 puts the difference in a at +0.1" in text
    exponents, at = build(found)
    assert [row[1] for row in exponents.rows] == ["x", "y"] * 3
    assert [row[5] for row in exponents.rows] == ["", "unclear", "", "yes", "", "yes"]
    assert "a text is easier" in at.note


def test_the_same_sweep_twice_does_not_differ() -> None:
    found = compare_arms("same", [arm("x", CHINCHILLA, 0), arm("y", CHINCHILLA, 0)])
    for approach in found.approaches[1:]:
        for quantity, difference in approach.differences[0].by_quantity.items():
            assert difference.value == 0, quantity
            assert difference.interval is not None
            assert difference.interval[0] < 0 < difference.interval[1]
    assert "do not differ beyond their intervals (nor would a difference of less than" in found.verdict[0]
    assert "is 1.00 (0." in found.verdict[0]
    assert "(nor would a ratio of less than 1." in found.verdict[0]


def test_numbers_are_those_of_the_fits() -> None:
    arms = [arm("x", CHINCHILLA, 0), arm("y", OTHER, 1)]
    found = compare_arms("numbers", arms)
    stored = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for position, name in enumerate(("approach_1", "approach_2", "approach_3")):
        for i, one in enumerate(arms):
            mine, approach = stored["approaches"][position]["arms"][i], one.fit.approaches[position]
            prediction = approach.predict(found.flops)
            assert mine["a"] == approach.a, name
            assert mine["a_interval"] == (list(approach.a_interval) if approach.a_interval else None)
            if approach.a is not None:
                assert mine["params"] == pytest.approx(prediction.params)
                assert mine["params_interval"] == pytest.approx(list(prediction.params_interval or ()))
                assert mine["loss"] == pytest.approx(prediction.loss)
                assert mine["bits_per_byte"] == pytest.approx((prediction.loss or 0) / math.log(2))


def test_a_training_loss_is_no_bits_per_byte() -> None:
    """Approach 1 reads training curves: its loss on the page is called one, and is not compared as held-out bits."""
    points = sweep(CHINCHILLA, (1e18, 1e19, 1e20), sizes=9, noise=0.002)
    with_curves = fit_points(points, FitOptions(draws=60), curves(points))
    arms = [Arm(name, with_curves, "one", "one", 1 / math.log(2)) for name in ("x", "y")]
    first, second, _ = compare_arms("training", arms).approaches
    for one in first.arms:
        assert one.loss is not None
        assert (one.loss_kind, one.bits_per_byte, one.bits_per_byte_interval) == ("training", None, None)
    bits = first.differences[0].by_quantity["bits_per_byte"]
    assert (bits.value, bits.verdict) == (None, UNKNOWN)
    assert "training losses only" in bits.reason
    assert second.differences[0].by_quantity["bits_per_byte"].value == 0
    assert first.differences[0].by_quantity["a"].value == 0
    assert "training" in next(
        row for row in with_curves.summary().splitlines() if "approach_1" in row and "e+20" in row
    )


def test_other_documents_are_a_noise_of_their_own() -> None:
    """Arms on one corpus are scored on the same documents; on two, each score has its own sampling error."""

    def width(corpus: str) -> float:
        arms = [arm("x", CHINCHILLA, 0), arm("y", CHINCHILLA, 1, corpus)]
        bounds = compare_arms("bits", arms).approaches[1].differences[0].by_quantity["bits_per_byte"].interval
        assert bounds is not None
        return bounds[1] - bounds[0]

    own = width("one")
    assert width("two") == pytest.approx(math.hypot(own, 2 * 1.645 * 0.05 * math.sqrt(2)), rel=0.1)
    assert own < 0.1


def test_bits_are_those_of_the_text_that_was_fitted() -> None:
    cell = fake_record(plan().cells[0], loss=1.0)
    record = replace(cell, domains={"prose": Score(2.0, 0.1, 1.0, 5)})
    assert score_of(record, "loss_prose") == record.domains["prose"]
    own = score_of(record, "loss")
    assert own is not None
    assert (own.loss, own.bits_per_byte) == (record.loss, record.bits_per_byte)
    assert score_of(record, "loss_code") is None


def test_the_picture_has_a_row_for_each_approach_with_a_frontier() -> None:
    arms = [arm("x", CHINCHILLA, 0), arm("y", OTHER, 1)]
    with figure_style():
        axes = draw(arms).axes
        assert [ax.get_title(loc="left") for ax in axes[::3]] == ["Approach 2: N*", "Approach 3: N*"]
        assert len(axes) == 6
        stars = [line for line in axes[0].lines if line.get_marker() == "o"]
        assert len(stars) == 6, "three minima in each arm"
        bare = replace(arms[0].fit, approach_2=Approach2(), approach_3=Approach3())
        with pytest.raises(MissingError):
            draw([replace(arms[0], fit=bare)] * 2)


def test_arms_without_intervals_tell_nothing() -> None:
    bare = Arm("y", fit(OTHER, 1, 0), "one", "one", None)
    found = compare_arms("bare", [arm("x", CHINCHILLA, 0), Arm("z", fit(OTHER, 1), "one", "one", None), bare])
    assert found.decides is None
    assert found.verdict[0].endswith("cannot be told.")
    assert found.approaches[2].differences[1].by_quantity["a"].verdict == UNKNOWN
    assert found.approaches[2].differences[0].by_quantity["a"].verdict == DIFFER
    assert found.approaches[2].arms[1].bits_per_byte is None


def test_too_few_arms_and_unlike_levels_are_refused() -> None:
    one = arm("x", CHINCHILLA, 0)
    with pytest.raises(UserError, match="needs two"):
        compare_arms("one", [one])
    points = sweep(CHINCHILLA, (1e18, 1e19, 1e20), sizes=7, noise=0.004)
    other = Arm("y", fit_points(points, FitOptions(draws=50, level=0.8)), "one", "one", None)
    with pytest.raises(UserError, match="different levels"):
        compare_arms("levels", [one, other])
