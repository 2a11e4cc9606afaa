"""Overrides as they were typed: Hydra's grammar makes numbers of ids, sweeps of commas and calls of brackets."""

import math
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

from harness.amounts import AMOUNT, Amount, parse_amount
from harness.config.written import Texts, kind_of, literal, marked, without_none
from harness.errors import UserError

PARTS = re.compile(r"(\+{0,2})([^=+~]+)=(.*)", re.DOTALL)
NUMBERS = (OverrideLexer.INT, OverrideLexer.FLOAT, OverrideLexer.BOOL)


def override(key: str, text: str) -> str:
    """The override that sets ``key`` to ``text``, whatever signs it has."""
    return f"{key}={_quoted(literal(text))}"


def as_written(typed: str, schema: Any) -> str:
    """The override ``typed`` for Hydra, such that a key of ``schema`` that holds text gets it as it was typed.

    ``runs_dir=runs (2)`` needs no quotes but the shell's, ``run=8e6811`` is no number. Quotes, backslashes before signs
    of Hydra's grammar, ``${…}`` and null keep the meaning that Hydra gives them. ``path=~/books`` is as bash passes it
    on: other shells leave the tilde. Amounts (``harness.amounts``) become plain numbers: ``budget=6 x 10^12``.

    Args:
        typed: a Hydra override.
        schema: the dataclass of the configuration.

    Raises:
        UserError: see :func:`_amount`.
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
    if (held := _amount_of(key, schema)) is not None:
        return f"{sign}{key}={_amount(key, value, held.kind)}"
    is_choice = kind is None or ("." not in key and is_dataclass(kind))
    # the dataclass is one of 'data.domains', for which a path may stand
    holds_text = kind in (str, Texts) or (is_dataclass(kind) and not is_choice)
    if holds_text and (kind is str or not _is_container(value)):
        text = _text(value)
        return f"{sign}{key}={value if text is None else _quoted(text)}"
    return f"{sign}{key}={_with_marks(value, is_choice)}"


def _amount_of(key: str, schema: Any) -> Amount | None:
    """The amount that ``key`` holds; None where it holds another thing."""
    section, _, name = key.rpartition(".")
    kind = without_none(kind_of(section, schema)) if section else schema
    own = kind.__dataclass_fields__.get(name) if is_dataclass(kind) else None
    return None if own is None else own.metadata.get(AMOUNT)


def _amount(key: str, value: str, kind: str) -> str:
    """What a key that holds an amount is set to: its number; what is none as it is written, to be refused.

    Raises:
        UserError: it is a number to Python, but no amount.
    """
    text = re.sub(r"""^(['"])(.*)\1$""", r"\2", value.strip(), flags=re.DOTALL)
    found = parse_amount(text, kind)
    if found is not None:
        return _quoted(marked(repr(found)))
    try:
        taken = math.isfinite(float(text))
    except ValueError:
        taken = False
    if taken:
        raise UserError(f"{key}: must be a number, got {text!r}; write it as 1e13, 2.5T or 6 x 10^12")
    return _with_marks(value, is_choice=False)


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
