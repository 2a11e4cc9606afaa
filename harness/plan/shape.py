"""The shape of one decoder: everything the counts of parameters and FLOPs depend on."""

from dataclasses import dataclass

from harness.errors import UserError


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer's dimensions, in the notation of Hoffmann et al. 2022, Table A9.

    Attributes:
        family: which transformers family realises it (``llama``, ``gpt2``, ``gpt_neox``, ``qwen3``).
        vocab_size: V, rows of the embedding.
        width: d_model.
        layers: number of blocks.
        heads: query heads.
        head_dim: key_size; ``heads * head_dim`` need not equal ``width`` where the family allows it.
        ffw: hidden width of the feed-forward block.
        kv_heads: key/value heads (grouped-query attention); equal to ``heads`` for multi-head attention.
        tied: whether the output head shares the embedding's matrix.
        context: the longest sequence; counts only for families with learned positions.
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

    def __post_init__(self) -> None:
        for name in ("vocab_size", "width", "layers", "heads", "head_dim", "ffw", "kv_heads", "context"):
            value = getattr(self, name)
            if value < 1:
                raise UserError(f"shape: {name} must be at least 1, got {value}")
        if self.heads % self.kv_heads:
            raise UserError(f"shape: heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")

    @property
    def label(self) -> str:
        """A short name for tables: ``64x2`` is width 64, 2 layers."""
        return f"{self.width}x{self.layers}"
