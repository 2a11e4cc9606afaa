"""One request with everything that the sources can say to it: what ``isoflop predict`` prints, and its JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import UserError
from harness.fit.encoding import json_key
from harness.fit.estimate import FrontierSource, OptimumEstimate
from harness.predict.assess import (
    FACTORS,
    Assessment,
    GivenModel,
    Overtrained,
    assess,
    most_smaller,
    overtrain,
)
from harness.predict.cost import Trainer, TrainingCost
from harness.predict.data_constrained import DataConstrained, answer_data_constrained
from harness.predict.fixed_time import TimedOptimum
from harness.predict.question import Question, ask
from harness.predict.repetition import Repetition, repeated_loss
from harness.predict.serving import Served, answer_serving
from harness.predict.tasks import TaskAnswer


@dataclass(frozen=True)
class PredictRequest:
    """What is asked, in full; None leaves a part out.

    Attributes:
        question: flops, params, tokens or loss; None where a model is assessed.
        model: the model to assess.
        inference_tokens, weight: serving, and the cost of its FLOPs over training's.
        unique_tokens, repetition: the corpus's size, and what repeats are worth.
        smaller: factors of the over-training table.
    """

    question: Question | None = None
    model: GivenModel | None = None
    inference_tokens: float | None = None
    weight: float = 1.0
    unique_tokens: float | None = None
    repetition: Repetition = field(default_factory=Repetition)
    smaller: Sequence[float] = FACTORS


@dataclass(frozen=True, kw_only=True)
class PredictResult:
    """Answers of every listed source, and of the deciding one what only L(N, D) can tell.

    Attributes:
        source: where the frontier comes from, for people.
        count, compute: how N and C were counted.
        decides: the approach behind ``serving``, ``overtraining``, ``data_constrained`` and the run.
        answers: one a source; empty where a model was assessed.
        assessments: one a source; empty unless a model was assessed.
        repeated_loss: of the assessed model, with repetition counted.
        most_smaller: how many times smaller a model of the same loss can be at all.
        timed: the best model of the time or money asked for, where L(N, D) and the device's time model are known;
            ``time_frontier`` the same for shorter and longer times.
        cost: of the deciding answer's training, where a device is known.
        lifetime_cost, plain_lifetime_cost: dollars of training and serving together, of the model that is cheapest over
            its life and of the one that is cheapest to train, where serving is weighed in dollars.
        run: the trainable run nearest to the decision: its shape, tokens, steps, batch, rate.
        experiment, figure: the files written.
        task: what the decision scores on the task that was asked for.
        notes: what a reader should know.
    """

    source: str
    count: str
    compute: str
    largest_flops: float | None
    decides: str
    answers: tuple[OptimumEstimate, ...] = ()
    assessments: tuple[Assessment, ...] = field(default=(), metadata=json_key("standings"))
    serving: Served | None = None
    overtraining: tuple[Overtrained, ...] = ()
    most_smaller: float | None = None
    data_constrained: DataConstrained | None = field(default=None, metadata=json_key("scarce"))
    repeated_loss: float | None = None
    timed: TimedOptimum | None = None
    time_frontier: tuple[TimedOptimum, ...] = ()
    cost: TrainingCost | None = field(default=None, metadata=json_key("bill"))
    lifetime_cost: float | None = field(default=None, metadata=json_key("life_dollars"))
    plain_lifetime_cost: float | None = field(default=None, metadata=json_key("plain_life_dollars"))
    run: dict[str, Any] | None = None
    experiment: str | None = None
    figure: str | None = None
    task: TaskAnswer | None = None
    notes: tuple[str, ...] = ()

    @property
    def loss_name(self) -> str:
        """What the laws are of: of a task it is the bits per byte of the right answer."""
        return "loss" if self.task is None else "task loss"

    @property
    def answer(self) -> OptimumEstimate | None:
        """The deciding source's."""
        return next((answer for answer in self.answers if answer.approach == self.decides), None)

    @property
    def assessment(self) -> Assessment | None:
        """The deciding source's."""
        return next((found for found in self.assessments if found.approach == self.decides), None)


def consult(
    result: PredictResult, sources: Sequence[FrontierSource], decider: FrontierSource, asked: PredictRequest
) -> PredictResult:
    """Fills a result's answers.

    Raises:
        UserError: a part needs L(N, D) and the deciding source has none, or a loss cannot be reached.
    """
    if asked.model is not None:
        assessments = tuple(assess(source, asked.model) for source in sources)
        result = replace(result, assessments=assessments)
        loss = next(s.loss for s in assessments if s.approach == decider.name)
        if asked.unique_tokens is not None:
            result = replace(result, repeated_loss=_repeated(decider, asked))
    else:
        assert asked.question is not None
        answers = tuple(ask(source, asked.question) for source in sources)
        result = replace(result, answers=answers)
        loss = result.answer.loss if result.answer else None
        if result.answer is not None and result.answer.params is None:
            raise UserError("; ".join(result.answer.notes))
        if asked.unique_tokens is not None:
            found = answer_data_constrained(decider, asked.question, asked.unique_tokens, asked.repetition)
            result = replace(result, data_constrained=found)
    if asked.inference_tokens is not None:
        if decider.law is None or loss is None:
            raise UserError(
                f"inference_tokens needs L(N, D): {decider.title} knows only the best model of each budget; "
                "use a source with approach 3"
            )
        result = replace(
            result,
            serving=answer_serving(decider, loss, asked.inference_tokens, asked.weight),
            overtraining=overtrain(decider.law, loss, asked.smaller, asked.weight, decider),
            most_smaller=most_smaller(decider.law),
        )
        wanted, unique = result.serving.tokens if result.serving else None, asked.unique_tokens
        if wanted is not None and unique is not None and wanted > unique:
            note = (
                f"serving wants {wanted:.3g} tokens of {unique:.3g} unique ones and counts repeats as fresh"
            )
            result = replace(result, notes=(*result.notes, note))
    return result


def _repeated(decider: FrontierSource, asked: PredictRequest) -> float | None:
    if decider.law is None or asked.model is None or asked.unique_tokens is None:
        raise UserError(f"unique_tokens needs L(N, D): {decider.title} knows only the compute-optimal models")
    model = asked.model.params, asked.model.tokens
    return float(repeated_loss(decider.law, *model, asked.unique_tokens, asked.repetition))


def with_lifetime_cost(result: PredictResult, trainer: Trainer | None) -> PredictResult:
    """The result with what training and serving cost together, where serving was weighed in dollars."""
    served = result.serving
    if trainer is None or served is None or served.cost is None or served.plain_cost is None:
        return result
    lifetime, plain = trainer.cost(served.cost).dollars, trainer.cost(served.plain_cost).dollars
    return replace(result, lifetime_cost=lifetime, plain_lifetime_cost=plain)


def decided(result: PredictResult) -> tuple[float | None, float | None, float | None]:
    """(N, D, C) to train: with serving counted in, else on the corpus there is, of the time, else the plain optimum."""
    if result.serving is not None:
        return result.serving.params, result.serving.tokens, result.serving.training_flops
    if result.data_constrained is not None:
        return result.data_constrained.params, result.data_constrained.tokens, result.data_constrained.flops
    if result.timed is not None:
        return result.timed.params, result.timed.tokens, result.timed.flops
    if (assessed := result.assessment) is not None:
        return assessed.best_params, assessed.best_tokens, assessed.flops
    answer = result.answer
    return (None, None, None) if answer is None else (answer.params, answer.tokens, answer.flops)
