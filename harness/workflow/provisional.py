"""A report of the runs that have finished so far, from a fit that is made in memory while the others train."""

import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.config.frozen import config_at
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import Curve, FitOptions, fit_points, read_points
from harness.plan.plan import Plan
from harness.report.content import Content, make_content
from harness.report.verdict import CAUTION, GOOD, Headline
from harness.runs.curve import read_curves
from harness.runs.files import SweepFolder
from harness.runs.record import FINISHED, Record
from harness.runs.table import table_text
from harness.text import counted
from harness.workflow.followup import is_experiments_own
from harness.workflow.report import of_sweep

DRAWS = 100
"""Bootstrap draws at most: a tenth of a fit's own."""
FEWEST_RUNS = 4
"""Before so many runs have finished, no approach can give a number."""


@dataclass(frozen=True)
class ProvisionalHeadline(Headline):
    """An answer that says what it is made of.

    Attributes:
        made_of: ``12 of 21 runs, 100 bootstrap draws``.
    """

    made_of: str = ""

    @property
    def stamp(self) -> str:
        """``provisional: 12 of 21 runs, …``, and then what the answer's own stamp says."""
        own = super().stamp
        return f"provisional: {self.made_of}" + (f"; {own}" if own else "")


@dataclass(frozen=True, eq=False)
class Provisional:
    """What came of the runs that had finished.

    Attributes:
        key: of these runs, as :func:`key_of` gives it.
        text: what the report is made of, or why there is none.
        content: the report; None where there is none.
    """

    key: str
    text: str
    content: Content | None = None


def key_of(found: Mapping[str, Record]) -> str:
    """Changes when another run has ended, or a record is another."""
    ended = sorted(
        (run_id, one.status, repr(one.loss), one.curve_sha256, len(one.tasks))
        for run_id, one in found.items()
    )
    return hashlib.sha256(repr(ended).encode()).hexdigest()[:16]


def provisional_report(folder: SweepFolder, plan: Plan, found: Mapping[str, Record]) -> Provisional:
    """Fit the runs of ``found`` by the sweep's own options with few draws, and make the report; nothing is written."""
    key = key_of(found)
    finished = sum(record.status == FINISHED for record in found.values())
    having = f"{finished} of {counted(len(plan.cells), 'run')}"
    if finished < FEWEST_RUNS:
        few = f"No fit yet: {having} {'has' if finished == 1 else 'have'} finished."
        return Provisional(key, few)
    try:
        config = config_at(folder.config)[0]
        if not is_experiments_own(config, plan, folder):
            other = "a tuning or a validation, whose own command says what came of it"
            return Provisional(key, f"No fit: the runs are those of {other}.")
        content = _content(folder, plan, found, config, having)
    except (UserError, OSError) as error:
        return Provisional(key, f"No provisional fit of {having}: {error}")
    if content is None:
        return Provisional(key, f"No fit yet: {having} have finished, which determine no optimum.")
    text = (
        f"Provisional: below is a fit of {having} with few bootstrap draws, made in memory; 'isoflop fit' and 'isoflop "
        "report' write the sweep's own."
    )
    return Provisional(key, text, content)


def _content(
    folder: SweepFolder,
    plan: Plan,
    found: Mapping[str, Record],
    config: Config,
    having: str,
) -> Content | None:
    """The report; None where no approach has an answer."""
    options = _quick(config.analysis)
    columns, notes = read_curves(folder, found)
    curves = {run_id: Curve(**one) for run_id, one in columns.items()}
    table = read_points(io.StringIO(table_text(found.values())), where=config.where)
    fit = fit_points(replace(table, notes=(*table.notes, *notes)), options, curves or None)
    if all(approach.theta() is None for approach in fit.approaches):
        return None
    made_of = f"{having}, {counted(options.draws, 'bootstrap draw')}"
    data = of_sweep(folder, plan, fit, table, found, curves, notes)
    data = replace(data, name=f"{plan.name} (provisional)", source=f"provisional: {data.source}")
    content = make_content(data)
    return replace(content, here=_stamped(content.here, made_of), target=_stamped(content.target, made_of))


def _quick(options: FitOptions) -> FitOptions:
    """The same with as few draws as its intervals can have, and without comparing forms."""
    fewest = math.ceil(2 / (1 - options.level)) + 1
    return replace(options, draws=min(options.draws, max(DRAWS, fewest)), compare=False)


def _stamped(answer: Headline, made_of: str) -> Headline:
    """An answer of a part of the runs is never simply good."""
    level = CAUTION if answer.level == GOOD else answer.level
    return ProvisionalHeadline(answer.text, answer.prediction, level, answer.reasons, made_of)
