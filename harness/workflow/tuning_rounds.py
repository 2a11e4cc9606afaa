"""A tuning in rounds: what is missing of the round at hand is trained or submitted, then the next is designed."""

from dataclasses import dataclass

from rich.console import Console

from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.files import write_json
from harness.launch.launcher import Continuation, Outcome
from harness.model.ladder import build_ladder
from harness.plan.cell import Cell
from harness.plan.plan import CorpusFacts, Plan
from harness.runs.files import SweepFolder, read_json
from harness.runs.frozen import freeze
from harness.runs.record import Record
from harness.runs.table import records
from harness.tune.sequential.make_points import make_trainer
from harness.tune.sequential.points import Trainer
from harness.tune.sequential.rounds import Memory, Rounds, known_rounds, memory_from_json, memory_json
from harness.tune.sequential.tables import print_points
from harness.workflow.assumed import check_before
from harness.workflow.experiment import say_dropped, say_measured
from harness.workflow.rules import plan_rules
from harness.workflow.terminal import say
from harness.workflow.training import train_missing


@dataclass(frozen=True)
class TrainedRounds:
    """How far a tuning came: with ``outcome`` DONE all ``rounds`` have ended, and ``found`` are their records."""

    outcome: Outcome
    trainer: Trainer
    rounds: Rounds
    plan: Plan

    def found(self, folder: SweepFolder) -> dict[str, Record]:
        """The records of all runs, by id."""
        return records(folder, self.plan)


def check_rounds(config: Config) -> None:
    """Refuse a tuning in rounds that cannot be, before its text is read.

    Raises:
        UserError: what is wrong with it.
    """
    check_before(config, lambda assumed: _first(config, assumed))


def train_rounds(
    config: Config,
    yaml: str,
    corpus: Corpus,
    folder: SweepFolder,
    continuation: Continuation,
    console: Console,
) -> TrainedRounds:
    """Train one round after the other. A queue's dependent job calls this again, and goes on with the next.

    Raises:
        UserError: cells failed here, or nothing can be submitted.
    """
    trainer = _trainer(config, corpus)
    memory = _remembered(folder, console)
    said = False
    while True:
        known = memory_json(memory)
        rounds = known_rounds(
            trainer, config.tune, lambda cells: records(folder, Plan(config.name, tuple(cells))), memory
        )
        if (designed := memory_json(memory)) != known:
            write_json(folder.rounds, designed)
        plan = Plan(config.name, tuple(cell for _, cell in rounds.runs))
        say_dropped(folder, plan, console)
        freeze(folder, plan, yaml)
        print_points(trainer, rounds, console)
        if not said:
            say_measured(config, plan, console)
            said = True
        outcome = train_missing(continuation, config, plan, corpus, folder, console)
        if rounds.stopped or outcome is not Outcome.DONE:
            return TrainedRounds(outcome, trainer, rounds, plan)


def _trainer(config: Config, corpus: CorpusFacts) -> Trainer:
    ladder = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len)
    rules = plan_rules(config, ladder.shapes)
    return make_trainer(ladder.shapes, config.tune, rules, corpus, config.data.max_epochs)


def _first(config: Config, corpus: CorpusFacts) -> Rounds:
    nothing: dict[str, Record] = {}

    def none(cells: list[Cell]) -> dict[str, Record]:
        return nothing

    return known_rounds(_trainer(config, corpus), config.tune, none, {})


def _remembered(folder: SweepFolder, console: Console) -> Memory:
    """The rounds that were designed before; where their file is damaged they are designed again."""
    try:
        return read_json(folder.rounds, "the rounds are designed again", memory_from_json)
    except FileNotFoundError:
        return {}
    except UserError as damaged:
        say(str(damaged), console)
        return {}
