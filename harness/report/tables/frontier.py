"""Tables of the frontier: the answer by approach, the minima by budget, the exponents, and the law's coefficients."""

import math

import numpy as np

from harness.fit.bootstrap import bounds_text, standard_error
from harness.fit.estimate import OptimumEstimate, marked
from harness.fit.laws import LAW_COLUMNS
from harness.fit.results import Approach, Approach3
from harness.fit.summary import along_6nd, law_parameters, moved_by, sentence
from harness.report.data import MissingError, ReportData
from harness.report.published import LAWS, TABLE_2, published_theta
from harness.report.table import Table
from harness.report.text import (
    NOTHING,
    approach_label,
    counted,
    fixed,
    interval,
    plain_status,
    power,
    ratio,
    significant,
    times,
    with_interval,
)

HEADINGS = ("C (FLOPs)", "approach", "N* (parameters)", "D* (tokens)", "D*/N*", "loss", "status")


def answer_table(data: ReportData) -> Table:
    """One row for each approach at each of the two budgets."""
    fit = data.fit
    rows = []
    for flops in dict.fromkeys((fit.largest_flops, data.target)):
        for name, prediction in fit.predict(flops).items():
            rows.append((_budget(flops, fit.largest_flops), approach_label(name), *_cells(prediction)))
    return Table(
        "answer",
        "The compute-optimal model, by approach",
        HEADINGS,
        tuple(rows),
        left=("C (FLOPs)", "approach", "status"),
        note=f"In brackets: {fit.level:.0%} bootstrap intervals. They cover the noise of the runs, not the "
        "bias of an approach: where approaches differ by more than their intervals, bias is the likely reason. "
        "Approach 1's loss is the smoothed training loss of its envelope; the others' is held-out.",
    )


def _budget(flops: float, largest: float) -> str:
    if flops <= largest * 1.0001:
        return f"{power(flops)} (largest run)"
    return f"{power(flops)} ({times(flops / largest)} the largest)"


def _cells(prediction: OptimumEstimate) -> tuple[str, str, str, str, str]:
    return (
        with_interval(counted(prediction.params), interval(prediction.params_interval)),
        with_interval(counted(prediction.tokens), interval(prediction.tokens_interval)),
        with_interval(
            ratio(prediction.tokens_per_param), interval(prediction.tokens_per_param_interval, "ratio")
        ),
        marked(
            with_interval(fixed(prediction.loss, 3), interval(prediction.loss_interval, "fixed", 3)),
            prediction.loss_kind,
        ),
        plain_status(prediction.status),
    )


def frontier_table(data: ReportData) -> Table:
    """One row a budget."""
    fit = data.fit
    if not fit.approach_2.budgets:
        raise MissingError(f"approach 2 has no budgets ({fit.approach_2.status})")
    rows = []
    for budget in fit.approach_2.budgets:
        per_param = None
        if budget.params_opt and budget.tokens_opt:
            per_param = budget.tokens_opt / budget.params_opt
        others = [approach.predict(budget.budget).params for approach in (fit.approach_1, fit.approach_3)]
        rows.append(
            (
                power(budget.budget),
                str(budget.n_points),
                with_interval(counted(budget.params_opt), interval(budget.params_interval)),
                with_interval(counted(budget.tokens_opt), interval(budget.tokens_interval)),
                ratio(per_param),
                with_interval(fixed(budget.loss_opt, 3), interval(budget.loss_interval, "fixed", 3)),
                counted(others[0]),
                counted(others[1]),
                plain_status(budget.status),
            )
        )
    return Table(
        "frontier",
        "The measured frontier: minima of the IsoFLOP profiles",
        ("C (FLOPs)", "runs", "N*", "D*", "D*/N*", "loss", "N*, approach 1", "N*, approach 3", "status"),
        tuple(rows),
        left=("C (FLOPs)", "status"),
        note="A budget whose profile has no minimum inside the sizes that were run has no number: its "
        "optimum is not known, only the side on which it lies."
        + (f" {sentence(note)}" if (note := fit.approach_2.correction_note) else ""),
    )


