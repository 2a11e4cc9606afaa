"""The page: one HTML file with everything inside it. All text from outside the program is escaped."""

import re
from collections import Counter
from html import escape
from string import Template
from typing import Any
from urllib.parse import quote

from harness.fit.estimate import marked
from harness.fit.status import EXPLAINED, Status, is_good, plain
from harness.fit.summary import sentence
from harness.report.assets import asset, framed
from harness.report.calculator import SCRIPTS, as_script, calculator_data
from harness.report.content import Content, LeftOut, Shown, facts
from harness.report.explore.section import section
from harness.report.explore.vega import runtime
from harness.report.table import Cell, Sparkline, Table
from harness.report.text import (
    approach_label,
    counted,
    fixed,
    interval,
    plain_status,
    power,
    ratio,
    times,
    typeset,
)
from harness.report.verdict import Diagnostic, Headline

MARKS = {"good": "✔ ok", "caution": "⚠ caution", "bad": "✘ problem"}
REASONS = 3  # on a card; the others are among the diagnostics
BY_WORDS = {plain(code): code for code in EXPLAINED}
WIDE = 44
MANY_ROWS = 1000  # of a table: from here on its cells and rows have no end tags, which HTML does not ask for
ROW_PIXELS = 29  # of such a table, about
PIXELS_PER_INCH = 106
# A figure shrinks with the screen down to this share of its size, at which its letters have nine pixels.
READABLE = 0.75
# Besides letters, digits and "_.-~": what a data address within double quotes may contain.
URL_SAFE = " =/:;,()?!'*+@$[]{}|^`"


def render(content: Content, live: str = "") -> str:
    """The whole page; ``live`` is a section for its top that asks the server it came from for news."""
    data = content.data
    calculator = calculator_data(data)
    explore = section(data, content.alternatives)
    header = Template(asset("header.html")).substitute(
        source=escape(data.source), contents=_contents(calculator is not None, bool(explore))
    )
    main = Template(asset("page.html")).substitute(
        live=live,
        headline=headline(content),
        answer=table(content.answer),
        calculator="" if calculator is None else asset("calculator.html"),
        explore=explore,
        findings=_findings(content.findings),
        statuses=_statuses(content.statuses),
        figures="\n".join(
            figure(
                one, content.alternatives.get(one.entry.name, ""), f'id="chart-{one.entry.name}"' in explore
            )
            for one in content.figures
        ),
        tables="\n".join(table(one) for one in content.tables),
        left_out=_left_out(content.left_out),
        runs=table(content.runs),
        provenance=_provenance(content),
    )
    return framed(data.name, header, main, _script(calculator, bool(explore)), served=bool(live))


