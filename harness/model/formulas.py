"""Parameters and forward FLOPs by part, and their closed form for the known families."""

from dataclasses import dataclass, fields, replace

from harness.errors import UserError
from harness.model.shape import Shape

PARAM_COUNTS: dict[str, str] = {
    "total": "every parameter the model stores (Hoffmann et al. 2022: N includes the embeddings)",
    "non_embedding": "without token and position embeddings and without the head (Kaplan et al. 2020)",
    "matrices_and_head": "what a token is multiplied by: block matrices and the head (Porian et al. 2024)",
}


@dataclass(frozen=True)
class Params:
    """Parameters by group; the four groups add up to the model's stored total.

    Attributes:
        embedding: token embedding and learned positions.
        head: the output matrix; 0 where it is tied to the embedding, so that nothing is counted twice.
        matrices: attention and feed-forward matrices of all blocks.
        norms: everything one-dimensional: norm gains and all biases.
        vocab_matrix: V * width, the matrix that makes the logits, tied or not. Not a group.
    """

    embedding: int
    head: int
    matrices: int
    norms: int
    vocab_matrix: int

    @property
    def total(self) -> int:
        """N of Hoffmann et al. 2022: all of them."""
        return self.embedding + self.head + self.matrices + self.norms

    @property
    def non_embedding(self) -> int:
        """N of Kaplan et al. 2020, section 2.1: no vocabulary or position embedding.

        Their head is tied, so it is left out there; an untied one is left out too, or the same network would
        change its count by how its weights are stored. They drop norms and biases as negligible; in models of
        a few thousand parameters they are not, so here they stay.
        """
        return self.matrices + self.norms

    @property
    def matrices_and_head(self) -> int:
        """Weights that take part in a matrix product once per token; the head's also where it is tied.

        Porian et al. 2024 count the head because its FLOPs are a large share of a small model's.
        """
        return self.matrices + self.vocab_matrix

    def count(self, name: str) -> int:
        """The count called ``name`` in :data:`PARAM_COUNTS`."""
        if name not in PARAM_COUNTS:
            raise UserError(f"count: no parameter count {name!r}; choose one of {', '.join(PARAM_COUNTS)}")
        value: int = getattr(self, name)
        return value

    def to_json(self) -> dict[str, int]:
        """The groups and the counts made of them, for plans and records."""
        groups = {
            "embedding": self.embedding,
            "head": self.head,
            "matrices": self.matrices,
            "norms": self.norms,
        }
        return groups | {name: self.count(name) for name in PARAM_COUNTS}


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of the forward pass of one sequence, a multiplication and an addition counted as two.

    Norms, activations, rotary embeddings, biases and residual sums are left out, as in Appendix F.

    Attributes:
        embedding: of the tokens, counted as a product with a one-hot matrix as the paper does.
        qkv: projections to queries, keys and values.
        scores: queries times keys.
        softmax: three operations per score.
        reduction: scores times values.
        output: projection of the heads back to the width.
        ffw: the two or three products of the feed-forward block.
        logits: the head.
        other: products of a measured model that no name above fits; 0 for the known families.
    """

    embedding: float
    qkv: float
    scores: float
    softmax: float
    reduction: float
    output: float
    ffw: float
    logits: float
    other: float = 0

    @property
    def total(self) -> float:
        """Sum of all parts."""
        return sum(getattr(self, f.name) for f in fields(self))

    @property
    def matrix_products(self) -> float:
        """What a profiler that knows matrix products and fused attention sees: no embedding, no softmax."""
        return self.total - self.embedding - self.softmax

    def causal(self) -> "ForwardFlops":
        """The same with half the attention: scores above the diagonal are never needed."""
        return replace(self, scores=self.scores / 2, softmax=self.softmax / 2, reduction=self.reduction / 2)


def formula_params(shape: Shape) -> Params:
    """Parameters of ``shape``, whose family is a known one."""
    family = shape.traits
    d, L, w = shape.width, shape.layers, shape.heads * shape.head_dim
    w_kv = shape.kv_heads * shape.head_dim
    vocab = shape.vocab_size * d

    attention = d * w + 2 * d * w_kv + w * d
    ffw = (3 if family.gated else 2) * d * shape.ffw

    block_gains = 2 * d + (2 * shape.head_dim if family.qk_norm else 0)
    norms = L * block_gains + d
    if family.biases:
        norms += L * 2 * d + d  # each gain above has its bias
        norms += L * (w + 2 * w_kv + d + shape.ffw + d)  # QKV, output, and the two of the feed-forward block

    return Params(
        embedding=vocab + (shape.context * d if family.learned_positions else 0),
        head=0 if shape.tied else vocab,
        matrices=L * (attention + ffw),
        norms=norms,
        vocab_matrix=vocab,
    )


def formula_forward_flops(shape: Shape, seq_len: int) -> ForwardFlops:
    """Forward FLOPs of one sequence of ``seq_len`` tokens (Hoffmann et al. 2022, Appendix F) in a known family.

    Fewer key/value heads make the projections smaller, not the scores: each query head meets every key.

    Raises:
        UserError: ``seq_len`` is longer than the positions the model has learned.
    """
    family = shape.traits
    if family.learned_positions and seq_len > shape.context:
        raise UserError(
            f"seq_len: {seq_len} is longer than the shape's context of {shape.context} learned positions"
        )
    s, d, V, L = seq_len, shape.width, shape.vocab_size, shape.layers
    w, w_kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return ForwardFlops(
        embedding=2 * s * V * d,
        qkv=L * 2 * s * d * (w + 2 * w_kv),
        scores=L * 2 * s * s * w,
        softmax=L * 3 * shape.heads * s * s,
        reduction=L * 2 * s * s * w,
        output=L * 2 * s * w * d,
        ffw=L * 2 * s * (3 if family.gated else 2) * d * shape.ffw,
        logits=2 * s * d * V,
    )


def formula_matrices(shape: Shape) -> tuple[tuple[int, int, int], ...]:
    """Rows, columns and number of the block matrices of ``shape``, whose family is a known one."""
    family, d, L = shape.traits, shape.width, shape.layers
    w, w_kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    attention = ((w + 2 * w_kv, d, L),) if family.fused_qkv else ((w, d, L), (w_kv, d, 2 * L))
    ffw = ((shape.ffw, d, 2 * L if family.gated else L), (d, shape.ffw, L))
    return (*attention, (d, w, L), *ffw)
