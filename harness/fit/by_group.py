"""A fit for each group of a table, and their optima side by side."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import Any

from harness.errors import UserError
from harness.fit.agreement import compare_approaches
from harness.fit.encoding import encode
from harness.fit.estimate import OptimumEstimate, marked
from harness.fit.fitted import Fit
from harness.fit.groups import Sharing, cannot_share, share_exponents, split_by
from harness.fit.options import FitOptions
from harness.fit.pipeline import fit_points, table_to_fit
from harness.fit.read.lookup import condition
from harness.fit.status import plain
from harness.fit.summary import quantity_with, sentence, table
from harness.fit.table import Curve, Points
from harness.text import counted

EXPONENTS = "exponents"
LONGEST = 80  # of a folder's name


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupedFit:
    """The groups of a column, each with its fit.

    Attributes:
        column: what the table was split by.
        flops: the compute at which they are set side by side: the largest that every group has runs of.
        fits: by group. failed: of a group without a fit the reason.
        alone: of a group that could not take part in sharing the reason.
        sharing: whether the groups share their exponents; None where that was not asked for.
    """

    column: str
    flops: float
    fits: Mapping[str, Fit]
    failed: Mapping[str, str] = field(default_factory=dict)
    alone: Mapping[str, str] = field(default_factory=dict)
    sharing: Sharing | None = None

    def folders(self) -> dict[str, str]:
        """A folder's name for each group with a fit, no two alike."""
        found: dict[str, str] = {}
        for name in self.fits:
            plain_name = re.sub(r"[^\w.+-]+", "_", name).strip("._")[:LONGEST] or "group"
            numbered = (f"{plain_name}-{i}" for i in count(2))
            found[name] = next(one for one in chain([plain_name], numbered) if one not in found.values())
        return found

    def summary(self) -> str:
        """One row for each approach and group, and what was found of their exponents."""
        rows = [
            (approach, name, str(self.fits[name].n_points), *_row(self.fits[name], estimate))
            for approach in ("approach_1", "approach_2", "approach_3")
            for name in self.fits
            for estimate in (self.fits[name].predict(self.flops)[approach],)
            if estimate.params is not None or approach == "approach_3"
        ]
        header = ("approach", self.column, "runs", "a", "b", "N*", "D*", "loss", "status")
        title = f"Groups by {self.column} at C = {self.flops:.3g}, each fitted by itself"
        if self.sharing is not None:
            title = f"Groups by {self.column} at C = {self.flops:.3g}; approach 3 shares its exponents among "
            title += ", ".join(self.sharing.groups)
        parts = [f"{title}\n{table(header, rows)}"]
        if self.sharing is not None:
            parts.append(_told(self.sharing))
        parts += [f"  {name}: no fit. {sentence(reason)}" for name, reason in self.failed.items()]
        parts += [
            f"  {name} took no part in sharing. {sentence(reason)}" for name, reason in self.alone.items()
        ]
        return "\n".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``groups.json``."""
        folders = self.folders()
        return {
            "by": self.column,
            "flops": self.flops,
            "groups": {
                name: {
                    "folder": folders[name],
                    "runs": fit.n_points,
                    "exponents": {
                        one.name: {
                            "a": one.a,
                            "a_interval": encode(one.a_interval),
                            "b": one.b,
                            "status": one.status,
                        }
                        for one in fit.approaches
                    },
                    "optimum": {
                        approach: encode(found) for approach, found in fit.predict(self.flops).items()
                    },
                }
                for name, fit in self.fits.items()
            },
            "failed": dict(self.failed),
            "alone": dict(self.alone),
            "sharing": encode(self.sharing),
        }


def fit_by(
    points: Points,
    column: str,
    options: FitOptions | None = None,
    joint: str | None = None,
    curves: Mapping[str, Curve] | None = None,
) -> GroupedFit:
    """Fits every group of a table that has one value in ``column``.

    Args:
        joint: ``exponents`` also fits laws that share alpha and beta, which then are approach 3 of every group, and
            tests whether they do; None fits each group by itself.
        curves: training curves by run, for approach 1.

    Raises:
        UserError: there is no such column, no group has a fit, or the groups cannot share what they are to.
    """
    if joint not in (None, EXPONENTS):
        raise UserError(f"joint: '{joint}' is nothing that groups can share; there is {EXPONENTS}")
    options = options or FitOptions()
    fits, failed = {}, {}
    groups = split_by(points, column)
    for name, mine in groups.items():
        try:
            fits[name] = fit_points(replace(mine, where=_filter(points, column, name)), options, curves)
        except UserError as error:
            failed[name] = str(error)
    if not fits:
        raise UserError(f"by: no group of {column} has a fit; {next(iter(failed.items()))[1]}")
    sharing, alone = None, {}
    if joint is not None:
        chosen = {name: table_to_fit(groups[name], options) for name in fits}
        alone = {name: reason for name, one in chosen.items() if (reason := cannot_share(one.table))}
        tables = {name: one.table for name, one in chosen.items() if name not in alone}
        if len(tables) < 2:
            told = "; ".join(f"{name}: {reason}" for name, reason in alone.items())
            raise UserError(f"joint: needs two groups with enough runs, or more ({told})")
        shared, sharing = share_exponents(tables, options)
        for name, three in shared.items():
            fit, three = fits[name], chosen[name].flagged(three)
            approaches = (fit.approach_1, fit.approach_2, three)
            agreement = compare_approaches(approaches, fit.agreement.target)
            # conventions are compared by laws of each group alone, which is not what approach 3 is now
            counting = tuple(row for row in fit.counting if row.approach != three.name)
            fits[name] = replace(fit, approach_3=three, agreement=agreement, counting=counting)
    flops = min(fit.largest_flops for fit in fits.values())
    return GroupedFit(column=column, flops=flops, fits=fits, failed=failed, alone=alone, sharing=sharing)


def _filter(points: Points, column: str, name: str) -> str:
    """The filter by which a table is read again for a group: a report of its folder has the group's runs alone."""
    own = condition(points, column, name)
    return f"({points.where}) and {own}" if points.where else own


def _row(fit: Fit, found: OptimumEstimate) -> tuple[str, ...]:
    approach = {one.name: one for one in fit.approaches}[found.approach]
    return (
        quantity_with(approach.a, approach.a_interval, ".3f"),
        quantity_with(approach.b, approach.b_interval, ".3f"),
        quantity_with(found.params, found.params_interval),
        quantity_with(found.tokens, found.tokens_interval),
        marked(quantity_with(found.loss, found.loss_interval, ".4f"), found.loss_kind),
        plain(found.status),
    )


def _told(sharing: Sharing) -> str:
    if sharing.p is None:
        return f"  {sentence(sharing.note)}"
    said = "\n".join(f"  {sentence(note)}" for note in sharing.notes)
    if said:
        return said
    return (
        f"  {counted(len(sharing.groups), 'group')} may share their exponents: exponents of their own fit no better "
        f"than chance allows (F = {sharing.statistic:.3g}, p = {sharing.p:.2g})."
    )
