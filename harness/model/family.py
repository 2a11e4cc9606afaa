"""The transformer families that can be built: pure data, shared by the counts and the model."""

from dataclasses import dataclass, field
from typing import Any

from harness.errors import UserError


@dataclass(frozen=True)
class Family:
    """The traits of one family that parameters and FLOPs depend on, and the shapes it can take.

    Attributes:
        name: what a config calls it.
        config_class: the transformers configuration class that realises it.
        gated: three feed-forward matrices (SwiGLU: gate, up, down) where False means two (GELU).
        learned_positions: one vector per position, ``context`` of them.
        biases: linear layers of the blocks and the norms carry biases (the head never does).
        qk_norm: a norm over each head's queries and keys.
        grouped_queries: may have fewer key/value heads than query heads.
        free_heads: ``heads * head_dim`` may differ from ``width``.
        width_multiple_of_heads: refuses any other width, even where the heads are free.
        head_dim_multiple: rotary embeddings turn pairs of coordinates; GPT-NeoX turns a quarter of each head.
        measured: nothing is known in advance: its counts are read from a model built without memory.
    """

    name: str
    config_class: str
    gated: bool = True
    learned_positions: bool = False
    biases: bool = False
    qk_norm: bool = False
    grouped_queries: bool = True
    free_heads: bool = True
    width_multiple_of_heads: bool = False
    head_dim_multiple: int = 1
    measured: bool = False


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family("llama", "LlamaConfig", width_multiple_of_heads=True, head_dim_multiple=2),
        Family("qwen3", "Qwen3Config", qk_norm=True, head_dim_multiple=2),
        Family(
            "gpt2",
            "GPT2Config",
            gated=False,
            learned_positions=True,
            biases=True,
            grouped_queries=False,
            free_heads=False,
        ),
        Family(
            "gpt_neox",
            "GPTNeoXConfig",
            gated=False,
            biases=True,
            grouped_queries=False,
            free_heads=False,
            head_dim_multiple=8,
        ),
    )
}


def find_family(name: str) -> Family:
    """The family called ``name``; any transformers configuration class by its own name (``MistralConfig``).

    Raises:
        UserError: ``name`` is neither.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    if name.endswith("Config") and name.isidentifier():
        return Family(name, name, measured=True)
    raise UserError(
        f"model.family: no family {name!r}; choose one of {', '.join(sorted(FAMILIES))}, "
        "or name a transformers configuration class such as MistralConfig"
    )


@dataclass
class ModelConfig:
    """What a model config chooses beside the dimensions, which a ladder gives.

    Attributes:
        family: one of :data:`FAMILIES`, or a transformers configuration class by name.
        tied: the output head shares the embedding's matrix.
        queries_per_kv: query heads per key/value head; where it does not divide a shape's heads, the largest
            smaller number that does is taken.
        options: further arguments of the configuration class, passed as they are.
    """

    family: str = "llama"
    tied: bool = False
    queries_per_kv: int = 1
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.queries_per_kv < 1:
            raise UserError(f"model.queries_per_kv: must be at least 1, got {self.queries_per_kv}")
