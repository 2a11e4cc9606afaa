"""What the rules of a recipe may depend on, and the linear model of the points' best values that follows from it.

A rule is ln value = c + a ln N + b ln D about a reference. Batch has b alone, and weight decay goes by the AdamW
timescale tau = B / (rate lambda D), a power of D / N (Bergsma et al. 2025, arXiv 2505.13738); the learning rate has a
and b; factors of groups of parameters and what is Muon's have none, unless N or D shows clearly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.fit.table import Array
from harness.plan.recipe_rules import Rule
from harness.tune.sequential.observed import Flags

CONST, PARAMS, TOKENS, RATIO = "value", "params", "tokens", "tokens_per_param"
FOLLOWED = 0.01  # in ln: a power law no further from what a rule says
LIMITED = 1e-6  # in ln: a rule that is further from its own power is kept within a limit
VARIES = float(np.log(1.3))  # a power needs values that differ by so much at least


@dataclass(frozen=True)
class Held:
    """A rule as it was, about the reference: ``value`` is ln of it there."""

    value: float
    params: float
    tokens: float

    @classmethod
    def of(cls, rule: Rule, params: float, tokens: float) -> "Held":
        """``rule``, its bounds left aside, about N ``params`` and D ``tokens``."""
        raw = np.log(rule.value) + rule.params * np.log(params / rule.params_at)
        return cls(float(raw + rule.tokens * np.log(tokens / rule.tokens_at)), rule.params, rule.tokens)

    @classmethod
    def through(cls, rule: Rule, params: float, tokens: float, x: Array, d: Array, said: Array) -> "Held":
        """What ``rule`` says at the points, as powers of N and D: with limits that is another power law than its own.

        The least powers that follow it: none, of D, of N, or both by least squares.

        Args:
            x, d: ln N and ln D of the points over ``params`` and ``tokens``, (points,).
            said: ln of what the rule says there within all limits, (points,).
        """
        free = cls.of(rule, params, tokens)
        one = np.ones(len(x))
        if np.abs(free.array @ np.stack((one, x, d)) - said).max() <= LIMITED:
            return free
        for columns in ((0,), (0, 2), (0, 1), (0, 1, 2)):
            rows = np.stack((one, x, d), axis=1)[:, columns]
            found = np.linalg.lstsq(rows, said, rcond=1e-6)[0]
            line = np.zeros(3)
            line[list(columns)] = found
            if np.abs(rows @ found - said).max() < FOLLOWED:
                break
        return cls(*line.tolist())

    @property
    def array(self) -> Array:
        """(3,)."""
        return np.array([self.value, self.params, self.tokens])


@dataclass(frozen=True, eq=False)
class RuleModel:
    """Best values as a linear function of coefficients theta.

    Attributes:
        names: of the coefficients: (axis, one of the terms above), (k,).
        rows: y = offset + rows theta of the axes' best values, axis by axis, (axes, points, k).
        offset: (axes, points).
        rules: (c, a, b) = constant + rules theta of every axis, (axes, 3, k); ``constant`` (axes, 3).
    """

    names: tuple[tuple[str, str], ...]
    rows: Array
    offset: Array
    rules: Array
    constant: Array


@dataclass(frozen=True, eq=False)
class Places:
    """Where the tuned points are, about the reference.

    Attributes:
        x: ln N, (points,). read: ln of the N that rules other than the batch's read: the same but under a
            parametrization, where it is the base's; d: ln D; all less the reference's.
        tokens_at: ln of the reference's D.
        batch, rate: ln of what the points have where these are not tuned, (points,).
        held: by axis, the rule tuned from as the points have it, and those of batch and rate in any case.
        at_base: whether ``read`` is the base's N of a parametrization.
    """

    x: Array
    read: Array
    d: Array
    tokens_at: float
    batch: Array
    rate: Array
    held: dict[str, Held] = field(default_factory=dict)
    at_base: bool = False


def rule_model(
    axes: Sequence[str], usable: Flags, places: Places, more: Sequence[tuple[str, str]] = ()
) -> RuleModel:
    """The model of ``axes``, each with what the usable points can tell apart.

    Args:
        usable: which points have a best value of which axis, (axes, points) bool.
        more: further coefficients, of :func:`further_terms`: (axis, term).
    """
    names: list[tuple[str, str]] = []
    for a, axis in enumerate(axes):
        names += [(axis, term) for term in _terms(axis, usable[a], places)]
        names += [one for one in more if one[0] == axis and one not in names]
    k, points = len(names), len(places.x)
    rows, rules = np.zeros((len(axes), points, k)), np.zeros((len(axes), 3, k))
    offset, constant = np.zeros((len(axes), points)), np.zeros((len(axes), 3))
    order = sorted(range(len(axes)), key=lambda a: axes[a] == "weight_decay")  # it is built on the others
    for a in order:
        axis = axes[a]
        x = places.x if axis == "batch" else places.read
        terms = [term for name, term in names if name == axis]
        before = places.held[axis]
        if usable[a].sum() < 2:
            constant[a, 1:] = before.array[1:]
        else:
            if not _varies(x[usable[a]]) and axis in ("rate", "batch", "weight_decay"):
                constant[a, 1] = before.params
            if not _varies(places.d[usable[a]]) and axis in ("rate", "batch"):
                constant[a, 2] = before.tokens
        for term in terms:
            column = names.index((axis, term))
            own = {
                CONST: (1.0, 0.0, 0.0),
                PARAMS: (0.0, 1.0, 0.0),
                TOKENS: (0.0, 0.0, 1.0),
                RATIO: (0.0, 0.0 if places.at_base else 1.0, -1.0),
            }
            rules[a, :, column] += own[term]
        if axis == "weight_decay" and usable[a].sum() > 1:
            # lambda = B / (rate tau D)
            constant[a] = (-places.tokens_at, 0.0, -1.0)
            offset[a] = -places.tokens_at - places.d
            for other, sign, given in (("batch", 1.0, places.batch), ("rate", -1.0, places.rate)):
                if other in axes and usable[axes.index(other)].any():
                    source = axes.index(other)
                    rules[a] += sign * rules[source]
                    constant[a] += sign * constant[source]
                    offset[a] += sign * (constant[source] @ np.stack((np.ones(points), x, places.d)))
                else:
                    constant[a] += sign * places.held[other].array
                    offset[a] += sign * given
        else:
            offset[a] = constant[a] @ np.stack((np.ones(points), x, places.d))
        rows[a] = np.einsum("tp,tk->pk", np.stack((np.ones(points), x, places.d)), rules[a])
    return RuleModel(tuple(names), rows, offset, rules, constant)


def further_terms(axis: str, usable: Flags, places: Places) -> list[str]:
    """Exponents that a rule of this axis does not have by itself, as far as the usable points tell them apart.

    Of N alone where they do not tell N from D, or are too few to test both.
    """
    if axis in ("rate", "weight_decay"):
        return []
    x, d = (places.x if axis == "batch" else places.read)[usable], places.d[usable]
    if axis == "batch":
        return [PARAMS] if apart(x, d) else []
    if apart(x, d) and len(x) > 3:
        return [PARAMS, TOKENS]
    return [PARAMS] if _varies(x) else [TOKENS] if _varies(d) else []


def apart(x: Array, d: Array) -> bool:
    """Whether ln N and ln D of points vary apart, so that powers of both can be told."""
    return _rank(x, d) == 3


def _terms(axis: str, usable: Flags, places: Places) -> list[str]:
    x = (places.x if axis == "batch" else places.read)[usable]
    d = places.d[usable]
    if len(x) == 0:
        return []
    if len(x) == 1:
        return [CONST]
    if axis == "batch":
        return [CONST, TOKENS] if _varies(d) else [CONST]
    if axis == "weight_decay":
        return [CONST, RATIO] if _varies(d - x) else [CONST]
    if axis == "rate":
        if _rank(x, d) == 3:
            return [CONST, PARAMS, TOKENS]
        return [CONST, PARAMS] if _varies(x) else [CONST, TOKENS] if _varies(d) else [CONST]
    return [CONST]


def _varies(values: Array) -> bool:
    return len(values) > 1 and float(np.ptp(values)) > VARIES


def _rank(x: Array, d: Array) -> int:
    """3 where ln N and ln D vary apart."""
    if len(x) < 3 or not _varies(x) or not _varies(d):
        return 2
    columns = np.stack((np.ones(len(x)), x, d), axis=1)
    left = d - columns[:, :2] @ np.linalg.lstsq(columns[:, :2], d, rcond=None)[0]
    return 3 if float(np.ptp(left)) > VARIES else 2
