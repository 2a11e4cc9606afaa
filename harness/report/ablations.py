"""Ablations at the best cells: what other values than the recipe's and longer schedules cost, beyond seed noise."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from harness.fit.recipe_cost import Noise
from harness.plan.ablation import HYPERPARAMETERS
from harness.report.data import ReportData
from harness.report.run_noise import run_noise
from harness.report.verdict import CAUTION, GOOD, Diagnostic
from harness.runs.ablations import AblationRun, seed_noise


def other_values(data: ReportData) -> list[Diagnostic]:
    """How much loss other values than the recipe's would save, as far as seed noise allows to say."""
    found = []
    for key, hyperparameter in HYPERPARAMETERS.items():
        tried = _at_best(data, key)
        if tried and hyperparameter.of_recipe:
            factors = ", ".join(f"{factor:g}" for factor in sorted({ablation.factor for ablation in tried}))
            start = (
                f"At each budget's best cell the {data.called(key)} was tried at {factors} times the recipe's"
            )
            found.append(_set_against(f"{start}, ending higher by", _by_factor(tried), data))
    return found


def schedule_lengths(data: ReportData) -> list[Diagnostic]:
    """What a schedule longer than its run costs in loss: the reason why every run has its own schedule."""
    tried = _at_best(data, "horizons")
    if not tried:
        return []
    start = "The best cells under schedules longer than the run, in multiples of its length, ended higher by"
    return [_set_against(start, _by_factor(tried), data)]


def _at_best(data: ReportData, key: str) -> list[AblationRun]:
    return [ablation for ablation in data.ablations if ablation.changed == key and not ablation.neighbour]


def _by_factor(ablations: Sequence[AblationRun]) -> dict[str, list[AblationRun]]:
    factors = sorted({ablation.factor for ablation in ablations})
    return {
        f"{factor:g} times": [ablation for ablation in ablations if ablation.factor == factor]
        for factor in factors
    }


def _set_against(start: str, groups: Mapping[str, Sequence[AblationRun]], data: ReportData) -> Diagnostic:
    """How much higher each group of ablations ended, and for which groups that exceeds seed noise.

    Each ablation is compared twice, and the truth lies between: with the cell's best run, which was selected for its
    low loss and whose noise an ablation of the same seed may or may not share, and with the cell's other seeds. A group
    is worse where it is worse than the other seeds by more than Student's t of a run's noise; it is better where
    it is better than the other seeds and also than the best run.
    """
    # without other seeds there is only the run that was chosen, which makes everything else look worse
    noise = run_noise(data) if seed_noise(data.ablations, data.records) is not None else None
    parts: list[str] = []
    judged: list[tuple[str, float, float, float]] = []
    for name, group in groups.items():
        ended = [ablation for ablation in group if ablation.loss is not None]
        if not ended:
            parts.append(f"all diverged at {name}")
            continue
        lost = f" ({len(group) - len(ended)} of {len(group)} diverged)" if len(ended) < len(group) else ""
        hard, kind = (fmean(getattr(c, side) for c in ended) for side in ("gain_over_chosen", "gain"))
        text = f"{-hard:+.4f}"
        if noise is not None:
            margin = _noise_margin(ended, noise, data.fit.level)
            judged.append((name, kind, hard, margin))
            text += f" and {-kind:+.4f} ± {margin:.4f}"
        parts.append(f"{text} at {name}{lost}")
    text = f"{start} {'; '.join(parts)} (nats per token, mean over budgets)"
    if noise is None:
        text += " than the run of the same seed that was chosen for being the lowest"
        return Diagnostic(
            CAUTION, f"{text}: how much of it is seed noise is unknown (followup.seeds=[1,2] measures it)."
        )
    text += (
        ", first than the run of the same seed that was chosen for being the lowest, then than the mean of its cell's "
        f"other seeds; ± is the noise of runs, of standard deviation {noise.sd:.4f}."
    )
    better = [name for name, kind, hard, margin in judged if kind > margin and hard > 0]
    worse = [name for name, kind, _, margin in judged if kind < -margin]
    unclear = [name for name, *_ in judged if name not in (*better, *worse)]
    for names, words in (
        (better, "better beyond noise"),
        (worse, "worse beyond noise"),
        (unclear, "no difference beyond noise"),
    ):
        text += f" {', '.join(names).capitalize()}: {words}." if names else ""
    return Diagnostic(GOOD if worse and not better else CAUTION, text)


def _noise_margin(ended: Sequence[AblationRun], noise: Noise, level: float) -> float:
    """Half the interval of a mean difference over ``ended`` (one a budget) where there is nothing but noise."""
    return noise.margin(level, sum(1 + 1 / max(ablation.seeds_of, 1) for ablation in ended) / len(ended) ** 2)
