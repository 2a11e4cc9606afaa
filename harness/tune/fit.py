"""From the runs of a tuning to its rules: response surfaces, their minima, and the power laws through the minima."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from harness.errors import UserError
from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.text import counted
from harness.tune.config import TuneConfig
from harness.tune.design import Trial, TunePlan, TuneSize
from harness.tune.minimum import Minimum, SizeRuns, find_minimum
from harness.tune.results import RuleResult, TuneFit
from harness.tune.rules import BestValues, constant_rule, multiplied, power_rule
from harness.tune.size_result import SizeFit, size_result
from harness.tune.surface import BATCH, RATE
from harness.tune.surface_fit import Sample, SurfaceFit, design, fit_surfaces, near_minimum, values_along

LEAST_RUNS = 8  # the window widens until it holds as many
SPARE = 2  # a size with fewer runs beyond its own coefficients, a level and a slope an axis, gets no surface
DOUBTFUL_P = 0.01


def fit_tuning(
    name: str,
    sizes: Sequence[TuneSize],
    trials: Sequence[Trial],
    recipe: RecipeConfig,
    tune: TuneConfig,
    base_params: float | None = None,
) -> TuneFit:
    """Fit the response surfaces of all sizes and the rules through their minima.

    The batch's rule goes through the minima. The rate's rule goes through the best rates *at the batches of
    that rule*: a surface is a valley along which rate and batch grow together, so the rate of the
    minimum itself is uncertain where the batch is, while what a recipe needs is the rate that suits its batch.

    Args:
        sizes: as planned. trials: finished and diverged runs. recipe: the one tuned from, the grid's centre.
        base_params: N of the base of a parametrization, which the rate's rule is read at for every size; None without.
    """
    axes = _axes(tune)
    parts = [_gather(i, size, trials, axes, tune) for i, size in enumerate(sizes)]
    fitted, members = _fit_surfaces(parts, axes, tune)
    if fitted is not None:
        parts = [
            _with_surface(part, fitted, members.index(i), axes) if i in members else part
            for i, part in enumerate(parts)
        ]
    batch = _batch_rule(parts, recipe.batch_tokens, axes, tune)
    at_rule = [_rate_at(part, _batch_of(part.size, batch.rule, recipe), axes) for part in parts]
    transfer = ""
    if RATE not in axes:
        rate = RuleResult(multiplied(recipe.lr, tune.rates[0]), "held")
    else:
        best = _best(parts, at_rule, RATE, recipe.lr, base_params)
        rate = power_rule(best, recipe.lr, tune.level)
        if base_params is not None:
            transfer = _transfer_note(rate)
            rate = constant_rule(best, rate, base_params, tune.level)
    p = None if fitted is None else _curvature_p(fitted, _sample(parts, members, axes))
    return TuneFit(
        name=name,
        count=recipe.count,
        level=tune.level,
        window=tune.window,
        sizes=tuple(
            size_result(part, at, rate.rule, _batch_of(part.size, batch.rule, recipe), tune)
            for part, at in zip(parts, at_rule, strict=True)
        ),
        rate=rate,
        batch=batch,
        noise=None if fitted is None else fitted.noise,
        skewed=fitted is not None and bool(fitted.skews),
        curvature_p=p,
        draws=tune.draws,
        seed=tune.seed,
        trials=tuple(trials),
        notes=(*_notes(fitted, p, tune), *([transfer] if transfer else [])),
    )


def _transfer_note(rate: RuleResult) -> str:
    """How the sizes' own best rates go with N, where the parametrization should leave nothing to go with it."""
    if rate.exponent_interval is None:
        return ""
    low, high = rate.exponent_interval
    return (
        "under the parametrization one learning rate is for all sizes; their own best ones go as "
        f"N^{rate.rule.params:.2f} ({low:.2f} to {high:.2f}), and as N^0 where it transfers"
    )