def headline(content: Content) -> str:
    """The answer at the largest budget and at the target, as two cards."""
    fit = content.data.fit
    cards = [_card(content.here, fit.largest_flops, "the largest that was run")]
    if content.data.target > fit.largest_flops * 1.001:
        factor = content.data.target / fit.largest_flops
        cards.append(
            _card(content.target, content.data.target, f"{times(factor)} the largest run: extrapolated")
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _stamp(answer: Headline) -> str:
    """Whether to use the answer, and the first reasons in words, each with a link to what its status means."""
    if not answer.stamp:
        return ""
    reasons = "".join(
        f"<p class='why'>{escape(sentence(typeset(reason.text)))} {_explained(reason.code)}</p>"
        for reason in answer.reasons[:REASONS]
    )
    more = len(answer.reasons) - REASONS
    rest = f"<p class='why'><a href='#diagnostics'>{more} more under Diagnostics</a></p>" if more > 0 else ""
    return f"<p class='stamp'>{MARKS[answer.level][0]} {escape(answer.stamp)}</p>{reasons}{rest}"


def _explained(code: str, words: str = "what this means") -> str:
    """A link to the page's own explanation of a status, which a pointer shows too; plain words where it has none."""
    status = EXPLAINED.get(code)
    if status is None:
        return escape(words)
    title = escape(f"{status.meaning}. What to do: {status.remedy}.")
    return f'<a href="#status-{escape(code)}" title="{title}">{escape(words)}</a>'


def _card(answer: Headline, flops: float, where: str) -> str:
    title = f"<h2>At C = {escape(power(flops))} FLOPs <span class='soft'>({escape(where)})</span></h2>"
    prediction = answer.prediction
    if prediction is None:
        return f'<div class="card {answer.level}">{_stamp(answer)}{title}<p>{escape(answer.text)}</p></div>'
    level = f"{prediction.level:.0%} interval"
    lines = (
        ("N*", counted(prediction.params), interval(prediction.params_interval), "parameters"),
        ("D*", counted(prediction.tokens), interval(prediction.tokens_interval), "tokens"),
        (
            "D*/N*",
            ratio(prediction.tokens_per_param),
            interval(prediction.tokens_per_param_interval, "ratio"),
            "tokens per parameter",
        ),
        (
            "loss",
            fixed(prediction.loss, 3),
            interval(prediction.loss_interval, "fixed"),
            marked("nats per token", prediction.loss_kind),
        ),
    )
    numbers = "".join(
        f"<dt>{escape(name)}</dt><dd><b>{escape(value)}</b> {escape(unit)}"
        + (f"<br><span class='soft'>{escape(bounds)}</span>" if bounds else "")
        + "</dd>"
        for name, value, bounds, unit in lines
    )
    return (
        f'<div class="card {answer.level}">{_stamp(answer)}{title}<dl class="numbers">{numbers}</dl>'
        f"<p class='soft'>{escape(approach_label(prediction.approach) + ', ' + level)}</p></div>"
    )


def table(shown: Table) -> str:
    """A table, scrolling sideways where it is wider than the page."""
    head = "".join(
        f'<th scope="col"{_side(heading in shown.left)}>{escape(heading)}</th>' for heading in shown.headings
    )
    ids = _row_ids(shown)
    many = len(shown.rows) > MANY_ROWS
    body = "\n".join(
        f"<tr{ids[i]}{' class=strong' if i in shown.strong else ''}>"
        + "".join(
            _cell(cell, heading in shown.left, heading == "status", many)
            for cell, heading in zip(row, shown.headings, strict=True)
        )
        + ("" if many else "</tr>")
        for i, row in enumerate(shown.rows)
    )
    caption = f"<caption>{escape(shown.title)}</caption>" if shown.title else ""
    note = f'<p class="note">{escape(shown.note)}</p>' if shown.note else ""
    # a browser lays out what nobody has scrolled to yet only when somebody does, and reserves this height for it
    height = f' style="contain-intrinsic-size:auto {ROW_PIXELS * len(shown.rows)}px"' if many else ""
    return (
        f'<div class="scroll{" many" if many else ""}" id="table-{escape(shown.name)}"{height}><table>{caption}'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>{note}"
    )


def _row_ids(shown: Table) -> list[str]:
    """An address for every run's first row, that figures link to."""
    if shown.name != "runs":
        return [""] * len(shown.rows)
    seen: set[Cell] = set()
    ids = []
    for row in shown.rows:
        ids.append("" if row[0] in seen else f' id="run-{escape(str(row[0]))}"')
        seen.add(row[0])
    return ids


def figure(shown: Shown, alternative: str = "", explored: bool = False) -> str:
    """A figure with its caption; the drawing is an SVG inside the page, and on a narrow screen it scrolls sideways.

    Args:
        alternative: what the figure shows, for those who do not see it.
        explored: it is interactive further up, so this one is for print and for a page without scripts.
    """
    title, width = escape(shown.entry.title), shown.picture.width * PIXELS_PER_INCH
    return (
        f'<figure id="figure-{escape(shown.entry.name)}"{" class=static" if explored else ""}><h3>{title}</h3>'
        f'<div class="scroll"><img alt="{escape(alternative) or title}" style="width:{width:.0f}px;'
        f'min-width:{READABLE * width:.0f}px" src="{image(shown.picture.svg)}"></div>'
        f"<figcaption>{escape(shown.entry.caption)}</figcaption></figure>"
    )


def image(svg: str) -> str:
    """A drawing as an address: its text, with what an attribute or an address cannot hold escaped.

    Drawings are most of the page; in base64 they would take a third more.
    """
    plain = " ".join(svg.replace('"', "'").split())
    return f"data:image/svg+xml;charset=utf-8,{quote(_with_classes(_short(plain)), safe=URL_SAFE)}"


def _short(svg: str) -> str:
    """The drawing without what shows nothing: comments, long names, groups of one, spaces in paths."""
    text = re.sub(r"<!--.*?-->", "", svg).replace("> <", "><").replace("xlink:href", "href")
    used = {name: f"i{i}" for i, name in enumerate(dict.fromkeys(re.findall(r"#([\w-]+)", text)))}
    text = re.sub(r" id='([^']*)'", lambda m: f" id='{used[m[1]]}'" if m[1] in used else "", text)
    text = re.sub(r"(href='|url\()#([\w-]+)", lambda m: f"{m[1]}#{used[m[2]]}", text)
    text = re.sub(r"<g>(<(?:path|use)\b[^>]*/>)</g>", r"\1", text)
    return re.sub(r" d='[^']*'", lambda m: re.sub(r" ?\b([A-Za-z]) ", r"\1", m[0]), text)


def _with_classes(svg: str) -> str:
    """The drawing with styles that many elements have as classes: matplotlib repeats them for every point."""
    found = Counter(re.findall(r" style='([^']*)'", svg))
    names = {style: f"s{i}" for i, style in enumerate(s for s, times in found.items() if times > 2)}
    if not names:
        return svg
    rules = "".join(f".{name}{{{style}}}" for style, name in names.items())
    short = re.sub(r" style='([^']*)'", lambda m: f" class='{names[m[1]]}'" if m[1] in names else m[0], svg)
    return re.sub(r"(<svg\b[^>]*>)", lambda m: f"{m[1]}<style>{rules}</style>", short, count=1)


def _cell(cell: Cell, left: bool, status: bool = False, open_end: bool = False) -> str:
    if isinstance(cell, Sparkline):
        points = " ".join(f"{100 * x:g},{20 - 20 * y:g}" for x, y in cell.points)
        return (
            f'<td><svg class="spark" viewBox="0 -1 100 22" preserveAspectRatio="none" role="img" '
            f'aria-label="{escape(cell.text)}"><polyline points="{points}"/></svg></td>'
        )
    # "missed N*, D*" is explained under its first word.
    code = BY_WORDS.get(cell, BY_WORDS.get(cell.partition(" ")[0])) if status else None
    text = escape(cell) if code is None or is_good(code) else _explained(code, cell)
    return f"<td{_side(left, wide=len(cell) > WIDE)}>{text}" + ("" if open_end else "</td>")


def _side(left: bool, wide: bool = False) -> str:
    classes = " ".join(name for name, used in (("left", left), ("wide", wide)) if used)
    return f' class="{classes}"' if classes else ""


def _findings(found: tuple[Diagnostic, ...]) -> str:
    items = "\n".join(
        f'<li class="{finding.level}"><span class="mark">{MARKS[finding.level]}</span>'
        f"{escape(finding.text)}</li>"
        for finding in found
    )
    return f'<ul class="findings">\n{items}\n</ul>'


def _statuses(occurring: tuple[Status, ...]) -> str:
    """What every status on this page means and what to do about it: the page is read without a network."""
    if not occurring:
        return ""
    items = "\n".join(
        f'<dt id="status-{escape(one.code)}">{escape(plain_status(one.code))}</dt>'
        f"<dd>{escape(sentence(one.meaning))} <b>What to do:</b> {escape(sentence(one.remedy))}</dd>"
        for one in occurring
    )
    return (
        f'<h3 id="statuses">What the statuses on this page mean</h3>\n<dl class="statuses">\n{items}\n</dl>'
    )


def _left_out(left_out: tuple[LeftOut, ...]) -> str:
    if not left_out:
        return ""
    items = "\n".join(f"<li><b>{escape(one.title)}</b>: {escape(one.reason)}</li>" for one in left_out)
    return f'<section id="left-out"><h2>Left out</h2><ul>\n{items}\n</ul></section>'


def _provenance(content: Content) -> str:
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts(content.data))
    config = content.data.config
    block = (
        f"<details><summary>Configuration</summary><pre>{escape(config)}</pre></details>" if config else ""
    )
    return f'<dl class="numbers">{rows}</dl>{block}'


def _contents(calculator: bool, explore: bool) -> str:
    """Links to the sections that the page has."""
    sections = [
        ("answer", "Answer", True),
        ("calculator", "Calculator", calculator),
        ("explore", "Explore", explore),
        ("diagnostics", "Diagnostics", True),
        ("figures", "Figures", True),
        ("tables", "Tables", True),
        ("runs", "Runs", True),
        ("provenance", "Provenance", True),
    ]
    return "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, there in sections if there)


def _script(calculator: dict[str, Any] | None, explore: bool) -> str:
    names = ["download", "sortable"] if calculator is not None else ["download", "sortable", "format"]
    embedded = ""
    if calculator is not None:
        names += SCRIPTS
        embedded = f'<script type="application/json" id="calculator-data">{as_script(calculator)}</script>\n'
    if explore:
        names.append("explore")
        embedded += f"<script>{runtime()}</script>\n"
    code = "\n".join(asset(f"{name}.js") for name in names)
    return f"{embedded}<script>\n{code}\n</script>"
