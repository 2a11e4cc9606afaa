"""Sensitivity to conventions: the frontier of the same runs under every way to count N and C that the table holds."""

from dataclasses import replace

import numpy as np

from harness.fit import law_solver
from harness.fit.approach_2 import fit_approach_2
from harness.fit.cost_law import cost_flags, fit_cost_law
from harness.fit.law_flags import MIN_RUNS, law_flags
from harness.fit.laws import Law
from harness.fit.options import FitOptions
from harness.fit.results import CountingRow
from harness.fit.status import Flag, judge
from harness.fit.table import Array, Points

MATRICES_AND_HEAD = "matrices + head"
"""N as block matrices and the head (Porian et al. 2024)."""
COMPUTES = ("flops", "flops_appendix_f", "flops_appendix_f_causal", "flops_6nd", "flops_6nd_non_embedding")


def counting_table(points: Points, options: FitOptions) -> tuple[CountingRow, ...]:
    """a, b and D/N at the largest budget for each parameter convention x each compute convention.

    Approach 3 is fitted under all of them. Approach 2 needs runs of equal compute, so it is given where a
    convention leaves the budgets equal to 2%; elsewhere its row says ``not_isoflop``. ``points`` are the runs
    before any change of convention. Parameters: ``params`` (total), ``params_non_embedding``, and
    ``matrices + head`` where the table has those columns.
    """
    counts, computes = parameter_counts(points), compute_counts(points)
    rows: list[CountingRow] = []
    for count, params in counts.items():
        for compute, flops in computes.items():
            table = replace(points, params=params, flops=flops)
            usable = np.isfinite(params) & np.isfinite(flops) & (params > 0) & (flops > 0)
            table = table.select(usable)
            if len(table) >= MIN_RUNS:
                rows += [_profiles(table, count, compute, options), _law(table, count, compute, options)]
    return tuple(rows)


def count_label(count: str) -> str:
    """A parameter convention as people read it; ``fit.json`` keeps the names of earlier versions."""
    return "non-embedding + head" if count == MATRICES_AND_HEAD else count


def parameter_counts(points: Points) -> dict[str, Array]:
    """The parameter conventions that the table has, by name.

    Where the head shares the embedding's matrix the table counts it once, as embedding: that matrix is then
    the head of ``matrices + head``.
    """
    counts = {"params": points.params}
    extra = points.extra
    if "params_non_embedding" in extra:
        counts["params_non_embedding"] = extra["params_non_embedding"]
    if "params_matrices" in extra and "params_head" in extra:
        head = extra["params_head"]
        if "params_embedding" in extra:
            head = np.where(head > 0, head, extra["params_embedding"])
        counts[MATRICES_AND_HEAD] = extra["params_matrices"] + head
    return _distinct(counts)


def compute_counts(points: Points) -> dict[str, Array]:
    """The compute conventions that the table has, by name; 6ND from N and D where it has no column of it."""
    counts = {name: points.column(name) for name in COMPUTES if name == "flops" or name in points.extra}
    counts.setdefault("flops_6nd", 6 * points.params * points.tokens)
    return _distinct(counts)


def _distinct(counts: dict[str, Array]) -> dict[str, Array]:
    kept: dict[str, Array] = {}
    for name, column in counts.items():
        if not any(np.allclose(column, other, rtol=1e-9, equal_nan=True) for other in kept.values()):
            kept[name] = column
    return kept


def _profiles(table: Points, count: str, compute: str, options: FitOptions) -> CountingRow:
    largest = float(table.flops.max())
    fit = fit_approach_2(table, replace(options, draws=0, bootstrap="auto"))
    flags = [
        Flag(code, note) for code, note in zip(fit.flags, fit.notes, strict=True) if code != "no_interval"
    ]
    uneven = any("not_isoflop" in budget.flags for budget in fit.budgets)
    if uneven:
        flags.append(Flag("not_isoflop", f"runs of one budget differ in {compute}: no IsoFLOP profile"))
    if fit.a is None or uneven:
        return _row(count, compute, "approach_2", None, None, None, largest, flags)
    ratio = fit.predict(largest).tokens_per_param
    return _row(count, compute, "approach_2", fit.a, fit.b, ratio, largest, flags)


def _law(table: Points, count: str, compute: str, options: FitOptions) -> CountingRow:
    data = law_solver.Data.of(table.params, table.tokens, table.loss)
    fit = law_solver.fit_lbfgs(data, options.huber_delta)
    cost, largest = fit_cost_law(table), float(table.flops.max())
    with np.errstate(all="ignore"):
        found = Law.from_theta(fit.natural, cost)
        a, b = found.exponents
        log_n, log_d, _ = found.log_optimum(largest)
    if not (np.isfinite(log_n) and np.isfinite(a)):
        return _row(
            count,
            compute,
            "approach_3",
            None,
            None,
            None,
            largest,
            [Flag("no_optimum", "the law has no optimum")],
        )
    return _row(
        count,
        compute,
        "approach_3",
        float(a),
        float(b),
        float(np.exp(log_d - log_n)),
        largest,
        law_flags(fit, data) + cost_flags(cost),
    )


def _row(
    count: str,
    compute: str,
    approach: str,
    a: float | None,
    b: float | None,
    ratio: float | None,
    budget: float,
    flags: list[Flag],
) -> CountingRow:
    return CountingRow(
        count=count,
        compute=compute,
        approach=approach,
        a=a,
        b=b,
        tokens_per_param=ratio,
        budget=budget,
        **judge(flags),
    )