def check_fittable(made: TunePlan, tune: TuneConfig) -> None:
    """Refuse a grid that determines no response surface even if every run of it finishes: before any is trained.

    Multiples of the batch that round to the same whole sequences are one, and points with too few steps are left out.

    Raises:
        UserError: at no size are there runs enough, at different enough rates and batches.
    """
    specs = {cell.run_id: cell.spec for cell in made.plan.cells}
    trials = [
        Trial(run_id, i, specs[run_id].optimizer.lr, specs[run_id].batch_tokens, specs[run_id].seed, 0.0)
        for i, size in enumerate(made.sizes)
        for run_id in size.run_ids
    ]
    axes = _axes(tune)
    parts = [_gather(i, size, trials, axes, tune) for i, size in enumerate(made.sizes)]
    if _fit_surfaces(parts, axes, replace(tune, skewed=False, draws=100, level=0.9))[0] is not None:
        return
    most = max(parts, key=lambda part: len(part.runs.z))
    runs, rates, batches = len(most.runs.z), values_along(most.runs.z, RATE), values_along(most.runs.z, BATCH)
    raise UserError(
        f"tune: no response surface could be fitted: the grid has at most {counted(runs, 'run')} a size, at "
        f"{counted(rates, 'learning rate')} and {counted(batches, 'batch', 'batches')} (multiples that round to the "
        "same whole sequences are one, and tune.min_steps leaves out short runs); name more or wider multiples, or "
        "larger sizes"
    )


def _axes(tune: TuneConfig) -> tuple[int, ...]:
    """Along what the grid varies."""
    return tuple(axis for axis, values in ((RATE, tune.rates), (BATCH, tune.batches)) if len(values) > 1)


def least_used(axes: Sequence[int]) -> int:
    """How many runs near its minimum a size needs: four where rates or batches alone vary, five where both do."""
    return 1 + len(axes) + SPARE


def _gather(
    i: int, size: TuneSize, trials: Sequence[Trial], axes: tuple[int, ...], tune: TuneConfig
) -> SizeFit:
    mine = [trial for trial in trials if trial.size == i]
    z = np.array(
        [[np.log(t.rate / size.rate), np.log(t.batch_tokens / size.batch_tokens)] for t in mine]
    ).reshape(-1, 2)
    loss = np.array([np.nan if t.loss is None else t.loss for t in mine], dtype=float)
    return SizeFit(size, SizeRuns(z, loss), near_minimum(z, loss, axes, tune.window, LEAST_RUNS))


def _sample(parts: Sequence[SizeFit], members: Sequence[int], axes: tuple[int, ...]) -> Sample:
    chosen = [parts[i] for i in members]
    return Sample(
        z=np.concatenate([part.runs.z[part.used] for part in chosen]),
        loss=np.concatenate([part.runs.loss[part.used] for part in chosen]),
        size=np.concatenate([np.full(part.used.sum(), i) for i, part in enumerate(chosen)]),
        low=np.stack([part.runs.low for part in chosen]),
        high=np.stack([part.runs.high for part in chosen]),
        axes=axes,
    )


def _fit_surfaces(
    parts: Sequence[SizeFit], axes: tuple[int, ...], tune: TuneConfig
) -> tuple[SurfaceFit | None, list[int]]:
    """The response surfaces, and which sizes they are of."""
    members = [i for i, part in enumerate(parts) if part.used.sum() >= least_used(axes)]
    if not members:
        return None, []
    rng = np.random.default_rng(tune.seed)
    return fit_surfaces(_sample(parts, members, axes), tune.skewed, tune.draws, rng), members


def _with_surface(part: SizeFit, fitted: SurfaceFit, i: int, axes: tuple[int, ...]) -> SizeFit:
    surface = fitted.estimate.size(i)
    draws = None if fitted.draws is None else fitted.draws.size(i)
    minimum = find_minimum(surface, draws, part.runs, part.size, axes)
    return replace(part, surface=surface, draws=draws, minimum=minimum)


