"""Counts read off a model that is built without memory, on torch's meta device: for families without formulas."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from harness.errors import UserError
from harness.model.build import meta_model
from harness.model.formulas import ForwardFlops, Params
from harness.model.groups import grouped_parameters
from harness.model.parametrization import GROUPS
from harness.model.shape import Shape

_WITH_SUMMAND = (torch.ops.aten.addmm, torch.ops.aten.baddbmm)
"""Products whose first argument is added to them."""


def measure_params(shape: Shape) -> Params:
    """Parameters of the built model by group; see :class:`harness.model.formulas.Params` for what each holds.

    Raises:
        UserError: the model cannot be built, or its vocabulary matrices cannot be told from the others.
    """
    model = meta_model(shape)
    head = model.get_output_embeddings()
    if head is None:
        raise UserError(
            f"model.family: cannot find the output head of {type(model).__name__}, so cannot count it"
        )
    if tuple(head.weight.shape) != (shape.vocab_size, shape.width):
        raise UserError(
            f"model.family: the head of {type(model).__name__} is not vocab_size by width: cannot count it"
        )
    groups = dict.fromkeys(GROUPS, 0)
    for one in grouped_parameters(model):
        groups[one.group] += one.parameter.numel()
    return Params(**groups, vocab_matrix=head.weight.numel())


def measure_matrices(shape: Shape) -> tuple[tuple[int, int, int], ...]:
    """Rows, columns and number of the built model's block matrices."""
    found = Counter(
        tuple(one.parameter.shape)
        for one in grouped_parameters(meta_model(shape))
        if one.group == "matrices" and one.parameter.ndim == 2
    )
    return tuple((rows, columns, number) for (rows, columns), number in found.items())


def measure_forward_flops(shape: Shape, seq_len: int) -> ForwardFlops:
    """Forward FLOPs of one sequence: products as torch counts them, embedding and softmax as Appendix F does.

    Products with a parameter and products of two activations (attention) are told apart by their factors, however
    the family computes them. Attention is split evenly into scores and reduction; which block matrix the rest
    belongs to is the family's own affair, so it is in ``other``. The softmax assumes ``shape.heads`` heads in every
    layer.

    Raises:
        UserError: the model does not run without data (mixtures of experts route by value), leaves matrices unused,
            or is not made of products with weights, which grow as the length, and attention, as its square. Those of
            a recurrence do not: how it is cut into chunks, and whether by products at all, is the library's choice.
    """
    s = seq_len
    once, twice = count_products(shape, s), count_products(shape, 2 * s)
    if twice.weights != 2 * once.weights or twice.attention != 4 * once.attention:
        raise UserError(
            f"model.family: the products of {shape.traits.config_class} grow neither as the length nor, in attention, "
            f"as its square (from {s} to {2 * s} tokens), so its FLOPs cannot be counted; choose another family"
        )
    logits = 2 * s * shape.width * shape.vocab_size
    return ForwardFlops(
        embedding=2 * s * shape.vocab_size * shape.width,
        qkv=0,
        scores=once.attention / 2,
        softmax=shape.layers * 3 * shape.heads * s**2 if once.attention else 0,
        reduction=once.attention / 2,
        output=0,
        ffw=0,
        logits=logits,
        other=once.weights - logits,
    )


@dataclass(frozen=True)
class Products:
    """Forward FLOPs of one sequence's products; attention in full."""

    weights: int
    attention: int

    @property
    def total(self) -> int:
        """Both."""
        return self.weights + self.attention


def count_products(shape: Shape, seq_len: int) -> Products:
    """What :class:`ProductCounter` counts in one sequence's forward pass.

    Raises:
        UserError: the model does not run without data, runs in part without gradients, or has matrices that take
            part in no product known to torch's counter.
    """
    model: Any = meta_model(shape)
    name = type(model).__name__
    tokens = torch.zeros(1, seq_len, dtype=torch.long, device="meta")
    try:
        with torch.enable_grad(), ProductCounter() as counter:
            model(input_ids=tokens, use_cache=False)
    except Exception as e:  # a family's code raises whatever it likes where it misses values
        raise UserError(
            f"model.family: {name} does not run without data, so its FLOPs cannot be counted "
            f"({str(e).splitlines()[0] if str(e) else type(e).__name__}); choose another family"
        ) from e
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    unused = [
        key
        for key, p in model.named_parameters()
        if p.ndim > 1 and id(p) not in counter.factors and id(p) not in embeddings
    ]
    if unused:
        raise UserError(
            f"model.family: {name} has {len(unused)} matrices, such as {unused[0]}, in no product that torch's counter "
            "knows, so its FLOPs cannot be counted; choose another family"
        )
    if counter.untrained:
        raise UserError(
            f"model.family: {name} runs in part without gradients, so its backward pass is not twice the forward "
            "pass, as FLOPs are counted here; choose another family"
        )
    return Products(counter.weights, counter.attention)


class ProductCounter(TorchDispatchMode):
    """Counts the FLOPs of a forward pass's products by torch's own formulas, where a parameter has a part in them.

    Products of constants are left out: the angles of rotary embeddings, the distances of ALiBi. One version of a
    library makes them by a matrix product, the next elementwise, once or for every sequence; the architecture is the
    same. Autograd tells them apart, whatever a family is and its modules are called: a product counts if one of its
    factors is a parameter or depends on one. So gradients have to be enabled.

    Attributes:
        weights: FLOPs of products with a parameter.
        attention: FLOPs of products of activations.
        factors: ``id`` of every parameter that was a factor.
        untrained: a product that counts was made with gradients disabled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weights = self.attention = 0
        self.factors: set[int] = set()
        self.untrained = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``, and count it if it is a product that counts."""
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        formula = flop_registry.get(packet)
        factors = [
            x if x._base is None else x._base  # a matrix comes transposed or in part: a view of its parameter
            for x in (args[1:] if packet in _WITH_SUMMAND else args)
            if isinstance(x, torch.Tensor) and x.requires_grad
        ]
        if formula is None or not factors:
            return out
        flops = int(formula(*args, **(kwargs or {}), out_val=out))
        parameters = {id(x) for x in factors if isinstance(x, nn.Parameter)}
        if parameters:
            self.weights += flops
        else:
            self.attention += flops
        self.factors |= parameters
        self.untrained |= not torch.is_grad_enabled()
        return out