def exponents_table(data: ReportData) -> Table:
    """One row an approach; the difference is this fit minus the paper."""
    rows = []
    for approach in data.fit.approaches:
        paper = TABLE_2[approach.name]
        difference = None if approach.a is None else approach.a - paper.a
        rows.append(
            (
                approach_label(approach.name),
                with_interval(fixed(approach.a, 3), interval(approach.a_interval, "fixed")),
                with_interval(fixed(approach.b, 3), interval(approach.b_interval, "fixed")),
                f"{paper.a:.2f} ({interval(paper.a_interval, 'fixed')})",
                f"{paper.b:.2f} ({interval(paper.b_interval, 'fixed')})",
                "–" if difference is None else f"{difference:+.3f}",
                *_fit_error(approach),
                plain_status(approach.status),
            )
        )
    return Table(
        "exponents",
        "Exponents: N* ∝ Cᵃ, D* ∝ Cᵇ",
        (
            "approach",
            "a",
            "b",
            "a, Hoffmann et al.",
            "b, Hoffmann et al.",
            "difference in a",
            "rms of ln L",
            "rms (nats)",
            "R²",
            "status",
        ),
        tuple(rows),
        left=("approach", "status"),
        note=f"{_along_6nd(data)}Rms of ln L, in nats, and R²: fitted against measured loss, over the runs of the fit. "
        f"Here: {data.fit.level:.0%} bootstrap intervals. "
        "Hoffmann et al. 2022, Table 2: 10th and "
        "90th percentile over subsamples of 80% of their runs, which is narrower than an interval of the "
        "estimate. Theirs is English web text at 6 × 10¹⁸ to 3 × 10²¹ FLOPs; other data and other scales "
        "may rightly differ.",
    )


def _fit_error(approach: Approach) -> tuple[str, str, str]:
    error = approach.fit_error
    if error is None:
        return NOTHING, NOTHING, NOTHING
    return significant(error.rms_log, 2), significant(error.rms_nats, 2), fixed(error.r_squared, 4)


def _along_6nd(data: ReportData) -> str:
    """A note where measured compute is far from 6ND, by which the paper's exponents are defined."""
    text = along_6nd(data.fit.approach_3)
    return f"Approach 3: {text}. " if text else ""


# Coefficients, whose size depends on the exponents and whose draws lie about them evenly only in logarithms.
COEFFICIENTS = frozenset({"A", "B", "C", "a1", "a2", "a3"})


def law_table(data: ReportData) -> Table:
    """One row a parameter of the law, beside published ones where it is of their form."""
    law = data.fit.approach_3
    if law.theta() is None:
        raise MissingError(f"approach 3 has no fit ({law.status})")
    compared = LAWS.values() if law.form == "standard" else ()
    rows = []
    for name, value, bounds, error in law_parameters(law):
        logarithm = name in COEFFICIENTS and value > 0
        if logarithm:
            value, error = math.log(value), _log_error(law, name)
            bounds = None if bounds is None else (_log(bounds[0]), _log(bounds[1]))
        rows.append(
            (
                ("ln " if logarithm else "")
                + name.replace("alpha", "α").replace("beta", "β").replace("kappa", "κ"),
                fixed(value, 4),
                fixed(error, 4),
                NOTHING if bounds is None else bounds_text(bounds, lambda end: fixed(end, 4)),
                *(_published(law_name, name, logarithm) for law_name in compared),
            )
        )
    formula = law.formula.replace("alpha", "α").replace("beta", "β").replace("kappa", "κ")
    told = f"{sentence(moved_by(law))} " if moved_by(law) else ""
    return Table(
        "law",
        f"The fitted law L(N, D) = {formula}",
        ("", "here", "standard error", f"{law.level:.0%} interval", *(LAWS if compared else ())),
        tuple(rows),
        left=("",),
        note=told
        + "A and B depend strongly on α and β and on the tokenizer; compare exponents, or losses, rather "
        "than these. "
        + "Published: Hoffmann et al. 2022 (section 3.3, unrounded) and Besiroglu et al. 2024, "
        "the same law fitted again to 240 points read off the paper's Figure 4." * bool(compared),
    )


def _published(law: str, name: str, logarithm: bool) -> str:
    """A published law's parameter; nothing for one that it does not have."""
    if name not in LAW_COLUMNS:
        return NOTHING
    value = published_theta(law)[LAW_COLUMNS.index(name)]
    return fixed(math.log(value) if logarithm else value, 4)


def _log_error(law: Approach3, name: str) -> float | None:
    """The standard error of a coefficient's logarithm; None where there are no draws of it."""
    if law.draws is None or name not in law.draw_columns:
        return None
    with np.errstate(all="ignore"):
        return standard_error(np.log(law.draws[:, law.draw_columns.index(name)]))


def _log(end: float) -> float:
    """Of an interval's end; of one at zero it has none."""
    return math.log(end) if end > 0 else -math.inf
