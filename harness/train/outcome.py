"""How a run ended: its held-out loss with a standard error over documents, and the record made of it all."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from harness.data import Corpus
from harness.data.left_out import left_out
from harness.plan.cell import Cell
from harness.runs.record import DIVERGED, FINISHED, Record, Score
from harness.train.device import Device
from harness.train.micro import scored_sequences
from harness.version import version_of

PACKAGES = ("isoflop", "torch", "transformers", "accelerate", "numpy")  # whose versions a record has


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats per token, its standard error (None from a single document), and the tokens scored."""

    loss: float
    loss_se: float | None
    tokens: int


def evaluate(
    model: PreTrainedModel, corpus: Corpus, seq_len: int, tokens: int, device: torch.device, at_once: int = 0
) -> Evaluation:
    """Score about ``tokens`` held-out tokens: the same sequences for every run that shares the corpus.

    Args:
        at_once: sequences that the device is known to have memory for, if more than are scored together otherwise.
    """
    sequences, documents = corpus.heldout_sequences(seq_len, tokens)
    return summarise(token_losses(model, sequences, device, at_once), documents)


def token_losses(
    model: PreTrainedModel, sequences: np.ndarray, device: torch.device, at_once: int = 0
) -> np.ndarray:
    """Loss of each predicted token, nats: (sequences, seq_len) from ``sequences`` of shape (sequences, seq_len + 1).

    Tokens go to the device and losses come from it in one piece: each copy would make one wait for the other.
    """
    rows = max(at_once, scored_sequences(sequences.shape[1], model.config.get_text_config().vocab_size))
    losses = torch.empty(len(sequences), sequences.shape[1] - 1, device=device)
    with torch.inference_mode():
        tokens = torch.from_numpy(sequences).to(device)
        for start in range(0, len(sequences), rows):
            batch = tokens[start : start + rows]
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits.float()
            loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
            losses[start : start + rows] = loss.view(len(batch), -1)
    return losses.cpu().numpy().astype(np.float64)


def summarise(losses: np.ndarray, documents: np.ndarray) -> Evaluation:
    """Mean and clustered standard error; ``documents`` names the document of each token.

    Tokens of one document are alike, so the document is the sampling unit: the linearised variance of a ratio of
    sums over documents (Cochran 1977, section 6.3). All runs that share data share the documents, so this is the
    uncertainty of the loss as a property of the text, larger than that of a difference between two runs.
    """
    _, index = np.unique(documents.ravel(), return_inverse=True)
    sums = np.bincount(index, weights=losses.ravel())
    counts = np.bincount(index)
    mean = float(sums.sum() / counts.sum())
    k = len(counts)
    if k < 2:
        return Evaluation(mean, None, int(counts.sum()))
    residual = sums - mean * counts
    variance = float((residual**2).sum()) * k / (k - 1) / float(counts.sum()) ** 2
    return Evaluation(mean, variance**0.5, int(counts.sum()))


@dataclass(frozen=True)
class RunOutcome:
    """What training and evaluation gave.

    Attributes:
        status, reason: as in :class:`harness.runs.record.Record`.
        steps: optimizer steps done, over all attempts, and ``seconds`` the training time.
        train_loss: the last curve row's, nats per token.
        tokens_per_second: of the steps of this attempt; None where it did none.
        domains: scores on further texts, by name.
        inherited: how many of the ``steps`` the run's trunk has trained.
        curve_sha256: of the curve's file.
    """

    status: str
    reason: str
    steps: int
    train_loss: float | None
    seconds: float
    tokens_per_second: float | None = None
    notes: tuple[str, ...] = ()
    inherited: int = 0
    curve_sha256: str = ""
    evaluation: Evaluation | None = None
    domains: Mapping[str, Score] = field(default_factory=dict)

    def evaluated(self, evaluation: Evaluation) -> "RunOutcome":
        """With the held-out loss; one that is not finite means the run diverged."""
        if not math.isfinite(evaluation.loss):
            reason = f"the held-out loss is {evaluation.loss}"
            return replace(self, status=DIVERGED, reason=reason)
        return replace(self, evaluation=evaluation)


def make_record(cell: Cell, device: Device, processes: int, corpus: Corpus, outcome: RunOutcome) -> Record:
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
        flops=share * cell.flops,
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
        versions={package: version_of(package) or "unknown" for package in PACKAGES},
        data=corpus_facts(corpus),
        notes=list(outcome.notes),
        domains=dict(outcome.domains),
        flops_spent=share * cell.flops * (1 - outcome.inherited / max(1, outcome.steps)),
        curve_sha256=outcome.curve_sha256,
        flops_optimizer=share * cell.optimizer_flops,
    )


def corpus_facts(corpus: Corpus) -> dict[str, str]:
    """What a record says of the corpus; ``left_out`` where something was."""
    facts = {"name": corpus.name, "fingerprint": corpus.fingerprint, "tokenizer": corpus.tokenizer}
    without = "; ".join(left_out(corpus.meta, remedies=False))
    return {**facts, "left_out": without} if without else facts
