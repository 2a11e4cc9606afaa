"""The rounds of a tuning as far as they are known: each is a function of the runs of those before it."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.plan.cell import Cell
from harness.runs.record import FAILED, Record
from harness.tune.config import TuneConfig
from harness.tune.sequential.exploring import exploring_surfaces
from harness.tune.sequential.next_runs import Asked, beyond, expected_excess, next_runs, runs_each, star
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.points import Trainer, label, observed_of
from harness.tune.sequential.surfaces import SPARE

STOPPED = {
    "tolerance": "the rules are expected to leave less than tune.tolerance over the minimum",
    "rounds": "tune.rounds are done",
    "nothing_new": "there is no new run that could be trained",
    "diverged": "every run of a point diverged: lower the learning rate there (recipe.lr) and tune again",
}

Memory = dict[str, list[Asked]]
"""Rounds that were designed before, by what they were designed from: the last bit of another machine's arithmetic must
not change them."""


@dataclass(frozen=True)
class Rounds:
    """What is known of a tuning's rounds.

    Attributes:
        cells: the runs of every round, (point, cell), none twice.
        stopped: why no round follows, a key of :data:`STOPPED`; empty where the last has runs that are missing.
        left_out: runs of the first round that cannot be trained, and why.
        excess: the loss that rules were expected to leave after each finished round, nats; None where no surface was
            determined.
    """

    cells: tuple[tuple[tuple[int, Cell], ...], ...]
    stopped: str = ""
    excess: tuple[float | None, ...] = ()
    observed: Observed | None = field(default=None, compare=False)
    left_out: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[tuple[int, Cell], ...]:
        """Of all rounds."""
        return tuple(run for one in self.cells for run in one)


def known_rounds(
    trainer: Trainer, tune: TuneConfig, records: Callable[[list[Cell]], Mapping[str, Record]], memory: Memory
) -> Rounds:
    """The rounds up to the first with a run that has neither finished nor diverged, or to the last.

    Args:
        records: of cells, by id, where there are.
        memory: takes what is designed.

    Raises:
        UserError: the first round cannot determine a surface.
    """
    steps = np.log([tune.steps[axis.name] for axis in trainer.axes])
    places = trainer.places()
    each = runs_each(len(trainer.axes), len(trainer.points))
    first = star(steps, len(trainer.points))
    why_not = [trainer.refused(p, h) for p, h in first]
    left_out = _left_out(trainer, first, why_not)
    asked = [run for run, why in zip(first, why_not, strict=True) if not why]
    rounds = [_cells(trainer, asked, tune, set())]
    _check_enough(trainer, rounds[0])
    excess: list[float | None] = []
    while True:
        so_far = [run for one in rounds for run in one]
        found = {
            run_id: record
            for run_id, record in records([cell for _, cell in so_far]).items()
            if record.status != FAILED
        }
        observed = observed_of(trainer, so_far, found)
        if any(cell.run_id not in found for _, cell in so_far):
            return Rounds(tuple(rounds), "", tuple(excess), observed, left_out)
        surfaces = exploring_surfaces(observed, tune.window, steps)
        left = None if surfaces is None else expected_excess(observed, surfaces, places)
        excess.append(left)
        settled = surfaces is not None and not beyond(observed, surfaces, steps).any()
        stopped = "tolerance" if settled and left is not None and left <= tune.tolerance else ""
        if len(observed.with_runs()) < observed.points:
            stopped = "diverged"
        if not stopped and len(rounds) >= tune.rounds:
            stopped = "rounds"
        if not stopped:
            key = _key(trainer, steps.tolist(), each, tune, observed)
            if not _known(memory.get(key), trainer):
                memory[key] = next_runs(observed, surfaces, places, steps, each, trainer.allowed)
            more = _cells(trainer, memory[key], tune, {cell.run_id for _, cell in so_far})
            stopped = "" if more else "nothing_new"
        if stopped:
            return Rounds(tuple(rounds), stopped, tuple(excess), observed, left_out)
        rounds.append(more)


def memory_json(memory: Memory) -> dict[str, Any]:
    """As plain data."""
    return {"rounds": {key: [[p, h.tolist()] for p, h in runs] for key, runs in memory.items()}}


def memory_from_json(data: dict[str, Any]) -> Memory:
    """Inverse of :func:`memory_json`.

    Raises:
        ValueError: a number is none, or not finite.
    """
    found = {
        str(key): [(int(p), np.array(h, dtype=float)) for p, h in runs]
        for key, runs in data["rounds"].items()
    }
    if not all(np.isfinite(h).all() for runs in found.values() for _, h in runs):
        raise ValueError("a number is not finite")
    return found


FARTHEST = 50.0
"""Of a factor's logarithm: no design goes that far, and its exponential is still a number."""


def _known(asked: list[Asked] | None, trainer: Trainer) -> bool:
    """Whether a round is remembered that can be one of these points and axes; any other is designed again."""
    return asked is not None and all(
        p in range(len(trainer.points)) and h.shape == (len(trainer.axes),) and (np.abs(h) < FARTHEST).all()
        for p, h in asked
    )


def _cells(
    trainer: Trainer, asked: list[Asked], tune: TuneConfig, known: set[str]
) -> tuple[tuple[int, Cell], ...]:
    found: dict[str, tuple[int, Cell]] = {}
    for p, h in asked:
        for seed in tune.seeds:
            cell = trainer.cell(p, h, seed)
            if cell.run_id not in known:
                found.setdefault(cell.run_id, (p, cell))
    return tuple(found.values())


def _left_out(trainer: Trainer, asked: list[Asked], why_not: list[str]) -> tuple[str, ...]:
    """A line for every point and reason."""
    number = Counter((p, why) for (p, _), why in zip(asked, why_not, strict=True) if why)
    each = Counter(p for p, _ in asked)
    return tuple(
        f"{label(trainer.points[p])}: {runs} of {each[p]} runs of the first round, with {why}"
        for (p, why), runs in number.items()
    )


def _check_enough(trainer: Trainer, first: tuple[tuple[int, Cell], ...]) -> None:
    """Refuse a first round whose axes have too few values: batches that round to the same sequences, short runs."""
    q, points = len(trainer.axes), len(trainer.points)
    places = np.array([trainer.place(p, cell) for p, cell in first]).reshape(-1, q)
    for j, axis in enumerate(trainer.axes):
        if len(np.unique(np.round(places[:, j], 2))) < 3:
            raise UserError(
                f"tune: '{axis.name}' has fewer than three values in the first round (batches that round to the same "
                "sequences are one, and tune.min_steps leaves out short runs); take a larger tune.steps."
                f"{axis.name}, or larger sizes"
            )
    needed = points * (1 + q) + q + SPARE
    if len(first) < needed:
        raise UserError(
            f"tune: the first round has {len(first)} runs, and a surface over {q} axes at {points} points needs "
            f"{needed}; take larger sizes or more tokens"
        )


def _key(trainer: Trainer, steps: list[float], each: int, tune: TuneConfig, observed: Observed) -> str:
    """What a round is designed from."""
    known = [
        [axis.name for axis in trainer.axes],
        steps,
        each,
        [tune.window, tune.seed, tune.min_steps],
        [[point.shape.label, point.tokens, dict(point.centre)] for point in trainer.points],
        observed.point.tolist(),
        observed.h.tolist(),
        [None if np.isnan(loss) else loss for loss in observed.loss.tolist()],
    ]
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]