def _batch_rule(
    parts: Sequence[SizeFit], before: Rule, axes: tuple[int, ...], tune: TuneConfig
) -> RuleResult:
    if BATCH not in axes:
        return RuleResult(multiplied(before, tune.batches[0]), "held")
    return power_rule(_best(parts, [part.minimum for part in parts], BATCH, before), before, tune.level)


def _best(
    parts: Sequence[SizeFit],
    minima: Sequence[Minimum | None],
    axis: int,
    before: Rule,
    base_params: float | None = None,
) -> BestValues:
    """Of one axis, with what ``before`` says; rates are read at ``base_params`` for every size where that is given."""

    def centre(part: SizeFit) -> float:
        return part.size.rate if axis == RATE else float(part.size.batch_tokens)

    multiple = np.array([np.nan if found is None else np.exp(found.z[axis]) for found in minima])
    centres = np.array([centre(part) for part in parts])
    n_draws = next((len(found.draws) for found in minima if found is not None and found.draws is not None), 0)
    columns = [
        np.full(n_draws, np.nan) if found is None or found.draws is None else found.draws[:, axis]
        for found in minima
    ]
    return BestValues(
        params=np.array([part.size.params for part in parts], dtype=float),
        value=multiple * centres,
        draws=np.stack(columns, axis=1) + np.log(centres) if n_draws else None,
        multiple=multiple,
        status=tuple("too_few_runs" if found is None else found.status for found in minima),
        said=np.array([before(base_params or part.size.params, part.size.tokens) for part in parts]),
    )


def _batch_of(size: TuneSize, rule: Rule, recipe: RecipeConfig) -> float:
    """The batch that a recipe with ``rule`` gives a size: short runs get smaller ones, to have steps enough."""
    return min(rule(size.params, size.tokens), size.tokens / recipe.min_steps)


def _rate_at(part: SizeFit, batch: float, axes: tuple[int, ...]) -> Minimum | None:
    """The best rate at ``batch`` tokens, as a minimum of the surface cut there."""
    if part.surface is None or RATE not in axes:
        return None
    z = float(np.log(batch / part.size.batch_tokens))
    z = float(np.clip(z, part.runs.low[BATCH], part.runs.high[BATCH]))
    return find_minimum(part.surface, part.draws, part.runs, part.size, axes, batch=z)


def _curvature_p(fitted: SurfaceFit, sample: Sample) -> float | None:
    """The F test of one curvature for all sizes against one for each; None where it cannot be made."""
    surface = fitted.estimate
    own = design(sample, surface.origin, surface.tilt, fitted.skews, own=True)
    rank = int(np.linalg.matrix_rank(own))
    freedom = len(own) - rank
    extra = fitted.freedom - freedom
    if len(surface.origin) < 2 or freedom < 2 or extra < 1:
        return None
    coefficients = np.linalg.lstsq(own, sample.loss, rcond=None)[0]
    squares = float(np.sum((sample.loss - own @ coefficients) ** 2))
    ratio = (fitted.squares - squares) / extra / max(squares / freedom, 1e-300)
    return float(stats.f.sf(max(ratio, 0.0), extra, freedom))


def _notes(fitted: SurfaceFit | None, p: float | None, tune: TuneConfig) -> tuple[str, ...]:
    notes = []
    if fitted is None:
        notes.append(
            "the runs do not determine a response surface: try more learning rates, more batches or more seeds"
        )
    elif fitted.draws is None:
        notes.append("as many coefficients as runs: no intervals")
    elif tune.skewed and not fitted.skews:
        notes.append(
            "the runs do not determine how the two sides of a minimum differ: they are taken as symmetric"
        )
    if p is not None and p < DOUBTFUL_P:
        notes.append(
            f"the sizes' curvatures differ (p = {p:.1g}), but the fit shares one: intervals are too narrow"
        )
    return tuple(notes)
