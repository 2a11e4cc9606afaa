"""The part of the page that follows a sweep while it trains: what is done, what runs and why something does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from string import Template

from harness.report.assets import asset, framed
from harness.report.live_plots import Profile, Trace, draw_curves, draw_profiles

MOST_ROWS = 1000
"""Of the table of runs. Those that run or failed come first, so none of these is missing from a larger sweep's."""
FIRST = (
    *("failed", "unknown", "running", "requeued", "queued", "interrupted"),
    *("pending", "cancelled", "diverged", "finished"),
)
LEFT = ("run", "shape", "state", "")


@dataclass(frozen=True)
class LiveRun:
    """A row of the table.

    Attributes:
        values: under :attr:`Live.headings`.
        kind, state: how it stands: a key of :data:`harness.launch.state.MARKS`, and for people.
        done: the share of its steps that are trained, from 0 to 1; ``steps`` says it for people.
        loss: the held-out loss of a run that has ended, or the training loss so far; empty before the first.
        detail: why it failed, who trains it, when it will be done.
    """

    run_id: str
    values: tuple[str, ...]
    kind: str
    state: str
    done: float
    steps: str
    loss: str
    detail: str


@dataclass(frozen=True)
class Live:
    """A sweep as it stands now.

    Attributes:
        summary: how many runs have ended, and whether that is all.
        complete: every planned run has ended.
        counts: how many runs there are of each kind, and the kind for people.
        lines: what else there is to say: when it will be done, what it has cost.
        warnings: what cannot be read, or is not known.
        below: what the report below is made of, or why there is none yet.
    """

    name: str
    summary: str
    complete: bool = False
    counts: tuple[tuple[str, str, int], ...] = ()
    lines: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    headings: tuple[str, ...] = ()
    runs: tuple[LiveRun, ...] = ()
    traces: tuple[Trace, ...] = ()
    profiles: tuple[Profile, ...] = ()
    below: str = ""


def fragments(live: Live) -> dict[str, str]:
    """The HTML of each part of the section, by the element's id; all text from outside the program is escaped."""
    return {
        "live-summary": escape(live.summary),
        "live-counts": "".join(
            f'<li class="{escape(kind)}"><b>{number}</b> {escape(name)}</li>'
            for kind, name, number in live.counts
        ),
        "live-lines": "".join(f"<p>{escape(line)}</p>" for line in live.lines),
        "live-warnings": "".join(f"<li>{escape(warning)}</li>" for warning in live.warnings),
        "live-curves": draw_curves(live.traces),
        "live-profiles": draw_profiles(live.profiles),
        "live-runs": _runs(live),
        "live-below": escape(live.below),
    }


def section(live: Live, fit: str, interval: float) -> str:
    """The section, with the script that keeps it up to date.

    Args:
        fit: which provisional fit the rest of the page shows; empty where it shows none.
        interval: seconds between two looks.
    """
    parts = {name.replace("-", "_"): text for name, text in fragments(live).items()}
    return Template(asset("live.html")).substitute(
        parts, fit=escape(fit), interval=f"{interval:g}", css=asset("live.css"), script=asset("live.js")
    )


def waiting_page(name: str, section: str) -> str:
    """The page of a sweep of which there is no fit yet."""
    return framed(name, "", f"{section}\n", served=True)


def as_data(live: Live) -> Mapping[str, object]:
    """The same for programs."""
    return {
        "name": live.name,
        "summary": live.summary,
        "complete": live.complete,
        "counts": {kind: number for kind, _, number in live.counts},
        "lines": live.lines,
        "warnings": live.warnings,
        "runs": [
            {
                "run_id": run.run_id,
                "state": run.kind,
                "done": round(run.done, 4),
                "loss": run.loss,
                "detail": run.detail,
            }
            for run in live.runs
        ],
        "below": live.below,
    }


def _runs(live: Live) -> str:
    if not live.runs:
        return ""
    headings = ("run", *live.headings, "state", "progress", "loss", "")
    head = "".join(f'<th scope="col"{_side(one in LEFT)}>{escape(one)}</th>' for one in headings)
    ordered = sorted(live.runs, key=lambda run: FIRST.index(run.kind))
    body = "\n".join(_row(run, live.headings) for run in ordered[:MOST_ROWS])
    more = len(ordered) - MOST_ROWS
    note = f"<p class='note'>and {more:,} more: 'isoflop status' shows all</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>{note}"


def _row(run: LiveRun, headings: tuple[str, ...]) -> str:
    values = "".join(
        f"<td{_side(heading in LEFT)}>{escape(value)}</td>"
        for heading, value in zip(headings, run.values, strict=True)
    )
    bar = f'<progress max="1" value="{run.done:.3f}"></progress> {escape(run.steps)}'
    return (
        f'<tr class="{escape(run.kind)}"><td class="left">{escape(run.run_id)}</td>{values}'
        f'<td class="left state">{escape(run.state)}</td><td>{bar}</td><td>{escape(run.loss)}</td>'
        f'<td class="left wide">{escape(run.detail)}</td></tr>'
    )


def _side(left: bool) -> str:
    return ' class="left"' if left else ""
