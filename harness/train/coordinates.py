"""The sizes of activations over a model's first steps, which a coordinate check compares between shapes.

Yang et al. 2022 (arXiv 2203.03466), appendix D.1: where hyperparameters transfer, what a few optimizer steps change in
the activations is as large in a wide model as in a narrow one; Dey et al. 2025 (arXiv 2505.01618) ask it of depth too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from harness.model.build import build_model
from harness.plan.spec import RunSpec
from harness.train.optimizer import build_optimizer

ACTIVATIONS = {
    "embedding": "the residual stream before the first block",
    "blocks": "what all blocks add to the residual stream",
    "scores": "attention scores of the last block",
    "residual": "the residual stream after the last block",
    "logits": "the head's output",
}


@dataclass(frozen=True)
class Coordinate:
    """One activation after one step.

    Attributes:
        step: optimizer steps done; 0 is the initial model.
        activation: a key of :data:`ACTIVATIONS`.
        size: root mean square over tokens and coordinates.
        change: root mean square of its difference from the initial model's.
    """

    step: int
    activation: str
    size: float
    change: float


def coordinates(spec: RunSpec, batches: Sequence[Tensor]) -> list[Coordinate]:
    """Train ``spec``'s model for ``len(batches)`` steps and measure its activations on the first batch after each.

    Every step is at the peak learning rates: a schedule's warm-up would hide what they do.

    Args:
        batches: token ids, (sequences, seq_len + 1) each.
    """
    model = build_model(spec.shape, spec.init_std, spec.seed, spec.forward, spec.scale)
    optimizer = build_optimizer(model, spec)
    probe = batches[0][:, :-1]
    first = activations(model, probe)
    found = _measured(0, first, first)
    for step, batch in enumerate(batches, start=1):
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        functional.cross_entropy(logits.flatten(0, 1).float(), batch[:, 1:].flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), spec.optimizer.grad_clip or math.inf)
        optimizer.step(1.0)
        optimizer.zero_grad()
        found += _measured(step, activations(model, probe), first)
    return found


def _measured(step: int, now: Mapping[str, Tensor], first: Mapping[str, Tensor]) -> list[Coordinate]:
    return [
        Coordinate(step, name, _root_mean_square(value), _root_mean_square(value - first[name]))
        for name, value in now.items()
    ]


def _root_mean_square(value: Tensor) -> float:
    return float(value.double().square().mean().sqrt())


def activations(model: PreTrainedModel, tokens: Tensor) -> dict[str, Tensor]:
    """Those of :data:`ACTIVATIONS` at ``tokens`` (sequences, length); scores are those of tokens and what they see."""
    blocks = _blocks(model)
    seen: dict[str, Tensor] = {}

    def entering(_: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen["embedding"] = inputs[0] if inputs else named["hidden_states"]

    def leaving(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        seen["residual"] = output[0] if isinstance(output, tuple) else output

    hooks = [
        blocks[0].register_forward_pre_hook(entering, with_kwargs=True),
        blocks[-1].register_forward_hook(leaving),
    ]
    try:
        with torch.no_grad(), _Scores() as attention:
            logits = model(input_ids=tokens, use_cache=False).logits
    finally:
        for hook in hooks:
            hook.remove()
    return {
        "embedding": seen["embedding"],
        "blocks": seen["residual"] - seen["embedding"],
        "scores": attention.last(),
        "residual": seen["residual"],
        "logits": logits,
    }


def _blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The model's blocks: the list of as many modules as its configuration has layers."""
    depth = model.config.get_text_config().num_hidden_layers
    return next(
        module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == depth
    )


class _Scores(TorchFunctionMode):
    """Sees the queries and keys, positions turned into them, of every attention computed within it."""

    def __init__(self) -> None:
        super().__init__()
        self._products: tuple[Tensor, Tensor, float | None] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            given = {**dict(zip(("query", "key"), args, strict=False)), **named}
            self._products = given["query"], given["key"], named.get("scale")
        return func(*args, **named)

    def last(self) -> Tensor:
        """The scores of the last attention, of the pairs that a causal mask leaves, (sequences, heads, pairs)."""
        assert self._products is not None, "the model's attention is scaled_dot_product_attention"
        query, key, scale = self._products
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        return scores[..., torch.ones(scores.shape[-2:], dtype=torch.bool).tril()]


def slopes(scales: Sequence[float], changes: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The exponent of each activation's change in the width or depth, by least squares of logarithms.

    Args:
        scales: widths or depths. changes: of each activation, as many; positive.
    """
    x = np.log(np.asarray(scales, dtype=float))
    return {name: float(np.polyfit(x, np.log(values), 1)[0]) for name, values in changes.items()}
