"""Parameters of a shape, by named group, exactly as the built model has them."""

from dataclasses import dataclass

from harness.errors import UserError
from harness.plan.shape import Shape

PARAM_COUNTS: dict[str, str] = {
    "total": "every parameter the model stores (Hoffmann et al. 2022: N includes the embeddings)",
    "non_embedding": "without token and position embeddings and without the head (Kaplan et al. 2020)",
    "matrices_and_head": "what a token is multiplied by: block matrices and the head (Porian et al. 2024)",
}


def known_count(column: str) -> str:
    """The count in a table's column of sizes (``params``, ``params_non_embedding``): ``total`` where it is unknown."""
    name = column.removeprefix("params_")
    return name if name in PARAM_COUNTS else "total"


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


def count_params(shape: Shape) -> Params:
    """Parameters of ``shape``; closed form for the known families, read off the built model for any other.

    Raises:
        UserError: the configuration class of an unknown family cannot be built.
    """
    if shape.measured:
        from harness.plan.measured import measure_params

        return measure_params(shape)
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
