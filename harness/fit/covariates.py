"""Columns of the table that move a parameter of the law: a share of the data, a context length, a learning rate."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.forms.model import MOVABLE
from harness.fit.table import Array, Points


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
        known = values[np.isfinite(values)]
        if len(np.unique(known)) < 2:
            raise UserError(f"analysis.covariates.{parameter}: column {column} has one value only")
        found.append(Covariate(parameter, column, float(at.get(column, np.median(known)))))
    if other := [name for name in at if name not in by.values()]:
        raise UserError(f"analysis.at.{other[0]}: no covariate is of this column")
    return tuple(found)


def covariates(points: Points, columns: tuple[Covariate, ...]) -> Array | None:
    """The columns less their reference values, (n, columns); None without any."""
    if not columns:
        return None
    return np.stack([points.column(one.column) - one.at for one in columns], axis=1)
