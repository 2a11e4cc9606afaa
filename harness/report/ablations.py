"""Ablations at the best cells: what other learning rates and longer schedules cost, beyond seed noise."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from scipy.special import stdtrit

from harness.report.data import ReportData
from harness.report.verdict import CAUTION, GOOD, Diagnostic
from harness.runs.ablations import AblationRun, SeedNoise, seed_noise


def learning_rates(data: ReportData) -> list[Diagnostic]:
    """How much loss another learning rate than the recipe's would save, as far as seed noise allows to say."""
    ablations = [ablation for ablation in data.ablations if ablation.rate != 1]
    if not ablations:
        return []
    rates = ", ".join(f"{rate:g}" for rate in sorted({ablation.rate for ablation in ablations}))
    tried = f"At each budget's best cell the peak learning rate was tried at {rates} times the recipe's"
    groups = {
        f"{rate:g} times": [c for c in ablations if c.rate == rate] for rate in _values(ablations, "rate")
    }
    return [_set_against(f"{tried}, ending higher by", groups, data)]


def schedule_lengths(data: ReportData) -> list[Diagnostic]:
    """What a schedule longer than its run costs in loss: the reason why every run has its own schedule."""
    ended = [ablation for ablation in data.ablations if ablation.horizon > 1]
    if not ended:
        return []
    groups = {
        f"{horizon:g} times": [c for c in ended if c.horizon == horizon]
        for horizon in _values(ended, "horizon")
    }
    start = "The best cells under schedules longer than the run, in multiples of its length, ended higher by"
    return [_set_against(start, groups, data)]


def _set_against(start: str, groups: Mapping[str, Sequence[AblationRun]], data: ReportData) -> Diagnostic:
    """How much higher each group of ablations ended, and for which groups that exceeds seed noise.

    Each ablation is compared twice, and the truth lies between: with the cell's best run, which was selected for its
    low loss and whose noise a ablation of the same seed may or may not share, and with the cell's other seeds. A group
    is worse where it is worse than the other seeds by more than Student's t of the seeds' scatter; it is better where
    it is better than the other seeds and also than the best run.
    """
    noise = seed_noise(data.ablations, data.records)
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
        f"other seeds; ± is seed noise, of standard deviation {noise.sd:.4f}."
    )
    better = [name for name, kind, hard, margin in judged if kind > margin and hard > 0]
    worse = [name for name, kind, _, margin in judged if kind < -margin]
    unclear = [name for name, *_ in judged if name not in (*better, *worse)]
    for names, words in (
        (better, "better beyond seed noise"),
        (worse, "worse beyond seed noise"),
        (unclear, "no difference beyond seed noise"),
    ):
        text += f" {', '.join(names).capitalize()}: {words}." if names else ""
    return Diagnostic(GOOD if worse and not better else CAUTION, text)


def _noise_margin(ended: Sequence[AblationRun], noise: SeedNoise, level: float) -> float:
    """Half the interval of a mean difference over ``ended`` (one a budget) where there is nothing but seed noise."""
    variance = sum(1 + 1 / max(ablation.seeds_of, 1) for ablation in ended) / len(ended) ** 2
    return float(stdtrit(noise.freedom, (1 + level) / 2)) * noise.sd * variance**0.5


def _values(ablations: Sequence[AblationRun], name: str) -> list[float]:
    return sorted({getattr(ablation, name) for ablation in ablations})
