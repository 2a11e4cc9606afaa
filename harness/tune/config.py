"""What ``isoflop tune`` trains and how it reads the result: the schema of ``configs/tune``."""

from dataclasses import dataclass, field

from harness.bounds import LARGEST_SEED, bounded, check_bounds, check_cells, one_of
from harness.errors import UserError
from harness.tune.axes import AXES

LEAST_VALUES = 3  # a parabola along an axis needs as many
LEAST_ALONE = 4  # and one more where there is no other axis


@dataclass
class TuneConfig:
    """Runs around what the recipe says, at a few sizes: a grid of peak learning rate × batch, or in rounds.

    Attributes:
        design: ``grid`` trains ``rates`` × ``batches``; ``sequential`` varies ``axes`` in rounds, each of which trains
            what the surfaces fitted so far ask for.
        axes: for ``sequential``, what is tuned: learning rate, batch, weight decay, the embedding's and the head's
            learning rate as multiples, Muon's learning rate and weight decay (with optimizer=muon).
        steps: the factor by which the first round changes each of these, up and down.
        horizons: for ``sequential``, multiples of each size's D to tune at; with two or more the learning rate's powers
            of N and of D are told apart.
        rounds: of ``sequential`` at most.
        tolerance: a round follows until the rules are expected to leave less than this over the minimum for want of
            runs, nats per token, and every minimum is within what was tried.
        params: sizes N to tune at (total parameters); the ladder's nearest shapes are taken. Empty: ``sizes``
            sizes over a factor of ``span``, the largest at the centre guess of the largest of grid.budgets.
        rates: multiples of the recipe's peak learning rate; a single one keeps it.
        batches: multiples of the recipe's batch, rounded to whole sequences; a single one keeps the batch at it.
        seeds: every point is trained once per seed.
        tokens_per_param: D/N of the runs. 0: the tokens of the budget for which the grid's centre guess makes
            the size optimal. Either is capped by the corpus (data.max_epochs).
        tokens: D of the runs, the same at every size; takes the place of tokens_per_param. 0: as that says.
        min_steps: points with fewer optimizer steps are left out; takes the place of the recipe's own.
        window: runs within this many nats of their size's lowest loss are near enough for its response surface.
        skewed: allow the two sides of a minimum to differ.
        draws, level, seed: of the bootstrap intervals.
    """

    design: str = one_of("grid", ("grid", "sequential"))
    axes: list[str] = field(default_factory=lambda: ["rate", "batch"])
    steps: dict[str, float] = bounded({axis.name: axis.factor for axis in AXES.values()}, 1, 1e6, above=True)
    horizons: list[float] = bounded([1.0], 0, 1e6, above=True)
    rounds: int = bounded(5, 1, 100)
    tolerance: float = bounded(0.001, 0, 1e6)
    params: list[float] = bounded([], 0, 1e20, above=True)
    sizes: int = bounded(3, 1, 1000)
    span: float = bounded(5.0, 1, 1e9)
    rates: list[float] = bounded([0.25, 0.5, 1.0, 2.0, 4.0], 0, 1e6, above=True)
    batches: list[float] = bounded([0.5, 1.0, 2.0, 4.0], 0, 1e6, above=True)
    seeds: list[int] = bounded([0], 0, LARGEST_SEED)
    tokens_per_param: float = bounded(0.0, 0, 1e9)
    tokens: float = bounded(0.0, 0, 1e18)
    min_steps: int = bounded(50, 1, 1_000_000_000)
    window: float = bounded(0.15, 0, 1e6, above=True)
    skewed: bool = True
    draws: int = bounded(2000, 100, 1_000_000)
    level: float = bounded(0.9, 0, 1)
    seed: int = bounded(0, 0, LARGEST_SEED)

    def __post_init__(self) -> None:
        check_bounds(self, "tune")
        self._check_seeds()
        if self.design == "sequential":
            self._check_sequential()
        else:
            self._check_grid()

    def _check_sequential(self) -> None:
        sizes = len(self.params) or self.sizes
        check_cells(
            "tune", sizes=sizes, horizons=len(self.horizons), seeds=len(self.seeds), rounds=self.rounds
        )
        for name in (*self.axes, *self.steps):
            if name not in AXES:
                key = "axes" if name in self.axes else "steps"
                raise UserError(f"tune.{key}: '{name}' is none of {', '.join(AXES)}")
        if not self.axes or len(set(self.axes)) != len(self.axes):
            raise UserError("tune.axes: name at least one, and none twice")
        if not self.horizons or len(set(self.horizons)) != len(self.horizons):
            raise UserError("tune.horizons: name at least one multiple, and none twice")
        for name in self.axes:
            if name not in self.steps:
                raise UserError(f"tune.steps: no factor for '{name}'")

    def _check_grid(self) -> None:
        if self.axes != ["rate", "batch"]:
            raise UserError(
                "tune.axes: a grid tunes learning rate and batch (tune.rates, tune.batches); take tune=sequential for "
                f"{', '.join(self.axes) or 'others'}"
            )
        if self.horizons != [1.0]:
            raise UserError(
                "tune.horizons: a grid has one D for each size; take tune.design=sequential for several"
            )
        rates, batches, sizes = len(self.rates), len(self.batches), len(self.params) or self.sizes
        check_cells("tune", sizes=sizes, rates=rates, batches=batches, seeds=len(self.seeds))
        for name in ("rates", "batches"):
            values = getattr(self, name)
            if not values:
                raise UserError(f"tune.{name}: name at least one multiple")
            if len(set(values)) != len(values):
                raise UserError(f"tune.{name}: a multiple is listed twice")
            if 1 < len(values) < LEAST_VALUES:
                raise UserError(
                    f"tune.{name}: one value (kept) or at least {LEAST_VALUES} (tuned), got {len(values)}"
                )
        if len(self.rates) == len(self.batches) == 1:
            raise UserError("tune: vary rates or batches; both have a single multiple")
        if (
            min(len(self.rates), len(self.batches)) == 1
            and max(len(self.rates), len(self.batches)) < LEAST_ALONE
        ):
            raise UserError(
                f"tune: where rates or batches alone vary, name at least {LEAST_ALONE} multiples: a parabola goes "
                "through three, and nothing would check it"
            )

    def _check_seeds(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise UserError("tune.seeds: name at least one seed, and none twice")
        if self.tokens and self.tokens_per_param:
            raise UserError(
                "tune.tokens: says how long every run is, and so does tune.tokens_per_param; set one to 0"
            )
        if not 0 < self.level < 1:
            raise UserError(f"tune.level: must lie between 0 and 1, got {self.level:g}")
        if self.draws * (1 - self.level) < 1.999:
            raise UserError(
                f"tune.draws: {self.draws} are too few for intervals at tune.level={self.level:g}"
            )
