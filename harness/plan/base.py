"""The base of a parametrization: the shape at which the recipe's hyperparameters hold as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UserError
from harness.model.counts import count_params
from harness.model.ladder import near
from harness.model.parametrization import Parametrization, ParametrizationConfig
from harness.model.shape import Shape
from harness.plan.recipe_rules import RecipeConfig


@dataclass(frozen=True)
class Base:
    """A parametrization whose base is known.

    Attributes:
        params: N of the base as the recipe counts it, which its rules read for every shape; None under ``standard``,
            where they read each shape's own.
    """

    parametrization: Parametrization = Parametrization()
    params: float | None = None


STANDARD = Base()


def resolve_base(config: ParametrizationConfig, recipe: RecipeConfig, shapes: Sequence[Shape]) -> Base:
    """The base that ``config`` names; else that at which the recipe was tuned under this parametrization; else the
    ladder's shape nearest to the size at which the recipe's learning rate is given.

    Raises:
        UserError: none of them says which.
    """
    if config.kind == "standard":
        return STANDARD
    config = _with_recipe_s_base(config, recipe)
    if config.base_width:
        shape = _beside(config, shapes)
    elif recipe.lr.params_at > 1:
        try:
            shape = near(shapes, recipe.lr.params_at, recipe.count)
        except UserError:
            raise UserError(
                f"parametrization.base_width: recipe '{recipe.name}' gives its learning rate at "
                f"{recipe.lr.params_at:.3g} parameters, and the ladder has no shape near that; name the base with "
                "parametrization.base_width, base_layers and base_head_dim"
            ) from None
    else:
        raise UserError(
            f"parametrization.base_width: name the width at which the rates of recipe '{recipe.name}' hold, for the "
            "recipe does not say at which size they do (recipe.lr.params_at)"
        )
    made = Parametrization(
        kind=config.kind,
        base_width=config.base_width or shape.width,
        base_layers=config.base_layers or shape.layers,
        base_head_dim=config.base_head_dim or shape.head_dim,
    )
    return Base(made, _params_at(shape, made, recipe.count))


def _with_recipe_s_base(config: ParametrizationConfig, recipe: RecipeConfig) -> ParametrizationConfig:
    """``config`` with the base that ``recipe`` was tuned at under the same parametrization, where it names no width."""
    measured = recipe.measured
    if config.base_width or not measured.base_width or measured.parametrization != config.kind:
        return config
    return replace(
        config,
        base_width=measured.base_width,
        base_layers=config.base_layers or measured.base_layers,
        base_head_dim=config.base_head_dim or measured.base_head_dim,
    )


def _beside(config: ParametrizationConfig, shapes: Sequence[Shape]) -> Shape:
    """The shape nearest to the width and depth of the base: what the base has of whatever nobody names.

    Raises:
        UserError: it is of another width, so its heads, and its depth, say nothing of the base.
    """

    def distance(shape: Shape) -> tuple[int, int]:
        layers = abs(shape.layers - config.base_layers) if config.base_layers else 0
        return abs(shape.width - config.base_width), layers

    shape = min(shapes, key=distance)
    needed = ["base_head_dim"] + (["base_layers"] if config.kind == "completep" else [])
    missing = [f"parametrization.{name}" for name in needed if not getattr(config, name)]
    if shape.width != config.base_width and missing:
        raise UserError(
            f"parametrization.base_width: the ladder has no shape of width {config.base_width} (the nearest is "
            f"{shape.width}), so it does not say what else the base has; set {' and '.join(missing)}"
        )
    return shape


def _params_at(shape: Shape, base: Parametrization, count: str) -> float:
    """N of ``shape`` at the base's width and depth: a matrix's parameters go as the product of its sides."""
    params = count_params(shape)
    m, depth = shape.width / base.base_width, shape.layers / base.base_layers
    there = replace(
        params,
        embedding=round(params.embedding / m),
        head=round(params.head / m),
        matrices=round(params.matrices / m**2 / depth),
        norms=round(params.norms / m / depth),
        vocab_matrix=round(params.vocab_matrix / m),
    )
    return float(there.count(count))
