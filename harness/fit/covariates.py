"""Columns of the table that move a parameter of the law: a share of the data, a context length, a learning rate."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.forms.model import MOVABLE
from harness.fit.table import Array, Points

BEYOND = 0.1  # of a column's range: how far outside of it a reference value may lie


@dataclass(frozen=True)
class Covariate:
    """A parameter that is multiplied by exp(slope (z - at)), z being a column of the table.

    Attributes:
        parameter: ``E``, ``A`` or ``B``.
        column: the table's column.
        at: the value of the column that the law and its optimum are given for.
    """

    parameter: str
    column: str
    at: float


def chosen(points: Points, by: Mapping[str, str], at: Mapping[str, float]) -> tuple[Covariate, ...]:
    """The covariates that a user asked for: ``by`` names the column of each parameter, ``at`` values of columns.

    A column without a value in ``at`` is given for its median. Raises UserError for what cannot be one.
    """
    found = []
    for parameter, column in by.items():
        if parameter not in MOVABLE:
            raise UserError(f"analysis.covariates: '{parameter}' is none of {', '.join(MOVABLE)}")
        values = points.column(column)
        if lost := int(np.sum(~np.isfinite(values))):
            raise UserError(
                f"analysis.covariates.{parameter}: column {column} is empty in {lost} of {len(points)} runs; "
                f'leave them out with where="{column} is not missing"'
            )
        if np.ptp(values) == 0:
            raise UserError(f"analysis.covariates.{parameter}: column {column} has one value only")
        found.append(Covariate(parameter, column, float(at.get(column, np.median(values)))))
    if other := [name for name in at if name not in by.values()]:
        raise UserError(f"analysis.at.{other[0]}: no covariate is of this column")
    return tuple(found)


def reference(points: Points, by: Mapping[str, str], at: Mapping[str, float]) -> dict[str, float]:
    """The values of columns that a fit of all these runs is given for, which its fits to some of them keep.

    Raises:
        UserError: as :func:`chosen`; or a value is beyond the runs' by more than a tenth of their range.
    """
    found = {one.column: one.at for one in chosen(points, by, at)}
    for column, value in found.items():
        values = points.column(column)
        low, high = float(values.min()), float(values.max())
        if not low - BEYOND * (high - low) <= value <= high + BEYOND * (high - low):
            raise UserError(
                f"analysis.at.{column}={value:g}: the runs have {column} from {low:g} to {high:g}, and nothing says "
                "how the law goes on beyond"
            )
    return found


def varying(
    points: Points, by: Mapping[str, str], at: Mapping[str, float]
) -> tuple[dict[str, str], dict[str, float]]:
    """Of covariates, and of their reference values, those that vary among some of the runs: the others move nothing."""
    kept = {name: column for name, column in by.items() if np.ptp(points.column(column)) > 0}
    return kept, {column: value for column, value in at.items() if column in kept.values()}


def covariates(points: Points, columns: tuple[Covariate, ...]) -> Array | None:
    """The columns less their reference values, (n, columns); None without any."""
    if not columns:
        return None
    return np.stack([points.column(one.column) - one.at for one in columns], axis=1)
