"""The recipe: from a model's size and a token horizon to every hyperparameter of the run."""

from dataclasses import dataclass

from harness.model.counts import count_params
from harness.model.shape import Shape
from harness.plan.base import STANDARD, Base
from harness.plan.recipe_rules import OptimizerConfig, RecipeConfig, significant
from harness.plan.spec import GroupScales, Muon, Optimizer


@dataclass(frozen=True)
class Hyperparameters:
    """What a recipe says for one (N, D)."""

    optimizer: Optimizer
    groups: GroupScales
    batch_sequences: int
    warmup_tokens: float
    init_std: float


def apply_recipe(
    recipe: RecipeConfig,
    shape: Shape,
    tokens: float,
    seq_len: int,
    base: Base = STANDARD,
    optimizer: OptimizerConfig | None = None,
) -> Hyperparameters:
    """Every hyperparameter of a run of ``shape`` on about ``tokens`` tokens in sequences of ``seq_len``.

    A parametrization takes the place of the rules' dependence on the size: under any but ``standard``, learning rates,
    decay and initial values are those of the base. Batch, warm-up and beta2, of which none speaks, are those of
    ``shape``.

    Args:
        optimizer: None is AdamW for all parameters.

    Raises:
        UserError: a rule overflows there.
    """
    own = float(count_params(shape).count(recipe.count))
    n = own if base.params is None else base.params
    batch_tokens = min(recipe.batch_tokens(own, tokens), tokens / recipe.min_steps)
    width = base.parametrization.base_width or shape.width
    return Hyperparameters(
        optimizer=Optimizer(
            lr=significant(recipe.lr(n, tokens)),
            beta1=recipe.beta1,
            beta2=significant(min(recipe.beta2(own, tokens), 0.99999), 5),
            eps=recipe.eps,
            weight_decay=significant(recipe.weight_decay(n, tokens)),
            grad_clip=recipe.grad_clip,
            muon=None if optimizer is None else _muon(optimizer, recipe, n, tokens),
        ),
        groups=GroupScales(
            embedding=recipe.embedding.scale(n, tokens),
            head=recipe.head.scale(n, tokens),
            matrices=recipe.matrices.scale(n, tokens),
            norms=recipe.norms.scale(n, tokens),
        ),
        batch_sequences=max(1, round(batch_tokens / seq_len)),
        warmup_tokens=min(recipe.warmup_share * tokens, recipe.warmup_tokens_per_param * own),
        init_std=significant(recipe.init_scale / width**0.5),
    )


def _muon(optimizer: OptimizerConfig, recipe: RecipeConfig, params: float, tokens: float) -> Muon | None:
    if optimizer.kind == "adamw":
        return None
    return Muon(
        lr=significant(recipe.muon.lr(params, tokens)),
        weight_decay=significant(recipe.muon.weight_decay(params, tokens)),
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
        ns_steps=optimizer.ns_steps,
        adjust_lr_fn=optimizer.adjust_lr_fn,
    )
