"""What is fitted: a form with some of its parameters fixed, tied to each other, or moved by a covariate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from harness.errors import UserError
from harness.fit.forms.data import Data
from harness.fit.forms.form import Form, Place, split
from harness.fit.forms.power_form import NO_FLOOR, KaplanForm, PowerForm
from harness.fit.forms.richer import FarseerForm, InteractionForm
from harness.fit.table import Array

MOVABLE = ("E", "A", "B")
"""Parameters that a covariate z can move, each by a factor exp(slope z)."""


@dataclass(frozen=True)
class Model:
    """A form under linear restrictions of its parameters.

    Attributes:
        name: what the user calls it.
        form: the functional form.
        fixed: natural parameters that are given, by name.
        tied: pairs of natural parameters that are equal.
        slopes: parameters that a covariate moves: pairs of one of :data:`MOVABLE` and a column of the data's ``z``.
    """

    name: str
    form: Form
    fixed: tuple[tuple[str, float], ...] = ()
    tied: tuple[tuple[str, str], ...] = ()
    slopes: tuple[tuple[str, int], ...] = ()

    @property
    def formula(self) -> str:
        """For people: the form's, with what is tied and fixed."""
        said = [
            f"{one} = {other}" for one, other in self.tied if (one, other) not in _OWN_TIES.get(self.name, ())
        ]
        own = dict(_OWN_FIXED.get(self.name, ()))
        said += [f"{name} = {value:g}" for name, value in self.fixed if own.get(name) != value]
        formula = _FORMULAS.get(self.name, self.form.formula)
        return f"{formula} with {', '.join(said)}" if said else formula

    @property
    def columns(self) -> tuple[str, ...]:
        """The natural parameters: the form's, and the slopes."""
        return (*self.form.columns, *(f"{name}_slope" for name, _ in self.slopes))

    @property
    def free(self) -> int:
        """How many parameters are fitted."""
        return len(self.columns) - len(self.fixed) - len(self.tied)

    @property
    def plain(self) -> bool:
        """Whether it is the standard law with nothing more fixed or tied."""
        return self == MODELS["standard"]

    def bind(self, data: Data) -> "Bound":
        """The model in coordinates that are free, for a table's means."""
        return Bound.of(self, Place(data.x, data.y, data.mean_x, data.mean_y))


@dataclass(frozen=True, eq=False)
class Bound:
    """A model in its free parameters phi (q,): coordinates theta (k,) are ``offset + basis phi``.

    Attributes:
        offset: (k,). basis: orthonormal, (k, q).
        picked: where the basis only leaves coordinates out, those it keeps; else None.
    """

    model: Model
    place: Place
    offset: Array
    basis: Array
    picked: tuple[int, ...] | None = field(default=None)

    @classmethod
    def of(cls, model: Model, place: Place) -> "Bound":
        """Solves the restrictions: those that leave no model are refused.

        Raises:
            UserError: a parameter cannot be fixed, or two restrictions contradict each other.
        """
        form, k = model.form, len(model.columns)
        rows: list[Array] = []
        values: list[float] = []
        for name, value in model.fixed:
            linear = form.linear(name, place)
            if linear is None:
                raise UserError(f"analysis.fix.{name}: this parameter of {model.name} cannot be fixed")
            rows.append(np.append(linear.weights, np.zeros(k - len(linear.weights))))
            values.append(linear.coordinate(max(value, NO_FLOOR) if linear.exponential else value))
        for one, other in model.tied:
            first, second = form.linear(one, place), form.linear(other, place)
            if first is None or second is None or first.exponential != second.exponential:
                raise UserError(f"analysis.tie: {one} and {other} cannot be tied in {model.name}")
            rows.append(np.append(first.weights - second.weights, np.zeros(k - len(first.weights))))
            values.append(0.0)
        if not rows:
            return cls(model, place, np.zeros(k), np.eye(k), tuple(range(k)))
        table = np.array(rows)
        offset = np.linalg.lstsq(table, np.array(values), rcond=None)[0]
        if np.linalg.matrix_rank(table) < len(rows) or not np.allclose(table @ offset, values):
            raise UserError(
                f"analysis.fix, analysis.tie: the restrictions of {model.name} repeat or contradict each other"
            )
        held = np.flatnonzero(np.any(table != 0, axis=0))
        if len(held) == len(rows):  # each restriction is of one coordinate
            picked = tuple(i for i in range(k) if i not in held)
            return cls(model, place, offset, np.eye(k)[:, picked], picked)
        _, _, right = np.linalg.svd(table)
        return cls(model, place, offset, right[len(rows) :].T)

    def theta(self, phi: Array) -> Array:
        """Coordinates (..., k) of free parameters (..., q)."""
        return np.asarray(self.offset + phi @ self.basis.T)

    def nearest(self, theta: Array) -> Array:
        """Free parameters (..., q) of the model's point nearest to coordinates (..., k)."""
        return np.asarray((theta - self.offset) @ self.basis)

    def natural(self, phi: Array) -> Array:
        """Natural parameters (..., k), the slopes last."""
        theta = self.theta(phi)
        own = len(self.model.form.columns)
        return np.concatenate(
            (self.model.form.natural(theta[..., :own], self.place), theta[..., own:]), axis=-1
        )

    def evaluate(self, phi: Array, z: Array | None = None, derivatives: bool = True) -> tuple[Array, Array]:
        """ln L (draws, n) of free parameters (draws, q), and its derivatives (draws, n, q) (or an empty array).

        Args:
            z: the covariates, (n, columns).
        """
        theta = self.theta(phi)
        own = len(self.model.form.columns)
        coordinates = split(theta[:, :own])
        for (name, column), slope in zip(self.model.slopes, split(theta[:, own:]), strict=True):
            assert z is not None
            i = self.model.form.columns.index(name)
            coordinates[i] = coordinates[i] + slope * z[:, column]
        fitted, parts = self.model.form.evaluate(coordinates, self.place, derivatives)
        if not derivatives:
            return fitted, np.empty(0)
        for name, column in self.model.slopes:
            assert z is not None
            parts.append(parts[self.model.form.columns.index(name)] * z[:, column])
        if self.picked is not None:
            return fitted, np.stack([np.broadcast_to(parts[i], fitted.shape) for i in self.picked], axis=-1)
        whole = np.stack([np.broadcast_to(part, fitted.shape) for part in parts], axis=-1)
        return fitted, whole @ self.basis

    def starts(self, laws: list[Array]) -> list[Array]:
        """Free parameters to start from, (q,) each, by solutions of the standard law."""
        slopes = np.zeros(len(self.model.slopes))
        return [
            self.nearest(np.append(start, slopes))
            for law in laws
            for start in self.model.form.starts(law, self.place)
        ]


