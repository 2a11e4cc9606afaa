"""``isoflop calibrate``: how fast this device trains the models of an experiment, alone and side by side."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from rich.console import Console

from harness.calibrate.bench import Bench
from harness.calibrate.output import (
    describe_choice,
    describe_fit,
    device_yaml,
    heading,
    slug,
    speed_table,
    throughput_yaml,
)
from harness.commands.invocation import Invocation
from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.files import write_atomic
from harness.launch.launcher import Outcome
from harness.launch.pool import signals_as_interrupt
from harness.launch.sharing import gpus_of
from harness.plan.throughput import ThroughputConfig
from harness.runs.files import replace_text
from harness.tune.recipe import check_name
from harness.workflow.experiment import corpus_and_plan, make_jobs, training_corpus
from harness.workflow.rules import sweep_folder

PRIORS = {True: "h100", False: "cpu"}  # where a fit begins, by whether the device is a GPU


def run(asked: Invocation[Config]) -> Outcome:
    """Train short stretches, print what was measured, write ``configs/throughput/NAME.yaml`` here.

    What was measured is kept in the sweep's folder: a second call measures only what is missing.

    Raises:
        UserError: there is nothing to train on, or a stretch fails.
    """
    config, console = asked.config, asked.console
    if config.write:
        check_name(config.write)
    folder = sweep_folder(config)
    corpus, plan = corpus_and_plan(config, console, training_corpus)
    jobs = make_jobs(config, plan, corpus, folder)
    gpus = gpus_of(config.train)
    kept = folder.path / "calibration.json"
    bench = Bench(
        config.calibrate, jobs, _prior(config, bool(gpus)), gpus, config.launcher.mps, kept, console
    )
    with signals_as_interrupt():  # SIGTERM alone would leave the processes, and MPS, behind
        timed = bench.measure()
    console.print(heading(timed), highlight=False)
    console.print(speed_table(timed))
    for line in (*describe_fit(timed), describe_choice(timed)):
        console.print(line, highlight=False, soft_wrap=True)
    device = timed.found.device
    assert device is not None, "one run alone was measured"
    name = config.write or slug(device.name)
    source = (
        f"isoflop calibrate experiment={config.name} on {device.name}, {device.precision}, {date.today()}"
    )
    measured = replace(timed.throughput, name=name, source=source, assumed=False, peak_flops=device.peak)
    _write(measured, console)
    return Outcome.DONE


def _prior(config: Config, gpu: bool) -> ThroughputConfig:
    """The experiment's time model, where that is of such a device."""
    if config.throughput.asynchronous == gpu:
        return config.throughput
    return compose_config([f"throughput={PRIORS[gpu]}"])[0].throughput


def _write(measured: ThroughputConfig, console: Console) -> None:
    """The calibration as ``configs/throughput/NAME.yaml``, and of a GPU the device that refers to it."""
    path, device = (Path("configs") / group / f"{measured.name}.yaml" for group in ("throughput", "device"))
    before = replace_text(path, throughput_yaml(measured))
    if not device.exists():  # else it may have the user's price
        write_atomic(device, device_yaml(measured))
    console.print(
        f"throughput: {path}; use it with throughput={measured.name}, and in 'isoflop predict' with "
        f"device={measured.name} (its price: {device}){before}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
