"""Ablations (``controls.json``): best cells and those beside them, one hyperparameter at a multiple of its value."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.files import json_text, seal
from harness.plan.ablation import HYPERPARAMETERS
from harness.runs.files import read_json, write_changed
from harness.runs.record import Record

ABLATIONS = "ablations"


@dataclass(frozen=True)
class AblationRun:
    """One ablation beside the run that it is an ablation of.

    Attributes:
        of: run id of the budget's best cell, or where ``neighbour`` is set of one beside it.
        loss_of: what the ablation is compared with, held-out nats per token: the mean of ``seeds_of`` other seeds of
            that cell; without any, the loss of ``of`` itself.
        loss_chosen: the loss of ``of``, which has the ablation's own seed; None in files from before it was kept.
        changed: what differs, a key of ``harness.plan.ablation.HYPERPARAMETERS``: ``factor`` times that cell's.
        loss: the ablation's held-out loss; None where it diverged.
    """

    budget: float
    of: str
    loss_of: float
    changed: str
    factor: float
    run_id: str
    loss: float | None
    seeds_of: int = 0
    loss_chosen: float | None = None
    neighbour: bool = False

    @property
    def gain(self) -> float:
        """Nats per token that this ablation gained over the recipe; negative where it loses."""
        return self.loss_of - self.loss if self.loss is not None else float("-inf")

    @property
    def gain_over_chosen(self) -> float:
        """The same against the run of its own seed."""
        chosen = self.loss_of if self.loss_chosen is None else self.loss_chosen
        return chosen - self.loss if self.loss is not None else float("-inf")


@dataclass(frozen=True)
class SeedNoise:
    """Standard deviation of one seed's loss about its cell's mean, nats per token, and its degrees of freedom."""

    sd: float
    freedom: int


def against_other_seeds(
    ablations: Iterable[AblationRun], records: Mapping[str, Record]
) -> tuple[AblationRun, ...]:
    """``ablations`` compared with the seeds of their cell that did not choose it.

    The lowest loss of a budget is biased low, because it was chosen for being the lowest: by .02 nats in sweeps of the
    demo's size. Compared with it alone, an equally good recipe looks worse. But an ablation has the chosen run's seed,
    hence its first weights and its batches, and in the sweeps run here most of that bias came with them: compared with
    other seeds an ablation looks better than it is. The truth lies between, so both are kept.

    Args:
        records: of the sweep, by run id; where a cell has one seed only, its own loss remains.
    """
    found = []
    for ablation in ablations:
        others = _others(ablation.of, records)
        if ablation.of in records:
            ablation = replace(ablation, loss_chosen=records[ablation.of].loss)
        if others:
            ablation = replace(ablation, loss_of=fmean(others), seeds_of=len(others))
        found.append(ablation)
    return tuple(found)


def seed_noise(ablations: Iterable[AblationRun], records: Mapping[str, Record]) -> SeedNoise | None:
    """The scatter of seeds, pooled over the cells that have several; None where none has.

    Of a budget's best cell the run that made it the best is left out: its loss is low for that.
    """
    chosen = {ablation.of for ablation in ablations if not ablation.neighbour}
    cells: dict[str, list[float]] = {}
    for run_id, record in records.items():
        if run_id not in chosen and record.loss is not None:
            cells.setdefault(json_text({**record.spec, "seed": 0}), []).append(record.loss)
    several = [losses for losses in cells.values() if len(losses) > 1]
    freedom = sum(len(losses) - 1 for losses in several)
    squares = sum((loss - fmean(losses)) ** 2 for losses in several for loss in losses)
    return SeedNoise((squares / freedom) ** 0.5, freedom) if freedom else None


def _others(of: str, records: Mapping[str, Record]) -> list[float]:
    """Losses of the runs that differ from ``of`` in their seed alone."""
    if of not in records:
        return []
    own = {**records[of].spec, "seed": 0}
    return [
        record.loss
        for run_id, record in records.items()
        if run_id != of and record.loss is not None and {**record.spec, "seed": 0} == own
    ]


def write_ablations(path: Path, ablations: Iterable[AblationRun]) -> None:
    """Write ``controls.json`` where it changed, atomically."""
    write_changed(path, json_text(seal({ABLATIONS: [asdict(ablation) for ablation in ablations]})))


def read_ablations(path: Path) -> tuple[AblationRun, ...]:
    """The ablations of a sweep; none where there is no such file.

    Raises:
        UserError: it is damaged.
    """
    try:
        return read_json(path, "'isoflop sweep' writes it anew, and keeps what is trained", _entries)
    except FileNotFoundError:
        return ()


def _entries(data: Any) -> tuple[AblationRun, ...]:
    # a list, which may be empty, in files from before they had a seal
    entries = data[ABLATIONS] if isinstance(data, dict) else data
    if not isinstance(entries, list):
        raise ValueError("it lists nothing")
    # a run that two multiples rounded to was listed for both of them once: its noise is one run's
    return tuple({(one.changed, one.run_id): one for one in map(_entry, reversed(entries))}.values())[::-1]


def _entry(entry: Any) -> AblationRun:
    if "changed" not in entry:  # from before other things than rate and schedule were changed
        rate, horizon = entry["rate"], entry.get("horizon", 1.0)
        kept = {name: value for name, value in entry.items() if name not in ("rate", "horizon")}
        changed, factor = ("horizons", horizon) if horizon != 1 else ("rates", rate)
        entry = {**kept, "changed": changed, "factor": factor}
    made = AblationRun(**entry)
    if made.changed not in HYPERPARAMETERS:
        raise ValueError(f"{made.run_id}: {made.changed!r} is nothing that ablations change")
    numbers = (made.budget, made.loss_of, made.factor, made.seeds_of)
    optional = [value for value in (made.loss, made.loss_chosen) if value is not None]
    if not all(type(value) in (int, float) for value in (*numbers, *optional)):
        raise ValueError(f"{made.run_id}: a number is none")
    return made
