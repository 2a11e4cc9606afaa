"""From the runs of a tuning in rounds to its rules."""

from collections.abc import Sequence

import numpy as np

from harness.tune.config import TuneConfig
from harness.tune.sequential.next_runs import expected_excess
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.parts import parts_of
from harness.tune.sequential.point_result import point_result
from harness.tune.sequential.points import Trainer, reference
from harness.tune.sequential.results import AxisResult, AxisTrial, RoundsFit
from harness.tune.sequential.rounds import Rounds
from harness.tune.sequential.rule_result import rule_result
from harness.tune.sequential.rules import CLEAR
from harness.tune.sequential.surfaces import PointSurfaces, fit_points

SURE = 0.95  # share of draws that must have a minimum


def fit_rounds(name: str, trainer: Trainer, rounds: Rounds, tune: TuneConfig) -> RoundsFit:
    """The rules through the points' minima, with what the recipe tuned from and the new one cost.

    Args:
        rounds: all of whose runs have finished or diverged.
    """
    observed = rounds.observed
    assert observed is not None
    surfaces = fit_points(observed, tune.window, SURE, tune.draws, np.random.default_rng(tune.seed))
    parts = None if surfaces is None else parts_of(trainer, observed, surfaces, tune)
    results = tuple(rule_result(trainer, parts, j) for j in range(len(trainer.axes)))
    at = reference(trainer.points)
    return RoundsFit(
        name=name,
        count=trainer.rules.recipe.count,
        level=tune.level,
        window=tune.window,
        axes=observed.names,
        points=tuple(point_result(trainer, observed, parts, results, p) for p in range(observed.points)),
        rules=results,
        rounds=tuple(len(one) for one in rounds.cells),
        stopped=rounds.stopped,
        expected_excess=None if parts is None else expected_excess(observed, parts.surfaces, parts.places),
        noise=None if surfaces is None else surfaces.noise,
        freedom=0 if surfaces is None else surfaces.freedom,
        curvature=None if surfaces is None else tuple(map(tuple, surfaces.bend.tolist())),
        params_at=at[0],
        tokens_at=at[2],
        draws=tune.draws,
        seed=tune.seed,
        trials=_trials(trainer, rounds, observed),
        notes=_notes(results, surfaces),
        muon=trainer.rules.optimizer.kind == "muon",
    )


def _trials(trainer: Trainer, rounds: Rounds, observed: Observed) -> tuple[AxisTrial, ...]:
    numbers = {cell.run_id: number for number, one in enumerate(rounds.cells, 1) for _, cell in one}
    ordered = sorted(rounds.runs, key=lambda run: (run[0], run[1].run_id))
    return tuple(
        AxisTrial(
            run_id=cell.run_id,
            point=p,
            round=numbers[cell.run_id],
            values={axis.name: axis.value(cell.spec) for axis in trainer.axes},
            seed=cell.spec.seed,
            loss=None if np.isnan(loss) else float(loss),
        )
        for (p, cell), loss in zip(ordered, observed.loss, strict=True)
    )


def _notes(rules: Sequence[AxisResult], surfaces: PointSurfaces | None) -> tuple[str, ...]:
    if surfaces is None:
        return (
            "the runs do not determine a response surface along any axis: try larger steps or more seeds",
        )
    notes = []
    for one in rules:
        for symbol, tested in (("N", one.tested_params), ("D", one.tested_tokens)):
            if tested is not None and tested.p is not None and tested.p < CLEAR and not tested.taken:
                notes.append(
                    f"{one.axis}: its rule has no power of {symbol}, but the points show one: {tested.value:.2f} "
                    f"(p = {tested.p:.1g})"
                )
    return tuple(notes)
