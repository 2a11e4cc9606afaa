"""Held-out loss with a standard error over documents."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional
from transformers import PreTrainedModel

from harness.data import Corpus
from harness.train.micro import scored_windows


@dataclass(frozen=True)
class Evaluation:
    """Mean loss in nats per token, its standard error (None from a single document), and the tokens scored."""

    loss: float
    loss_se: float | None
    tokens: int


def evaluate(
    model: PreTrainedModel, corpus: Corpus, seq_len: int, tokens: int, device: torch.device, at_once: int = 0
) -> Evaluation:
    """Score about ``tokens`` held-out tokens: the same windows for every run that shares the corpus.

    Args:
        at_once: windows that the device is known to have memory for, if more than are scored together otherwise.
    """
    windows, documents = corpus.heldout_windows(seq_len, tokens)
    return summarise(token_losses(model, windows, device, at_once), documents)


def token_losses(
    model: PreTrainedModel, windows: np.ndarray, device: torch.device, at_once: int = 0
) -> np.ndarray:
    """Loss of each predicted token, nats: (windows, seq_len) from ``windows`` of shape (windows, seq_len + 1).

    Tokens go to the device and losses come from it in one piece: each copy would make one wait for the other.
    """
    rows = max(at_once, scored_windows(windows.shape[1], model.config.get_text_config().vocab_size))
    losses = torch.empty(len(windows), windows.shape[1] - 1, device=device)
    with torch.inference_mode():
        tokens = torch.from_numpy(windows).to(device)
        for start in range(0, len(windows), rows):
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
