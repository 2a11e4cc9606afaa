"""Numbers as people write them, in memory and in files; what can be read in two ways is asked about."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fit import read_points
from harness.fit.read.notation import COMMA, POINT, decimal_sign, evidence, number


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1,234,567", 1234567),
        ("1,234.5", 1234.5),
        ("1 234 567", 1234567),
        ("1\u00a0234\u00a0567", 1234567),
        ("1\u202f234\u202f567.25", 1234567.25),
        ("1'234'567", 1234567),
        ("1_234_567", 1234567),
        ("23.26M", 23.26e6),
        ("1.3B", 1.3e9),
        ("1.3 bn", 1.3e9),
        ("2T", 2e12),
        ("400k", 4e5),
        ("7b", 7e9),
        ("1.5 billion", 1.5e9),
        ("1,234M", 1.234e9),
        ("6.0 x 10^18", 6e18),
        ("6×10^18", 6e18),
        ("6*10**18", 6e18),
        ("6e18", 6e18),
        (".5", 0.5),
        ("5.", 5),
        ("-1,234,567", -1234567),
    ],
)
def test_a_number(word: str, value: float) -> None:
    assert number(word, POINT, suffixes=True) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("3,14", 3.14),
        ("1.234.567", 1234567),
        ("1.234,5", 1234.5),
        ("1 234,5", 1234.5),
        ("1,2E+18", 1.2e18),
        ("1.234", 1234),
        ("23,26M", 23.26e6),
        ("12", 12),
        ("0,5", 0.5),
    ],
)
def test_a_number_with_decimal_commas(word: str, value: float) -> None:
    assert number(word, COMMA, suffixes=True) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "word",
    ["70M", "1,2,3", "12,34,567", "1 23", "3.2%", "12a", "1e8x", "2024-01-01", "1.2.3", "M", ",", "x" * 99],
)
def test_no_number(word: str) -> None:
    assert number(word) is None


@pytest.mark.parametrize("word", ["", "nan", "NaN", "N/A", "null", "None", "-", "diverged"])
def test_no_value(word: str) -> None:
    value = number(word)
    assert value is not None
    assert math.isnan(value)


@given(st.integers(0, 10**15), st.sampled_from([",", " ", "'", "\u202f"]))
def test_grouped_thousands_are_the_number(value: int, sign: str) -> None:
    assert number(f"{value:,}".replace(",", sign)) == value


@given(st.floats(1e-3, 1e18), st.integers(0, 6))
def test_both_signs_give_the_same(value: float, digits: int) -> None:
    plain = f"{value:,.{digits}f}"
    german = plain.translate(str.maketrans(",.", ".,"))
    assert number(german, COMMA) == number(plain, POINT) == float(plain.replace(",", ""))


@pytest.mark.parametrize(
    ("own", "others", "sign"),
    [
        (["3.14", "2"], [], POINT),
        (["3,14"], [], COMMA),
        (["1,234"], [], None),
        (["1,234"], [["3.14"]], POINT),
        (["1,234"], [["3,14"]], COMMA),
        (["1,234"], [["3,14"], ["3.14"]], None),
        (["1,234", "1,234,567"], [], POINT),
        (["1,234", "0,5"], [], COMMA),
        (["1,234e5"], [], COMMA),
        (["1.234"], [], POINT),
        (["1.234"], [["3,14"]], COMMA),
        (["1.234", "2.5"], [["3,14"]], POINT),
        (["1.234", "1,234"], [], None),
        (["3,14", "3.14"], [], None),
        (["12", "13"], [["3,14"]], POINT),
    ],
)
def test_what_settles_the_decimal_sign(own: list[str], others: list[list[str]], sign: str | None) -> None:
    assert decimal_sign(evidence(own), map(evidence, others)) == sign


def test_a_comma_that_can_be_either_is_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("params;tokens;loss\n1,234;80000000;3\n2,345;90000000;4\n")
    said = r"t\.csv: column 'params' has numbers such as '1,234', which can be 1234 or 1\.234; .*columns\.decimal=point"
    with pytest.raises(UserError, match=said):
        read_points(path)
    points = read_points(path, columns={"decimal": "point"})
    assert points.params.tolist() == [1234, 2345]
    assert points.read_as == {"decimal": "point"}
    points = read_points(path, columns={"decimal": "comma", "params": "params * 1e6"})
    assert points.params.tolist() == [1234000, 2345000]
    path.write_text("params;tokens;loss\n1,234;80000000;3,01\n2,345;90000000;4,5\n")
    gone = read_points(path).excluded
    assert {"1.234 parameters on 8e+07 tokens" in gone[0].reason} == {True}


@pytest.mark.parametrize(
    ("header", "params"),
    [
        ("N (M)", 23e6),
        ("params (millions)", 23e6),
        ("params_m", 23e6),
        ("Parameters [B]", 23e9),
        ("model size in billions", 23e9),
        ("n_params_k", 23e3),
        ("Params (M params)", 23e6),
        ("N (1e6)", 23e6),
    ],
)
def test_a_unit_in_a_name(header: str, params: float) -> None:
    points = read_points({header: [23, "7.5M"], "tokens": [1e9, 1e9], "loss": [3, 2]})
    assert points.params.tolist() == [params, 7.5e6], "a suffix of the cell's own wins"


def test_a_unit_that_cannot_be_is_refused_and_d_k_is_no_tokens_in_thousands() -> None:
    for unit, word in (("m", "millions"), ("b", "billions")):
        table = {f"params_{unit}": [23e6, 70e6], "tokens": [1e9, 1e9], "loss": [3, 2]}
        said = rf"has 7e\+07 {word}, which no run has; .*columns\.params='params_{unit} \* 1'"
        with pytest.raises(UserError, match=said):
            read_points(table)
        assert read_points(table, columns={"params": f"params_{unit} * 1"}).params.tolist() == [23e6, 70e6]
    with pytest.raises(UserError, match="missing column params or tokens"):
        read_points({"d_k": [64, 64], "flops": [1e18, 1e18], "loss": [3, 2]})


def test_no_loss_is_a_thousand_nats() -> None:
    table = {"params": ["1,234,567", "2,345,678"], "tokens": [1e9] * 2, "loss": ["3,123", "2,987"]}
    with pytest.raises(UserError, match=r"'loss' has numbers such as '3,123', which can be 3123 or 3\.123"):
        read_points(table)
    table["params"] = ["1.234.567", "2.345.678"]
    assert read_points(table).loss.tolist() == [3.123, 2.987]
    mixed = read_points({**table, "loss": ["3.123", "2.987"]})
    assert (mixed.params.tolist(), mixed.loss.tolist()) == ([1234567, 2345678], [3.123, 2.987])
