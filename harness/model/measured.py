"""Counts of models that no formula here describes: handed in by the room that can build them.

Planning must work, and start quickly, without torch. Only a shape whose family is a bare configuration
class, or that carries extra options, needs the model; so the import waits until such a shape is counted.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

from harness.model.shape import Shape

if TYPE_CHECKING:
    from harness.model.counts import ForwardFlops, Params


@lru_cache(maxsize=4096)
def measure_params(shape: Shape) -> "Params":
    """Parameters by group, read off the model built on torch's meta device (no memory, no weights)."""
    from harness.model.measure import params_of

    return params_of(shape)


@lru_cache(maxsize=4096)
def measure_forward_flops(shape: Shape, seq_len: int) -> "ForwardFlops":
    """Forward FLOPs of one sequence, matrix products as torch's counter sees them on the meta device."""
    from harness.model.measure import forward_flops_of

    return forward_flops_of(shape, seq_len)
