"""Held-out loss with a standard error over documents."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from harness.data import Corpus

TOKENS_AT_ONCE = 16384  # enough to fill a device …
LOGITS_BYTES = 2**29  # … unless the vocabulary is large: their float32 logits take no more than this


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats per token, its standard error (None from a single document), and the tokens scored."""

    loss: float
    loss_se: float | None
    tokens: int


def evaluate(
    model: PreTrainedModel, corpus: Corpus, seq_len: int, tokens: int, device: torch.device
) -> Evaluation:
    """Score about ``tokens`` held-out tokens: the same windows for every run that shares the corpus."""
    windows, documents = corpus.heldout_windows(seq_len, tokens)
    return summarise(token_losses(model, windows, device), documents)


def windows_at_once(length: int, vocab_size: int) -> int:
    """How many windows of ``length`` tokens are scored together: at least one."""
    return max(1, min(TOKENS_AT_ONCE, LOGITS_BYTES // (4 * vocab_size)) // length)


def token_losses(model: PreTrainedModel, windows: np.ndarray, device: torch.device) -> np.ndarray:
    """Loss of each predicted token, nats: (windows, seq_len) from ``windows`` of shape (windows, seq_len + 1)."""
    rows = windows_at_once(windows.shape[1], model.config.get_text_config().vocab_size)
    losses = []
    with torch.inference_mode():
        for start in range(0, len(windows), rows):
            batch = torch.from_numpy(windows[start : start + rows]).to(device)
            logits = model(input_ids=batch[:, :-1], use_cache=False).logits.float()
            loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
            losses.append(loss.view(len(batch), -1).cpu().numpy())
    return np.concatenate(losses).astype(np.float64)


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
