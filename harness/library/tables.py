"""Runs, plans and fits as pandas DataFrames of plain numbers.

>>> from harness import load_sweep, tables
>>> fit = load_sweep("results/demo").saved_fit()
>>> tables.minima(fit).set_index("budget")["params_opt"].round(-2).to_dict()
{100000000000.0: 23600.0, 320000000000.0: 44200.0, 1000000000000.0: 78200.0}

An interval is two columns, ``_low`` and ``_high``. A number that the runs do not support is missing (NaN), and the
columns ``status`` and ``notes`` say why. :func:`harness.read_points` reads a DataFrame.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from harness.errors import UserError
from harness.fit import Fit, Points
from harness.fit.results import Approach
from harness.fit.summary import law_parameters
from harness.library.sweep import Sweep
from harness.plan.plan import Plan
from harness.predict.result import PredictResult
from harness.runs.table import rows

if TYPE_CHECKING:
    import pandas as pd

INTERVAL = "_interval"
LAST = ("status", "notes")
PLAIN = {bool, int, float, str, type(None)}


def points(runs: Points | Sweep) -> "pd.DataFrame":
    """The entries that can be fitted, one row each, with every column of their table.

    ``read_points`` reads it back, of a table with several rows of a run with ``rows="all"``.
    """
    _check_kind("points", runs, (Points, Sweep), "a table of runs or a sweep")
    table = runs.points if isinstance(runs, Sweep) else runs
    columns: dict[str, Any] = {"run_id": table.run_id}
    columns |= {name: getattr(table, name) for name in ("params", "tokens", "flops", "loss")}
    optional = {name: getattr(table, name) for name in ("budget", "seed", "loss_se")}
    columns |= {name: values for name, values in optional.items() if values is not None}
    return _frame({**columns, **table.extra, **table.text})


def excluded(source: Points | Sweep | Fit) -> "pd.DataFrame":
    """The runs that take no part, with the reason: ``run``, ``reason``, ``row``, ``rows``."""
    _check_kind("excluded", source, (Points, Sweep, Fit), "a table of runs, a sweep or a fit")
    gone = (source.points if isinstance(source, Sweep) else source).excluded
    return _frame([dataclasses.asdict(one) for one in gone], ("run", "reason", "row", "rows"))


def runs(sweep: Sweep) -> "pd.DataFrame":
    """The content of ``runs.csv``: one row for every run that has ended, those that diverged too."""
    _check_kind("runs", sweep, (Sweep,), "a sweep")
    return _frame(rows(sweep.records.values()))


def cells(plan: Plan | Sweep) -> "pd.DataFrame":
    """The planned runs, one row each: size, tokens, batch, learning rate, FLOPs, epochs, estimated seconds."""
    _check_kind("cells", plan, (Plan, Sweep), "a plan or a sweep")
    planned = plan.plan if isinstance(plan, Sweep) else plan
    return _frame(
        [
            {
                "run_id": cell.run_id,
                "budget": cell.budget,
                "shape": cell.spec.shape.label,
                "params": cell.params.total,
                "tokens": cell.tokens,
                "tokens_per_param": cell.tokens / cell.params.total,
                "batch_tokens": cell.spec.batch_tokens,
                "steps": cell.spec.steps,
                "lr": cell.spec.optimizer.lr,
                "seed": cell.spec.seed,
                "flops": cell.flops,
                "epochs": cell.epochs,
                "seconds": cell.estimate_seconds,
            }
            for cell in planned.cells
        ]
    )


def exponents(fit: Fit) -> "pd.DataFrame":
    """N* ~ C^a and D* ~ C^b by every approach, one row each: exponents, standard errors, intervals."""
    _check_kind("exponents", fit, (Fit,), "a fit")
    names = [field.name for field in dataclasses.fields(Approach)]
    return _frame([{"approach": one.name, **_plain(one, names, without=("name",))} for one in fit.approaches])


def minima(fit: Fit) -> "pd.DataFrame":
    """The minimum of every IsoFLOP profile (approach 2), one row a budget."""
    _check_kind("minima", fit, (Fit,), "a fit")
    return _frame([_plain(one) for one in fit.approach_2.budgets])


def law(fit: Fit) -> "pd.DataFrame":
    """The parameters of approach 3's law, one row each: ``value``, ``se``, ``low``, ``high``; E, A, B, alpha, beta."""
    _check_kind("law", fit, (Fit,), "a fit")
    found = fit.approach_3
    return _frame(
        [
            {
                "parameter": name,
                "value": value,
                "se": _number(se),
                **_ends(name, interval, names=("low", "high")),
                "status": found.status,
            }
            for name, value, interval, se in law_parameters(found)
        ]
    )


