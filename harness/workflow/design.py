"""What choosing runs takes of an experiment: its candidates, its finished runs, and what may be spent."""

import io
from collections.abc import Callable, Mapping, Sequence

from harness.config.schema import Config
from harness.design.goal import BEYOND, DOLLARS, FLOPS, Goal, spend_of
from harness.design.ladder_candidates import CellMaker
from harness.design.rounds import Round
from harness.errors import UserError
from harness.fit import FitOptions, Points, read_points
from harness.fit.pipeline import table_to_fit
from harness.model.ladder import build_ladder
from harness.plan.cell import Cell
from harness.plan.plan import AssumedCorpus, CorpusFacts, Plan
from harness.runs.files import SweepFolder, read_json
from harness.runs.frozen import frozen_plan
from harness.runs.record import FINISHED, Record
from harness.runs.table import table_text
from harness.workflow.resources import device_hours
from harness.workflow.rules import plan_rules

ANEW = "what was trained is kept and counted; the reasons of its rounds are lost with it"


def corpus_of(name: str, plan: Plan) -> AssumedCorpus:
    """The corpus of a plan with cells, as these know it: to choose runs the text itself is not needed."""
    first = plan.cells[0]
    return AssumedCorpus(name, first.spec.shape.vocab_size, first.spec.data, first.unique_tokens)


def cell_maker(config: Config, corpus: CorpusFacts) -> CellMaker:
    """What makes runs of this experiment.

    Raises:
        UserError: the ladder cannot be, runs are to share trunks, or dollars are to be spent without a price.
    """
    if config.schedule.share_trunk:
        raise UserError(
            "design: runs that are chosen one by one share no trunk; set schedule.share_trunk=false"
        )
    ladder = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len)
    return CellMaker(
        shapes=ladder.shapes,
        rules=plan_rules(config, ladder.shapes),
        corpus=corpus,
        design=config.design,
        options=config.analysis,
        cost=_cost(config),
        max_epochs=config.data.max_epochs,
    )


def goal_of(config: Config, largest: float, spent: float = 0.0) -> Goal:
    """The aim, and what may be spent beside ``spent``.

    Args:
        largest: budget of the runs, FLOPs.

    Raises:
        UserError: no spend is given.
    """
    spend, unit = spend_of(config.spend, config.gpu_hours, config.dollars)
    return Goal(config.aim, config.budget or BEYOND * largest, max(spend - spent, 0.0), unit)


def finished_points(found: Mapping[str, Record], options: FitOptions, where: str | None) -> Points | None:
    """The runs that have a loss, as the fit counts them, but for those that ``where`` keeps out; None without any."""
    ended = [record for record in found.values() if record.status == FINISHED]
    if not ended:
        return None
    points = read_points(io.StringIO(table_text(ended)), where=where, options=options)
    return table_to_fit(points, options).table


def known_plan(config: Config, corpus: CorpusFacts, folder: SweepFolder) -> Plan:
    """The runs of an active design that are known: those that the folder has of this experiment, else the first.

    Raises:
        UserError: the first runs cannot be, or cost more than may be spent.
    """
    maker = cell_maker(config, corpus)
    there = [*_frozen(folder), *(cell for one in kept_rounds(folder) for cell in one.cells)]
    cells = [cell for cell in {cell.run_id: cell for cell in there}.values() if maker.again(cell)]
    if not cells:
        if not config.grid.budgets:
            raise UserError("grid.budgets: empty; name two or more, e.g. 'grid.budgets=[1e11,2.5e11,6e11]'")
        goal = goal_of(config, max(config.grid.budgets))
        cells = maker.first(goal.spend)
        if (cost := sum(map(maker.cost, cells))) > goal.spend:
            raise UserError(
                f"spend: the first {len(cells)} runs cost {cost:.3g} {goal.unit}, and {goal.spend:.3g} may be spent; "
                "raise it, or lower grid.budgets"
            )
    return plan_of(config.name, cells)


def plan_of(name: str, cells: Sequence[Cell]) -> Plan:
    """``cells`` in the order of a plan: by budget, size and seed."""
    order = sorted(cells, key=lambda cell: (cell.budget, cell.params.total, cell.spec.seed, cell.run_id))
    return Plan(name, tuple(order))


def kept_rounds(folder: SweepFolder, say: Callable[[str], None] | None = None) -> list[Round]:
    """The rounds that were chosen before; none where there are none, or the file is damaged, which is said."""
    try:
        return read_json(folder.rounds, ANEW, lambda data: [Round.from_json(one) for one in data["rounds"]])
    except FileNotFoundError:
        return []
    except UserError as damaged:
        if say is not None:
            say(str(damaged))
        return []


def _frozen(folder: SweepFolder) -> tuple[Cell, ...]:
    try:
        return frozen_plan(folder).cells
    except UserError:
        return ()


def _cost(config: Config) -> Callable[[Cell], float]:
    """What a run costs, in the unit that is spent."""
    if config.gpu_hours is None and config.dollars is None:
        return lambda cell: cell.flops
    price = 1.0
    if config.dollars is not None:
        if not config.design.dollars_per_hour:
            raise UserError("dollars: what does an hour of the device cost? e.g. design.dollars_per_hour=2")
        price = config.design.dollars_per_hour
    return lambda cell: price * device_hours(config, cell.estimate_seconds)


def amount(value: float, unit: str) -> str:
    """``3e+12 FLOPs``, ``1.2 device-hours``, ``$35``."""
    if unit == DOLLARS:
        return f"${value:,.2f}"
    return f"{value:.3g} {unit}" if unit == FLOPS else f"{value:.2f} {unit}"
