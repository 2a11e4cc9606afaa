"""What ``isoflop tune`` trains and how it reads the result: the schema of ``configs/tune``."""

from dataclasses import dataclass, field

from harness.errors import UserError

LEAST_VALUES = 3  # a parabola along an axis needs as many
LEAST_ALONE = 4  # and one more where there is no other axis


@dataclass
class TuneConfig:
    """A grid of peak learning rate × batch around what the recipe says, at a few sizes.

    Attributes:
        params: sizes N to tune at (total parameters); the ladder's nearest shapes are taken. Empty: ``sizes``
            sizes over a factor of ``span``, the largest at the centre guess of the largest of grid.budgets.
        rates: multiples of the recipe's peak learning rate; a single one keeps it.
        batches: multiples of the recipe's batch, rounded to whole sequences; a single one keeps the batch at it.
        seeds: every point is trained once per seed.
        tokens_per_param: D/N of the runs. 0: the tokens of the budget for which the grid's centre guess makes
            the size optimal. Either is capped by the corpus (data.max_epochs).
        min_steps: points with fewer optimizer steps are left out; takes the place of the recipe's own.
        window: runs within this many nats of their size's lowest loss are near enough to fit a bowl to.
        skewed: allow the two sides of a bowl to differ.
        draws, level, seed: of the bootstrap intervals.
    """

    params: list[float] = field(default_factory=list)
    sizes: int = 3
    span: float = 5.0
    rates: list[float] = field(default_factory=lambda: [0.25, 0.5, 1.0, 2.0, 4.0])
    batches: list[float] = field(default_factory=lambda: [0.5, 1.0, 2.0, 4.0])
    seeds: list[int] = field(default_factory=lambda: [0])
    tokens_per_param: float = 0.0
    min_steps: int = 50
    window: float = 0.15
    skewed: bool = True
    draws: int = 2000
    level: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        if any(n <= 0 for n in self.params):
            raise UserError("tune.params: every size must be positive")
        if self.sizes < 1 or self.span < 1:
            raise UserError("tune: sizes and span must be at least 1")
        for name in ("rates", "batches"):
            values = getattr(self, name)
            if not values or min(values) <= 0:
                raise UserError(f"tune.{name}: name at least one multiple, all positive")
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
        if not self.seeds or len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise UserError("tune.seeds: name at least one seed, none twice and none negative")
        if self.tokens_per_param < 0:
            raise UserError(f"tune.tokens_per_param: must not be negative, got {self.tokens_per_param:g}")
        if self.min_steps < 1:
            raise UserError(f"tune.min_steps: must be at least 1, got {self.min_steps}")
        if self.window <= 0:
            raise UserError(f"tune.window: must be positive (nats), got {self.window:g}")
        if self.draws < 100 or not 0 < self.level < 1 or self.seed < 0:
            raise UserError("tune: draws must be at least 100, level between 0 and 1, seed not negative")
