"""A model's likelihoods of all answers, by lm-eval's own model class, and what they come to."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.evaluate.library import Question
from harness.runs.tasks import TaskScore

INCOMPLETE = ("missing_keys", "unexpected_keys", "mismatched_keys")


class Scorer:
    """An exported model and its tokenizer on a device."""

    def __init__(self, folder: Path, device: str, precision: str, seq_len: int, batch: int) -> None:
        """Read the model in ``folder``.

        Args:
            device: ``cpu`` or ``cuda``. precision: as the run was trained, ``fp32`` or ``bf16``.
            seq_len: tokens of its context; what is longer loses its beginning.
            batch: sequences at once.

        Raises:
            UserError: no model can be read there.
        """
        from lm_eval.models.huggingface import HFLM
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            model, found = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
            if wrong := [key for kind in INCOMPLETE for key in found.get(kind) or ()]:
                # transformers would draw what is missing at random
                raise ValueError(f"{len(wrong)} tensors are missing or not the model's, e.g. {wrong[0]}")
            model = model.to(device).eval()
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # safetensors', transformers' and the file system's
            line = " ".join(str(error).split())[:160]
            raise UserError(f"{folder}: the model cannot be read ({type(error).__name__}: {line})") from error
        self._seq_len = seq_len
        self.parameters = sum(one.numel() for one in model.parameters())
        self._lm = HFLM(
            pretrained=model,
            tokenizer=tokenizer,
            batch_size=batch,
            max_length=seq_len,
            mixed_precision_dtype="bfloat16" if precision == "bf16" else None,
        )

    def log_likelihoods(
        self, questions: Sequence[Question]
    ) -> tuple[list[list[tuple[float, bool]]], list[bool]]:
        """Of every answer of every question, in nats, with whether it is what greedy decoding gives; and which
        questions are longer than the context.
        """
        from lm_eval.api.instance import Instance

        flat = [(i, pair) for i, one in enumerate(questions) for pair in one.requests]
        requests = [Instance("loglikelihood", {}, pair, 0) for _, pair in flat]
        answers = self._lm.loglikelihood(requests, disable_tqdm=True)
        found: list[list[tuple[float, bool]]] = [[] for _ in questions]
        truncated = [False] * len(questions)
        for (i, pair), answer in zip(flat, answers, strict=True):
            found[i].append((float(answer[0]), bool(answer[1])))
            truncated[i] |= self._tokens(pair) > self._seq_len + 1  # the last token is predicted, not read
        return found, truncated

    def _tokens(self, pair: tuple[str, str]) -> int:
        context, continuation = (
            self._lm._encode_pair(*pair) if pair[0] else ([0], self._lm.tok_encode(pair[1]))
        )
        return len(context) + len(continuation)


def score(
    scorer: Scorer, questions: Sequence[Question], overlapping: Sequence[bool], digest: str, lm_eval: str
) -> TaskScore:
    """What the model scores on a task's questions.

    Args:
        overlapping: which of them overlap with the training text.

    Raises:
        UserError: a likelihood is no finite number.
    """
    likelihoods, truncated = scorer.log_likelihoods(questions)
    if not all(math.isfinite(value) for answers in likelihoods for value, _ in answers):
        raise UserError("a log-likelihood is not finite: the model is damaged, or its precision too low")
    rows = np.array([_row(*pair) for pair in zip(questions, likelihoods, strict=True)])  # (questions, 3)
    _, clusters = np.unique([one.document for one in questions], return_inverse=True)
    clean = ~np.asarray(overlapping, dtype=bool)
    means, errors = rows.mean(0), [clustered_error(column, clusters) for column in rows.T]
    within = rows[clean].mean(0) if clean.any() else None
    return TaskScore(
        accuracy=float(means[0]),
        accuracy_se=errors[0],
        accuracy_by_length=float(means[1]),
        accuracy_by_length_se=errors[1],
        bits_per_byte=float(means[2]),
        bits_per_byte_se=errors[2],
        questions=len(questions),
        documents=int(clusters.max()) + 1,
        chance=chance(questions),
        truncated=sum(truncated),
        overlapping=int((~clean).sum()),
        clean_accuracy=None if within is None else float(within[0]),
        clean_bits_per_byte=None if within is None else float(within[2]),
        digest=digest,
        lm_eval=lm_eval,
    )


def chance(questions: Sequence[Question]) -> float:
    """What guessing gets right; 0 where there is a single answer, which is to be written and not chosen.

    Where all questions have the same answers to choose from (yes and no), always giving the commonest is a guess, too.
    """
    shares = [len(set(one.right)) / len(one.requests) if len(one.requests) > 1 else 0.0 for one in questions]
    uniform = float(np.mean(shares))
    answers = {tuple(answer for _, answer in one.requests) for one in questions}
    if len(answers) > 1 or len(questions) == 1 or len(questions[0].requests) == 1:
        return uniform
    right = [one.requests[i][1] for one in questions for i in one.right[:1]]
    return max(uniform, max(right.count(answer) for answer in set(right)) / len(questions))


def _row(question: Question, answers: Sequence[tuple[float, bool]]) -> tuple[float, float, float]:
    """Whether it is right, whether by likelihood per character, and bits per byte of the right answer."""
    likelihoods = np.array([value for value, _ in answers])
    best = max(question.right, key=lambda i: likelihoods[i])
    size = len(question.requests[best][1].encode("utf-8", "surrogatepass"))
    bits = -likelihoods[best] / math.log(2) / max(1, size)
    if len(answers) == 1:
        greedy = float(answers[0][1])
        return greedy, greedy, bits
    by_length = likelihoods / np.array(question.lengths, dtype=float)
    return (
        float(int(np.argmax(likelihoods)) in question.right),
        float(int(np.argmax(by_length)) in question.right),
        bits,
    )


def clustered_error(values: NDArray[np.float64], clusters: NDArray[Any]) -> float:
    """The standard error of the mean of ``values``, those of a cluster being one draw.

    sqrt(G / (G - 1) sum over clusters of (sum of residuals)^2) / n (Miller 2024, arXiv 2411.00640, section 2.2, with
    the correction for few clusters); of a single cluster that of independent values.
    """
    residuals = values - values.mean()
    sums = np.bincount(clusters, residuals)
    if len(sums) < 2:
        sums = residuals
    if len(sums) < 2:
        return 0.0
    return float(math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) / len(values))
