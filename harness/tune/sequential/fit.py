"""From the runs of a tuning in rounds to its rules."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.fit.table import Array
from harness.text import counted
from harness.tune.axes import AXES
from harness.tune.config import TuneConfig
from harness.tune.plain import UNLIMITED
from harness.tune.sequential.next_runs import expected_excess
from harness.tune.sequential.observed import Observed
from harness.tune.sequential.parts import parts_of
from harness.tune.sequential.point_result import point_result
from harness.tune.sequential.point_surfaces import PointSurfaces
from harness.tune.sequential.points import Trainer, TunePoint, label, reference
from harness.tune.sequential.results import AxisResult, AxisTrial, PointResult, RoundsFit
from harness.tune.sequential.rounds import Rounds
from harness.tune.sequential.rule_result import rule_result
from harness.tune.sequential.rules import CLEAR
from harness.tune.sequential.surfaces import fit_points
from harness.tune.sequential.terms import LIMITED, apart

SURE = 0.95  # share of draws that must have a minimum


def fit_rounds(name: str, trainer: Trainer, rounds: Rounds, tune: TuneConfig) -> RoundsFit:
    """The rules through the points' minima, with what the recipe tuned from and the new one cost.

    Args:
        rounds: all of whose runs have finished or diverged.
    """
    observed = rounds.observed
    assert observed is not None
    whole, places = observed, observed.determined(tune.window)
    gone = [] if not places else [p for p in range(observed.points) if p not in places]
    silent = [p for p in gone if p not in observed.with_runs()]
    made = trainer
    if gone:  # what they say is that they diverge: the others have surfaces
        made = replace(trainer, points=tuple(trainer.points[p] for p in places))
        observed = observed.of_points(places)
    surfaces = fit_points(observed, tune.window, SURE, tune.draws, np.random.default_rng(tune.seed))
    parts = None if surfaces is None else parts_of(made, observed, surfaces, tune)
    left_out = tuple((label(trainer.points[p]), "diverged" if p in silent else "too_few_runs") for p in gone)
    results = tuple(
        replace(one, excluded=(*one.excluded, *left_out))
        for one in (rule_result(made, observed, parts, tune, j) for j in range(len(trainer.axes)))
    )
    points = tuple(
        point_result(trainer, whole, None, results, p, alone=True)
        if p in gone
        else point_result(made, observed, parts, results, p if not gone else places.index(p))
        for p in range(whole.points)
    )
    at = reference(made.points)
    return RoundsFit(
        name=name,
        count=trainer.rules.recipe.count,
        level=tune.level,
        window=tune.window,
        axes=observed.names,
        points=points,
        rules=results,
        rounds=tuple(len(one) for one in rounds.cells),
        stopped=rounds.stopped,
        expected_excess=None if parts is None else expected_excess(observed, parts.surfaces, parts.places),
        noise=None if surfaces is None else surfaces.noise,
        freedom=0 if surfaces is None else surfaces.freedom,
        curvature=None if surfaces is None else tuple(map(tuple, surfaces.bend.tolist())),
        cubes=None if surfaces is None or not surfaces.cube.any() else tuple(surfaces.cube.tolist()),
        params_at=at[0],
        tokens_at=at[2],
        draws=tune.draws,
        seed=tune.seed,
        trials=_trials(trainer, rounds, whole),
        notes=(
            *_left_out(trainer, rounds, gone, silent),
            *_notes(results, surfaces),
            *_limits(made, results),
            *_below(trainer, points),
        ),
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


def _left_out(trainer: Trainer, rounds: Rounds, gone: Sequence[int], silent: Sequence[int]) -> list[str]:
    """What takes no part, and why; at the points ``silent`` no run has finished."""
    notes = [f"left out: {one}" for one in (*trainer.left_out, *rounds.left_out)]
    for p in gone:
        runs = counted(sum(q == p for q, _ in rounds.runs), "run")
        why = f"all {runs} diverged" if p in silent else f"too few of its {runs} finished for a surface"
        notes.append(
            f"{label(trainer.points[p])} takes no part: {why}; lower the learning rate there (recipe.lr) and tune again"
        )
    if gone and apart(*_sizes(trainer.points)):
        kept = [point for p, point in enumerate(trainer.points) if p not in gone]
        if not apart(*_sizes(kept)):
            notes.append("the points that remain do not tell powers of N and of D apart")
    return notes


def _sizes(points: Sequence[TunePoint]) -> Array:
    """ln of the N that rules read, and of D, (2, points)."""
    return np.log([[point.read_params, point.tokens] for point in points]).T


def _limits(trainer: Trainer, rules: Sequence[AxisResult]) -> list[str]:
    """Where rules are kept within limits at some of the points only, so that no power law follows them."""
    recipe, notes = trainer.rules.recipe, []
    tuned = {one.axis: one.rule for one in rules}
    for name in ("rate", "batch"):
        if name in tuned and "weight_decay" not in tuned:
            continue  # nothing else is built on it
        rule = tuned.get(name, AXES[name].before(recipe))
        free = replace(rule, **UNLIMITED)
        within = [
            label(point)
            for point in trainer.points
            if abs(np.log(trainer.said(rule, name, point) / free(point.read(name), point.tokens))) > LIMITED
        ]
        if not 0 < len(within) < len(trainer.points):
            continue
        limit = "its limits" + (" or recipe.min_steps" if name == "batch" else "")
        note = f"{AXES[name].key} is kept within {limit} at {', '.join(within)}, and not at the other points"
        if "weight_decay" in tuned:
            note += (
                ": the weight decay's rule, which is built on it as on a power law, follows it only roughly"
            )
        notes.append(note)
    return notes


def _below(trainer: Trainer, points: Sequence[PointResult]) -> list[str]:
    """Where losses are lower than the surface and noise explain."""
    return [
        f"{label(point)}: losses are lower than the fitted minimum by {found.below:.2g} nats more than noise explains; "
        "the excesses count it"
        for point, found in zip(trainer.points, points, strict=True)
        if found.below
    ]


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
