"""The shape of one decoder: everything the counts of parameters and FLOPs depend on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import UserError
from harness.model.family import Family, find_family

_DIMENSIONS = ("vocab_size", "width", "layers", "heads", "head_dim", "ffw", "kv_heads", "context")


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer's dimensions, in the notation of Hoffmann et al. 2022, Table A9.

    Attributes:
        family: which transformers family realises it (``llama``, ``gpt2``, ``gpt_neox``, ``qwen3``, or a
            configuration class by name; see ``harness.model.family``).
        vocab_size: V, rows of the embedding.
        width: d_model.
        layers: number of blocks.
        heads: query heads.
        head_dim: key_size; ``heads * head_dim`` need not equal ``width`` where the family allows it.
        ffw: hidden width of the feed-forward block.
        kv_heads: key/value heads (grouped-query attention); equal to ``heads`` for multi-head attention.
        tied: whether the output head shares the embedding's matrix.
        context: the longest sequence; counts only for families with learned positions.
        options: further arguments of the configuration class as canonical JSON (:func:`canonical_options`);
            text, so that shapes compare, hash and serialise.

    Raises:
        UserError: a dimension is below 1, or the family cannot take this shape.
    """

    family: str
    vocab_size: int
    width: int
    layers: int
    heads: int
    head_dim: int
    ffw: int
    kv_heads: int
    tied: bool
    context: int
    options: str = ""

    def __post_init__(self) -> None:
        for name in _DIMENSIONS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(f"shape: {name} must be a whole number of at least 1, got {value!r}")
        if self.heads % self.kv_heads:
            raise UserError(f"shape: heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        # The canonical form is part of a run's identity: the same options must never hash to two runs.
        object.__setattr__(self, "options", canonical_options(_parse_options(self.options)))
        self._check_family()

    def _check_family(self) -> None:
        f = self.traits
        if not f.grouped_queries and self.kv_heads != self.heads:
            raise UserError(
                f"shape: {f.name} has no grouped-query attention, so kv_heads ({self.kv_heads}) must equal "
                f"heads ({self.heads}); set model.queries_per_kv=1"
            )
        if not f.free_heads and self.heads * self.head_dim != self.width:
            raise UserError(
                f"shape: {f.name} needs heads * head_dim = width, got {self.heads} * {self.head_dim} "
                f"against {self.width}"
            )
        if f.width_multiple_of_heads and self.width % self.heads:
            raise UserError(
                f"shape: {f.name} needs a width that is a multiple of heads, got {self.width}, {self.heads}"
            )
        if self.head_dim % f.head_dim_multiple:
            raise UserError(
                f"shape: {f.name} needs a head_dim that is a multiple of {f.head_dim_multiple}, "
                f"got {self.head_dim}"
            )

    @property
    def traits(self) -> Family:
        """The family's data."""
        return find_family(self.family)

    @property
    def measured(self) -> bool:
        """Whether the counts come from the built model, because no formula here is known to hold for it."""
        return self.traits.measured or bool(self.options)

    @property
    def label(self) -> str:
        """A short name for tables: ``64x2`` is width 64, 2 layers."""
        return f"{self.width}x{self.layers}"


def canonical_options(options: Mapping[str, Any]) -> str:
    """One text for equal options: sorted compact JSON, empty for none.

    Raises:
        UserError: a value is not plain data.
    """
    if not options:
        return ""
    try:
        return json.dumps(dict(options), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as e:
        raise UserError(f"model.options: only numbers, text, lists and mappings are possible ({e})") from e


def _parse_options(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        options = json.loads(text)
    except (TypeError, ValueError) as e:
        raise UserError(f"shape: options must be JSON text, got {text!r}") from e
    if not isinstance(options, dict):
        raise UserError(f"shape: options must be a JSON object, got {text!r}")
    return options
