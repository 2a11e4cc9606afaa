"""How a process's part of a batch is cut into micro-batches, and what those and a run keep in memory."""

from dataclasses import replace
from math import ceil

from harness.model.shape import Shape
from harness.plan.spec import RunSpec
from harness.train.config import TrainConfig

# fp32 weights, gradients, two moments, and what comes and goes: a copy for a checkpoint on a CPU, autocast's copies of
# the weights and an optimizer's temporaries on a GPU
STATE_BYTES = 4 * (1 + 1 + 2 + 3)
# What a block keeps of a token for its backward pass, in numbers of the products' precision. Saved tensors of eager
# steps, counted on a CPU: at most 16 and 5 in float32, 20 and 5 under bf16 autocast (norms stay float32); llama, 12 to
# 14 and 4. Compiled steps keep a third less.
KEPT_OF_WIDTH, KEPT_OF_FFW = 20, 5
# Beyond this many a device executes even a model of a million parameters several times longer than the CPU takes to
# launch its kernels (some 450, microseconds each), so more tokens at once would gain nothing. By arithmetic; to be
# measured on a GPU.
MOST_TOKENS = 2**18
MOST_NUMBERS = 2**31 - 1  # in one tensor: kernels that count in 32 bits go no further
# Fewer tokens at once would waste most of a run's launches, so where a run cannot be given these (or this much of a
# wide model's) it shares no GPU. One alone needs about twice as many to fill a large GPU; beside another, half of it
# is enough.
ENOUGH_TOKENS, ENOUGH_BYTES = 2**14, 12 * 2**30
# Held-out text is scored so many tokens at a time (enough to fill a device), unless the vocabulary is large: their
# float32 logits take no more than this.
SCORED_TOKENS, LOGITS_BYTES = 2**14, 2**29
# The workspace of cuBLAS, which the allocator counts too: PyTorch gives it this much on a Hopper, a quarter before
WORKSPACE_BYTES = 2**25


def bytes_per_token(shape: Shape, bf16: bool) -> float:
    """Bytes of activations that a training step keeps of each token: an upper bound, of eager steps with all logits."""
    widest = max(shape.width, shape.heads * shape.head_dim)
    kept = shape.layers * (KEPT_OF_WIDTH * widest + KEPT_OF_FFW * shape.ffw)
    # the loss is float32, and its logits are there three times when the backward pass begins
    return (2 if bf16 else 4) * kept + 4 * 3 * shape.vocab_size


def is_bf16(spec: RunSpec, cuda: bool) -> bool:
    """Whether the run's products are bfloat16: ``auto`` is, on a GPU."""
    return spec.precision == "bf16" or (spec.precision == "auto" and cuda)


def run_bytes(config: TrainConfig, spec: RunSpec, params: int, sequences: int, cuda: bool) -> float:
    """Bytes of a run of ``params`` parameters that takes ``sequences`` at once: an upper bound, not a measurement."""
    activations = sequences * spec.seq_len * bytes_per_token(spec.shape, is_bf16(spec, cuda))
    pool = pool_bytes(spec, params) if cuda and config.compile in ("auto", "graphs") else 0.0
    return STATE_BYTES * params + activations + pool + (WORKSPACE_BYTES if cuda else 0)


def pool_bytes(spec: RunSpec, params: int) -> float:
    """What the private pool of CUDA graphs costs a run beside the activations that lie in it.

    The caching allocator hands no memory of a pool to anything else. A replay leaves the gradients in the pool, and
    where they are added up or copied they are outside once more; the evaluation, which is eager, needs memory of its
    own. Warm-up, forward and backward graphs share one pool, weights are used where they are, and the copy of a batch
    is small (torch/_inductor/cudagraph_trees.py).
    """
    tokens = spec.seq_len * scored_sequences(spec.seq_len, spec.shape.vocab_size)
    # without a backward pass a model holds what one of its blocks makes
    return 4 * params + tokens * bytes_per_token(replace(spec.shape, layers=1), is_bf16(spec, cuda=True))


def scored_sequences(length: int, vocab_size: int) -> int:
    """How many sequences of ``length`` tokens are scored together on any device: at least one."""
    return max(1, min(SCORED_TOKENS, LOGITS_BYTES // (4 * vocab_size)) // length)


def sequences_at_once(
    config: TrainConfig, spec: RunSpec, params: int, rows: int, available: float | None
) -> int:
    """How many of ``rows`` sequences a process takes at once: what ``config`` says, else as many as fit its GPU.

    Args:
        params: parameters of the model.
        available: bytes of the GPU that the run may take; None on a CPU, which takes all rows.
    """
    if config.micro_batch or available is None:
        return min(rows, config.micro_batch or rows)
    room = available - run_bytes(config, spec, params, 0, cuda=True)
    most = min(MOST_TOKENS, MOST_NUMBERS // max(spec.shape.vocab_size, spec.shape.ffw))
    tokens = min(most, room / bytes_per_token(spec.shape, is_bf16(spec, cuda=True)))
    return max(1, min(rows, int(tokens // spec.seq_len)))


def enough_sequences(config: TrainConfig, spec: RunSpec) -> int:
    """How many sequences a run must be able to take at once on a GPU that it shares."""
    if config.micro_batch:
        return min(spec.batch_sequences, config.micro_batch)
    wide = ENOUGH_BYTES / bytes_per_token(spec.shape, is_bf16(spec, cuda=True))
    return max(1, min(spec.batch_sequences, int(min(ENOUGH_TOKENS, wide) // spec.seq_len)))


def pieces(rows: range, at_once: int) -> list[range]:
    """``rows`` in as few pieces of at most ``at_once`` as can be, all of one length but the last, which may be shorter.

    Of nearly one length rather than full ones and a rest: what the last lacks is filled up, and costs.
    """
    length = ceil(len(rows) / ceil(len(rows) / at_once))
    return [rows[start : start + length] for start in range(0, len(rows), length)]
