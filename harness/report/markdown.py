"""The report as Markdown, for pull requests: the same text, with links to the figures' files."""

from harness.fit.status import Status
from harness.fit.summary import sentence
from harness.report.content import Content, facts
from harness.report.table import Cell, Table
from harness.report.text import plain_status, typeset
from harness.report.verdict import Headline

MARKS = {"good": "✔", "caution": "⚠", "bad": "✘"}


def render(content: Content, figures: str = "figures") -> str:
    """The whole report; ``figures`` is the folder of the pictures, relative to the report."""
    data = content.data
    parts = [
        f"# {_escape(data.name)}",
        _escape(data.source),
        "\n".join(f"- {_stamped(answer)}" for answer in dict.fromkeys((content.here, content.target))),
        table(content.answer),
        "## Diagnostics",
        "\n".join(f"- {MARKS[finding.level]} {_escape(finding.text)}" for finding in content.findings),
        _statuses(content.statuses),
        "## Figures",
        *(
            f"### {_escape(shown.entry.title)}\n\n"
            f"![{_escape(shown.entry.title)}]({figures}/{shown.entry.name}.png)\n\n"
            f"{_escape(shown.entry.caption)}"
            for shown in content.figures
        ),
        "## Tables",
        *(table(one) for one in content.tables),
    ]
    if content.left_out:
        listed = "\n".join(f"- {_escape(one.title)}: {_escape(one.reason)}" for one in content.left_out)
        parts += ["## Left out", listed]
    parts += [
        "## Runs",
        table(content.runs),
        "## Provenance",
        "\n".join(f"- {_escape(name)}: {_escape(value)}" for name, value in facts(data)),
    ]
    if data.config:
        fence = "```"
        while fence in data.config:
            fence += "`"
        parts.append(f"{fence}yaml\n{data.config.rstrip()}\n{fence}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _stamped(answer: Headline) -> str:
    """The answer after whether to use it; a bad one is not in bold."""
    if not answer.stamp:
        return f"**{_escape(answer.text)}**"
    why = " ".join(_escape(sentence(typeset(reason.text))) for reason in answer.reasons[:1])
    stamp = f"**{MARKS[answer.level]} {_escape(sentence(answer.stamp))}** {why}"
    return f"{stamp} {_escape(answer.text)}"


def _statuses(occurring: tuple[Status, ...]) -> str:
    if not occurring:
        return ""
    lines = [
        f"- {_escape(plain_status(one.code))}: {_escape(sentence(one.meaning))} "
        f"What to do: {_escape(sentence(one.remedy))}"
        for one in occurring
    ]
    return "What the statuses here mean:\n\n" + "\n".join(lines)


def table(shown: Table) -> str:
    """A table; columns of small curves are left out, Markdown has none."""
    curves = {i for i in range(len(shown.headings)) if any(not isinstance(row[i], str) for row in shown.rows)}
    kept = [i for i in range(len(shown.headings)) if i not in curves]
    sides = [":--" if shown.headings[i] in shown.left else "--:" for i in kept]
    lines = [
        [_escape(shown.headings[i]) for i in kept],
        sides,
        *([_text(row[i]) for i in kept] for row in shown.rows),
    ]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    note = f"\n\n{_escape(shown.note)}" if shown.note else ""
    title = f"**{_escape(shown.title)}**\n\n" if shown.title else ""
    return f"{title}{body}{note}"


def _text(cell: Cell) -> str:
    return _escape(cell) if isinstance(cell, str) else ""


def _escape(text: str) -> str:
    """Text that means itself in Markdown, on one line."""
    for special in "\\`*_[]<>|#":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())
