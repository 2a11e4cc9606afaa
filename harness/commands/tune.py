"""``isoflop tune``: a grid or rounds of small runs, the rules through their minima, and a recipe."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.files import write_json
from harness.launch.launcher import Continuation, Outcome
from harness.model.ladder import build_ladder
from harness.plan.plan import CorpusFacts, check_corpus
from harness.report.figures.response_surfaces import draw_tuning
from harness.report.figures.tuned_axes import draw_rounds
from harness.report.saving import save
from harness.report.style import figure_style
from harness.runs.files import SweepFolder
from harness.runs.frozen import freeze
from harness.runs.table import records
from harness.tune.design import TunePlan, make_tune_plan, trials_of
from harness.tune.fit import check_fittable, fit_tuning
from harness.tune.recipe import check_name, recipe_yaml, write_recipe
from harness.tune.sequential.fit import fit_rounds
from harness.tune.sequential.recipe import rounds_yaml
from harness.tune.sequential.tables import print_rounds_fit
from harness.tune.stored import Tuning
from harness.tune.tables import print_design, print_fit
from harness.workflow.assumed import check_before
from harness.workflow.experiment import say_dropped, say_measured, training_corpus
from harness.workflow.rules import plan_rules, sweep_folder
from harness.workflow.terminal import say
from harness.workflow.training import train_missing
from harness.workflow.tuning_rounds import check_rounds, train_rounds


def run(asked: Invocation[Config]) -> Outcome:
    """Train what is missing of the tuning, fit, draw, write the recipe.

    The runs go to a sweep folder of their own, ``<name>-tune``, beside the experiment's. No recipe is made of a design
    with holes: a rule through what happened to finish would be used for years.

    Raises:
        UserError: cells failed, or no recipe can be made of the runs.
    """
    config = asked.config
    if config.write:
        check_name(config.write)
    sweep_folder(config)  # refuses a missing name
    config = replace(config, name=f"{config.name}-tune")
    folder = sweep_folder(config)
    if config.tune.design == "sequential":
        return _rounds(asked, config, folder)
    return _grid(asked, config, folder)


def _rounds(asked: Invocation[Config], config: Config, folder: SweepFolder) -> Outcome:
    check_rounds(config)
    corpus = training_corpus(config, asked.console)
    continuation = Continuation("tune", asked.yaml, asked.submission)
    trained = train_rounds(config, asked.yaml, corpus, folder, continuation, asked.console)
    if trained.outcome is not Outcome.DONE:
        return trained.outcome
    fit = fit_rounds(config.name, trained.trainer, trained.rounds, config.tune)
    _keep(fit, lambda: draw_rounds(fit), folder, asked)
    print_rounds_fit(fit, asked.console)
    if fit.curvature is None and all(one.status == "flat" for one in fit.rules):
        raise UserError(
            f"tune: the runs do not determine a response surface, so there is no recipe; see {folder.path}"
        )
    name = config.write or config.name
    _write(rounds_yaml(name, fit, config.recipe, trained.found(folder)), config, folder, asked)
    return trained.outcome


def _grid(asked: Invocation[Config], config: Config, folder: SweepFolder) -> Outcome:
    console = asked.console
    check_before(config, lambda assumed: _design(config, assumed))
    corpus = training_corpus(config, console)
    made = _design(config, corpus)
    say_dropped(folder, made.plan, console)
    freeze(folder, made.plan, asked.yaml)
    print_design(made, console)
    say_measured(config, made.plan, console)
    continuation = Continuation("tune", asked.yaml, asked.submission)
    outcome = train_missing(continuation, config, made.plan, corpus, folder, console)
    if outcome is not Outcome.DONE:
        return outcome

    found = records(folder, made.plan)
    fit = fit_tuning(
        config.name, made.sizes, trials_of(made.sizes, found), config.recipe, config.tune, made.base_params
    )
    print_fit(fit, console)
    _keep(fit, lambda: draw_tuning(fit), folder, asked)
    if all(size.surface is None for size in fit.sizes):
        raise UserError(
            f"tune: the runs do not determine a response surface at any size, so there is no recipe; see {folder.path}"
        )
    _write(recipe_yaml(config.write or config.name, fit, config.recipe, found), config, folder, asked)
    return outcome


def _keep(fit: Tuning, draw: Callable[[], Figure], folder: SweepFolder, asked: Invocation[Config]) -> None:
    write_json(folder.tuning, fit.to_json())
    with figure_style():
        picture = save(draw(), folder.figures, "bowls")
    say(f"tuning: {folder.tuning}, figure: {folder.figures / picture.name}.png", asked.console)


def _write(text: str, config: Config, folder: SweepFolder, asked: Invocation[Config]) -> None:
    name = config.write or config.name
    where = Path("configs") / "recipe" if config.write else folder.path
    written, before = write_recipe(text, where, name)
    use = f"; use it with recipe={name}" if config.write else ""
    say(f"recipe: {written}{use}{before}", asked.console)


def _design(config: Config, corpus: CorpusFacts) -> TunePlan:
    """The runs to tune with.

    Raises:
        UserError: there can be none, no surface could be fitted to them, or the corpus is too small.
    """
    ladder = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len)
    made = make_tune_plan(
        config.name,
        ladder.shapes,
        config.tune,
        plan_rules(config, ladder.shapes),
        corpus,
        config.data.max_epochs,
    )
    check_fittable(made, config.tune)
    check_corpus(made.plan, corpus.name, config.data.max_epochs)
    return made
