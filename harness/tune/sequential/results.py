"""What a tuning in rounds found: the content of its ``tune.json``."""

from dataclasses import asdict, dataclass
from typing import Any

from harness.plan.recipe_rules import Rule
from harness.tune.axes import AXES
from harness.tune.plain import rule_from_json, rule_to_json, tuples
from harness.tune.results import Interval

DESIGN = "sequential"

# Why a point's best value of an axis is no number to build on.
VALUE_STATUSES = {
    "ok": "the minimum lies within what was tried",
    "beyond": "the loss is lowest beyond all that was tried",
    "cliff": "the loss falls up to values that diverge",
    "flat": "no minimum along it: the loss hardly depends on it, or the runs do not show how",
    "diverged": "every run of the point diverged",
    "too_few_runs": "too few runs of the point finished to take part in the surface",
}
RULE_STATUSES = {
    "ok": "through more points than it has coefficients",
    "untested": "through as many points as it has coefficients: nothing tests it",
    "level_only": "one usable point: the recipe's own exponents, moved to its minimum",
    "at_edge": "beyond what was tried at most points: the recipe's own rule, moved to the edge of that",
    "best_tried": "no minimum along it, but losses at this multiple of the recipe's own rule are surely lower: the "
    "best that was tried",
    "flat": "no minimum along it: the recipe's own rule",
}


@dataclass(frozen=True)
class Value:
    """One hyperparameter at one point.

    Attributes:
        centre: what the recipe tuned from says. rule: what the new rule says.
        best: at the lowest point of the surface within what was tried; null without a minimum.
        interval: at the tuning's level.
        status: a key of :data:`VALUE_STATUSES`.
    """

    centre: float
    rule: float
    best: float | None
    interval: Interval | None
    status: str


@dataclass(frozen=True)
class PointResult:
    """One point (N, D).

    Attributes:
        params: N as the recipe counts it; ``params_total`` all of them. ``tokens``: D.
        runs, diverged, used: trained; of these diverged; of these near enough to the minimum for the fit.
        loss_lowest: of a run; ``loss_opt``: fitted at the minimum, and along axes whose rule is the best value that was
            tried less what that gains, nats per token.
        values: by axis.
        recipe_excess: of the recipe tuned from over the minimum, nats per token: fitted, or where the centre is not
            near the minimum measured (``recipe_excess_measured``). The interval goes from 0 to an upper bound at the
            tuning's level.
        rule_excess: of the new rules, fitted, with such an interval.
        below: how far the lowest losses are below ``loss_opt`` by more than noise explains; both excesses count it.
    """

    shape: str
    params: int
    params_total: int
    tokens: float
    runs: int
    diverged: int
    used: int
    loss_lowest: float | None
    loss_opt: float | None
    values: dict[str, Value]
    recipe_excess: float | None = None
    recipe_excess_interval: Interval | None = None
    recipe_excess_measured: bool = False
    rule_excess: float | None = None
    rule_excess_interval: Interval | None = None
    below: float = 0.0


@dataclass(frozen=True)
class Exponent:
    """An exponent with its interval: of a rule, or one that was tested.

    Attributes:
        p: chance of one as large, were it 0; null where it was not tested.
        taken: whether the rule has it.
    """

    value: float
    interval: Interval | None
    p: float | None = None
    taken: bool = True


@dataclass(frozen=True)
class AxisResult:
    """A rule for the recipe.

    Attributes:
        key: configuration key of ``rule``. status: a key of :data:`RULE_STATUSES`.
        value_interval: of ``rule.value``. params, tokens: its exponents, null where it has none of its own.
        tested_params, tested_tokens: the exponents in N and D that such a rule does not have by itself.
        timescale, ratio: of weight decay, B / (rate lambda D) at the reference with its interval, and its exponent in
            ``ratio_of``: D/N, or under a parametrization, where rules read the base's N for every size, D.
        points: how many the rule goes through. excluded: the others, and why.
        scatter: the points' scatter about the rule over what noise explains (Birge's ratio; intervals are widened by it
            where it is above 1); null where nothing tests it.
        cost_of_two: what a value off by a factor of two costs, nats per token, the other hyperparameters kept: the mean
            of ``cost_of_double`` and ``cost_of_half``, which are null where losses are not skewed.
        gain: with status ``best_tried``, loss at the recipe's own value less loss at the new one, the mean of the
            points, nats per token; with ``at_edge`` less loss at the best value on that side that most points tried.
    """

    axis: str
    key: str
    rule: Rule
    status: str
    value_interval: Interval | None = None
    params: Exponent | None = None
    tokens: Exponent | None = None
    tested_params: Exponent | None = None
    tested_tokens: Exponent | None = None
    timescale: Exponent | None = None
    ratio: Exponent | None = None
    points: int = 0
    excluded: tuple[tuple[str, str], ...] = ()
    scatter: float | None = None
    cost_of_two: float | None = None
    cost_of_two_interval: Interval | None = None
    cost_of_double: float | None = None
    cost_of_half: float | None = None
    ratio_of: str = "D/N"
    gain: float | None = None
    gain_interval: Interval | None = None


