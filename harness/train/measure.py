"""Counts read off a model that has no memory: for families whose formulas are not known in advance."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UserError
from harness.plan.flops import ForwardFlops
from harness.plan.params import Params
from harness.plan.shape import Shape
from harness.train.model import meta_model


def params_of(shape: Shape) -> Params:
    """Parameters of the built model by group; see :class:`harness.plan.params.Params` for what each holds.

    Raises:
        UserError: the model cannot be built, or its vocabulary matrices cannot be told from the others.
    """
    model = meta_model(shape)
    embeddings = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    head = model.get_output_embeddings()
    if head is None:
        raise UserError(
            f"model.family: cannot find the output head of {type(model).__name__}, so cannot count it"
        )
    if tuple(head.weight.shape) != (shape.vocab_size, shape.width):
        raise UserError(
            f"model.family: the head of {type(model).__name__} is not vocab_size by width: cannot count it"
        )
    stored = {id(p): p for p in model.parameters()}
    rest = [p for key, p in stored.items() if key not in embeddings and key != id(head.weight)]
    tied = id(head.weight) in embeddings
    return Params(
        embedding=sum(e.numel() for e in embeddings.values()),
        head=0 if tied else head.weight.numel(),
        matrices=sum(p.numel() for p in rest if p.ndim > 1),
        norms=sum(p.numel() for p in rest if p.ndim <= 1),
        vocab_matrix=head.weight.numel(),
    )


def forward_flops_of(shape: Shape, seq_len: int) -> ForwardFlops:
    """Forward FLOPs of one sequence: products as torch counts them, look-up and softmax as Appendix F does.

    Products with weights grow as the length, those of attention as its square: two lengths tell them apart,
    however the family computes them. Attention is split evenly into scores and reduction; which block matrix
    the rest belongs to is the family's own affair, so it is in ``other``. The softmax assumes ``shape.heads``
    heads in every layer.

    Raises:
        UserError: the model does not run without data (mixtures of experts route by value).
    """
    s = seq_len
    once, twice = sum(count_products(shape, s).values()), sum(count_products(shape, 2 * s).values())
    attention = (twice - 2 * once) // 2
    logits = 2 * s * shape.width * shape.vocab_size
    return ForwardFlops(
        embedding=2 * s * shape.vocab_size * shape.width,
        qkv=0,
        scores=attention / 2,
        softmax=shape.layers * 3 * shape.heads * s**2 if attention else 0,
        reduction=attention / 2,
        output=0,
        ffw=0,
        logits=logits,
        other=once - attention - logits,
    )


def count_products(shape: Shape, seq_len: int, backward: bool = False) -> dict[str, int]:
    """FLOPs of one sequence's matrix products by torch operator, attention in full, by torch's own counter.

    Args:
        backward: count the backward pass too.
    """
    model: Any = meta_model(shape)
    tokens = torch.zeros(1, seq_len, dtype=torch.long, device="meta")
    try:
        with FlopCounterMode(display=False) as counter:
            logits = model(input_ids=tokens, use_cache=False).logits
            if backward:
                logits.sum().backward()
    except (RuntimeError, NotImplementedError) as e:
        raise UserError(
            f"model.family: {type(model).__name__} does not run without data, so its FLOPs cannot be counted "
            f"({str(e).splitlines()[0] if str(e) else type(e).__name__}); choose another family"
        ) from e
    return {str(op): int(n) for op, n in counter.get_flop_counts().get("Global", {}).items()}
