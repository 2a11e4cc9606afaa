"""What is trained once a grid is finished: more seeds at each budget's best cell, and ablations of the recipe."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.bounds import LARGEST_SEED, bounded, check_bounds
from harness.errors import UserError
from harness.plan.ablation import HYPERPARAMETERS, Ablation, ablate
from harness.plan.cell import Cell
from harness.plan.plan import Plan


@dataclass
class FollowupConfig:
    """Runs around the best cell of each budget: more seeds, and ablations, which change one thing of it.

    Ablations measure the cost of the recipe and never join the fit, which would otherwise pick the luckiest of several
    recipes at one size only.

    Attributes:
        seeds: further seeds of the best cell; they join the fit as replicates.
        rates: multiples of the best cell's peak learning rate.
        batches: multiples of its batch, on as many tokens.
        weight_decays: multiples of its weight decay.
        embedding_rates, head_rates: multiples of the learning rate of the embedding and of the head alone.
        muon_rates: multiples of Muon's learning rate, for ``optimizer=muon``.
        horizons: lengths of the schedule as multiples of the best cell's run, which is cut before the cooldown
            ends (Hoffmann et al. 2022, Fig. A1: 1.1, 1.25, 1.5, 2, 5).
        neighbours: ablations, horizons aside, also at the next smaller and the next larger size of the budget: what
            gains more at one of them than at the other moves N*.
    """

    seeds: list[int] = bounded([], 0, LARGEST_SEED)
    rates: list[float] = bounded([], 0, 1e6, above=True)
    batches: list[float] = bounded([], 0, 1e6, above=True)
    weight_decays: list[float] = bounded([], 0, 1e6)
    embedding_rates: list[float] = bounded([], 0, 1e6, above=True)
    head_rates: list[float] = bounded([], 0, 1e6, above=True)
    muon_rates: list[float] = bounded([], 0, 1e6, above=True)
    horizons: list[float] = bounded([], 1, 1e6, above=True)
    neighbours: bool = False

    def __post_init__(self) -> None:
        check_bounds(self, "followup")
        for name, values in self.multiples.items():
            if 1 in values:
                raise UserError(f"followup.{name}: 1 is the run itself; name others")
        for name in ("seeds", *self.multiples):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise UserError(f"followup.{name}: none may be named twice")
        if self.neighbours and not any(self._of_recipe.values()):
            raise UserError(
                "followup.neighbours: no ablations to make there; name some, e.g. followup.rates=[0.5,2]"
            )

    @property
    def multiples(self) -> dict[str, list[float]]:
        """By key of :data:`harness.plan.ablation.HYPERPARAMETERS`, its multiples."""
        return {key: getattr(self, key) for key in HYPERPARAMETERS}

    @property
    def _of_recipe(self) -> dict[str, list[float]]:
        return {key: values for key, values in self.multiples.items() if HYPERPARAMETERS[key].of_recipe}

    @property
    def asks(self) -> bool:
        """Whether anything is to be trained after the grid."""
        return bool(self.seeds or any(self.multiples.values()))


def described(config: FollowupConfig) -> str:
    """``seeds 1, 2; peak learning rate × 0.5, 2``: what is trained at each budget's best cell."""
    asked: list[tuple[str, Sequence[float]]] = [("seed" if len(config.seeds) == 1 else "seeds", config.seeds)]
    asked += [(f"{HYPERPARAMETERS[key].label} ×", values) for key, values in config.multiples.items()]
    text = "; ".join(
        f"{name} {', '.join(f'{value:g}' for value in values)}" for name, values in asked if values
    )
    return text + ("; ablations also at the sizes beside it" if config.neighbours else "")


def best_cells(plan: Plan, losses: Mapping[str, float]) -> list[Cell]:
    """The cell of the lowest loss at each budget, budgets ascending; budgets without a loss are left out."""
    best: dict[float, Cell] = {}
    for cell in plan.cells:
        if cell.run_id not in losses:
            continue
        leader = best.get(cell.budget)
        if leader is None or losses[cell.run_id] < losses[leader.run_id]:
            best[cell.budget] = cell
    return [best[budget] for budget in sorted(best)]


def neighbours(cells: Sequence[Cell], best: Sequence[Cell]) -> list[Cell]:
    """Of ``cells`` the next smaller and the next larger size beside each best one: of its budget and seed."""
    found = []
    for cell in best:
        column = [one for one in cells if (one.budget, one.spec.seed) == (cell.budget, cell.spec.seed)]
        smaller = [one for one in column if one.params.total < cell.params.total]
        larger = [one for one in column if one.params.total > cell.params.total]
        found += [max(smaller, key=_size)] if smaller else []
        found += [min(larger, key=_size)] if larger else []
    return found


def _size(cell: Cell) -> int:
    return cell.params.total


def replicates(best: Sequence[Cell], seeds: Sequence[int]) -> list[Cell]:
    """Each best cell under further seeds."""
    return [
        replace(cell, spec=replace(cell.spec, seed=seed))
        for cell in best
        for seed in seeds
        if seed != cell.spec.seed
    ]


def ablations(best: Sequence[Cell], config: FollowupConfig, cells: Sequence[Cell] = ()) -> list[Ablation]:
    """Of each best cell, one thing changed at a time; with ``config.neighbours`` also of those beside it in ``cells``.

    Raises:
        UserError: a cell does not have what is to be changed.
    """
    found = ablate(best, config.multiples)
    if config.neighbours:
        found += ablate(neighbours(cells, best), config._of_recipe, neighbour=True)
    return found


def expected(grid: Plan, config: FollowupConfig, known: Collection[float]) -> list[Cell]:
    """Placeholders of the follow-ups of the budgets that are not among ``known``: their best cell is not found yet.

    As many as there will be, of the same FLOPs, at the middle size of each budget, where the grid was centred.

    Raises:
        UserError: a cell does not have what is to be changed.
    """
    first = grid.cells[0].spec.seed
    columns: dict[float, list[Cell]] = {}
    for cell in grid.cells:
        if cell.budget not in known:
            columns.setdefault(cell.budget, []).append(cell)
    found: list[Cell] = []
    for column in columns.values():
        sizes = sorted((cell for cell in column if cell.spec.seed == first), key=_size)
        middle = [sizes[len(sizes) // 2]]
        # another budget, whose best cell is known, may have more of them
        planned = {cell.spec.seed for cell in column}
        found += replicates(middle, [seed for seed in config.seeds if seed not in planned])
        found += [ablation.cell for ablation in ablations(middle, config, sizes)]
    return found
