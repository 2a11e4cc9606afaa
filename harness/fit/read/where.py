"""A filter of rows as people write it: ``params > 1e8 and dataset == 'c4' and outlier != True``.

    condition   = any ("or" any)*          any = one ("and" one)*          one = "not" one | "(" condition ")" | test
    test        = operand (("==" | "!=" | "<" | "<=" | ">" | ">=") operand)+
                | operand ["not"] "in" "(" value ("," value)* ")"
                | operand "is" ["not"] "missing"
                | column of true and false
    operand     = column | value           value = number | 'text' | True | False

A column stands as it is, or in backticks or double quotes where its name has spaces; double quotes around what is no
column's name are a text's. A missing cell satisfies no test but ``is missing``, nor does its opposite: ``not (x == 1)``
is ``x != 1``. The text is parsed here and nothing of it is run by Python.
"""

import difflib
import re
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.read.names import listed
from harness.fit.read.notation import POINT, number
from harness.fit.read.table_columns import Mask, TableColumns, Values
from harness.fit.table import Array, plain_name
from harness.text import visible

MOST_CHARACTERS = 10_000
MOST_NESTED = 50

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<name>\"[^\"]*\"|`[^`]*`)"
    r"|(?P<number>[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?(?:[kKmMbBtT](?![\w./]))?(?![\w]))"
    r"|(?P<word>[^\W\d][\w./]*)|(?P<sign>==|!=|<=|>=|<|>|\(|\)|,)|(?P<other>\S+?))",
)
_INSTEAD = {"=": "'=='", "&": "'and'", "|": "'or'", "!": "'not'", "~": "'not'"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    at: int


@dataclass(frozen=True, eq=False)
class Truth:
    """Of each row, whether a condition holds and whether it does not, (n,) each; neither where a cell is missing."""

    yes: Mask
    no: Mask


def rows_where(text: str, table: TableColumns) -> Truth:
    """The rows of ``table`` for which the filter ``text`` holds.

    Raises:
        UserError: it cannot be read, names no column of the table, or compares what cannot be compared; with the place.
    """
    return _Parser(text, table).parse()


@dataclass(frozen=True)
class _Literal:
    value: float | str | bool
    shown: str


Operand = Values | _Literal


class _Parser:
    """A filter while it is read; each part is evaluated as it is found."""

    def __init__(self, text: str, table: TableColumns) -> None:
        self.text, self.table = text, table
        if len(text) > MOST_CHARACTERS:
            raise UserError(f"where: longer than {MOST_CHARACTERS:,} characters")
        self.tokens = self._tokens()
        self.next, self.depth = 0, 0

    def _tokens(self) -> list[_Token]:
        found, at, end = [], 0, len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            assert match is not None, "anything but space is a token"
            assert match.lastgroup is not None, "a token is of a kind"
            kind, start = match.lastgroup, match.start(match.lastgroup)
            token = _Token(kind, match[kind], start)
            if kind == "other":
                raise self._refuse_sign(token)
            found.append(token)
            at = match.end()
        found.append(_Token("end", "", end))
        return found

    def _refuse_sign(self, token: _Token) -> UserError:
        sign = token.text[0]
        if sign in "'\"`":
            return self._fail(token, f"this {sign} is not closed")
        if sign in _INSTEAD:
            return self._fail(token, f"write {_INSTEAD[sign]} for '{sign}'")
        return self._fail(
            token, f"'{visible(sign)}' has no meaning here; a column whose name has other signs stands in `…`"
        )

    def _fail(self, token: _Token, what: str) -> UserError:
        end = visible(self.text[token.at : token.at + 20].strip())
        where = f"at character {token.at + 1} ({end!r})" if end else "at the end"
        return UserError(f"where: {what}, {where} of {visible(self.text)!r:.200}")

    def _peek(self, *words: str) -> bool:
        token = self.tokens[self.next]
        return token.kind in ("word", "sign") and token.text.lower() in words

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next = min(self.next + 1, len(self.tokens) - 1)
        return token

    def parse(self) -> Truth:
        """The whole."""
        if self.tokens[0].kind == "end":
            raise UserError("where: is empty; e.g. where=\"params > 1e8 and dataset == 'c4'\"")
        truth = self._any()
        if self.tokens[self.next].kind != "end":
            raise self._fail(self.tokens[self.next], "'and' or 'or' is expected between two tests")
        return truth

    def _any(self) -> Truth:
        truth = self._all()
        while self._peek("or"):
            self._take()
            other = self._all()
            truth = Truth(truth.yes | other.yes, truth.no & other.no)
        return truth

    def _all(self) -> Truth:
        truth = self._one()
        while self._peek("and"):
            self._take()
            other = self._one()
            truth = Truth(truth.yes & other.yes, truth.no | other.no)
        return truth

    def _one(self) -> Truth:
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise self._fail(self.tokens[self.next], f"more than {MOST_NESTED} brackets within each other")
        try:
            if self._peek("not"):
                self._take()
                truth = self._one()
                return Truth(truth.no, truth.yes)
            if self._peek("("):
                self._take()
                truth = self._any()
                self._expect(")")
                return truth
            return self._test()
        finally:
            self.depth -= 1

    def _expect(self, sign: str) -> None:
        token = self._take()
        if token.text != sign:
            raise self._fail(token, f"'{sign}' is expected")

    def _test(self) -> Truth:
        token = self.tokens[self.next]
        left = self._operand()
        if self._peek("is"):
            self._take()
            negated = self._peek("not")
            if negated:
                self._take()
            word = self._take()
            if word.text.lower() not in ("missing", "null", "none"):
                raise self._fail(word, "'is missing' or 'is not missing' is expected")
            if isinstance(left, _Literal):
                raise self._fail(token, "a column is expected before 'is missing'")
            gone = left.missing
            return Truth(~gone, gone) if negated else Truth(gone, ~gone)
        negated = self._peek("not")
        if negated:
            self._take()
            if not self._peek("in"):
                raise self._fail(self.tokens[self.next], "'in' is expected after 'not'")
        if self._peek("in"):
            self._take()
            return self._among(token, left, negated)
        truth: Truth | None = None
        while self._peek("==", "!=", "<", "<=", ">", ">="):
            sign, at = self._take(), self.tokens[self.next]
            right = self._operand()
            one = self._compared(sign, left, right, token, at)
            truth = one if truth is None else Truth(truth.yes & one.yes, truth.no | one.no)
            left, token = right, at
        if truth is not None:
            return truth
        if isinstance(left, Values) and (switches := left.switches()):
            return Truth(*switches)
        after = self.tokens[self.next]
        raise self._fail(
            after if after.kind in ("other", "sign") else token, "a comparison is expected, e.g. params > 1e8"
        )

    def _among(self, token: _Token, left: Operand, negated: bool) -> Truth:
        if isinstance(left, _Literal):
            raise self._fail(token, "a column is expected before 'in'")
        self._expect("(")
        yes = np.zeros(len(self.table.cells.lines), dtype=bool)
        while True:
            at = self.tokens[self.next]
            value = self._operand(text=True)
            yes |= self._compared(_Token("sign", "==", at.at), left, value, token, at).yes
            if not self._peek(","):
                break
            self._take()
            if self._peek(")"):
                break
        self._expect(")")
        no = ~yes & ~left.missing
        return Truth(no, yes) if negated else Truth(yes, no)

    def _operand(self, text: bool = False) -> Operand:
        """A column or a value; with ``text`` what stands in double quotes is a text."""
        token = self._take()
        if token.kind == "text":
            return _Literal(re.sub(r"\\(.)", r"\1", token.text[1:-1]), token.text)
        if token.kind == "number":
            value = number(token.text.replace("_", ""), POINT, suffixes=True)
            if value is None:
                raise self._fail(token, "this is no number")
            return _Literal(value, token.text)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return _Literal(token.text.lower() == "true", token.text)
        if token.kind in ("word", "name"):
            name = token.text if token.kind == "word" else token.text[1:-1]
            if text and token.text.startswith('"'):
                return _Literal(name, token.text)
            if token.kind == "word" and name.lower() in ("and", "or", "not", "in", "is"):
                raise self._fail(token, "a column, a number or a 'text' is expected")
            if (found := self.table.column(name)) is not None:
                return found
            if token.text.startswith('"'):
                return _Literal(name, token.text)
            raise self._unknown(token, name)
        raise self._fail(token, "a column, a number or a 'text' is expected")

    def _unknown(self, token: _Token, name: str) -> UserError:
        names = self.table.names()
        close = difflib.get_close_matches(plain_name(name), list(map(plain_name, names)), n=1)
        meant = [one for one in names if close and plain_name(one) == close[0]]
        hint = f"; did you mean {visible(meant[0])!r}?" if meant else "; a text stands in quotes: '…'"
        return self._fail(token, f"no column {name!r}{hint} (the table has {listed(names)})")

    def _compared(self, sign: _Token, left: Operand, right: Operand, at: _Token, after: _Token) -> Truth:
        if isinstance(left, _Literal) and isinstance(right, _Literal):
            quoted = next((one for one in (left, right) if one.shown.startswith('"')), None)
            if quoted is not None:
                raise self._unknown(at if quoted is left else after, str(quoted.value))
            raise self._fail(at, "a comparison needs a column")
        if isinstance(left, _Literal):
            turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign.text, sign.text)
            return self._compared(_Token("sign", turned, sign.at), right, left, after, at)
        missing = left.missing
        if isinstance(right, Values):
            missing = missing | right.missing
            if left.numbers is not None and right.numbers is not None:
                holds = _ordered(sign.text, left.numbers, right.numbers)
            elif left.column is not None and right.column is not None and sign.text in ("==", "!="):
                same = np.array(left.column.text(), dtype=object) == np.array(
                    right.column.text(), dtype=object
                )
                holds = same if sign.text == "==" else ~same
            else:
                raise self._fail(sign, f"{left.name!r} and {right.name!r} cannot be compared: one has text")
        else:
            holds = self._with_value(sign, left, right, after)
        return Truth(holds & ~missing, ~holds & ~missing)

    def _with_value(self, sign: _Token, left: Values, right: _Literal, after: _Token) -> Mask:
        """Rows in which a column compares so with a value, (n,)."""
        value = right.value
        if isinstance(value, bool):
            switches = left.switches()
            if switches is None:
                raise self._fail(after, f"column {left.name!r} is not of true and false")
            if sign.text not in ("==", "!="):
                raise self._fail(sign, f"'{sign.text}' compares numbers")
            return switches[0] if (sign.text == "==") == value else switches[1]
        if isinstance(value, str):
            if left.column is None or (left.numbers is not None and left.name != "run_id"):
                raise self._fail(after, f"column {left.name!r} has numbers, and {right.shown} is a text")
            if sign.text not in ("==", "!="):
                raise self._fail(sign, f"'{sign.text}' compares numbers")
            same = left.by_word(lambda word: word == value)
            return same if sign.text == "==" else ~same
        if left.numbers is None:
            example = next((word for word in (left.column.words if left.column else []) if word), "")
            raise self._fail(
                after, f"column {left.name!r} has text such as '{visible(example):.30}', and this is a number"
            )
        return _ordered(sign.text, left.numbers, np.array(value))


def _ordered(sign: str, left: Array, right: Array) -> Mask:
    with np.errstate(invalid="ignore"):
        found: Mask = {
            "==": np.equal,
            "!=": np.not_equal,
            "<": np.less,
            "<=": np.less_equal,
            ">": np.greater,
            ">=": np.greater_equal,
        }[sign](left, right)
    return found
