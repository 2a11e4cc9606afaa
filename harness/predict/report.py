"""One question with everything a source can say to it: what ``isoflop predict`` prints, and its JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import UserError
from harness.predict.answer import Answer, Question, ask
from harness.predict.assess import (
    FACTORS,
    Announced,
    Overtrained,
    Standing,
    announce,
    most_smaller,
    overtrain,
)
from harness.predict.cost import Bill, Trainer
from harness.predict.data_constrained import Scarce, answer_scarce
from harness.predict.fixed_time import TimedOptimum
from harness.predict.repetition import Repetition, repeated_loss
from harness.predict.serving import Served, answer_serving
from harness.predict.source import Source


@dataclass(frozen=True)
class Ask:
    """The question in full; None leaves a part out.

    Attributes:
        question: flops, params, tokens or loss; None where a model is judged.
        model: the model to judge.
        inference_tokens, weight: serving, and the price of its FLOPs over training's.
        unique_tokens, repetition: the corpus's size, and what repeats are worth.
        smaller: factors of the over-training table.
    """

    question: Question | None = None
    model: Announced | None = None
    inference_tokens: float | None = None
    weight: float = 1.0
    unique_tokens: float | None = None
    repetition: Repetition = field(default_factory=Repetition)
    smaller: Sequence[float] = FACTORS


@dataclass(frozen=True, kw_only=True)
class Report:
    """Answers of every listed source, and of the deciding one what only L(N, D) can tell.

    Attributes:
        source: where the frontier comes from, for people.
        count, compute: how N and C were counted.
        decides: the approach behind ``serving``, ``overtraining``, ``scarce`` and the run.
        answers: one a source; empty where a model was judged.
        standings: one a source; empty unless a model was judged.
        repeated_loss: of the judged model, with repetition counted.
        most_smaller: how many times smaller a model of the same loss can be at all.
        timed: the best model of the time or money asked for, where L(N, D) and the device's time model are known;
            ``time_frontier`` the same for shorter and longer times.
        bill: of the deciding answer's training, where a device is known.
        life_dollars, plain_life_dollars: training and serving together, of the model that is cheapest over
            its life and of the one that is cheapest to train, where serving is weighed in dollars.
        run: the trainable run nearest to the decision: its shape, tokens, steps, batch, rate.
        experiment, figure: the files written.
        notes: what a reader should know.
    """

    source: str
    count: str
    compute: str
    largest_flops: float | None
    decides: str
    answers: tuple[Answer, ...] = ()
    standings: tuple[Standing, ...] = ()
    serving: Served | None = None
    overtraining: tuple[Overtrained, ...] = ()
    most_smaller: float | None = None
    scarce: Scarce | None = None
    repeated_loss: float | None = None
    timed: TimedOptimum | None = None
    time_frontier: tuple[TimedOptimum, ...] = ()
    bill: Bill | None = None
    life_dollars: float | None = None
    plain_life_dollars: float | None = None
    run: dict[str, Any] | None = None
    experiment: str | None = None
    figure: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def answer(self) -> Answer | None:
        """The deciding source's."""
        return next((answer for answer in self.answers if answer.approach == self.decides), None)

    @property
    def standing(self) -> Standing | None:
        """The deciding source's."""
        return next((found for found in self.standings if found.approach == self.decides), None)


def consult(report: Report, sources: Sequence[Source], decider: Source, asked: Ask) -> Report:
    """Fills a report's answers.

    Raises:
        UserError: a part needs L(N, D) and the deciding source has none, or a loss cannot be reached.
    """
    if asked.model is not None:
        standings = tuple(announce(source, asked.model) for source in sources)
        report = replace(report, standings=standings)
        loss = next(s.loss for s in standings if s.approach == decider.name)
        if asked.unique_tokens is not None:
            report = replace(report, repeated_loss=_repeated(decider, asked))
    else:
        assert asked.question is not None
        answers = tuple(ask(source, asked.question) for source in sources)
        report = replace(report, answers=answers)
        loss = report.answer.loss if report.answer else None
        if report.answer is not None and report.answer.params is None:
            raise UserError("; ".join(report.answer.notes))
        if asked.unique_tokens is not None:
            found = answer_scarce(decider, asked.question, asked.unique_tokens, asked.repetition)
            report = replace(report, scarce=found)
    if asked.inference_tokens is not None:
        if decider.law is None or loss is None:
            raise UserError(
                f"inference_tokens needs L(N, D): {decider.title} knows only the best model of each budget; "
                "use a source with approach 3"
            )
        report = replace(
            report,
            serving=answer_serving(decider, loss, asked.inference_tokens, asked.weight),
            overtraining=overtrain(decider.law, loss, asked.smaller, asked.weight),
            most_smaller=most_smaller(decider.law),
        )
        wanted, unique = report.serving.tokens if report.serving else None, asked.unique_tokens
        if wanted is not None and unique is not None and wanted > unique:
            note = (
                f"serving wants {wanted:.3g} tokens of {unique:.3g} unique ones and counts repeats as fresh"
            )
            report = replace(report, notes=(*report.notes, note))
    return report


def _repeated(decider: Source, asked: Ask) -> float | None:
    if decider.law is None or asked.model is None or asked.unique_tokens is None:
        raise UserError(f"unique_tokens needs L(N, D): {decider.title} knows only the compute-optimal models")
    model = asked.model.params, asked.model.tokens
    return float(repeated_loss(decider.law, *model, asked.unique_tokens, asked.repetition))


def with_life_cost(report: Report, trainer: Trainer | None) -> Report:
    """The report with what training and serving cost together, where serving was weighed by its price."""
    served = report.serving
    if trainer is None or served is None or served.cost is None or served.plain_cost is None:
        return report
    life, plain = trainer.bill(served.cost).dollars, trainer.bill(served.plain_cost).dollars
    return replace(report, life_dollars=life, plain_life_dollars=plain)


def decided(report: Report) -> tuple[float | None, float | None, float | None]:
    """(N, D, C) to train: with serving counted in, else on the corpus there is, of the time, else the plain optimum."""
    if report.serving is not None:
        return report.serving.params, report.serving.tokens, report.serving.training_flops
    if report.scarce is not None:
        return report.scarce.params, report.scarce.tokens, report.scarce.flops
    if report.timed is not None:
        return report.timed.params, report.timed.tokens, report.timed.flops
    if (standing := report.standing) is not None:
        return standing.best_params, standing.best_tokens, standing.flops
    answer = report.answer
    return (None, None, None) if answer is None else (answer.params, answer.tokens, answer.flops)
