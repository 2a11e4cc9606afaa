"""Amounts as people write them: the command line and the report's page take the same, and refuse the same."""

import math
import random
from functools import cache

import pytest

from harness.amounts import SUPERSCRIPTS, parse_amount, pattern
from harness.config.compose import compose_config
from harness.config.predict import ROOT, PredictConfig
from harness.errors import UserError
from harness.predict.asked import ASKED
from harness.report.calculator import amount_rules
from tests.report.javascript import in_node, needs_node

WRITTEN = {
    "1e13": 1e13,
    "6 × 10¹²": 6e12,
    "6x10^12": 6e12,
    "6*10**12": 6e12,
    "10^13": 1e13,
    "10¹³": 1e13,
    "10⁻³": 1e-3,
    "1e13 FLOPs": 1e13,
    "1T": 1e12,
    "2.5 t flops": 2.5e12,
    "2.5e19": 2.5e19,
    "12,000": 12000.0,
    "1 000 000": 1e6,
    "1_000": 1000.0,
    "  .5k ": 500.0,
    "1.": 1.0,
    "+3": 3.0,
    "-3": -3.0,
    "10": 10.0,
}
REFUSED = (
    "",
    "1e",
    "6,5e12",
    "1,00",
    "0,5",
    ",5",
    "1010^3",
    "1e13 tokens",
    "1e13 FLOP/s",
    "$3",
    "40%",
    "inf",
    "nan",
    "0x10",
)
SHARES = ("40%", "0.4", ".5", "100%", "140%", "1.01", "4 × 10⁻¹", "2e-2", "33.3 %", "0%")


@pytest.mark.parametrize("text", WRITTEN)
def test_amounts_are_read(text: str) -> None:
    assert parse_amount(text, "flops") == WRITTEN[text]


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_are_no_amounts(text: str) -> None:
    assert parse_amount(text, "flops") is None


def test_units_belong_to_their_kind() -> None:
    assert parse_amount("$3.50", "dollars") == parse_amount("3.5 dollars", "dollars") == 3.5
    assert parse_amount("40%", "share") == 0.4
    assert parse_amount("10 GPU-hours", "hours") == parse_amount("10h", "hours") == 10
    assert parse_amount("7B parameters", "params") == 7e9
    assert parse_amount("7B parameters", "tokens") is None


def generated(number: int) -> list[str]:
    """Texts that are amounts, nearly so, or neither."""
    rng = random.Random(0)
    pieces = [
        *("1", "6", "10", "12", "000", "2.5", ".5", "0", "007", "1,000", "1_000", "1 000", "999999999999"),
        *(
            "e",
            "E",
            "e5",
            "e-3",
            "e+20",
            "e400",
            "^",
            "**",
            "×",
            "x",
            "*",
            "·",
            " ",
            "\u00a0",
            "10¹²",
            "10^13",
            "10⁻²",
        ),
        *(
            "k",
            "M",
            "b",
            "T",
            "FLOPs",
            "flop",
            "tokens",
            "h",
            "GPU hours",
            "$",
            "%",
            "-",
            "+",
            ".",
            ",",
            "_",
            "²",
            "",
            "K",
        ),
    ]
    return ["".join(rng.choices(pieces, k=rng.randint(1, 5))) for _ in range(number)]


@cache
def taken(key: str, text: str) -> float | None:
    """What ``isoflop predict key=text`` takes; None where it refuses."""
    extra = {"gpu_hours": ["device=h100"], "dollars": ["device=h100"], "mfu": ["budget=1e20", "device=h100"]}
    asks = [] if key in ("budget", "gpu_hours", "dollars") else ["budget=1e20"]
    try:
        config, _ = compose_config(["fit=.", f"{key}={text}", *extra.get(key, asks)], ROOT, PredictConfig)
    except UserError:
        return None
    found = getattr(config, key)
    assert isinstance(found, float)
    return found


@needs_node
@pytest.mark.parametrize("key", ["budget", "gpu_hours", "dollars", "unique_tokens", "mfu"])
def test_the_page_takes_what_the_command_line_takes(key: str) -> None:
    texts = [*WRITTEN, *REFUSED, *SHARES, *generated(120)]
    each = "(text) => { const { value } = calc.read(text, data.rule, ''); return value === undefined ? null : value; }"
    read = in_node(f"data.texts.map({each})", {"texts": texts, "rule": amount_rules()[key]})
    expected = [taken(key, text) for text in texts]
    assert [None if value is None else float(value) for value in read] == expected
    assert 5 < sum(value is not None for value in read) < len(texts) - 20, "both happen"


@needs_node
def test_numbers_are_read_to_the_last_bit() -> None:
    rng = random.Random(1)
    superscript = str.maketrans("0123456789+-", SUPERSCRIPTS)
    texts = []
    for _ in range(300):
        mantissa, exponent = rng.uniform(1, 10), rng.randint(-30, 30)
        raised = str(exponent).translate(superscript)
        texts += [
            repr(mantissa * 10.0**exponent),
            f"{mantissa!r} × 10{raised}",
            f"{mantissa!r}{rng.choice('kMBT')}",
        ]
    rule = amount_rules()["budget"]
    found = in_node("data.texts.map((text) => calc.parse(text, data.rule))", {"texts": texts, "rule": rule})
    assert [float(value) for value in found] == [parse_amount(text, "flops") for text in texts]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1e50", "budget: must be at most 1e+40, got 1e+50"),
        ("-1", "budget: must be positive, got -1"),
        ("inf", "budget: must be a finite number, got inf"),
        ("1e", "budget: must be a number, got '1e'"),
        ("1_0e1_0", "budget: must be a number, got '1_0e1_0'; write it as 1e13, 2.5T or 6 x 10^12"),
    ],
)
def test_a_refusal_is_one_clear_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as refused:
        compose_config(["fit=.", f"budget={text}"], ROOT, PredictConfig)
    assert str(refused.value) == said


@needs_node
def test_the_page_refuses_in_one_clear_line() -> None:
    rules = amount_rules()
    texts = {"mfu": ["140%", "1.01", "0"], "budget": ["1e50", "-1", "words", ""]}
    each = "([key, all]) => all.map((one) => calc.read(one, data.rules[key], 'It').problem)"
    shares, budgets = in_node(f"Object.entries(data.texts).map({each})", {"texts": texts, "rules": rules})
    assert shares == [
        "It must be at most 100%; got 140%.",
        "It must be at most 100%; got 101%.",
        "It must be positive; got 0.",
    ]
    assert budgets == [
        "It must be at most 1e+40; got 1e+50.",
        "It must be positive; got -1.",
        "It must be a number, such as 1e13, 2.5T or 6 × 10¹²; got “words”.",
        "It: enter a number, such as 1e13, 2.5T or 6 × 10¹².",
    ]


def test_every_amount_of_a_question_is_a_key_with_its_bounds() -> None:
    for key, held in ASKED.items():
        metadata = PredictConfig.__dataclass_fields__[key].metadata
        assert metadata["bounds"] == held.bounds
        assert pattern(held.kind)
    assert math.isinf(parse_amount("1e999", "flops") or 0)
