"""``isoflop tune``: a small grid of learning rate × batch, the rules through its minima, and a recipe."""

from dataclasses import replace
from pathlib import Path

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.errors import UserError
from harness.files import write_json
from harness.launch.launcher import Continuation, Outcome
from harness.model.ladder import build_ladder
from harness.plan.plan import CorpusFacts, check_corpus
from harness.report.figures.response_surfaces import draw_tuning
from harness.report.style import figure_style, save
from harness.runs.frozen import freeze
from harness.runs.table import records
from harness.tune.design import TunePlan, make_tune_plan, trials_of
from harness.tune.fit import check_fittable, fit_tuning
from harness.tune.recipe import check_name, recipe_yaml, write_recipe
from harness.tune.tables import print_design, print_fit
from harness.workflow.assumed import check_before
from harness.workflow.experiment import plan_rules, say_dropped, sweep_folder, training_corpus
from harness.workflow.terminal import say
from harness.workflow.training import train_missing


def run(asked: Invocation[Config]) -> Outcome:
    """Train what is missing of the tuning's grid, fit, draw, write the recipe.

    The runs go to a sweep folder of their own, ``<name>-tune``, beside the experiment's. No recipe is made of a grid
    with holes: a rule through what happened to finish would be used for years.

    Raises:
        UserError: cells failed, or no recipe can be made of the runs.
    """
    config, yaml, console = asked.config, asked.yaml, asked.console
    if config.write:
        check_name(config.write)
    sweep_folder(config)  # refuses a missing name
    config = replace(config, name=f"{config.name}-tune")
    folder = sweep_folder(config)
    check_before(config, lambda assumed: _design(config, assumed))
    corpus = training_corpus(config, console)
    made = _design(config, corpus)
    say_dropped(folder, made.plan, console)
    freeze(folder, made.plan, yaml)
    print_design(made, console)
    continuation = Continuation("tune", yaml, asked.submission)
    outcome = train_missing(continuation, config, made.plan, corpus, folder, console)
    if outcome is not Outcome.DONE:
        return outcome

    found = records(folder, made.plan)
    fit = fit_tuning(config.name, made.sizes, trials_of(made.sizes, found), config.recipe, config.tune)
    write_json(folder.tuning, fit.to_json())
    print_fit(fit, console)
    with figure_style():
        picture = save(draw_tuning(fit), folder.figures, "bowls")
    say(f"tuning: {folder.tuning}, figure: {folder.figures / picture.name}.png", console)
    if all(size.surface is None for size in fit.sizes):
        raise UserError(
            f"tune: the runs do not determine a response surface at any size, so there is no recipe; see {folder.path}"
        )
    name = config.write or config.name
    where = Path("configs") / "recipe" if config.write else folder.path
    written, before = write_recipe(recipe_yaml(name, fit, config.recipe, found), where, name)
    say(f"recipe: {written}" + (f"; use it with recipe={name}" if config.write else "") + before, console)
    return outcome


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
