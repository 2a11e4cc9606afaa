"""One fit for each group of a table, side by side; and laws that share their exponents and not their levels.

Data sets, recipes or architectures that differ in E, A and B but not in alpha and beta scale alike (arXiv 2602.07712):
their N* and D* grow with the same powers of compute, and a group with few runs borrows the exponents of the others.
Whether they do share them is tested, not assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.errors import UserError
from harness.fit import bootstrap
from harness.fit.approach_3 import Asked, law_numbers, parametric, widened
from harness.fit.budgets import Cells, cells_of, count_cells, units_of
from harness.fit.cost_law import cost_flags
from harness.fit.forms import MODELS, Misfit, Model, Solved, redraw, restricted, solve
from harness.fit.forms.data import Data
from harness.fit.law_check import check_law
from harness.fit.law_flags import MIN_RUNS, beside_the_sizes, draw_flags, law_flags, least_runs, one_compute
from harness.fit.misfit import fit_error
from harness.fit.options import FitOptions
from harness.fit.read.lookup import labels as labels_of
from harness.fit.results import Approach3, Judged
from harness.fit.status import Flag, judge
from harness.fit.table import Array, Points
from harness.fit.useless import useless_intervals
from harness.text import counted

MOST_GROUPS = 50
LEVELS, POWERS = ("E", "A", "B"), ("alpha", "beta")
FLIPS = 399
"""Tables with turned residuals that the test of sharing is made of: a p of .05 is then known to .01."""

ALPHA = 0.01
STREAM = 13


@dataclass(frozen=True, kw_only=True)
class Sharing(Judged):
    """Whether groups share alpha and beta.

    Attributes:
        groups: their names. runs: how many runs they have.
        statistic: F: what exponents of each group's own take off the weighted squares, over what is left.
        p: how often a table of laws that do share them has as large an F; None where it could not be tested.
        alpha, beta: of each group when fitted with exponents of its own.
        note: why it could not be tested; else empty.
    """

    groups: tuple[str, ...]
    runs: int
    statistic: float | None = None
    p: float | None = None
    alpha: dict[str, float]
    beta: dict[str, float]
    note: str = ""


def split_by(points: Points, column: str) -> dict[str, Points]:
    """The table's groups by the values of a column, in the order in which they first occur.

    Raises:
        UserError: there is no such column, it has one value, or too many to be groups.
    """
    labels = labels_of(points, column)
    names = list(dict.fromkeys(labels))
    if "" in names:
        lost = sum(label == "" for label in labels)
        raise UserError(
            f'by: column {column} is empty in {counted(lost, "row")}; leave them out with where="…"'
        )
    if not 2 <= len(names) <= MOST_GROUPS:
        raise UserError(
            f"by: column {column} has {counted(len(names), 'value')}; groups are from 2 to {MOST_GROUPS} of them"
        )
    return {name: points.select(np.array([label == name for label in labels])) for name in names}


def cannot_share(points: Points) -> str:
    """Why a group cannot have E, A and B of its own, with exponents that come from others; empty where it can."""
    cells, least = count_cells(cells_of(points)) if len(points) else 0, len(LEVELS) + 1
    if cells < least:
        return f"{counted(cells, 'cell')} (N and D); E, A and B of its own need {least}"
    if len(np.unique(points.params)) < 2 or len(np.unique(points.tokens)) < 2:
        return "one size or one horizon; E, A and B of its own need two of each"
    return ""


def share_exponents(
    groups: Mapping[str, Points], options: FitOptions
) -> tuple[dict[str, Approach3], Sharing]:
    """Approach 3 of every group with exponents that all groups share, and whether they do.

    One law is fitted to all runs: alpha and beta are common, E, A and B each group's own. Runs are drawn within their
    group. The test sets it against laws that share nothing: F, with the distribution that it has when the residuals of
    the shared fit change sign at random, whole units together (Davidson & Flachaire 2008, "The wild bootstrap, tamed at
    last", Journal of Econometrics 146).

    Args:
        groups: runs to fit, N, C and L as the options count them.

    Raises:
        UserError: fewer than two groups, a form without exponents of N and D, or a group with too few runs.
    """
    base = options.model
    if options.bootstrap == "wild" or options.solver == "varpro":
        raise UserError(
            "joint=exponents: draws runs within their groups; use bootstrap=pairs and solver=lbfgs"
        )
    if base.name not in ("standard", "kappa") or options.covariates or options.fix or options.tie:
        raise UserError(
            f"joint=exponents: needs form standard or kappa, with nothing fixed or tied and no covariates; got "
            f"{base.formula}"
        )
    for name, mine in groups.items():
        if reason := cannot_share(mine):
            raise UserError(f"joint: group {name}: {reason}")
    if len(groups) < 2:
        raise UserError("joint: needs two groups with enough runs, or more")
    if sum(map(len, groups.values())) < least_runs(base) + len(LEVELS) * (len(groups) - 1):
        raise UserError("joint: too few runs in all for laws of this many groups")
    together = _Together.of(groups, options)
    sharing = together.test()
    return {name: _approach(together, name, mine, sharing) for name, mine in groups.items()}, sharing


@dataclass(frozen=True, eq=False)
class _Together:
    """The runs of all groups as one table.

    Attributes:
        member: the number of each run's group, (n,). unit: what is drawn together, (n,).
        weights: of the runs, (n,), those of each group's own check.
    """

    names: tuple[str, ...]
    base: Model
    data: Data
    member: Cells
    unit: Cells
    weights: Array
    options: FitOptions

    @classmethod
    def of(cls, groups: Mapping[str, Points], options: FitOptions) -> "_Together":
        member = np.repeat(np.arange(len(groups)), [len(mine) for mine in groups.values()])
        params, tokens, loss = (
            np.concatenate([getattr(p, name) for p in groups.values()])
            for name in ("params", "tokens", "loss")
        )
        # dummies: the first group is the reference, whose levels the others' are factors of
        z = np.asarray(np.eye(len(groups))[member][:, 1:])
        unit, first = [], 0
        for mine in groups.values():
            own = units_of(mine)
            unit.append(own + first)
            first += int(own.max()) + 1
        return cls(
            names=tuple(groups),
            base=options.model,
            data=Data.of(params, tokens, loss, z),
            member=member,
            unit=np.concatenate(unit),
            weights=np.concatenate([_weights(mine) for mine in groups.values()]),
            options=options,
        )

    def model(self, own: tuple[str, ...]) -> Model:
        """The form with the parameters ``own`` apart in every group."""
        slopes = tuple((name, i) for i in range(len(self.names) - 1) for name in own)
        return replace(self.base, slopes=slopes)

    def solve(self, own: tuple[str, ...], misfit: Misfit, start: Solved | None = None) -> Solved:
        """The law fitted to all runs, from the law of the first group or from another solution."""
        model = self.model(own)
        if start is None:
            return solve(model, self.data, misfit, self.weights)
        bound = model.bind(self.data)
        known = dict(zip(_keys(start.bound.model), start.theta, strict=True))
        theta = np.array([known.get(key, 0.0) for key in _keys(model)])
        return solve(model, self.data, misfit, self.weights, [bound.nearest(theta)])

    def levels(self, solved: Solved, phi: Array, group: int) -> Array:
        """The natural parameters (..., columns) of one group's law."""
        theta = solved.bound.theta(phi)
        k = len(self.base.form.columns)
        own = np.array(theta[..., :k])
        for at, (name, column) in enumerate(solved.bound.model.slopes):
            if column == group - 1:
                own[..., self.base.form.columns.index(name)] += theta[..., k + at]
        return self.base.form.natural(own, solved.bound.place)

    @cached_property
    def shared(self) -> Solved:
        """The law whose exponents are common."""
        return self.solve(LEVELS, self.options.misfit)

    @property
    def kind(self) -> str:
        """How runs are drawn: where a group has too few to resample, noise is drawn instead."""
        least = min(count_cells(self.unit[self.member == i]) for i in range(len(self.names)))
        return "pairs within groups" if least >= MIN_RUNS else "parametric"

    @cached_property
    def drawn(self) -> Array:
        """Draws of the free parameters of the shared law, (draws, q)."""
        shared, options = self.shared, self.options
        rng = bootstrap.generator(options.seed, STREAM)
        if self.kind != "parametric":
            groups = [np.flatnonzero(self.member == i).tolist() for i in range(len(self.names))]
            counts = bootstrap.stratified_counts(rng, groups, self.unit, options.draws)
            log_loss = self.data.log_loss[None]
            phi = redraw(shared, options.misfit, log_loss, counts * self.weights).phi
            return widened(phi, shared.phi, count_cells(self.unit), len(shared.phi))
        even = self.solve(LEVELS, Misfit(np.inf), shared)
        return shared.phi + parametric(even, self.unit, self.weights, options.misfit, options.draws, rng)

    def test(self) -> Sharing:
        """The laws that share exponents against laws that share nothing."""
        efficient = Misfit(np.inf)
        null = self.solve(LEVELS, efficient)
        free = self.solve((*LEVELS, *POWERS), efficient, null)
        alone = [self.levels(free, free.phi, i) for i in range(len(self.names))]
        at = {name: self.base.form.columns.index(name) for name in POWERS}
        found = Sharing(
            groups=self.names,
            runs=len(self.member),
            alpha={name: float(law[at["alpha"]]) for name, law in zip(self.names, alone, strict=True)},
            beta={name: float(law[at["beta"]]) for name, law in zip(self.names, alone, strict=True)},
        )
        more = len(free.phi) - len(null.phi)
        left = count_cells(self.unit) - len(free.phi)
        if left < 1:
            note = (
                "too few runs for exponents of every group's own, so whether they are shared cannot be tested"
            )
            return replace(found, note=note)
        statistic = _f(null.objective, free.objective, more, left)
        # Turned about the shared law, so that sharing holds in every one of these tables.
        root = np.sqrt(self.weights)
        fitted, tangent = null.fitted(), null.jacobian() * root[:, None]
        residual = bootstrap.inflated((self.data.log_loss - fitted) * root, tangent, self.unit, 0.5) / root
        rng = bootstrap.generator(self.options.seed, STREAM)
        turned = fitted + bootstrap.wild_signs(rng, count_cells(self.unit), FLIPS)[:, self.unit] * residual
        least = [redraw(one, efficient, turned, self.weights[None]).objective for one in (null, free)]
        drawn = _f(least[0], np.minimum(least[0], least[1]), more, left)
        p = float((1 + np.sum(drawn >= statistic)) / (FLIPS + 1))
        flags = []
        if p <= ALPHA:
            ranges = ", ".join(
                f"{name} from {min(values.values()):.3f} to {max(values.values()):.3f}"
                for name, values in (("alpha", found.alpha), ("beta", found.beta))
            )
            note = (
                f"the groups do not share their exponents (F = {statistic:.3g}, p = {p:.2g}; apart: {ranges})"
            )
            flags.append(Flag("not_shared", note))
        return replace(found, statistic=float(statistic), p=p, **judge(flags))


def _keys(model: Model) -> list[tuple[str, int]]:
    return [(name, -1) for name in model.form.columns] + list(model.slopes)


def _f(null: Array | float, free: Array | float, more: int, left: int) -> Array:
    return np.asarray((null - free) / more / (np.maximum(free, 1e-300) / left))


def _weights(points: Points) -> Array:
    return (
        check_law(points).weights if len(points) >= least_runs(MODELS["standard"]) else np.ones(len(points))
    )


def _approach(together: _Together, name: str, points: Points, sharing: Sharing) -> Approach3:
    """One group's approach 3 by the shared law, with draws."""
    group, shared, options = together.names.index(name), together.shared, together.options
    asked = Asked.of(points, options, together.base)
    shown = asked.shown(together.levels(shared, shared.phi, group))
    draws = asked.shown(together.levels(shared, together.drawn, group)) if options.draws else None
    law = asked.frontier(shown)
    # The group's own runs against its law: what is common is given, so that E, A and B alone are its own.
    powers = {name: float(shown[asked.columns.index(name)]) for name in asked.columns if name not in LEVELS}
    check = check_law(points, restricted(together.base.name, powers))
    numbers = law_numbers(shown, draws, asked, options.level, law.usable)
    flags = [
        *sharing.warnings,
        *law_flags(check.fit, law),
        *one_compute(points),
        *cost_flags(asked.cost),
        *beside_the_sizes(points, law),
        *check.flags,
        *draw_flags(
            draws,
            None if draws is None else asked.frontier(draws),
            points,
            together.base,
            count_cells(check.unit),
        ),
        *useless_intervals(numbers),
    ]
    if not shared.converged:
        flags.append(Flag("not_converged", "the optimizer stopped before it reached a minimum"))
    note = f"{', '.join(powers)} shared with {', '.join(other for other in together.names if other != name)}"
    mine = together.member == group
    return Approach3(
        shared=note,
        bootstrap=together.kind if draws is not None else "none",
        draws=draws,
        objective=shared.objective,
        starts=len(shared.all_objectives),
        starts_agreeing=shared.agreeing,
        fit_error=fit_error(together.data.log_loss[mine], shared.fitted()[mine]),
        **asked.fields(len(points), options),
        **numbers,
        **judge(flags),
    )
