"""Sensitivity to conventions: the frontier of the same runs under every way to count N and C that the table holds."""

from dataclasses import replace

import numpy as np

from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.law_flags import MIN_RUNS
from harness.fit.options import FitOptions
from harness.fit.results import Approach, CountingRow
from harness.fit.table import Array, Points

DRAWS = 200
"""Of a convention that is not the fit's own: enough for its checks, which are of shares and of 90% intervals."""

MATRICES_AND_HEAD = "matrices + head"
"""N as block matrices and the head (Porian et al. 2024)."""
OPTIMIZER, WITH_OPTIMIZER = "flops_optimizer", "flops_appendix_f + optimizer"
"""The column of the optimizer's own FLOPs, which no other column but ``flops`` may have in it, and C with them."""
COUNTED = 0.01
"""The optimizer's share of C from which on C with it is a convention of its own."""

COMPUTES = ("flops", "flops_appendix_f", "flops_appendix_f_causal", "flops_6nd", "flops_6nd_non_embedding")


def counting_table(
    points: Points, options: FitOptions, fitted: tuple[Approach, ...] = ()
) -> tuple[CountingRow, ...]:
    """a, b and D/N at the largest budget for each parameter convention x each compute convention.

    Approaches 2 and 3 are fitted under all of them with all of their checks, by at most 200 draws, so a row has the
    status that a fit under its convention has. Parameters: ``params`` (total), ``params_non_embedding``, and
    ``matrices + head`` where the table has those columns; and whatever the options count by.

    Args:
        points: the runs before any change of convention.
        fitted: approaches 2 and 3 of the fit itself, which are the rows of its own convention.
    """
    own = points.column(options.count), points.column(options.compute)
    counts = _distinct(parameter_counts(points) | {options.count: own[0]})
    computes = _distinct(compute_counts(points) | {options.compute: own[1]})
    kind = (
        "auto" if options.bootstrap == "wild" else options.bootstrap
    )  # which is valid only where residuals are small
    quick = replace(options, draws=min(options.draws, DRAWS), bootstrap=kind)
    rows: list[CountingRow] = []
    for count, params in counts.items():
        for compute, flops in computes.items():
            table = replace(points, params=params, flops=flops)
            table = table.select(np.isfinite(params) & np.isfinite(flops) & (params > 0) & (flops > 0))
            if len(table) < MIN_RUNS:
                continue
            largest = float(table.flops.max())
            if fitted and _same(params, own[0]) and _same(flops, own[1]):
                found = fitted
            else:
                found = fit_approach_2(table, quick), fit_approach_3(table, quick)
            rows += [_row(approach, count, compute, largest) for approach in found]
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
    """The compute conventions that the table has, by name; 6ND from N and D where it has no column of it.

    No column ``flops_*`` has the optimizer's own steps in it. Where these take a share of Appendix F's FLOPs in some
    run, the sum of the two is a convention, too: that of a budget under ``grid.count_optimizer``.
    """
    counts = {name: points.column(name) for name in COMPUTES if name == "flops" or name in points.extra}
    appendix, optimizer = points.extra.get("flops_appendix_f"), points.extra.get(OPTIMIZER)
    if appendix is not None and optimizer is not None and np.any(optimizer >= COUNTED * appendix):
        # a run of a table from before they were counted has none
        counts[WITH_OPTIMIZER] = appendix + optimizer
    counts.setdefault("flops_6nd", 6 * points.params * points.tokens)
    return _distinct(counts)


def _distinct(counts: dict[str, Array]) -> dict[str, Array]:
    kept: dict[str, Array] = {}
    for name, column in counts.items():
        if not any(_same(column, other) for other in kept.values()):
            kept[name] = column
    return kept


def _same(one: Array, two: Array) -> bool:
    return bool(np.allclose(one, two, rtol=1e-9, equal_nan=True))


def _row(approach: Approach, count: str, compute: str, largest: float) -> CountingRow:
    """What an approach says of itself, with D/N at C = ``largest``; its own status, flags and notes."""
    return CountingRow(
        count=count,
        compute=compute,
        approach=approach.name,
        a=approach.a,
        b=approach.b,
        tokens_per_param=approach.predict(largest).tokens_per_param,
        budget=largest,
        status=approach.status,
        flags=approach.flags,
        notes=approach.notes,
    )