_OWN_FIXED: Mapping[str, tuple[tuple[str, float], ...]] = {
    "standard": (("kappa", 1.0),),
    "tied": (("kappa", 1.0),),
    "kaplan": (("E", 0.0), ("beta", 1.0)),
}
_OWN_TIES: Mapping[str, tuple[tuple[str, str], ...]] = {"tied": (("alpha", "beta"),)}
_FORMULAS = {
    "standard": "E + A/N^alpha + B/D^beta",
    "tied": "E + A/N^alpha + B/D^alpha",
}
_FORMS: Mapping[str, Form] = {
    "standard": PowerForm(),
    "tied": PowerForm(),
    "kappa": PowerForm(),
    "interaction": InteractionForm(),
    "farseer": FarseerForm(),
    "kaplan": KaplanForm(),
}
MODELS: Mapping[str, Model] = {
    name: Model(name, form, _OWN_FIXED.get(name, ()), _OWN_TIES.get(name, ()))
    for name, form in _FORMS.items()
}
"""The forms by name; ``docs/forms.md`` has their formulas and sources."""


def restricted(
    name: str, fix: Mapping[str, float] | None = None, tie: tuple[str, ...] | list[str] = ()
) -> Model:
    """The form ``name`` with parameters fixed to values, and the parameters of ``tie`` equal to each other.

    Raises:
        UserError: there is no such form or parameter, or nothing is left to fit.
    """
    if name not in MODELS:
        raise UserError(f"analysis.form: '{name}' is none of {', '.join(MODELS)}")
    model = MODELS[name]
    own = dict(model.fixed)
    for parameter in (*(fix or {}), *tie):
        if parameter not in model.form.columns:
            has = ", ".join(column for column in model.form.columns if column not in own)
            raise UserError(
                f"analysis.fix, analysis.tie: form {name} has no parameter '{parameter}'; it has {has}"
            )
    for parameter, value in (fix or {}).items():
        linear = model.form.linear(parameter, Place(np.zeros(1), np.zeros(1)))
        if not np.isfinite(value) or (linear is not None and linear.exponential and value < 0):
            raise UserError(f"analysis.fix.{parameter}: must be a finite number, not below 0, got {value:g}")
        if value == 0 and parameter in ("A", "B", "C", "kappa"):
            raise UserError(f"analysis.fix.{parameter}: must be positive")
        if parameter in own and own[parameter] != value:
            raise UserError(
                f"analysis.fix.{parameter}: form {name} has {parameter} = {own[parameter]:g}; choose another form"
            )
    if len(tie) == 1:
        raise UserError("analysis.tie: name two parameters or more, e.g. tie=[alpha,beta]")
    fixed = {**own, **{parameter: float(value) for parameter, value in (fix or {}).items()}}
    pairs = dict.fromkeys((*model.tied, *((tie[0], other) for other in tie[1:])))
    found = replace(model, fixed=tuple(fixed.items()), tied=tuple(pairs))
    if found.free < 1:
        raise UserError(f"analysis.fix, analysis.tie: nothing of form {name} is left to fit")
    return found
