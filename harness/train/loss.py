"""The training loss of a batch, with or without its logits in memory.

The logits of a large vocabulary are the largest tensors of a small model's step. Three ways lead to the same loss:
whole (all logits of a micro-batch), chunked (some tokens at a time, logits made again for the backward pass: a third
more of the head's FLOPs, any device), and Liger's fused kernel (Hsu et al. 2024, arXiv 2410.10989: gradients made in
the forward pass, CUDA). Loss and gradients of the other two were compared with the whole on a CPU, Liger's kernel there
in Triton's interpreter, and on an H100 (results/one_gpu/evidence.md, test_vocabulary). torch's own
``linear_cross_entropy`` (2.13) is not used: it returns a bfloat16 sum for bfloat16 input, 5% off on 4,000 tokens.
"""

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from harness.errors import UserError
from harness.train.config import TrainConfig

LARGE_VOCABULARY = (
    16_384  # from here on "auto" takes the fused kernel; below it the logits are small beside the rest
)
LOGITS_BYTES = 2**28  # of float32 logits in a chunk
NO_TARGET = -100  # a token id that is none: nothing is predicted there (torch's and Liger's ignore_index)

HeadLoss = Callable[[Tensor, Tensor, Tensor | None, Tensor], Tensor]
"""From hidden states (tokens, width), the head's weight (V, width), its bias (V,) or None, and targets (tokens,) to
the summed loss in nats, float32."""


class WholeLoss(nn.Module):
    """The loss by way of all logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, sequences: Tensor) -> Tensor:
        """See :class:`NextTokenLoss`."""
        inputs, targets = _split(sequences)
        return _sum_loss(self.model(input_ids=inputs, use_cache=False).logits.flatten(0, 1), targets)


class HeadlessLoss(nn.Module):
    """The loss by way of hidden states: ``head_loss`` makes logits of them as it sees fit."""

    def __init__(
        self, body: nn.Module, head: nn.Linear, head_loss: HeadLoss, multiplier: float = 1.0
    ) -> None:
        """``multiplier`` is that of the logits."""
        super().__init__()
        self.body, self.head, self._head_loss, self._multiplier = body, head, head_loss, multiplier

    def forward(self, sequences: Tensor) -> Tensor:
        """See :class:`NextTokenLoss`."""
        inputs, targets = _split(sequences)
        hidden = self.body(input_ids=inputs, use_cache=False).last_hidden_state
        if self._multiplier != 1:
            hidden = hidden * self._multiplier
        return self._head_loss(hidden.flatten(0, 1), self.head.weight, self.head.bias, targets)


class NextTokenLoss(nn.Module):
    """Sequences of token ids (sequences, seq_len + 1) in, the summed loss of their predicted tokens out, nats.

    A shell for Accelerate, which replaces the method ``forward`` of what it wraps, as a compiled module will not have
    it. Tokens that are :data:`NO_TARGET` are not predicted, and stand for any token where they are read.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, sequences: Tensor) -> Tensor:
        """Scalar, float32."""
        loss: Tensor = self.inner(sequences)
        return loss


def next_token_loss(
    model: PreTrainedModel, config: TrainConfig, cuda: bool, compiled: Callable[[nn.Module], nn.Module]
) -> NextTokenLoss:
    """The loss of ``model`` as ``config.logits`` says; ``compiled`` is what compiles a module where that is wanted.

    Whole logits are compiled with their loss, which then needs no memory for the steps between.

    Raises:
        UserError: a way is asked for that this machine or the family cannot go.
    """
    way = config.logits
    if way == "auto":
        large = model.config.get_text_config().vocab_size >= LARGE_VOCABULARY
        way = "liger" if cuda and large and find_spec("liger_kernel") and linear_head(model) else "whole"
    elif way == "liger" and not (cuda and find_spec("liger_kernel")):
        raise UserError(
            "train.logits: liger needs CUDA and its package (pip install 'isoflop[cuda]'); use chunked or auto"
        )
    if way == "whole":
        return NextTokenLoss(compiled(WholeLoss(model)))
    found = linear_head(model)
    if found is None:
        raise UserError(
            f"train.logits: {type(model).__name__} does more to its logits than multiply by the head, so they cannot "
            f"be {way}; use whole or auto"
        )
    head, multiplier = found
    head_loss = liger_loss if way == "liger" else chunked_loss
    return NextTokenLoss(HeadlessLoss(compiled(model.base_model), head, head_loss, multiplier))


def linear_head(model: PreTrainedModel) -> tuple[nn.Linear, float] | None:
    """The head and a multiplier, where the logits are its output times that, and its input the last hidden state.

    None for families that cap logits, keep another layer in between, or multiply the sum of products and biases. Found
    by looking, not by name: the head's output is replaced on its way out by numbers that no cap would leave alone.
    """
    head = model.get_output_embeddings()
    if type(head) is not nn.Linear or model.base_model is model:
        return None
    seen: dict[str, Tensor] = {}

    def replaced(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        seen["input"] = inputs[0]
        seen["output"] = torch.linspace(-100, 100, output.numel(), device=output.device).view_as(output)
        return seen["output"]

    tokens = torch.tensor([[0, 1]], device=head.weight.device)
    hook = head.register_forward_hook(replaced)
    try:
        with torch.no_grad():
            hidden = model.base_model(input_ids=tokens, use_cache=False).last_hidden_state
            logits = model(input_ids=tokens, use_cache=False).logits
    finally:
        hook.remove()
    if not seen or not torch.equal(seen["input"], hidden) or logits.shape != seen["output"].shape:
        return None
    if torch.equal(seen["output"], logits):
        return head, 1.0
    multiplier = float(logits.flatten()[-1].double() / seen["output"].flatten()[-1].double())
    linear = torch.allclose(logits, seen["output"] * multiplier, rtol=1e-5, atol=0)
    return (head, multiplier) if linear and head.bias is None else None


def _split(sequences: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs (sequences, seq_len) and targets (tokens,)."""
    return sequences[:, :-1].clamp(min=0), sequences[:, 1:].flatten()


def _sum_loss(logits: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(logits.float(), targets, reduction="sum", ignore_index=NO_TARGET)


def chunked_loss(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """A :data:`HeadLoss` that holds the logits of some tokens at a time."""
    tokens = max(1, LOGITS_BYTES // (4 * len(weight)))
    total = torch.zeros((), device=hidden.device)
    for h, t in zip(hidden.split(tokens), targets.split(tokens), strict=True):
        total = total + checkpoint(_chunk, h, weight, bias, t, use_reentrant=False)
    return total


def _chunk(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    return _sum_loss(functional.linear(hidden, weight, bias), targets)


@torch.compiler.disable
def liger_loss(hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
    """A :data:`HeadLoss` by Liger's fused kernel; the head's gradient is summed up in float32."""
    # an optional package
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    loss: Tensor = liger_fused_linear_cross_entropy(
        hidden, weight, targets, bias=bias, reduction="sum", accum_dtype=torch.float32
    )
    return loss
