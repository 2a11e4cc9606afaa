"""How a run ended, and the record made of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version

from harness.data import Corpus
from harness.plan.cell import Cell
from harness.runs.record import DIVERGED, FINISHED, Record, Score
from harness.train.device import Device
from harness.train.evaluate import Evaluation

PACKAGES = ("isoflop", "torch", "transformers", "accelerate", "numpy")


@dataclass(frozen=True)
class Outcome:
    """What the loop and the evaluation leave.

    Attributes:
        train_loss: the last curve row's, nats per token.
        tokens_per_second: of the steps of this attempt; None where it did none.
        domains: scores on further texts, by name.
        inherited: how many of the ``steps`` the run's trunk has trained.
    """

    status: str
    reason: str
    steps: int
    train_loss: float | None
    seconds: float
    tokens_per_second: float | None = None
    notes: tuple[str, ...] = ()
    inherited: int = 0
    evaluation: Evaluation | None = None
    domains: Mapping[str, Score] = field(default_factory=dict)

    def evaluated(self, evaluation: Evaluation) -> "Outcome":
        """With the held-out loss; one that is not finite means the run diverged."""
        if not math.isfinite(evaluation.loss):
            reason = f"the held-out loss is {evaluation.loss}"
            return replace(self, status=DIVERGED, reason=reason)
        return replace(self, evaluation=evaluation)


def make_record(cell: Cell, device: Device, processes: int, corpus: Corpus, outcome: Outcome) -> Record:
    """The record of ``cell`` trained as ``outcome`` says; a run that stopped early records what it really did."""
    spec = cell.spec
    share = outcome.steps / spec.steps
    tokens = outcome.steps * spec.batch_tokens
    assert outcome.status != FINISHED or tokens == cell.tokens, "a finished run trains exactly its tokens"
    flops_by_count = {count: flops * share for count, flops in cell.flops_by_count.items()}
    evaluation = outcome.evaluation
    average = tokens / outcome.seconds if outcome.seconds else 0.0
    speed = outcome.tokens_per_second or average
    per_token = cell.flops_by_count["matrix_products"] / cell.tokens
    return Record(
        run_id=cell.run_id,
        status=outcome.status,
        reason=outcome.reason,
        spec=spec.to_json(),
        budget=cell.budget,
        budget_count=cell.count,
        params=cell.params.to_json(),
        params_total=cell.params.total,
        params_non_embedding=cell.params.non_embedding,
        tokens=tokens,
        unique_tokens=cell.unique_tokens,
        epochs=tokens / cell.unique_tokens,
        flops=flops_by_count[cell.count],
        flops_6nd=flops_by_count["6nd"],
        flops_by_count=flops_by_count,
        loss=evaluation.loss if evaluation else None,
        loss_se=evaluation.loss_se if evaluation else None,
        bits_per_byte=corpus.bits_per_byte(evaluation.loss) if evaluation else None,
        train_loss=outcome.train_loss,
        final_lr=spec.optimizer.lr * spec.schedule.factor(max(1, outcome.steps)),
        steps=outcome.steps,
        seconds=outcome.seconds,
        tokens_per_second=speed,
        mfu=speed * per_token / (device.peak * processes) if device.peak else None,
        device=device.name,
        precision=device.precision,
        versions=dict(_versions(PACKAGES)),
        data={"name": corpus.name, "fingerprint": corpus.fingerprint, "tokenizer": corpus.tokenizer},
        notes=list(outcome.notes),
        domains=dict(outcome.domains),
        flops_spent=flops_by_count[cell.count] * (1 - outcome.inherited / max(1, outcome.steps)),
    )


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for package in packages:
        try:
            yield package, version(package)
        except PackageNotFoundError:  # a checkout on PYTHONPATH that was never installed
            yield package, "unknown"
