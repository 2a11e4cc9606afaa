"""Parametrizations: how multipliers, initial variances, rates, epsilon and decay move with a model's width and depth.

Under ``standard`` nothing does, and a recipe's rules in N take its place. Under ``mup`` (Yang et al. 2022, arXiv
2203.03466) hyperparameters that are best at a base width are best at any; under ``completep`` (Dey et al. 2025, arXiv
2505.01618, with their alpha = 1) at any depth too. With m = width / base width and l = layers / base layers, for AdamW:

==============================  ==========  ==============================
                                mup         completep
==============================  ==========  ==============================
residual branches multiplied    1           1 / l
attention scores multiplied     sqrt(base head_dim) / head_dim in both
logits multiplied by            1 / m       1 / m
initial variance, matrices      1 / m       1 / m
learning rate, matrices         1 / m       1 / m
weight decay, matrices          m           m
epsilon, in blocks              1 / m       1 / (m l)
epsilon, outside of blocks      1 / m       1 / m
==============================  ==========  ==============================

All else stays as it is at the base: embedding, head, gains and biases keep their rates and initial variances. Decay is
per unit of learning rate here, as in torch, so the product of both stays the same.

Muon's update is orthogonal: what it does to the size of activations is its spectral norm (Yang, Simon & Bernstein 2023,
arXiv 2310.17813), which ``original`` keeps at the learning rate for a square matrix of any width, while
``match_rms_adamw`` lets it grow as the root of the width: so the matrices' rate scales by 1 and by 1 / sqrt(m).

A family whose configuration has the multipliers gets them there. In any other, a multiplier c before or behind a matrix
is the same as initial values and a learning rate c times as large, decay and epsilon 1 / c times: exactly so under
AdamW, because its steps do not depend on the size of the gradient, as long as no gradient is clipped: its norm is
another. Where there is no such matrix the family is refused, and so is a class of which nothing is known: it may have
multipliers of its own that follow the width.
"""

import re
from dataclasses import dataclass

from harness.bounds import bounded, check_bounds, one_of
from harness.errors import UserError
from harness.model.shape import Shape

KINDS = ("standard", "mup", "completep")
GROUPS = ("embedding", "head", "matrices", "norms")
"""The groups of a model's parameters, by which hyperparameters may differ (see ``harness.model.groups``)."""
IN_BLOCK = re.compile(r"\.\d+\.")  # the name of a block's parameter has the block's number in it


@dataclass
class ParametrizationConfig:
    """The configuration group ``parametrization``.

    Attributes:
        kind: one of :data:`KINDS`.
        base_width: width at which the recipe's hyperparameters hold as they are; 0: that of the ladder's shape nearest
            to the size at which the recipe's learning rate is given (``recipe.lr.params_at``).
        base_layers: depth at which they do; 0: that shape's.
        base_head_dim: size of an attention head there; 0: that of the ladder's shape of the base width.
    """

    kind: str = one_of("standard", KINDS)
    base_width: int = bounded(0, 0, 1_000_000)
    base_layers: int = bounded(0, 0, 100_000)
    base_head_dim: int = bounded(0, 0, 1_000_000)

    def __post_init__(self) -> None:
        check_bounds(self, "parametrization")


@dataclass(frozen=True)
class Parametrization:
    """A parametrization with its base; under ``standard`` there is none."""

    kind: str = "standard"
    base_width: int = 0
    base_layers: int = 0
    base_head_dim: int = 0

    @property
    def is_standard(self) -> bool:
        """Whether hyperparameters are what the recipe says, whatever the shape."""
        return self.kind == "standard"

    def width_ratio(self, shape: Shape) -> float:
        """m: the width over that of the base; 1 under ``standard``."""
        return 1.0 if self.is_standard else shape.width / self.base_width

    def depth_ratio(self, shape: Shape) -> float:
        """l: the depth over that of the base; 1 where depth changes nothing."""
        return shape.layers / self.base_layers if self.kind == "completep" else 1.0


def trained_as(family: str, kind: str) -> str:
    """The family whose computation models of ``family`` have under ``kind``: Granite without multipliers is Llama."""
    return "llama" if family == "granite" and kind == "standard" else family


