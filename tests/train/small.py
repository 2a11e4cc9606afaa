"""A tiny experiment, composed as a user would, and its jobs."""

from pathlib import Path

from rich.console import Console

from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.runs.frozen import freeze
from harness.train.job import Job
from harness.workflow.experiment import make_jobs, plan_experiment, prepare_corpus
from harness.workflow.rules import sweep_folder
from tests.device import DEVICE

OVERRIDES = (
    "experiment=demo",
    "name=small",
    "data=text",
    "tracker=none",
    "seq_len=32",
    "grid.budgets=[2e8,5e8]",
    "grid.sizes=3",
    "grid.span=2",
    "grid.center_params=7000",
    "grid.center_budget=5e8",
    "grid.center_exponent=0",
    # what the demo's recipe says of a thousand times more tokens is no learning rate here
    "recipe.embedding.lr={value:1,params:0,tokens:0}",
    "recipe.muon.lr={value:0.02,params:0,tokens:0}",
    "recipe.batch_tokens.value=128",
    "recipe.min_steps=20",
    "data.eval_tokens=2048",
    "data.max_epochs=10",
    f"train.device={DEVICE}",
    "precision=fp32",  # what the same run gives twice can be compared; bfloat16 is asked for where it is tested
)


def overrides(folder: Path, text: Path, *more: str) -> list[str]:
    """Overrides of the tiny experiment, writing below ``folder``."""
    return [*OVERRIDES, f"path={text}", f"runs_dir={folder}/runs", f"cache_dir={folder}/cache", *more]


def small_jobs(folder: Path, text: Path, *more: str) -> tuple[Config, list[Job]]:
    """The tiny experiment planned, frozen and ready to train."""
    config, yaml = compose_config(overrides(folder, text, *more))
    corpus = prepare_corpus(config, Console(quiet=True))
    plan = plan_experiment(config, corpus)
    sweep = sweep_folder(config)
    freeze(sweep, plan, yaml)
    return config, make_jobs(config, plan, corpus, sweep)
