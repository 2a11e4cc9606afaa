"""One arm of a comparison: a finished sweep's fit, and what its losses are measured on."""

import io
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from harness.compare.equal_time import ArmTimes, arm_times
from harness.compare.paired import ScoredRun
from harness.errors import UserError
from harness.fit import Fit, load_fit, read_points
from harness.plan.measured import how_far, warns
from harness.plan.plan import Plan
from harness.plan.recipe_rules import RecipeConfig
from harness.plan.spec import RunSpec
from harness.runs.convention import flops_of, has_optimizer
from harness.runs.files import SweepFolder
from harness.runs.record import Record, Score
from harness.runs.table import table_text, whole_records

DOMAIN = "loss_"  # the column of a domain's loss, before its name


@dataclass(frozen=True, eq=False)
class Arm:
    """A fitted sweep.

    Attributes:
        corpus, fingerprint: of the text its runs were trained and scored on.
        bits_per_nat: bits per byte for one nat per token on the text its losses are on; None where no run has a loss.
        scored_on: which text that is. Arms with the same are scored on the same documents.
        bits_se: standard error over those documents of a run's bits per byte; None where no run has one.
        family: of its models; empty where that is not known. ``parametrization``: of its runs.
        recipe: where its recipe was measured and how its runs lie beyond or differ from that; empty where they do not,
            or nothing is known.
        times: of its best cells; None where its runs are not known.
        unpaid_share: the largest share of C that the optimizer's own steps take beside it; 0 where C has them.
        runs: its finished runs that the fit did not leave out; empty of a fit alone.
    """

    name: str
    fit: Fit
    corpus: str
    fingerprint: str
    bits_per_nat: float | None
    scored_on: str = ""
    bits_se: float | None = None
    family: str = ""
    parametrization: str = ""
    recipe: str = ""
    times: ArmTimes | None = None
    unpaid_share: float = 0.0
    runs: tuple[ScoredRun, ...] = ()


def load_arm(name: str, sweep: SweepFolder, plan: Plan, recipe: RecipeConfig | None = None) -> Arm:
    """The arm ``name`` from its sweep's folder; ``recipe`` is that of its runs, where it is known.

    Raises:
        UserError: there is no fit, or no record of a run.
    """
    found = list(whole_records(sweep, plan).values())
    if not found:
        raise UserError(f"{sweep.path}: no finished run; nothing to compare")
    fit, fingerprint = load_fit(sweep.fit), found[0].spec["data"]
    scores = [score for record in found if (score := score_of(record, fit.loss)) is not None]
    ratios = [s.bits_per_byte / s.loss for s in scores if s.bits_per_byte and s.loss]
    errors = [
        s.loss_se * s.bits_per_byte / s.loss for s in scores if s.loss_se and s.bits_per_byte and s.loss
    ]
    return Arm(
        name=name,
        fit=fit,
        corpus=found[0].data.get("name", ""),
        fingerprint=fingerprint,
        bits_per_nat=median(ratios) if ratios else None,
        # A domain's text has no fingerprint in the record: arms of one experiment have it from one configuration.
        scored_on=fingerprint if fit.loss == "loss" else fit.loss,
        bits_se=median(errors) if errors else None,
        family=found[0].spec["shape"]["family"],
        parametrization=RunSpec.from_json(found[0].spec).parametrization.kind,
        recipe=how_far(recipe, plan.cells) if recipe is not None and warns(recipe, plan.cells) else "",
        unpaid_share=unpaid_share(found, fit.compute),
        runs=scored_runs(found, fit.loss, fit.compute, _left_out(found, fit)),
        times=arm_times(
            ((record, score) for record in found if (score := score_of(record, fit.loss)) is not None),
            fit.compute,
        ),
    )


def _left_out(found: Sequence[Record], fit: Fit) -> set[str]:
    """The ids of the runs that the fit left out, or that its ``where`` kept from it."""
    gone = {one.run for one in fit.excluded}
    if fit.where is None:
        return gone
    kept = read_points(io.StringIO(table_text(found)), where=fit.where)
    return gone | ({record.run_id for record in found} - set(kept.run_id))


def scored_runs(
    records: Iterable[Record], loss: str = "loss", compute: str = "flops", left_out: Collection[str] = ()
) -> tuple[ScoredRun, ...]:
    """The runs of ``records`` that have a loss, but for those of the ids ``left_out``.

    A run's size is the plan's shape: models of two families have other N at one shape.

    Args:
        loss, compute: the columns of L and C that count.
    """
    made = []
    for record in records:
        score, flops = score_of(record, loss), flops_of(record, compute)
        if record.run_id in left_out or score is None or score.loss is None or flops is None:
            continue
        shape = record.spec["shape"]
        made.append(
            ScoredRun(
                budget=record.budget,
                size=f"{shape['width']}x{shape['layers']}",
                seed=record.spec["seed"],
                params=record.params_total,
                flops=flops,
                loss=score.loss,
                bits=score.bits_per_byte,
            )
        )
    return tuple(made)


def unpaid_share(records: Iterable[Record], compute: str = "flops") -> float:
    """The largest share of C that the optimizer's own steps take beside it; 0 where C has them, or nobody knows.

    Args:
        compute: the column of C that was fitted by.
    """
    shares = [
        (record.flops_optimizer or 0.0) / flops
        for record in records
        if (flops := flops_of(record, compute)) and not has_optimizer(record, compute)
    ]
    return max(shares, default=0.0)


def score_of(record: Record, loss: str) -> Score | None:
    """The score of ``record`` on the text whose losses a fit calls ``loss`` (``analysis.loss``); None without."""
    if loss == "loss":
        return Score(record.loss, record.loss_se, record.bits_per_byte, 0)
    return record.domains.get(loss.removeprefix(DOMAIN))
