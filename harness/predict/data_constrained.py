"""The answer for a corpus of given size: the optimum moves, and some number of epochs is worth it."""

from dataclasses import dataclass

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.estimate import FrontierSource, beyond_runs, extrapolation, range_flags
from harness.fit.laws import Optimum
from harness.fit.status import Flag, judge
from harness.predict.question import Question
from harness.predict.repetition import (
    Repetition,
    effective_params,
    effective_tokens,
    repeated_at_loss,
    repeated_optimum,
    saturation,
    token_worth,
)
from harness.predict.search import searched


@dataclass(frozen=True, kw_only=True)
class DataConstrained:
    """The best model when only ``unique_tokens`` exist; intervals at ``level`` come from the law's draws.

    Attributes:
        params, tokens, flops, loss: the model, with repetition counted.
        epochs: tokens over unique tokens; below 1 the corpus is not used up.
        effective_tokens, effective_params: D' and N', what the repeated data and the extra size are worth.
        plain_params, plain_tokens, plain_loss: the optimum were tokens unlimited (at the same compute, or for
            the same loss).
        last_token_worth: what the last token teaches over a fresh one.
        first_repeat_flops: the budget from which the optimum begins to repeat.
        half_worth_epochs: the pass from which a token is worth half a fresh one.
        repetition: the constants used.
    """

    approach: str
    unique_tokens: float
    params: float
    tokens: float
    flops: float
    loss: float
    epochs: float
    effective_tokens: float
    effective_params: float
    plain_params: float
    plain_tokens: float
    plain_flops: float
    plain_loss: float
    last_token_worth: float
    first_repeat_flops: float
    half_worth_epochs: float
    repetition: Repetition
    level: float = 0.9
    params_interval: Interval | None = None
    epochs_interval: Interval | None = None
    loss_interval: Interval | None = None
    extrapolation: float | None = None
    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def answer_data_constrained(
    source: FrontierSource, question: Question, unique: float, repetition: Repetition | None = None
) -> DataConstrained:
    """The optimum for a budget, or for a loss, on ``unique`` tokens.

    Raises:
        UserError: the source has no L(N, D), the question is neither, or the loss is out of reach.
    """
    repetition = repetition or Repetition()
    law = source.law
    if law is None:
        raise UserError(f"unique_tokens needs L(N, D): {source.title} knows only the compute-optimal models")
    if question.kind not in ("flops", "loss"):
        raise UserError("unique_tokens: give a budget or a target_loss with it")
    if question.kind == "flops":
        found = repeated_optimum(law, question.value, unique, repetition)
    else:
        found = repeated_at_loss(law, question.value, unique, repetition)
    flops, tokens, params = float(found.flops), float(found.tokens), float(found.params)
    plain = question.at(law)
    draws = _draws(source, flops, unique, repetition)
    beyond = beyond_runs(source, params, tokens)
    flags = [*source.flags, *range_flags(source, flops), *beyond]
    if draws is None:
        flags.append(Flag("no_interval", "no bootstrap draws, so no intervals"))
    if beyond:
        draws = None
    if flops > law.flops(*saturation(law, unique, repetition)):
        flags.append(
            Flag(
                "unidentified",
                "this compute exceeds what the corpus can absorb: N and D hardly matter any more",
            )
        )
    return DataConstrained(
        approach=source.name,
        unique_tokens=unique,
        params=params,
        tokens=tokens,
        flops=flops,
        loss=float(found.loss),
        epochs=tokens / unique,
        effective_tokens=float(effective_tokens(tokens, unique, repetition)),
        effective_params=float(effective_params(law, params, unique, repetition)),
        plain_params=float(plain.params),
        plain_tokens=float(plain.tokens),
        plain_flops=float(plain.flops),
        plain_loss=float(plain.loss),
        last_token_worth=token_worth(tokens, unique, repetition),
        first_repeat_flops=float(law.at_tokens(unique).flops),
        half_worth_epochs=1 + float(np.log(2)) * repetition.r_tokens,
        repetition=repetition,
        level=source.level,
        params_interval=source.interval(None if draws is None else draws.params),
        epochs_interval=source.interval(None if draws is None else draws.tokens / unique),
        loss_interval=source.interval(None if draws is None else draws.loss),
        extrapolation=extrapolation(source, flops),
        **judge(flags),
    )


def _draws(source: FrontierSource, flops: float, unique: float, repetition: Repetition) -> Optimum | None:
    """The optimum at ``flops`` under every draw of the law; the constants of repetition stay as they are."""
    if source.law_draws is None:
        return None
    laws = source.law_draws
    picked = searched(laws)
    rows = np.full((len(picked), 3), np.nan)
    for i, row in zip(picked, rows, strict=True):
        law = laws.row(i)
        if law.usable:
            found = repeated_optimum(law, flops, unique, repetition)
            row[:] = float(found.params), float(found.tokens), float(found.loss)
    return Optimum(params=rows[:, 0], tokens=rows[:, 1], flops=flops, loss=rows[:, 2])
