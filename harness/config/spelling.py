"""Overrides as they were typed: Hydra's grammar makes numbers of ids, sweeps of commas and calls of brackets."""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_origin

from antlr4 import ParserRuleContext  # type: ignore[import-untyped]
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.overrides_visitor import HydraErrorListener
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from hydra.grammar.gen.OverrideLexer import CommonTokenStream, InputStream, OverrideLexer  # type: ignore[attr-defined]
from hydra.grammar.gen.OverrideParser import OverrideParser

from harness.config.written import Texts, kind_of, literal, marked, without_none

PARTS = re.compile(r"(\+{0,2})([^=+~]+)=(.*)", re.DOTALL)
NUMBERS = (OverrideLexer.INT, OverrideLexer.FLOAT, OverrideLexer.BOOL)


def override(key: str, text: str) -> str:
    """The override that sets ``key`` to ``text``, whatever signs it has."""
    return f"{key}={_quoted(literal(text))}"


def as_written(typed: str, schema: Any) -> str:
    """The override ``typed`` for Hydra, such that a key of ``schema`` that holds text gets it as it was typed.

    ``runs_dir=runs (2)`` needs no quotes but the shell's, ``run=8e6811`` is no number. Quotes, backslashes before signs
    of Hydra's grammar, ``${…}`` and null keep the meaning that Hydra gives them. ``path=~/books`` is as bash passes it
    on: other shells leave the tilde.

    Args:
        typed: a Hydra override.
        schema: the dataclass of the configuration.
    """
    found = PARTS.fullmatch(typed)
    if found is None:
        return typed
    sign, key, value = found.groups()
    if not sign and _has_entries(key, schema):
        sign = "++"  # an entry of any name is added without a sign, too
    if value.startswith("~/"):
        value = str(Path(value).expanduser())
    kind = without_none(kind_of(key, schema))
    is_choice = kind is None or ("." not in key and is_dataclass(kind))
    # the dataclass is one of 'data.domains', for which a path may stand
    holds_text = kind in (str, Texts) or (is_dataclass(kind) and not is_choice)
    if holds_text and (kind is str or not _is_container(value)):
        text = _text(value)
        return f"{sign}{key}={value if text is None else _quoted(text)}"
    return f"{sign}{key}={_with_marks(value, is_choice)}"


def _has_entries(key: str, schema: Any) -> bool:
    """Whether ``key`` is a mapping with entries of any name, or within one."""
    parts = key.split(".")
    kinds_above = (kind_of(".".join(parts[:end]), schema) for end in range(1, len(parts) + 1))
    return any(get_origin(without_none(kind)) is dict for kind in kinds_above)


def _is_container(value: str) -> bool:
    try:
        return isinstance(_parsed(value), list | dict)
    except HydraException:
        return False


def _text(value: str) -> str | None:
    """What a key of text is set to, ``${…}`` in it; None for no text, which Hydra reads better."""
    try:
        found = _parsed(value)
    except HydraException:
        return literal(value)
    if found is None:
        return None
    if isinstance(found, QuotedString):
        return found.text
    if isinstance(found, str):
        return found if "\\" in value else value
    return literal(value)  # a number; what Hydra would take for a sweep, a list or a call


def _parsed(value: str) -> Any:
    found = OverridesParser.create().parse_rule(f"key={value}", "override")
    return found._value  # with its quotes, which value() takes off


def _quoted(text: str) -> str:
    return QuotedString(text=text, quote=Quote.single).with_quotes()


def _with_marks(value: str, is_choice: bool) -> str:
    """``value`` with its numbers and switches as marked text; of a choice, a file's name, as plain text."""
    try:
        tree = _tree(f"key={value}")
    except HydraException:
        return value  # Hydra says what is wrong
    made, end = "", len("key=")
    text = f"key={value}"
    for token in _numbers(tree):
        made += text[end : token.start] + _quoted(token.text if is_choice else marked(token.text))
        end = token.stop + 1
    return made + text[end:]


def _tree(override: str) -> ParserRuleContext:
    """The parse tree of ``override``.

    Raises:
        HydraException: it is none.
    """
    lexer = OverrideLexer(InputStream(override))
    parser = OverrideParser(CommonTokenStream(lexer))
    for one in (lexer, parser):
        one.removeErrorListeners()
        one.addErrorListener(HydraErrorListener())
    return parser.override()


def _numbers(node: Any) -> Iterator[Any]:
    """Tokens that are a whole value and no text; not the arguments of Hydra's functions, nor keys."""
    if isinstance(node, OverrideParser.PrimitiveContext):
        tokens = [child.symbol for child in node.getChildren() if child.symbol.type != OverrideLexer.WS]
        if len(tokens) == 1 and tokens[0].type in NUMBERS:
            yield tokens[0]
    elif isinstance(node, ParserRuleContext) and not isinstance(node, OverrideParser.FunctionContext):
        for child in node.getChildren():
            yield from _numbers(child)
