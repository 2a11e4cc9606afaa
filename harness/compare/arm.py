"""One arm of a comparison: a finished sweep's fit, and what its losses are measured on."""

from dataclasses import dataclass
from statistics import median

from harness.errors import UserError
from harness.fit import Fit, load_fit
from harness.plan.plan import Plan
from harness.runs.folder import SweepFolder
from harness.runs.table import records


@dataclass(frozen=True, eq=False)
class Arm:
    """A fitted sweep.

    Attributes:
        corpus, fingerprint: of the text its runs were trained and scored on.
        bits_per_nat: bits per byte for one nat per token on its held-out text; None where no run has a loss.
    """

    name: str
    fit: Fit
    corpus: str
    fingerprint: str
    bits_per_nat: float | None


def load_arm(name: str, sweep: SweepFolder, plan: Plan) -> Arm:
    """The arm ``name`` from its sweep's folder.

    Raises:
        UserError: there is no fit, or no record of a run.
    """
    found = list(records(sweep, plan).values())
    if not found:
        raise UserError(f"{sweep.path}: no finished run; nothing to compare")
    ratios = [record.bits_per_byte / record.loss for record in found if record.bits_per_byte and record.loss]
    return Arm(
        name=name,
        fit=load_fit(sweep.fit),
        corpus=found[0].data.get("name", ""),
        fingerprint=found[0].spec["data"],
        bits_per_nat=median(ratios) if ratios else None,
    )
