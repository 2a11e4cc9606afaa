"""A sweep that was never trained: plan, records and curves written through the project's own classes.

The losses come from a known law with noise, so a report made from it has an answer to be compared with.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from harness.config.schema import Config
from harness.files import write_atomic
from harness.fit import Curve, Fit, FitOptions, fit_points, read_points, write_fit
from harness.model.ladder import BandConfig, LadderConfig, build_ladder
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.followup import best_cells
from harness.plan.grid import GridConfig
from harness.plan.plan import Plan, Rules, make_plan
from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.plan.throughput import StepTime, ThroughputConfig
from harness.runs.ablations import AblationRun, write_ablations
from harness.runs.curve import COLUMNS, read_curve
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze
from harness.runs.table import records, write_table
from tests.records import fake_record

BUDGETS = (1e11, 3e11, 1e12, 3e12)
# A law whose optimum lies inside the grids below: (E, A, B, alpha, beta).
LAW = (0.9, 30.0, 110.0, 0.34, 0.34)

# A device bound by launches below some hundred thousand parameters.
THROUGHPUT = ThroughputConfig(
    name="made_up", source="made up for a test", modes={"eager": StepTime(1e-3, 1e-3, 2e10)}
)


@dataclass(frozen=True)
class Facts:
    """A corpus that does not exist."""

    fingerprint: str = "5eed5eed5eed"
    train_tokens: int = 40_000_000


def law_loss(params: float, tokens: float) -> float:
    """The law's loss, nats per token."""
    E, A, B, alpha, beta = LAW
    return E + A / params**alpha + B / tokens**beta


def make_sweep(path: Path, budgets: tuple[float, ...] = BUDGETS, noise: float = 0.004) -> SweepFolder:
    """A finished sweep in ``path``, without a fit; one run of it diverged."""
    folder = SweepFolder(path)
    plan = _plan(path.name, budgets)
    rng = np.random.default_rng(7)
    freeze(folder, plan, OmegaConf.to_yaml(OmegaConf.create(asdict(make_config(path.name, budgets)))))
    for i, cell in enumerate(plan.cells):
        diverged = i == len(plan.cells) - 1
        loss = law_loss(cell.params.total, cell.tokens) * float(np.exp(noise * rng.standard_normal()))
        fake_record(cell, loss, diverged).write(folder.cell(cell.run_id).record)
        write_atomic(folder.cell(cell.run_id).curve, curve_of(cell, loss, rng))
    write_table(folder.table, records(folder, plan).values())
    write_ablations(folder.ablations, _longer_schedules(plan, folder))
    return folder


def fit_sweep(folder: SweepFolder, options: FitOptions) -> Fit:
    """Fit a synthetic sweep and write the fit into its folder, as ``isoflop fit`` does."""
    plan = Plan.from_json(json.loads(folder.plan.read_text(encoding="utf-8")))
    curves = {
        cell.run_id: Curve(**columns)
        for cell in plan.cells
        if (columns := read_curve(folder.cell(cell.run_id).curve)) is not None
    }
    fit = fit_points(read_points(folder.table), options, curves)
    write_fit(fit, folder.path)
    return fit


def _longer_schedules(plan: Plan, folder: SweepFolder) -> list[AblationRun]:
    """Ablations at each budget's best cell whose loss is higher by a fiftieth nat for each length beyond the run's."""
    losses = {run_id: record.loss for run_id, record in records(folder, plan).items() if record.loss}
    return [
        AblationRun(
            cell.budget, cell.run_id, loss, "horizons", horizon, f"{i}x{horizon}", loss + 0.02 * (horizon - 1)
        )
        for i, cell in enumerate(best_cells(plan, losses))
        for horizon in (1.5, 5.0)
        if (loss := losses[cell.run_id])
    ]


def make_config(name: str, budgets: tuple[float, ...]) -> Config:
    """The configuration that the sweep was not trained with."""
    middle = budgets[len(budgets) // 2]
    bands = [BandConfig(8, 256, 8, 8), BandConfig(288, 1024, 32, 32)]
    return Config(
        name=name,
        seq_len=128,
        ladder=LadderConfig(bands=bands, aspect=24),
        recipe=RecipeConfig(batch_tokens=Rule(value=1024)),
        grid=GridConfig(
            budgets=list(budgets),
            sizes=7,
            span=10,
            center_params=8.4e4 * (middle / 1e12) ** 0.5,
            center_budget=middle,
        ),
        throughput=THROUGHPUT,
    )


def _plan(name: str, budgets: tuple[float, ...]) -> Plan:
    config = make_config(name, budgets)
    rules = Rules(
        grid=config.grid,
        recipe=config.recipe,
        schedule=config.schedule,
        timing=Timing(config.throughput),
        seq_len=config.seq_len,
        eval_tokens=4096,
        precision=config.precision,
    )
    ladder = build_ladder(config.ladder, config.model, 256, config.seq_len)
    return make_plan(name, ladder.shapes, rules, Facts())


def curve_of(cell: Cell, loss: float, rng: np.random.Generator) -> str:
    """Rows of a training curve that comes down to ``loss`` as the rate comes down."""
    steps = np.unique(np.linspace(1, cell.spec.steps, 120).astype(int))
    tokens = steps * cell.spec.batch_tokens
    share = steps / cell.spec.steps
    E, A, B, alpha, beta = LAW
    values = E + A / cell.params.total**alpha + B / np.maximum(tokens, 2000) ** beta
    values = values + 0.04 * (1 - share**3) + (loss - law_loss(cell.params.total, cell.tokens)) * share
    values = np.minimum(values, np.log(256)) * np.exp(0.004 * rng.standard_normal(len(steps)))
    rows = [
        (int(s), int(t), float(cell.flops * x), 1e-3, float(v), 0.5)
        for s, t, x, v in zip(steps, tokens, share, values, strict=True)
    ]
    return "".join(",".join(map(str, row)) + "\n" for row in [COLUMNS, *rows])
