"""What ``isoflop validate`` predicts and trains."""

from dataclasses import dataclass

from harness.bounds import LARGEST_SEED, bounded, check_bounds, check_cells, suggested
from harness.errors import UserError


@dataclass
class ValidateConfig:
    """The predicted optimum of a larger budget against models of other sizes at the same compute.

    Attributes:
        fit: a finished sweep's folder, or its ``fit.json``.
        budget: training FLOPs of every candidate; more than any run of the fit had.
        factors: sizes of the candidates over the predicted N*; 1 is the predicted optimum.
        seeds: every candidate is trained once per seed; intervals of measured losses need two or more.
        approach: which approach gives N*; ``auto`` decides as ``isoflop predict`` does.
        tasks: also predict what the candidates score on the tasks that the fit's runs were scored on
            ('isoflop evaluate'), keep their models, score them, and judge.
        train: false registers the prediction and stops, so that it can be published before the runs.
    """

    fit: str = ""
    budget: float = bounded(0.0, 0, 1e40)
    factors: list[float] = bounded([0.25, 1.0, 4.0], 0, 1e6, above=True)
    seeds: list[int] = bounded([0, 1, 2], 0, LARGEST_SEED)
    approach: str = suggested("auto", ("auto", "approach_1", "approach_2", "approach_3"))
    tasks: bool = True
    train: bool = True

    def __post_init__(self) -> None:
        check_bounds(self, "validate")
        check_cells("validate", factors=len(self.factors), seeds=len(self.seeds))
        if len(set(self.factors)) != len(self.factors):
            raise UserError("validate.factors: none may be named twice")
        if 1.0 not in self.factors or len(self.factors) < 2:
            raise UserError("validate.factors: need 1, the predicted optimum, and at least one other size")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise UserError("validate.seeds: name at least one seed, and none twice")