def optima(source: Fit | PredictResult, budgets: Sequence[float] | float | None = None) -> "pd.DataFrame":
    """N*, D*, L* and D*/N* with intervals, one row for each budget and approach.

    >>> from harness import load_fit, tables
    >>> frame = tables.optima(load_fit("results/demo"), [1e12, 1e13])
    >>> frame.pivot(index="flops", columns="approach", values="params").round(-3).loc[1e13].to_dict()
    {'approach_1': 332000.0, 'approach_2': 262000.0, 'approach_3': 322000.0}

    Args:
        source: a fit, or the answer of :func:`harness.predict_from`, whose budget is its own.
        budgets: training FLOPs, one number or several; by default the fit's target.
    """
    _check_kind("optima", source, (Fit, PredictResult), "a fit or a prediction")
    if isinstance(source, PredictResult):
        if budgets is not None:
            raise UserError("tables.optima: a prediction has its own budget; give a fit for others")
        return _frame([_plain(answer) for answer in source.answers])
    asked = source.agreement.target if budgets is None else budgets
    several = np.atleast_1d(np.asarray(asked, dtype=float)).tolist()
    return _frame([_plain(one) for flops in several for one in source.predict(flops).values()])


def backtest(fit: Fit) -> "pd.DataFrame":
    """What fits to the lower budgets forecast of the higher ones, beside what was measured there."""
    _check_kind("backtest", fit, (Fit,), "a fit")
    return _frame([_plain(one) for one in fit.backtest.rows] if fit.backtest else [])


def draws(fit: Fit, approach: str = "approach_3") -> "pd.DataFrame":
    """The bootstrap draws of an approach, one row each: its parameters, and the exponents a and b.

    Raises:
        UserError: no such approach, or it has no draws.
    """
    _check_kind("draws", fit, (Fit,), "a fit")
    found = {one.name: one for one in fit.approaches}.get(approach)
    if found is None:
        raise UserError(
            f"tables.draws: no {approach!r}; there are {', '.join(one.name for one in fit.approaches)}"
        )
    if found.draws is None:
        raise UserError(f"tables.draws: {approach} has no bootstrap draws ({found.status})")
    a, b = found.exponents(found.draws)
    return _frame({**dict(zip(found.draw_columns, found.draws.T, strict=True)), "a": a, "b": b})


def _plain(item: Any, names: Iterable[str] = (), without: Sequence[str] = ()) -> dict[str, Any]:
    """The numbers and words of a dataclass, its intervals as two entries each, the diagnosis last."""
    entries: dict[str, Any] = {}
    last: dict[str, Any] = {name: None for name in LAST if hasattr(item, name)}
    kinds = {field.name: field.type for field in dataclasses.fields(item)}
    for name in names or kinds:
        value = getattr(item, name)
        if name in last:
            last[name] = "; ".join(value) if isinstance(value, tuple) else value
        elif name.endswith(INTERVAL):
            entries |= _ends(name.removesuffix(INTERVAL), value)
        elif name not in without and PLAIN.issuperset(_parts(kinds[name])):
            # A missing number is NaN: a column of None alone would be of objects, not of numbers.
            number = float in _parts(kinds[name])
            entries[name] = math.nan if value is None and number else value
    return entries | last


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _check_kind(function: str, given: object, kinds: tuple[type, ...], meant: str) -> None:
    """Refuses what is of none of ``kinds``."""
    if not isinstance(given, kinds):
        raise UserError(f"tables.{function}: a {type(given).__name__} is not {meant}")


def _parts(kind: Any) -> tuple[Any, ...]:
    """The kinds that a union is made of."""
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _ends(name: str, interval: tuple[float, float] | None, names: Sequence[str] = ()) -> dict[str, float]:
    low, high = interval or (math.nan, math.nan)
    return dict(zip(names or (f"{name}_low", f"{name}_high"), (low, high), strict=True))


def _frame(
    data: Sequence[Mapping[str, Any]] | Mapping[str, Any], columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    try:
        import pandas as pd
    except ImportError:
        raise UserError("harness.tables needs pandas: pip install pandas") from None
    return pd.DataFrame(data, columns=columns)
