"""Writes docs/statuses.md from the table in harness/fit/status.py: python scripts/write_statuses.py"""

from collections.abc import Sequence
from pathlib import Path

from harness.fit.status import AGREEMENTS, FORECASTS, MILD, SERIOUS, VOIDING, Status

PAGE = Path(__file__).resolve().parents[1] / "docs" / "statuses.md"
START = """\
# When not to believe a number

Every estimate carries a status. `ok` says that no check found anything against it; any other status is the worst
warning. `flags` in `fit.json` lists them all, each with a sentence in `notes` that has the numbers. The report's page
and the terminal's summary begin with the verdict that follows: *no answer*, *do not use*, *use with caution*, or that
there is no warning.

A warning about an approach is also one about everything that is predicted from it. A warning about one budget's profile
stays with that budget unless half of the budgets have it.

`scripts/write_statuses.py` writes this page from `harness/fit/status.py`, where the codes are defined.
"""
END = """\
## What no check can see

`ok` says that nothing speaks against an answer, not that it is right. What bends all losses smoothly along N or D looks
like a law with other exponents, and only runs of another recipe can show it:

- hyperparameters that were tuned at one size and suit the others less and less: tune at several sizes, or
  repeat the best cells and those beside them at other values (`followup.rates`, `followup.neighbours`);
- one batch size for all runs, too large where tokens are few;
- runs that have not cooled down, by more the longer they are: rows of a run's end, of schedules that end with it;
- a held-out set that differs from what the model will meet: fit it as another loss (`analysis.loss`).

How often such faults are missed, and how often others are found, is measured by
`scripts/coverage_study.py --set recipes`; results/README.md has the table.
"""
SECTIONS: tuple[tuple[str, str, tuple[Status, ...]], ...] = (
    ("No answer", "These leave an estimate without a number.", VOIDING),
    ("Do not use", "There is a number, and nobody should decide by it before the cause is known.", SERIOUS),
    (
        "Use with caution",
        "The number can be used with the caution that is named. With `unstable` and `at_bound` its interval is not\n"
        "to be trusted: of approaches 2 and 3 the other decides where it has neither these nor anything worse.",
        MILD,
    ),
    (
        "Whether the approaches agree",
        "`agreement.status` in `fit.json`. `disagree` counts as *do not use*, `unclear` as *use with caution*.",
        AGREEMENTS,
    ),
    (
        "The backtest",
        "The status of one forecast: what an approach fitted to the lower budgets says of a higher one.",
        FORECASTS,
    ),
)


def statuses_page() -> str:
    """The whole page as Markdown."""
    parts = [START]
    for title, about, statuses in SECTIONS:
        parts.append(f"## {title}\n\n{about}\n\n{_table(statuses)}\n")
    return "\n".join((*parts, END))


def _table(statuses: Sequence[Status]) -> str:
    rows = [f"| `{one.code}` | {_cell(one.meaning)} | {_cell(one.remedy)} |" for one in statuses]
    return "\n".join(("| status | what it means | what to do |", "|---|---|---|", *rows))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(statuses_page(), encoding="utf-8")
