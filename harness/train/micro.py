"""How a process's part of a batch is cut into micro-batches, and what a token of one keeps in memory."""

from math import ceil

from harness.plan.shape import Shape
from harness.plan.spec import RunSpec
from harness.train.config import TrainConfig

# Enough to fill a large GPU from about five million parameters up; twice as many would be no faster, only larger.
TOKENS_ON_CUDA = 32_768
# Of a wide model fewer tokens fill it, and this much beside its weights and moments leaves room on 40 GB.
ACTIVATIONS_ON_CUDA = 24 * 2**30
# What a block keeps of a token for its backward pass, in numbers of the products' precision. Saved tensors of eager
# steps, counted on a CPU: at most 16 and 5 in float32, 20 and 5 under bf16 autocast (norms stay float32); llama, 12 to
# 14 and 4. Compiled steps keep a third less.
KEPT_OF_WIDTH, KEPT_OF_FFW = 20, 5


def bytes_per_token(shape: Shape, bf16: bool) -> float:
    """Bytes of activations that a training step keeps of each token: an upper bound, of eager steps with all logits."""
    widest = max(shape.width, shape.heads * shape.head_dim)
    kept = shape.layers * (KEPT_OF_WIDTH * widest + KEPT_OF_FFW * shape.ffw)
    # the loss is float32, and its logits are there three times when the backward pass begins
    return (2 if bf16 else 4) * kept + 4 * 3 * shape.vocab_size


def is_bf16(spec: RunSpec, cuda: bool) -> bool:
    """Whether the run's products are bfloat16: ``auto`` is, on a GPU."""
    return spec.precision == "bf16" or (spec.precision == "auto" and cuda)


def windows_at_once(config: TrainConfig, spec: RunSpec, rows: int, cuda: bool) -> int:
    """How many of ``rows`` windows a device takes at once: what ``config`` says, else all, or what fills a GPU."""
    if config.micro_batch or not cuda:
        return min(rows, config.micro_batch or rows)
    fits = int(ACTIVATIONS_ON_CUDA / bytes_per_token(spec.shape, is_bf16(spec, cuda)))
    return max(1, min(rows, min(TOKENS_ON_CUDA, fits) // spec.seq_len))


def pieces(rows: range, at_once: int) -> list[range]:
    """``rows`` in as few pieces of at most ``at_once`` as can be, all of one length but the last, which may be shorter.

    Of nearly one length rather than full ones and a rest: what the last lacks is filled up, and costs.
    """
    length = ceil(len(rows) / ceil(len(rows) / at_once))
    return [rows[start : start + length] for start in range(0, len(rows), length)]
