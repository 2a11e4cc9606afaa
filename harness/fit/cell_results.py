"""What a fit says of hyperparameters that vary within one (N, D), and of the runs that it took for them."""

from dataclasses import dataclass

from harness.fit.bootstrap import Interval


@dataclass(frozen=True, kw_only=True)
class VariedColumn:
    """A column that varies within cells.

    Attributes:
        is_seed: a seed; else a hyperparameter.
        values: different values in the cells where it varies. cells: in how many it does.
        low, high: its least and its largest value; None of text and of seeds.
        also: other columns that vary as it does (steps with the batch), so that they say nothing of their own.
    """

    name: str
    is_seed: bool = False
    values: int = 0
    cells: int = 0
    low: float | None = None
    high: float | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RecipeRule:
    """The best value of a hyperparameter: value (N / params)^params_exponent (D / tokens)^tokens_exponent.

    Attributes:
        column: its name in the table.
        params, tokens: N and D in the middle of the table, where ``value`` holds.
        params_exponent, tokens_exponent: None where the cells do not tell one from the other.
        outside: cells where the rule's value lies beyond all that were tried; there the nearest tried value was taken.
    """

    column: str
    value: float
    value_interval: Interval | None = None
    params: float
    tokens: float
    params_exponent: float | None = None
    params_exponent_interval: Interval | None = None
    tokens_exponent: float | None = None
    tokens_exponent_interval: Interval | None = None
    outside: int = 0


@dataclass(frozen=True, kw_only=True)
class CellOptimum:
    """The one loss of a cell.

    Attributes:
        runs, recipes: in the cell, how many runs there are and with how many different recipes.
        loss: nats per token: of the best recipe, corrected where that is possible, or at the surface's minimum.
        loss_se: standard error of it; None where nothing tells the noise of a run.
        correction: what has been added to the best recipe's mean loss, nats per token; None of a surface.
        best_run: the run with the lowest loss.
        values: the hyperparameters there, by column; a number as text has six digits.
        at_edge: columns whose value is the least or the largest that was tried in the cell.
    """

    params: float
    tokens: float
    budget: float | None = None
    runs: int = 1
    recipes: int = 1
    loss: float
    loss_se: float | None = None
    loss_interval: Interval | None = None
    correction: float | None = None
    best_run: str = ""
    values: dict[str, str]
    at_edge: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CellsResult:
    """Hyperparameters and seeds that vary within cells, and what was done about it.

    Attributes:
        choice: ``mean``, ``best`` or ``surface``, as ``analysis.cells`` says; ``mean`` where no recipe varies.
        runs, cells: of the table; ``varied_cells``: those in which a hyperparameter varies.
        columns: what varies.
        spread: standard deviation of the loss within a cell, nats per token.
        mean_over_best: how far the mean of a cell's losses lies above its lowest, mean over cells, nats per token.
        noise, noise_from: standard deviation of a run of one recipe, nats per token, and what it was estimated from.
        least_recipes, most_recipes: tried in a cell, of those cells in which any varies.
        optimism: best: by how much the best recipe's mean loss is too low, mean over cells, nats per token; None where
            it was not corrected.
        optimism_at_most: best, uncorrected: the same if all recipes of a cell were equally good.
        left_out: surface: runs that took no part, their loss being far above the surface's minimum.
        uneven: surface: how much further the best values of single cells lie from the rules than noise explains (1: no
            further); None where it cannot be told.
        rules: surface: the best value of each hyperparameter.
        optima: surface and best: every cell's.
        notes: sentences on all this, the important first.
    """

    choice: str = "mean"
    runs: int = 0
    cells: int = 0
    varied_cells: int = 0
    columns: tuple[VariedColumn, ...] = ()
    spread: float | None = None
    mean_over_best: float | None = None
    noise: float | None = None
    noise_from: str = ""
    least_recipes: int = 1
    most_recipes: int = 1
    optimism: float | None = None
    optimism_interval: Interval | None = None
    optimism_at_most: float | None = None
    left_out: int = 0
    uneven: float | None = None
    rules: tuple[RecipeRule, ...] = ()
    optima: tuple[CellOptimum, ...] = ()
    notes: tuple[str, ...] = ()
