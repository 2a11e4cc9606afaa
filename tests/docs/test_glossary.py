"""The glossary is in order, has the words that people meet, and none that nobody uses."""

import re

import pytest

from harness.commands.texts import COMMANDS
from harness.config.compose import compose_config
from harness.report.figures.catalogue import FIGURES
from tests.docs.blocks import ROOT, documents

GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^\| ([^|]+?) \| (.+?) \|$", GLOSSARY, re.MULTILINE)[1:]
SOURCES = [path for path in (ROOT / "harness").rglob("*.*") if path.suffix in (".py", ".js")]
SIGNS = {"N", "D", "C", "L", "N\\*", "D\\*", "L\\*", "a", "b", "E", "A", "B", "alpha", "beta"}
# Words that the project uses in a sense of its own, or of its field.
MET = """
ablation, approach, arm, array task, backtest, budget, calibration, cell, checkpoint, claim, corpus, dependent
job, diverged, domain, draws, envelope, epoch, experiment, family, fingerprint, fit, follow-up, frontier,
grid, held-out, horizon, interval, ladder, launcher, law, loss, misfit, profile, recipe, record, run,
schedule, seed, shape, status, sweep, throughput, trunk, branch, tuning, unique tokens, validation, verdict,
worker
"""


def words() -> list[str]:
    return [word.strip() for name, _ in TERMS for word in re.sub(r" 1, 2, 3", "", name).split(",")]


def test_it_is_in_order() -> None:
    names = [name.lower() for name, _ in TERMS]
    assert names == sorted(names)
    assert len(set(names)) == len(names) > 50


def test_it_has_the_words_that_people_meet() -> None:
    assert {" ".join(word.split()) for word in MET.split(",")} - set(words()) == set()


def test_it_explains_the_symbols() -> None:
    symbols = GLOSSARY.split("Symbols:")[1].split("| term")[0]
    assert all(re.search(rf"(?<!\w){re.escape(sign)}(?!\w)", symbols) for sign in SIGNS)


@pytest.mark.parametrize("word", words())
def test_each_is_used_where_people_read(word: str) -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in documents() if "glossary" not in name]
    texts += [*COMMANDS.values(), *(f"{one.title} {one.caption}" for one in FIGURES)]
    texts += [path.read_text(encoding="utf-8") for path in SOURCES]
    plural = rf"\b{re.escape(word)}(s|es)?\b".replace("y(s|es)?", "(y|ies)")
    assert any(re.search(plural, text, re.IGNORECASE) for text in texts), f"nobody says {word}"


def test_what_it_says_of_defaults_is_so() -> None:
    config = compose_config(["experiment=demo"])[0]
    assert config.analysis.level == 0.9
    assert config.grid.count == "appendix_f"
