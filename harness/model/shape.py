"""The shape of one decoder, all that the counts of parameters and FLOPs depend on, and the families that realise it.

Pure data: nothing here imports transformers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd
from typing import Any

from harness.bounds import bounded, check_bounds, suggested
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
        rotary_argument: the argument of the configuration class that says another share, where there is one.
        measured: nothing is known in advance: its counts are read from a model built without memory.
        multipliers: its configuration has multipliers of residual branches, attention scores and logits.
        residual_outputs: parts of the names of the modules whose output is added to the residual stream.
        query_inputs: parts of the names of the modules whose scale is that of the attention scores.
        initialised_by_depth: initial values of ``residual_outputs`` are divided by the root of twice the depth.
        fused_qkv: queries, keys and values come from one matrix.
        unlisted_arguments: what the class or the model's code reads though the class does not list it.
        uncounted: arguments of the configuration class that change neither a count nor what a token attends to: a
            shape with no other options is not ``measured``.
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
    rotary_argument: str = ""
    measured: bool = False
    multipliers: bool = False
    residual_outputs: tuple[str, ...] = ()
    query_inputs: tuple[str, ...] = ()
    initialised_by_depth: bool = False
    fused_qkv: bool = False
    unlisted_arguments: frozenset[str] = frozenset()
    uncounted: frozenset[str] = frozenset()

    def least_head_dim(self, options: Mapping[str, Any]) -> int:
        """What ``head_dim`` must be a multiple of with these ``options``, for whole pairs of coordinates to be turned.

        Raises:
            UserError: the share of them is none.
        """
        share = options.get(self.rotary_argument)
        if share is None:
            return self.head_dim_multiple
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise UserError(
                f"model.options.{self.rotary_argument}: must be above 0 and at most 1, got {share!r}"
            )
        turned = Fraction(share).limit_denominator(1000)
        return 2 * turned.denominator // gcd(turned.numerator, 2)


FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Family(
            "llama",
            "LlamaConfig",
            width_multiple_of_heads=True,
            head_dim_multiple=2,
            residual_outputs=(".o_proj.", ".down_proj."),
            query_inputs=(".q_proj.",),
        ),
        Family(
            "granite",
            "GraniteConfig",
            head_dim_multiple=2,
            multipliers=True,
            unlisted_arguments=frozenset({"head_dim"}),
        ),
        Family(
            "qwen3",
            "Qwen3Config",
            qk_norm=True,
            head_dim_multiple=2,
            residual_outputs=(".o_proj.", ".down_proj."),
            query_inputs=(".q_norm.",),
        ),
        Family(
            "gpt2",
            "GPT2Config",
            gated=False,
            learned_positions=True,
            biases=True,
            grouped_queries=False,
            free_heads=False,
            residual_outputs=(".c_proj.",),
            initialised_by_depth=True,
            fused_qkv=True,
        ),
        Family(
            "gpt_neox",
            "GPTNeoXConfig",
            gated=False,
            biases=True,
            grouped_queries=False,
            free_heads=False,
            head_dim_multiple=8,
            rotary_argument="rotary_pct",
            residual_outputs=(".attention.dense.", ".dense_4h_to_h."),
            fused_qkv=True,
            unlisted_arguments=frozenset({"rotary_pct"}),
            uncounted=frozenset({"rotary_pct", "use_parallel_residual"}),
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

    family: str = suggested("llama", FAMILIES)
    tied: bool = False
    queries_per_kv: int = bounded(1, 1, 4096)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_bounds(self, "model")


_DIMENSIONS = ("vocab_size", "width", "layers", "heads", "head_dim", "ffw", "kv_heads", "context")


@dataclass(frozen=True)
class Shape:
    """A decoder-only transformer's dimensions, in the notation of Hoffmann et al. 2022, Table A9.

    Attributes:
        family: which transformers family realises it (``llama``, ``granite``, ``qwen3``, ``gpt2``,
            ``gpt_neox``, or a configuration class by name; see ``harness.model.shape``).
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
        multiple = f.least_head_dim(_parse_options(self.options))
        if self.head_dim % multiple:
            raise UserError(
                f"shape: {f.name} needs a head_dim that is a multiple of {multiple}, got {self.head_dim}"
            )

    @property
    def traits(self) -> Family:
        """The family's data."""
        return find_family(self.family)

    @property
    def measured(self) -> bool:
        """Whether the counts come from the built model, because no formula here is known to hold for it."""
        return self.traits.measured or not _parse_options(self.options).keys() <= self.traits.uncounted

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