@dataclass(frozen=True)
class Multipliers:
    """Factors in the forward pass.

    Attributes:
        residual: of what a block's attention and feed-forward parts add to the residual stream.
        attention: of the attention scores, over the usual ``1 / sqrt(head_dim)``.
        logits: of the head's output.
    """

    residual: float = 1.0
    attention: float = 1.0
    logits: float = 1.0


@dataclass(frozen=True)
class Scale:
    """Factors of one group of parameters: of peak learning rate, weight decay, AdamW's epsilon, initial values."""

    lr: float = 1.0
    weight_decay: float = 1.0
    eps: float = 1.0
    init: float = 1.0

    def times(self, other: "Scale") -> "Scale":
        """Both."""
        return Scale(
            self.lr * other.lr,
            self.weight_decay * other.weight_decay,
            self.eps * other.eps,
            self.init * other.init,
        )


def folded(multiplier: float) -> Scale:
    """The scale of a matrix that has a ``multiplier`` of its output in itself."""
    return Scale(multiplier, 1 / multiplier, 1 / multiplier, multiplier)


def multipliers(parametrization: Parametrization, shape: Shape) -> Multipliers:
    """The forward multipliers of ``shape``."""
    if parametrization.is_standard:
        return Multipliers()
    return Multipliers(
        residual=1 / parametrization.depth_ratio(shape),
        attention=(parametrization.base_head_dim / shape.head_dim) ** 0.5,
        logits=1 / parametrization.width_ratio(shape),
    )


def check_family(parametrization: Parametrization, shape: Shape) -> None:
    """Refuse a family that has no place for a multiplier that ``shape`` needs.

    Raises:
        UserError: which one, and what to choose instead.
    """
    family, wanted = shape.traits, multipliers(parametrization, shape)
    if family.multipliers or parametrization.is_standard:
        return
    kind = parametrization.kind
    use = "use model=granite, a Llama with multipliers"
    if family.measured:
        raise UserError(
            f"parametrization={kind}: what {family.name} multiplies by its width or depth is not known; {use}"
        )
    if wanted.logits != 1 and shape.tied:
        raise UserError(
            f"parametrization={kind}: {family.name}'s head is tied to the embedding, so its logits have no multiplier "
            f"of their own at width {shape.width}; set model.tied=false, or {use}"
        )
    if wanted.attention != 1 and not family.query_inputs:
        raise UserError(
            f"parametrization={kind}: {family.name} has no place for a multiplier of its attention scores at heads of "
            f"{shape.head_dim} (the base has {parametrization.base_head_dim}); keep head_dim the same in the ladder, "
            f"or {use}"
        )


def parameter_scale(
    parametrization: Parametrization, shape: Shape, name: str, group: str, muon: str | None = None
) -> Scale:
    """How the hyperparameters of one parameter differ from those of the base.

    Args:
        name: of the parameter in the model.
        group: its group (see ``harness.model.groups``).
        muon: the ``adjust_lr_fn`` of the Muon that steps it; None where AdamW does.
    """
    if parametrization.is_standard:
        return Scale()
    family, m, depth = shape.traits, parametrization.width_ratio(shape), parametrization.depth_ratio(shape)
    writes = any(part in name for part in family.residual_outputs)
    eps = 1 / (m * (depth if IN_BLOCK.search(name) else 1))
    scale = Scale(eps=eps)
    if group == "matrices":
        steps = m if muon is None else m**0.5 if muon == "match_rms_adamw" else 1.0
        scale = Scale(lr=1 / steps, weight_decay=steps, eps=eps, init=m**-0.5)
    if family.multipliers:
        return scale
    wanted = multipliers(parametrization, shape)
    if group == "head":
        scale = scale.times(folded(wanted.logits))
    if writes:
        # the parametrization's own multiplier takes the place of the family's division by the root of the depth
        scale = scale.times(folded(wanted.residual)).times(
            Scale(init=depth**0.5 if family.initialised_by_depth else 1.0)
        )
    if any(part in name for part in family.query_inputs):
        scale = scale.times(folded(wanted.attention))
    return scale
