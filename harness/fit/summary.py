"""A fit as plain text."""

from collections.abc import Sequence

from harness.fit.bootstrap import Interval, bounds_text
from harness.fit.counting import count_label
from harness.fit.estimate import OptimumEstimate, marked
from harness.fit.forms import MODELS
from harness.fit.forms.power_form import KaplanForm
from harness.fit.laws import LAW_COLUMNS
from harness.fit.results import Approach2, Approach3, Backtest, BacktestRow, FitResults, FormFit
from harness.fit.status import is_serious, plain

SHOWN = 12
SAME_EXPONENT = 0.02


def summary(fit: FitResults) -> str:
    """The tables of a fit for a terminal, with all of its warnings."""
    parts = [
        _heading(fit),
        _verdict(fit),
        _cells(fit),
        _exponents(fit),
        _fit_errors(fit),
        _profiles(fit.approach_2),
        _law(fit.approach_3),
        "Frontier\n" + frontier_table(fit),
        f"Agreement: {fit.agreement.status}. {fit.agreement.message}.",
        _backtest(fit),
        _counting(fit),
        _comparison(fit),
        _warnings(fit),
        _excluded(fit),
    ]
    return "\n\n".join(part for part in parts if part)


def frontier_table(fit: FitResults, budgets: Sequence[float] | None = None) -> str:
    """N*, D*, D/N and loss with intervals and status, one row for each budget and approach.

    Args:
        budgets: FLOPs; default: the table's budgets, or its smallest and largest compute, and the target.
    """
    if budgets is None:
        inner = [b.budget for b in fit.approach_2.budgets] or [fit.smallest_flops, fit.largest_flops]
        budgets = [*_thinned(inner), fit.agreement.target]
    rows = [
        _prediction_row(prediction)
        for flops in budgets
        for prediction in fit.predict(flops).values()
        if prediction.params is not None
    ]
    if not rows:
        return "  no approach has a frontier"
    return table(("C", "approach", "N*", "D*", "D/N", "loss", "status"), rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned to the left, two spaces between them, indented by two."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    return "\n".join("  " + line.rstrip() for line in lines)


def quantity(value: float | None) -> str:
    """1.23M, 4.56B: three figures with a suffix; - for None."""
    if value is None:
        return "-"
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{suffix}" if abs(value) < 1e15 else f"{value:.3g}"
    return f"{value:.3g}"


def _heading(fit: FitResults) -> str:
    text = f"{fit.n_points} runs, C from {fit.smallest_flops:.3g} to {fit.largest_flops:.3g} FLOPs, "
    text += f"N is {fit.count}, C is {fit.compute}"
    text += "" if fit.loss == "loss" else f", L is {fit.loss}"
    text += f"; intervals {fit.level:.0%}, {fit.bootstrap['draws']} draws"
    return "\n".join((text, *(f"  {note}" for note in fit.notes)))


def _verdict(fit: FitResults) -> str:
    """Whether to use each approach's answer, before any number: the worst of its warnings."""
    lines = []
    for a in fit.approaches:
        if not a.flags:
            lines.append((a.name, "no warning"))
        elif a.a is None:
            lines.append((a.name, f"no answer: {plain(a.status)} ({a.notes[0]})"))
        elif is_serious(a.status):
            lines.append((a.name, f"do not use: {plain(a.status)} ({a.notes[0]})"))
        else:
            lines.append((a.name, f"use with caution: {', '.join(map(plain, dict.fromkeys(a.flags)))}"))
    if fit.agreement.status == "disagree":
        lines.append(("together", "do not use before it is known which is wrong: the approaches disagree"))
    width = max(len(name) for name, _ in lines)
    return "Verdict (docs/statuses.md explains each status)\n" + "\n".join(
        f"  {name.ljust(width)}  {said}" for name, said in lines
    )


def _cells(fit: FitResults) -> str:
    """What varies within one N and D, and the loss that was taken for each."""
    if fit.cells is None:
        return ""
    return "\n".join(("Runs of one N and D", *(f"  {note}" for note in fit.cells.notes)))


def _exponents(fit: FitResults) -> str:
    rows = [
        (
            a.name,
            quantity_with(a.a, a.a_interval, ".3f"),
            quantity_with(a.b, a.b_interval, ".3f"),
            a.bootstrap,
            a.status,
        )
        for a in fit.approaches
    ]
    return "Exponents: N* ~ C^a, D* ~ C^b\n" + table(("approach", "a", "b", "bootstrap", "status"), rows)


def _fit_errors(fit: FitResults) -> str:
    found = [(a.name, a.fit_error) for a in fit.approaches if a.fit_error is not None]
    if not found:
        return ""
    rows = [
        (name, str(e.n), _number(e.rms_log, ".2g"), _number(e.rms_nats, ".2g"), _number(e.r_squared, ".4f"))
        for name, e in found
    ]
    header = ("approach", "residuals", "rms ln L", "rms nats", "R2")
    return "Fit error: fitted against measured loss\n" + table(header, rows)


def _backtest(fit: FitResults) -> str:
    tested = fit.backtest
    if tested is None:
        return ""
    if not tested.rows:
        return f"Backtest: none. {sentence(tested.note)}"
    shown = furthest(tested)
    rows = [
        (
            r.approach,
            f"{r.cutoff:.3g} ({r.cutoff_budgets} budgets)",
            f"{r.budget:.3g}",
            quantity_with(r.params_ratio, r.params_ratio_interval, ".2f"),
            quantity_with(r.tokens_ratio, r.tokens_ratio_interval, ".2f"),
            quantity_with(r.loss_difference, r.loss_difference_interval, "+.4f"),
            _number(r.run_error, "+.4f"),
            backtest_status(r),
        )
        for r in shown
    ]
    header = ("approach", "fitted up to", "forecast at", "N*", "D*", "L*", "runs, ln L", "status")
    counts = "; ".join(f"{name} {tested.held[name]} of {n}" for name, n in tested.compared.items())
    more = "" if len(shown) == len(tested.rows) else "; the highest budget only, fit.json has all"
    return (
        f"Backtest: forecasts from the lower budgets, over (N*, D*) or minus (L*) what was measured{more}\n"
        f"{table(header, rows)}\n  within their {tested.level:.0%} intervals: {counts}"
    )


def furthest(tested: Backtest, most: int = 12) -> tuple[BacktestRow, ...]:
    """The forecasts to list: all, or where these are more than ``most`` those of the highest budget."""
    if len(tested.rows) <= most:
        return tested.rows
    highest = max(row.budget for row in tested.rows)
    return tuple(row for row in tested.rows if row.budget == highest)


def backtest_status(row: BacktestRow) -> str:
    """``held``, ``missed N*, D*`` or ``no forecast``."""
    missed = ", ".join(row.SYMBOLS[quantity] for quantity in row.missed)
    return f"missed {missed}" if missed else plain(row.status)


def sentence(text: str) -> str:
    """With a capital at its start and a full stop at its end; ``a = 0.5`` and the like stay as they are."""
    first, _, rest = text.partition(" ")
    start = text[:1] if len(first) == 1 and (first not in "aA" or rest.startswith("=")) else text[:1].upper()
    return start + text[1:] + "." * (text[-1:] not in (".", ""))


def _profiles(approach: Approach2) -> str:
    if not approach.budgets:
        return ""
    rows = [
        (
            f"{b.budget:.3g}",
            str(b.n_points),
            quantity_with(b.params_opt, b.params_interval),
            quantity_with(b.tokens_opt, b.tokens_interval),
            quantity_with(b.loss_opt, b.loss_interval, ".4f"),
            b.status,
        )
        for b in approach.budgets
    ]
    told = f"\n  {approach.correction_note}" if approach.correction_note else ""
    return "IsoFLOP profiles (approach 2)\n" + table(("C", "runs", "N*", "D*", "loss", "status"), rows) + told


def _law(approach: Approach3) -> str:
    if approach.theta() is None and approach.E is None:
        return ""
    rows = []
    for name, value, interval, se in law_parameters(approach):
        form = ".4f" if name == "E" else ".5g"  # a loss: draws in which it has gone read 0, not 1e-58
        rows.append((name, quantity_with(value, interval, form), "-" if se is None else f"{se:.3g}"))
    text = f"L = {approach.formula} (approach 3)\n" + table(("", "estimate", "SE"), rows)
    said = [approach.shared, papers_names(approach), moved_by(approach), along_6nd(approach)]
    return text + "".join(f"\n  {line}" for line in said if line)


def law_parameters(approach: Approach3) -> list[tuple[str, float, Interval | None, float | None]]:
    """Of approach 3's law every parameter: its name, estimate, interval and standard error."""
    if not approach.parameters:  # a fit of an earlier version
        return [
            (
                name,
                getattr(approach, name),
                getattr(approach, f"{name}_interval"),
                getattr(approach, f"{name}_se"),
            )
            for name in LAW_COLUMNS
        ]
    given = dict(MODELS[approach.form].fixed)
    return [
        (name, value, approach.parameters_interval.get(name), approach.parameters_se.get(name))
        for name, value in approach.parameters.items()
        if name not in given
    ]


def papers_names(approach: Approach3) -> str:
    """Of Kaplan's form its parameters as that paper calls them."""
    theta = approach.theta()
    if approach.form != "kaplan" or theta is None:
        return ""
    said = ", ".join(f"{name} = {value:.4g}" for name, value in KaplanForm.papers(theta).items())
    return f"as Kaplan et al. 2020 (equation 1.5) write it: {said}"


def moved_by(approach: Approach3) -> str:
    """Which columns move the law, and for which of their values it is given."""
    said = [
        f"{name} x exp({name}_slope ({column} - {approach.at[column]:g}))"
        for name, column in approach.covariates.items()
    ]
    return f"covariates: {', '.join(said)}; N* and D* are for {_at(approach)}" if said else ""


def _at(approach: Approach3) -> str:
    return ", ".join(f"{column} = {value:g}" for column, value in approach.at.items())


def along_6nd(approach: Approach3) -> str:
    """What the same law says along C = 6ND, where that is another exponent than along the runs' own compute."""
    a, b = approach.a_6nd, approach.b_6nd
    if approach.a is None or a is None or b is None or abs(a - approach.a) <= SAME_EXPONENT:
        return ""
    p = approach.cost.power
    return f"along C = 6ND the same law has a = {a:.3f}, b = {b:.3f}; the runs' compute grows as N^{p:.3f} D"


def _counting(fit: FitResults) -> str:
    if len(fit.counting) < 2:
        return ""
    rows = [
        (
            count_label(r.count),
            r.compute,
            r.approach,
            _number(r.a),
            _number(r.b),
            _number(r.tokens_per_param, ".3g"),
            r.status,
        )
        for r in fit.counting
    ]
    header = ("N is", "C is", "approach", "a", "b", "D/N", "status")
    return (
        f"Sensitivity to the N and C conventions: the same runs, D/N at C = {fit.largest_flops:.3g}\n"
        + table(header, rows)
    )


def _comparison(fit: FitResults) -> str:
    if fit.comparison is None:
        return ""
    c = fit.comparison
    rows = [
        (
            str(f.rank),
            f.name,
            _log_error(f.holdout_log_rmse),
            _log_error(f.budget_log_rmse),
            _log_error(f.log_rmse),
            f"{f.bic:.1f}",
            told_apart(f),
            quantity(f.params_opt),
            f.status,
        )
        for f in c.forms
    ]
    split = (
        ""
        if c.holdout_above is None
        else f"; held out: C > {c.holdout_above:.3g}, {c.n_test} of {fit.n_points} runs"
    )
    header = ("", "form", "held out", "left-out budget", "all", "BIC", "from the first", "N*", "status")
    verdict = f"\n  {sentence(c.verdict)}" if c.verdict else ""
    return f"Forms by log-RMSE; N* at C = {c.target:.3g}{split}\n" + table(header, rows) + verdict


def told_apart(form: FormFit) -> str:
    """Whether the held-out runs tell a form from the first."""
    return {None: "-", True: "worse", False: "cannot be told"}[form.told_apart]


def _warnings(fit: FitResults) -> str:
    lines = [f"  {a.name}: {note}" for a in fit.approaches for note in a.notes]
    for b in fit.approach_2.budgets:
        lines += [f"  approach_2 at {b.budget:.3g}: {note}" for note in b.notes]
    if fit.comparison:
        lines += [f"  {f.name}: {note}" for f in fit.comparison.forms for note in f.notes]
    return "Warnings\n" + "\n".join(lines) if lines else ""


def _excluded(fit: FitResults) -> str:
    if not fit.excluded:
        return ""
    lines = []
    for e in fit.excluded[:SHOWN]:
        where = f" (row {e.row})" if e.row is not None and e.run != f"row {e.row}" else ""
        where = where if e.rows == 1 else f" ({e.rows} rows, the last row {e.row})"
        lines.append(f"  {e.run}{where}: {e.reason}")
    more = len(fit.excluded) - SHOWN
    return f"Excluded: {len({e.run for e in fit.excluded})} runs\n" + "\n".join(
        lines + ([f"  and {more} more"] if more > 0 else [])
    )


def _prediction_row(p: OptimumEstimate) -> tuple[str, ...]:
    return (
        f"{p.flops:.3g}",
        p.approach,
        quantity_with(p.params, p.params_interval),
        quantity_with(p.tokens, p.tokens_interval),
        quantity_with(p.tokens_per_param, p.tokens_per_param_interval, ".3g"),
        marked(quantity_with(p.loss, p.loss_interval, ".4f"), p.loss_kind),
        p.status,
    )


def quantity_with(value: float | None, interval: Interval | None, spec: str = "") -> str:
    """An estimate and its interval: 1.2B (1.1B, 1.4B), or 1.2B (1.1B, not bounded)."""
    show = (lambda x: format(x, spec)) if spec else quantity
    if value is None:
        return "-"
    return show(value) if interval is None else f"{show(value)} ({bounds_text(interval, show, ', ')})"


def _number(value: float | None, spec: str = ".3f") -> str:
    return "-" if value is None else format(value, spec)


def _log_error(value: float | None) -> str:
    """An error in ln L; one beyond 1 is no forecast at all, however large."""
    return ">1" if value is not None and value > 1 else _number(value, ".5f")


def _thinned(budgets: list[float], most: int = 5) -> list[float]:
    if len(budgets) <= most:
        return budgets
    return [budgets[round(i * (len(budgets) - 1) / (most - 1))] for i in range(most)]
