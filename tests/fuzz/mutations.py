"""Mistakes at random: what editors, exports and typing fingers make of a file."""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

VARIABLE = "ISOFLOP_FUZZ_EXAMPLES"  # so many examples, and other ones each time


def examples(number: int) -> settings:
    """The same ``number`` of examples every time: a change is blamed for what it broke, and for nothing else."""
    asked = os.environ.get(VARIABLE)
    return settings(
        max_examples=int(asked or number),
        derandomize=not asked,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


# What has broken readers of configurations, tables and texts before.
PIECES = (
    *("\0", "\t", "\r", "\n", "\r\n", "\ufeff", "\u2028", "\x1b[31m", "\x7f", "é", "実験", "𝛼", "\ud800"),
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "- ",
        "#",
        "&a ",
        "*a",
        "<<: *a",
        "!!python/object:os.system x",
        "%YAML 1.1\n",
    ),
    *(
        "${",
        "${a}",
        "${oc.env:HOME}",
        "$",
        "'",
        '"',
        "\\",
        "|",
        ">",
        "?",
        "=",
        ",",
        ";",
        "---\n",
        "...\n",
        "~",
    ),
    *(
        "null",
        "true",
        "yes",
        "nan",
        ".inf",
        "-1",
        "0",
        "1e400",
        "1e308",
        "9" * 400,
        "0x10",
        "1_000",
        "12:00:00",
    ),
    *("1,2", "1;2", "１", "1e9", "-", "NA", "[]", "{}", "a" * 300, "é" * 200, "[" * 300, "&a [*a, *a]"),
)


@st.composite
def mutated(draw: st.DrawFn, text: str, most: int = 3) -> bytes:
    """``text`` with one to ``most`` mistakes, encoded as somebody's editor does."""
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, len(text)))
        end = draw(st.integers(place, min(len(text), place + 40)))
        kind = draw(st.sampled_from(("insert", "replace", "delete", "repeat", "cut", "line")))
        if kind == "insert":
            text = text[:place] + draw(st.sampled_from(PIECES)) + text[place:]
        elif kind == "replace":
            text = text[:place] + draw(st.sampled_from(PIECES)) + text[end:]
        elif kind == "delete":
            text = text[:place] + text[end:]
        elif kind == "repeat":
            text = text[:place] + text[place:end] * 2 + text[end:]
        elif kind == "cut":
            text = text[:place]
        else:
            lines = text.split("\n")
            one = draw(st.integers(0, len(lines) - 1))
            lines[one] = draw(st.sampled_from(PIECES)) + lines[one]
            text = "\n".join(lines)
    encoding = draw(st.sampled_from(("utf-8",) * 6 + ("utf-8-sig", "latin-1", "utf-16", "cp1252")))
    return text.encode(encoding, errors="surrogatepass" if encoding == "utf-8" else "replace")
