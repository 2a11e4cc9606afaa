"""What a fit predicts for every candidate before any is trained, with intervals of all that will be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.fit import Points
from harness.fit.bootstrap import Interval
from harness.fit.encoding import decode, encode
from harness.fit.estimate import FrontierSource, beyond_runs, estimate_at
from harness.fit.noise import RunScatter, run_scatter
from harness.fit.status import plain
from harness.fit.surface import ParametricLaw
from harness.plan.cell import Cell
from harness.validate.outcomes import Entry, Intervals, intervals
from harness.validate.tasks import TaskPrediction

EARLIER = {"contenders": "candidates"}
"""Keys of files of earlier versions, and what they are now."""
LATER = ("scatter", "mean_interval", "measured_margin_interval", "mean_covers", "form", "doubts", "tasks")
"""Fields that files of earlier versions may lack: of a candidate the first three, and of the prediction."""


def scatter(points: Points, law: ParametricLaw, free: int) -> RunScatter | None:
    """The scatter of ``points`` (n runs) about ``law``, which has ``free`` parameters; None with too few to tell.

    It holds the noise of a seed and the law's own lack of fit at the runs, not what goes wrong beyond them.
    """
    freedom = len(points) - free
    if freedom < 1:
        return None
    residual = np.log(points.loss) - np.log(law.loss(points.params, points.tokens))
    return run_scatter(points, residual, freedom)


COVERS = "the uncertainty of the fitted law, from its bootstrap draws"
COVERS_RUN = (
    "one run: the law's uncertainty and, as Student's t, the scatter of the fit's own runs about it (another seed, and "
    "the law's lack of fit there); not a law that fails beyond the runs it was fitted to"
)
COVERS_MEAN = (
    "the mean of the candidate's seeds: as that of one run, but for the noise of seeds, which averages out; of the "
    "gaps between such means, all at once"
)


@dataclass(frozen=True, kw_only=True)
class FitFacts:
    """The fit that predicts; its hashes show that it is this fit and no later one."""

    n_points: int
    largest_flops: float
    count: str
    sha256: str
    draws_sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One size at the budget.

    Attributes:
        factor: wanted N over the predicted N*; shapes are whole, so ``params`` is near ``factor`` N*.
        params, tokens, flops: of the run that will be trained; N as the fit counts it.
        loss: predicted, nats per token; None where the fit has no L(N, D).
        loss_interval: covers ``COVERS``. run_interval: covers ``COVERS_RUN``. mean_interval: covers ``COVERS_MEAN``.
        margin, margin_interval: predicted loss above that of the predicted winner; from the law's draws.
        measured_margin_interval: of the mean of this one's seeds above that of the winner's; those of all candidates
            hold at once.
        run_ids: the planned runs, by seed.
        scatter: standard deviation of ln loss of single runs of this size and horizon about the law.
    """

    factor: float
    shape: str
    params: float
    tokens: float
    flops: float
    loss: float | None
    loss_interval: Interval | None
    run_interval: Interval | None
    margin: float | None
    margin_interval: Interval | None
    run_ids: dict[str, str]
    scatter: float | None = None
    mean_interval: Interval | None = None
    measured_margin_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class RegisteredPrediction:
    """The content of ``prediction.json``.

    Attributes:
        written: when, UTC.
        sizes_by, losses_by: the approaches that give N* and L(N, D); ``losses_by`` is None where none does.
        params_opt, tokens_opt: N* and D* at the budget, with intervals.
        scatter: standard deviation of ln loss of runs about the law, at the predicted optimum; None where the fit's
            table is not there.
        winner: factor of the candidate with the lowest predicted loss.
        covers, run_covers, mean_covers: what the three intervals of a loss mean.
        form: L(N, D) as it was fitted. doubts: what the fit says against the approaches that predict.
        tasks: what the candidates will score on the tasks that the fit's runs were scored on; None without such tasks.
    """

    name: str
    written: str
    budget: float
    budget_count: str
    fit: FitFacts
    level: float
    sizes_by: str
    losses_by: str | None
    params_opt: float
    tokens_opt: float
    params_interval: Interval | None
    tokens_interval: Interval | None
    scatter: float | None
    winner: float
    candidates: tuple[Candidate, ...]
    covers: str = COVERS
    run_covers: str = COVERS_RUN
    mean_covers: str | None = None
    form: str | None = None
    doubts: tuple[str, ...] | None = None
    tasks: tuple[TaskPrediction, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The content of ``prediction.json``; what earlier versions did not write, where it is known."""
        data = encode(self)
        data["candidates"] = [_known(one) for one in data["candidates"]]
        # A prediction's own scatter was always written, a candidate's was not.
        return _known(data, "scatter")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RegisteredPrediction":
        """The inverse of ``to_json``, which reads files of earlier versions, too."""
        read: RegisteredPrediction = decode(
            cls, {EARLIER.get(key, key): value for key, value in data.items()}
        )
        return read

    @property
    def winner_label(self) -> str:
        """The predicted winner as people call it: ``N*``, or ``4 N*``."""
        return "N*" if self.winner == 1 else f"{self.winner:g} N*"

    def candidate(self, factor: float) -> Candidate:
        """The candidate of that factor."""
        return next(one for one in self.candidates if one.factor == factor)


def _known(data: Mapping[str, Any], *always: str) -> dict[str, Any]:
    return {
        key: value for key, value in data.items() if value is not None or key in always or key not in LATER
    }


@dataclass(frozen=True, eq=False)
class PredictionBasis:
    """What a prediction is made from.

    Attributes:
        decider: the source that gives N*.
        losses: the source whose L(N, D) gives the losses; None where no approach has one.
        scatter: of the fit's runs about the law; None where it is unknown.
        facts: which fit it is.
        form: L(N, D) as people write it; None without a law.
    """

    decider: FrontierSource
    losses: FrontierSource | None
    scatter: RunScatter | None
    facts: FitFacts
    form: str | None = None

    def doubts(self, budget: float) -> tuple[str, ...]:
        """What the fit says against the approaches at the budget, a sentence each, the worst first."""
        said = []
        sources = {one.name: one for one in (self.decider, self.losses) if one is not None}
        for source in sources.values():
            found = estimate_at(source, budget)
            said += [
                f"{source.title}: {plain(code)}: {note}"
                for code, note in zip(found.flags, found.notes, strict=True)
            ]
        return tuple(said)


def predict(
    name: str,
    written: str,
    basis: PredictionBasis,
    budget: float,
    entries: Mapping[float, tuple[float, Sequence[Cell]]],
) -> RegisteredPrediction:
    """The prediction for ``entries``: factor to N, as the fit counts it, and the cells, one a seed.

    Args:
        name: of the sweep that will train the candidates.
        written: the time now, UTC.
        basis: the fit's sources.
        budget: training FLOPs of every candidate.
        entries: what will be trained.

    Raises:
        UserError: the source has no optimum at the budget.
    """
    decider, source = basis.decider, basis.losses
    if decider.frontier is None:
        raise UserError(f"validate: {decider.title} has no frontier")
    optimum = decider.frontier.at_flops(budget)
    if not np.isfinite(optimum.params):
        raise UserError(f"validate: {decider.title} has no optimum at C = {budget:.3g}")
    drawn = None
    beyond = beyond_runs(decider, float(optimum.params), float(optimum.tokens))
    if decider.draws is not None and not beyond:
        with np.errstate(all="ignore"):
            drawn = decider.draws.at_flops(budget)
    at = {factor: (n, float(cells[0].tokens)) for factor, (n, cells) in entries.items()}
    losses = (
        {factor: float(source.law.loss(n, d)) for factor, (n, d) in at.items()}
        if source and source.law
        else {}
    )
    winner = min(losses, key=lambda factor: losses[factor]) if losses else 1.0
    found = intervals(_drawn(source, entries, at), basis.scatter, winner, decider.level)

    def candidate(factor: float) -> Candidate:
        n, cells = entries[factor]
        within = found.get(factor, Intervals())
        return Candidate(
            factor=factor,
            shape=cells[0].spec.shape.label,
            params=n,
            tokens=float(cells[0].tokens),
            flops=cells[0].flops,
            loss=losses.get(factor),
            loss_interval=within.law,
            run_interval=within.run,
            mean_interval=within.mean,
            margin=losses[factor] - losses[winner] if losses and factor != winner else None,
            margin_interval=within.law_margin,
            measured_margin_interval=within.margin,
            scatter=None if basis.scatter is None else basis.scatter.at(*at[factor]),
            run_ids={str(cell.spec.seed): cell.run_id for cell in cells},
        )

    return RegisteredPrediction(
        name=name,
        written=written,
        budget=budget,
        budget_count=next(iter(entries.values()))[1][0].count,
        fit=basis.facts,
        level=decider.level,
        sizes_by=decider.name,
        losses_by=source.name if losses and source else None,
        params_opt=float(optimum.params),
        tokens_opt=float(optimum.tokens),
        params_interval=None if drawn is None else decider.interval(drawn.params),
        tokens_interval=None if drawn is None else decider.interval(drawn.tokens),
        scatter=None if basis.scatter is None else basis.scatter.at(*at[1.0]),
        winner=winner,
        candidates=tuple(candidate(factor) for factor in sorted(entries)),
        mean_covers=COVERS_MEAN if any(one.mean for one in found.values()) else None,
        form=basis.form if losses else None,
        doubts=basis.doubts(budget),
    )


def _drawn(
    source: FrontierSource | None,
    entries: Mapping[float, tuple[float, Sequence[Cell]]],
    at: Mapping[float, tuple[float, float]],
) -> dict[float, Entry]:
    """The candidates' losses in every draw of the law, by factor; beyond the runs the law has no interval."""
    if source is None or source.law_draws is None:
        return {}
    with np.errstate(all="ignore"):
        return {
            factor: Entry(np.asarray(source.law_draws.loss(n, d)), n, d, seeds=len(entries[factor][1]))
            for factor, (n, d) in at.items()
            if not beyond_runs(source, n, d)
        }
