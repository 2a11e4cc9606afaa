"""Ablations at the best cells: what other learning rates and longer schedules cost, beyond seed noise."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from scipy.special import stdtrit

from harness.report.data import ReportData
from harness.report.verdict import CAUTION, GOOD, Diagnostic
from harness.runs.controls import ControlRun, SeedNoise, seed_noise


def learning_rates(data: ReportData) -> list[Diagnostic]:
    """How much loss another learning rate than the recipe's would save, as far as seed noise allows to say."""
    controls = [control for control in data.controls if control.rate != 1]
    if not controls:
        return []
    rates = ", ".join(f"{rate:g}" for rate in sorted({control.rate for control in controls}))
    tried = f"At each budget's best cell the peak learning rate was tried at {rates} times the recipe's"
    groups = {
        f"{rate:g} times": [c for c in controls if c.rate == rate] for rate in _values(controls, "rate")
    }
    return [_set_against(f"{tried}, ending higher by", groups, data)]


def schedule_lengths(data: ReportData) -> list[Diagnostic]:
    """What a schedule longer than its run costs in loss: the reason why every run has its own schedule."""
    ended = [control for control in data.controls if control.horizon > 1]
    if not ended:
        return []
    groups = {
        f"{horizon:g} times": [c for c in ended if c.horizon == horizon]
        for horizon in _values(ended, "horizon")
    }
    start = "The best cells under schedules longer than the run, in multiples of its length, ended higher by"
    return [_set_against(start, groups, data)]


def _set_against(start: str, groups: Mapping[str, Sequence[ControlRun]], data: ReportData) -> Diagnostic:
    """How much higher each group of controls ended, and for which groups that exceeds seed noise.

    Each control is compared twice, and the truth lies between: with the cell's best run, which was selected for its
    low loss and whose noise a control of the same seed may or may not share, and with the cell's other seeds. A group
    is worse where it is worse than the other seeds by more than Student's t of the seeds' scatter; it is better where
    it is better than the other seeds and also than the best run.
    """
    noise = seed_noise(data.controls, data.records)
    parts: list[str] = []
    judged: list[tuple[str, float, float, float]] = []
    for name, group in groups.items():
        ended = [control for control in group if control.loss is not None]
        if not ended:
            parts.append(f"all diverged at {name}")
            continue
        lost = f" ({len(group) - len(ended)} of {len(group)} diverged)" if len(ended) < len(group) else ""
        hard, kind = (fmean(getattr(c, side) for c in ended) for side in ("left_by_chosen", "left"))
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


def _noise_margin(ended: Sequence[ControlRun], noise: SeedNoise, level: float) -> float:
    """Half the interval of a mean difference over ``ended`` (one a budget) where there is nothing but seed noise."""
    variance = sum(1 + 1 / max(control.seeds_of, 1) for control in ended) / len(ended) ** 2
    return float(stdtrit(noise.freedom, (1 + level) / 2)) * noise.sd * variance**0.5


def _values(controls: Sequence[ControlRun], name: str) -> list[float]:
    return sorted({getattr(control, name) for control in controls})
