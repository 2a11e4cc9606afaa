"""Which runs to train next: of an experiment by its ladder and recipe, or of anyone's table."""

import json

import numpy as np
from rich.console import Console

from harness.config.schema import Config
from harness.design.advice import Question, advise
from harness.design.candidates import TABLE_REACH, budgets_of, free_candidates
from harness.design.goal import Goal
from harness.design.possible_laws import possible_laws
from harness.design.rounds import Proposal, propose
from harness.design.tables import (
    answer_json,
    answers_now,
    describe_belief,
    points_table,
    proposal_table,
)
from harness.errors import UserError
from harness.fit import read_points
from harness.fit.approach_2 import fit_approach_2
from harness.fit.approach_3 import fit_approach_3
from harness.fit.cost_law import fit_cost_law
from harness.fit.pipeline import table_to_fit
from harness.fit.results import Approach
from harness.report.table import Table, terminal_table
from harness.runs.frozen import frozen_plan
from harness.runs.table import whole_records
from harness.workflow.design import cell_maker, corpus_of, finished_points, goal_of
from harness.workflow.rules import sweep_folder
from harness.workflow.terminal import say, show_table, working

NO_LAW = (
    "next: no law with an optimum can be fitted to {n} runs: it takes nine or so, of three sizes and three horizons, "
    "whose losses fall with both N and D"
)


def print_next(config: Config, console: Console, as_json: bool) -> None:
    """Print what to train next, as text or JSON.

    Raises:
        UserError: no run has finished, they determine no law, or no spend is given.
    """
    found = _of_table(config, console) if config.points else _of_sweep(config, console)
    proposal, goal, approaches, table, costs = found
    if as_json:
        answer = answer_json(proposal, goal, approaches, costs, table)
        console.print(json.dumps(answer, indent=2), highlight=False, soft_wrap=True, markup=False)
        return
    for line in (*answers_now(approaches, goal), *describe_belief(proposal, goal)):
        say(line, console)
    if not table.rows:
        say(f"no run is proposed: {_why_none(proposal, goal)}", console)
    else:
        show_table(terminal_table(table, console.width), console)
        say(table.note, console)
    if not config.points and proposal.cells:
        say(
            "'isoflop reproduce experiment=NAME design=active' with the same overrides trains such runs, and chooses "
            "again after each round; its spend counts the runs that are there, too",
            console,
        )


def _why_none(proposal: Proposal, goal: Goal) -> str:
    if proposal.advice is not None:
        return f"none narrows {goal.described} within the spend"
    return (
        "the ladder has no further size within reach of N* at these budgets; another ladder, or design.extend= or "
        "design.reach=, has more"
    )


Found = tuple[Proposal, Goal, list[Approach], Table, list[float]]


def _of_sweep(config: Config, console: Console) -> Found:
    folder = sweep_folder(config)
    plan = frozen_plan(folder)
    goal = goal_of(config, max(cell.budget for cell in plan.cells))
    records = whole_records(folder, plan)
    points = finished_points(records, config.analysis, config.where)
    if points is None:
        raise UserError(f"next: no run of {folder.path} has finished; 'isoflop sweep' trains them")
    maker = cell_maker(config, corpus_of(config.data.name, plan))
    own = [cell for cell in plan.cells if maker.again(cell)]
    if not own:
        raise UserError(
            f"next: {folder.path} has runs of another recipe, ladder or corpus than this configuration's; name the "
            "experiment, with the overrides that it was begun with"
        )
    with working(console, "choosing …"):
        proposal = propose(maker, points, plan.cells, records, goal, counted=False)
        approaches: list[Approach] = [
            fit_approach_2(points, config.analysis),
            fit_approach_3(points, config.analysis),
        ]
    if not proposal.cells and proposal.laws is None:
        raise UserError(NO_LAW.format(n=len(points)))
    costs = [maker.cost(cell) for cell in proposal.cells]
    return proposal, goal, approaches, proposal_table(proposal, costs, goal.unit), costs


def _of_table(config: Config, console: Console) -> Found:
    if config.gpu_hours is not None or config.dollars is not None:
        raise UserError("next: what a run of a table takes in time is not known; give spend=FLOPs")
    options = config.analysis
    table = read_points(config.points or "", options.rows, config.columns, config.where, options)
    points = table_to_fit(table, options).table
    goal = goal_of(config, float(points.flops.max()))
    with working(console, "choosing …"):
        laws = possible_laws(points, options)
        if laws is None:
            raise UserError(NO_LAW.format(n=len(points)))
        budgets = np.array(budgets_of(points, config.design.extend))
        optimum = dict(zip(budgets.tolist(), np.exp(laws.log_params(budgets)).tolist(), strict=True))
        reach = config.design.reach or TABLE_REACH
        candidates = free_candidates(points, optimum, reach, fit_cost_law(points))
        advice = advise(
            points,
            laws,
            candidates,
            Question(
                aim=goal.aim,
                flops=goal.flops,
                spend=goal.spend,
                round_spend=goal.spend,
                most_seeds=config.design.seeds,
            ),
        )
        approaches: list[Approach] = [fit_approach_2(points, options), fit_approach_3(points, options)]
    proposal = Proposal(
        (),
        tuple(pick.reason for pick in advice.picks),
        tuple(pick.ratio for pick in advice.picks),
        advice,
        laws,
    )
    shown = points_table(candidates, advice, goal.unit)
    return (
        proposal,
        goal,
        approaches,
        shown,
        [float(candidates.cost[pick.candidate]) for pick in advice.picks],
    )
