"""What sharing trunks saves: one WSD grid trained with shared trunks and once more with every run alone.

    python scripts/trunk_savings.py FOLDER [OVERRIDES …]

Trains on this machine into FOLDER/shared and FOLDER/alone, about a minute on two CPU cores without overrides, and
prints cells, FLOPs and seconds of both, the largest difference of a loss, and both fits.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.fit import Fit, fit_points, read_points
from harness.launch.local import LocalConfig, LocalLauncher
from harness.launch.pool import run_pool
from harness.launch.progress import Progress
from harness.plan.plan import Plan
from harness.runs.files import SweepFolder
from harness.runs.record import Record
from harness.runs.table import records, write_table
from harness.train.job import Job
from harness.workflow.experiment import make_jobs, plan_experiment, prepare_corpus

OVERRIDES = (
    "experiment=demo",
    "tracker=none",
    "schedule=wsd",
    "schedule.share_trunk=true",
    "seq_len=64",
    "grid.budgets=[2e9,4e9,8e9,1.6e10]",
    "grid.params=[5e3,7e3,1e4,1.4e4,2e4]",
    "recipe.batch_tokens.value=256",
    "recipe.min_steps=100",
    "data.eval_tokens=16384",
)


def train(config: Config, plan: Plan, jobs: list[Job], folder: SweepFolder) -> tuple[list[Record], float]:
    """The records, and the seconds they took together."""
    jobs = [replace(job, sweep=folder.path.resolve()) for job in jobs]
    assert isinstance(config.launcher, LocalConfig), "launcher=local"
    options = LocalLauncher(config.launcher).pool([job.cell for job in jobs], config.train)
    began = time.monotonic()
    with Progress(jobs, 0, options.workers) as view:
        run_pool(jobs, options, view)
    seconds = time.monotonic() - began
    found = list(records(folder, plan).values())
    write_table(folder.table, found)
    return found, seconds


def exponents(fit: Fit) -> str:
    """Approach 2 and 3, unrounded."""
    return ", ".join(f"{name} a={getattr(fit, name).a!r}" for name in ("approach_2", "approach_3"))


def main(folder: Path, overrides: list[str]) -> None:
    """Train both ways and compare."""
    console = Console(quiet=True)
    config, _ = compose_config([*OVERRIDES, "name=trunk_savings", *overrides])
    corpus = prepare_corpus(config, console)
    plan = plan_experiment(config, corpus)
    shared = make_jobs(config, plan, corpus, SweepFolder(folder))
    alone = [replace(job, branches=()) for job in shared]
    found = {}
    for name, jobs in {"alone": alone, "shared": shared}.items():
        where = SweepFolder(folder / name)
        found[name], seconds = train(config, plan, jobs, where)
        spent = sum(record.flops_spent or record.flops for record in found[name])
        steps = sum(record.steps for record in found[name])
        print(f"{name:7} {len(jobs)} cells, {spent:.4g} FLOPs, {steps} steps, {seconds:.0f} s")
        points = read_points(where.table, config.analysis.rows)
        print(f"        {exponents(fit_points(points, config.analysis))}")
    pairs = zip(found["alone"], found["shared"], strict=True)
    worst = max(abs(a.loss - b.loss) for a, b in pairs if a.loss is not None and b.loss is not None)
    print(f"largest difference of a loss: {worst!r}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