@dataclass(frozen=True)
class AxisTrial:
    """One run: values by axis; ``loss`` in nats per token, null where it diverged; ``point`` counts from 0."""

    run_id: str
    point: int
    round: int
    values: dict[str, float]
    seed: int
    loss: float | None


@dataclass(frozen=True)
class RoundsFit:
    """The result of a tuning in rounds.

    Attributes:
        rounds: runs of each. stopped: why none followed, a key of ``harness.tune.sequential.rounds.STOPPED``.
        expected_excess: what the rules are expected to leave over the minimum for want of runs, nats per token.
        noise: standard deviation of a run about the surface, nats per token.
        curvature: H, nats per squared ln, over ``axes``; null without a surface, 0 along axes without a minimum.
        params_at, tokens_at: the reference of the rules.
        muon: whether Muon stepped the matrices of the blocks, so that the axis ``rate`` is AdamW's, of the others.
        cubes: of the distance to the minimum along ``axes``, nats per cubed ln, where losses are skewed; else null.
    """

    name: str
    count: str
    level: float
    window: float
    axes: tuple[str, ...]
    points: tuple[PointResult, ...]
    rules: tuple[AxisResult, ...]
    rounds: tuple[int, ...]
    stopped: str
    expected_excess: float | None
    noise: float | None
    freedom: int
    curvature: tuple[tuple[float, ...], ...] | None
    params_at: float
    tokens_at: float
    draws: int
    seed: int
    trials: tuple[AxisTrial, ...]
    notes: tuple[str, ...] = ()
    cubes: tuple[float, ...] | None = None
    muon: bool = False

    def label(self, axis: str) -> str:
        """An axis for people."""
        return AXES[axis].called(self.muon)

    def to_json(self) -> dict[str, Any]:
        """The content of ``tune.json``."""
        data = {"design": DESIGN} | asdict(self)
        for one in data["rules"]:
            one["rule"] = rule_to_json(one["rule"])
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RoundsFit":
        """Inverse of :meth:`to_json`."""
        given = {key: value for key, value in data.items() if key != "design"}
        curvature, cubes = given["curvature"], given.get("cubes")
        return cls(
            **{
                **given,
                "axes": tuple(given["axes"]),
                "points": tuple(_point(point) for point in given["points"]),
                "rules": tuple(_rule(rule) for rule in given["rules"]),
                "rounds": tuple(given["rounds"]),
                "curvature": None if curvature is None else tuple(tuple(row) for row in curvature),
                "cubes": None if cubes is None else tuple(cubes),
                "trials": tuple(AxisTrial(**trial) for trial in given["trials"]),
                "notes": tuple(given["notes"]),
            }
        )


def _point(data: dict[str, Any]) -> PointResult:
    values = {axis: Value(**tuples(value)) for axis, value in data["values"].items()}
    return PointResult(**{**tuples(data), "values": values})


def _rule(data: dict[str, Any]) -> AxisResult:
    made = tuples(data)
    made["rule"] = rule_from_json(data["rule"])
    for name in ("params", "tokens", "tested_params", "tested_tokens", "timescale", "ratio"):
        one = data.get(name)  # files of earlier versions have no tested_tokens
        made[name] = None if one is None else Exponent(**tuples(one))
    made["excluded"] = tuple((str(label), str(why)) for label, why in data["excluded"])
    return AxisResult(**made)
