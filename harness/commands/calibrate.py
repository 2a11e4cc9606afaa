"""``isoflop calibrate``: how fast this device trains the models of an experiment, alone and side by side."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.calibrate.choose import best, makespans, spread_cells
from harness.calibrate.side_by_side import DoesNotFitError, Speed, Where, train_side_by_side
from harness.calibrate.write import slug, throughput_yaml
from harness.commands.experiment import make_jobs, plan_experiment, sweep_folder, training_corpus
from harness.commands.resources import gpus_of
from harness.config.schema import Config
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.runs.files import write_atomic, write_json
from harness.sweep.cores import compile_threads
from harness.sweep.memory import fitting, free_bytes, share
from harness.sweep.mps import mps
from harness.sweep.pool import signals_as_interrupt
from harness.text import count, duration
from harness.train.job import Job
from harness.tune.recipe import check_name

GPU_RUNS = [1, 2, 4, 8]
PAST_BEST = 1.05  # a makespan this much over the best: more runs at once would only be slower


def run(config: Config, yaml: str, console: Console) -> Path:
    """Train short stretches, print what was measured, write ``configs/throughput/NAME.yaml`` here.

    What was measured is kept in the sweep's folder: a second call measures only what is missing.

    Raises:
        UserError: there is nothing to train on, or a stretch fails.
    """
    if config.write:
        check_name(config.write)
    folder = sweep_folder(config)
    corpus = training_corpus(config, console)
    plan = plan_experiment(config, corpus)
    chosen = spread_cells(plan.cells, config.calibrate.sizes)
    jobs = {job.cell.run_id: job for job in make_jobs(config, plan, corpus, folder)}
    mine = [jobs[cell.run_id] for cell in chosen]
    with signals_as_interrupt():  # SIGTERM alone would leave the processes, and MPS, behind
        where, measured = _measure(config, plan.cells, mine, folder.path / "calibration.json", console)
    spans = makespans(plan.cells, measured)
    # on a CPU a sweep always trains one run a core
    runs = best(spans) if gpus_of(config.train) else max(measured)
    console.print(_table(where, chosen, measured))
    _say_choice(config, spans, runs, console)
    name = config.write or slug(where.name)
    path = Path("configs") / "throughput" / f"{name}.yaml"
    write_atomic(path, throughput_yaml(name, where, config.name, measured[1], runs, measured[runs]))
    console.print(
        f"throughput: {path}; use it with throughput={name}", highlight=False, soft_wrap=True, markup=False
    )
    return path


def _measure(
    config: Config, cells: Sequence[Cell], jobs: Sequence[Job], kept: Path, console: Console
) -> tuple[Where, dict[int, list[Speed]]]:
    """Speeds by number of runs at once, as far as more of them pay and fit; from ``kept`` where they are there."""
    gpus = gpus_of(config.train)[:1]
    key = _key(config, jobs, gpus)
    where, measured = _read(kept, key)
    for runs in _numbers_of_runs(config, cells, gpus):
        if runs not in measured:
            with ExitStack() as stack, console.status(f"{runs} at once …"):
                environment = dict(compile_threads(runs))
                if gpus:
                    environment |= share(free_bytes(gpus), runs)
                    if runs > 1 and config.launcher.mps:
                        environment |= stack.enter_context(
                            mps(lambda text: console.print(text, highlight=False))
                        )
                    environment["CUDA_VISIBLE_DEVICES"] = gpus[0]
                try:
                    where, measured[runs] = train_side_by_side(
                        jobs, runs, config.calibrate.seconds, environment
                    )
                except DoesNotFitError as error:
                    if runs == 1:
                        raise UserError(f"calibrate: {error}; set train.micro_batch") from error
                    console.print(f"{runs} at once do not fit: {error}", highlight=False, soft_wrap=True)
                    break
            write_json(kept, {"key": key, "where": vars(where), "measured": _plain(measured)})
        spans = makespans(cells, measured)
        if gpus and spans[runs] > min(spans.values()) * PAST_BEST:
            break
    assert where is not None, "one run alone was measured"
    return where, measured


def _numbers_of_runs(config: Config, cells: Sequence[Cell], gpus: Sequence[str]) -> list[int]:
    if gpus:
        fit = fitting(cells, config.train, free_bytes(gpus))
        return [runs for runs in config.calibrate.side_by_side or GPU_RUNS if runs <= fit]
    cores = max(1, len(os.sched_getaffinity(0)) // max(1, config.train.threads))
    return config.calibrate.side_by_side or sorted({1, cores})


def _key(config: Config, jobs: Sequence[Job], gpus: Sequence[str]) -> list[Any]:
    """What a measurement depends on; with another key it is made anew."""
    train = asdict(config.train)
    return [
        [job.cell.run_id for job in jobs],
        config.calibrate.seconds,
        {name: train[name] for name in ("device", "micro_batch", "compile", "logits", "threads")},
        {"mps": config.launcher.mps, "gpus": list(gpus), "node": os.uname().nodename},
        {name: _version(name) for name in ("torch", "transformers", "liger-kernel")},
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read(path: Path, key: list[Any]) -> tuple[Where | None, dict[int, list[Speed]]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["key"] == key:
            measured = {int(k): [Speed(**speed) for speed in v] for k, v in data["measured"].items()}
            return Where(**data["where"]), measured
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None, {}


def _plain(measured: Mapping[int, Sequence[Speed]]) -> dict[str, Any]:
    return {str(runs): [vars(speed) for speed in speeds] for runs, speeds in measured.items()}


def _table(where: Where, cells: Sequence[Cell], measured: Mapping[int, Sequence[Speed]]) -> Table:
    """One line a shape: what one run does alone, and what several do together, with quartiles."""
    table = Table(
        title=f"{where.name}, {where.precision}: training FLOP/s, with quartiles of its rows",
        box=None,
        padding=(0, 1),
        header_style="bold",
        title_justify="left",
    )
    table.add_column("shape", no_wrap=True)
    for heading in ("N", "batch", "alone", *(["MFU"] if where.peak else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for runs in sorted(measured):
        if runs > 1:
            table.add_column(f"{runs} together", justify="right", no_wrap=True)
    for i, cell in enumerate(cells):
        alone = measured[1][i]
        row = [cell.spec.shape.label, count(alone.params), count(cell.spec.batch_tokens), _rate(alone, 1)]
        if where.peak:
            share = cell.flops_by_count["matrix_products"] / cell.flops_by_count["appendix_f"]
            row.append(f"{100 * alone.flops_per_second * share / where.peak:.1f}%")
        for runs in sorted(measured):
            if runs > 1:
                together = measured[runs][i]
                gain = runs * together.flops_per_second / alone.flops_per_second
                row.append(f"{_rate(together, runs)} ×{gain:.2f}")
        table.add_row(*row)
    return table


def _rate(speed: Speed, runs: int) -> str:
    middle, low, high = (runs * value for value in (speed.flops_per_second, speed.low, speed.high))
    return f"{middle:.2e} ({low:.1e}, {high:.1e})"


def _say_choice(config: Config, spans: Mapping[int, float], runs: int, console: Console) -> None:
    """The makespans, and what the pool will do with them."""
    listed = ", ".join(f"{k} at once {duration(span)}" for k, span in sorted(spans.items()))
    gpu = bool(gpus_of(config.train))
    console.print(
        f"this experiment on {'one such GPU' if gpu else 'this machine'}: {listed}; a sweep trains "
        + ("one run at a time" if runs == 1 else f"{runs} runs side by side")
        + (" on each GPU" if gpu else ", one a core"),
        highlight=False,
        soft_wrap=True,
    )
