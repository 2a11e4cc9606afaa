"""What docs/extending*.md adds, used: ``python -m tests.docs.extended`` in a copy of the package that has it.

The last line that is printed is JSON: what went wrong with each check, by its name.
"""

import contextlib
import io
import json
import os
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from tests.docs.blocks import ROOT


def family() -> None:
    """Its formulas give the parameters of the model that is built, and the FLOPs that are measured on it."""
    from harness.model.build import meta_model
    from harness.model.counts import count_params
    from harness.model.formulas import formula_forward_flops
    from harness.model.measure import measure_forward_flops
    from harness.model.shape import FAMILIES, Shape

    assert not FAMILIES["smollm3"].measured
    shape = Shape("smollm3", 256, 32, 2, 4, 8, 88, 2, False, 64)
    assert count_params(shape).total == sum(p.numel() for p in meta_model(shape).parameters())
    assert formula_forward_flops(shape, 64).total == measure_forward_flops(shape, 64).total
    assert compose("experiment=demo", "model=smollm3").model.family == "smollm3"


def schedule() -> None:
    """It composes, holds the peak, ends on its floor, and runs of two horizons share a trunk."""
    from harness.plan.schedule import resolve

    config = compose("experiment=demo", "schedule=wsd_sqrt", "schedule.share_trunk=true")
    short, long = (resolve(config.schedule, steps, 1000, 100) for steps in (100, 200))
    assert [short.factor(step) for step in (10, 80, 100)] == [1, 1, 0]
    assert 0.49 < short.factor(85) < 0.51, "a quarter of the cooldown is half of the fall"
    assert all(short.factor(step) == long.factor(step) for step in range(1, 81))


def form() -> None:
    """It is fitted and ranked among the others, and finds a law that has no floor."""
    import numpy as np

    from harness.fit import FitOptions, Points
    from harness.fit.form_comparison import compare_forms
    from harness.fit.forms import MODELS

    assert list(MODELS)[-1] == "floorless"
    grid = [(n, 30 * c / n) for c in (1e9, 4e9, 1.6e10, 6.4e10) for n in np.geomspace(0.2, 5, 7) * c**0.5]
    params, tokens = np.array(grid).T
    loss = (5e2 / params**0.34 + 4e2 / tokens**0.28) * np.exp(
        1e-3 * np.random.default_rng(0).normal(size=len(params))
    )
    points = Points(
        run_id=tuple(map(str, range(len(params)))),
        params=params,
        tokens=tokens,
        flops=6 * params * tokens,
        loss=loss,
    )
    compared = compare_forms(points, FitOptions(), 1e13)
    assert compared is not None
    mine = next(one for one in compared.forms if one.name == "floorless")
    assert mine.log_rmse < 2e-3
    assert abs(mine.params["alpha"] - 0.34) < 0.02
    assert abs(mine.params["beta"] - 0.28) < 0.02


def status() -> None:
    """A fit of a few training lengths is told so, and the page of statuses explains the code."""
    from harness.fit import FitOptions, fit_points
    from harness.fit.status import is_serious
    from scripts.write_statuses import statuses_page

    fit = fit_points(few_lengths(), FitOptions(draws=20))
    assert "few_horizons" in fit.approach_3.flags
    assert not is_serious("few_horizons")
    assert "`few_horizons`" in statuses_page()


def figure_and_table() -> None:
    """The page has both."""
    from harness.report.content import TABLES
    from harness.report.figures.catalogue import FIGURES
    from harness.report.saving import save
    from harness.report.style import figure_style

    data = sweep_data()
    entry = next(one for one in FIGURES if one.name == "speed")
    with figure_style(), tempfile.TemporaryDirectory() as folder:
        picture = save(entry.draw(data), Path(folder), entry.name)
        assert (Path(folder) / "speed.png").stat().st_size > 5000
    assert "<svg" in picture.svg
    table = dict(TABLES)["Devices"](data)
    assert sum(int(str(row[1])) for row in table.rows) == len(data.records)


def launcher() -> None:
    """It is chosen by name, has its option, refuses a wrong one, and lowers the priority before it trains."""
    from harness.errors import UserError
    from harness.launch.launcher import Outcome
    from harness.launch.local import LocalLauncher
    from harness.launch.registry import make_launcher

    config = compose("experiment=demo", "launcher=nice", "launcher.niceness=3").launcher
    made: Any = make_launcher(config)
    LocalLauncher.train = lambda self, work: Outcome.DONE  # type: ignore[method-assign,assignment]
    before = os.nice(0)
    assert made.train(None) is Outcome.DONE
    assert os.nice(0) == min(19, before + 3)
    for overrides in (["launcher=nice", "launcher.niceness=20"], ["launcher=local", "launcher.niceness=3"]):
        with contextlib.suppress(UserError):
            compose("experiment=demo", *overrides)
            raise AssertionError(f"{overrides} is taken")


def record_column() -> None:
    """Records from before it are read, new ones have it, and it is the table's last column."""
    from harness.runs.record import Record, parse_record, read_record
    from harness.runs.table import row
    from tests.records import fake_record

    path = next((ROOT / "results" / "demo" / "cells").glob("*/record.json"))
    old = read_record(path, path.parent.name)
    assert old is not None
    assert old.processes is None  # type: ignore[attr-defined]
    assert list(row(old))[-2:] == ["reason", "processes"]
    cell = next(iter(sweep_data().plan.cells))
    made = Record(**{**vars(fake_record(cell, 2.0)), "processes": 2})
    read = parse_record(json.dumps(made.to_json()), cell.run_id)
    assert read is not None
    assert row(read)["processes"] == 2
    assert [one.name for one in fields(Record)][-1] == "processes"


def trained() -> None:
    """A run that is trained in this package fills the column in."""
    from harness.runs.record import read_record
    from harness.train.run import train_cell
    from tests.train.small import small_jobs

    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts"
        texts.mkdir()
        for number in range(60):
            (texts / f"{number}.txt").write_text(f"document {number}\n" * 200, encoding="utf-8")
        job = small_jobs(Path(folder), texts)[1][0]
        train_cell(job)
        record = read_record(job.folder.record, job.cell.run_id)
        assert record is not None
        assert record.processes == 1  # type: ignore[attr-defined]


def data_format() -> None:
    """Files with the ending are read as records."""
    from harness.data.config import DataConfig
    from harness.data.formats import format_of
    from harness.data.sources import open_source

    assert format_of("a.jsonlines.gz").records == "json_lines"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jsonlines").write_text('{"text": "one"}\n{"text": "two"}\n', encoding="utf-8")
        source = open_source(DataConfig(name="mine", kind="text", path=folder))
        assert [document.text for document in source.documents(lambda *_: None)] == ["one", "two"]


def command() -> None:
    """It prints a line a budget, and has help."""
    from harness.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["best", "experiment=demo", f"runs_dir={ROOT / 'results'}"])
    lines = out.getvalue().splitlines()
    assert [line.split(":")[0] for line in lines] == ["1e+11 FLOPs", "3.2e+11 FLOPs", "1e+12 FLOPs"]
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(["best", "--help"])
    assert "lowest loss at each budget" in out.getvalue()


def without_code() -> None:
    """A plan of the five files, whose shapes are those of the class by name."""
    config = compose(
        "experiment=demo", "model=mistral", "ladder=narrow", "recipe=mine", "data=novels", "tracker=mlflow"
    )
    assert (config.model.family, config.model.queries_per_kv) == ("MistralConfig", 2)
    assert config.model.options == {"sliding_window": 64}
    assert len(config.ladder.bands) == 2
    assert config.recipe.lr.params == -0.3
    assert (config.data.name, config.data.heldout_fraction) == ("novels", 0.05)
    assert config.tracker.name == "mlflow"


CHECKS: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        *(family, schedule, form, status, figure_and_table, launcher, record_column, data_format, command),
        *(without_code, trained),
    )
}


def compose(*overrides: str) -> Any:
    """The configuration of these overrides."""
    from harness.config.compose import compose_config

    return compose_config(list(overrides))[0]


def few_lengths() -> Any:
    """Runs of many sizes at five lengths each, on a law."""
    import numpy as np

    from harness.fit import Points

    params, tokens = (np.repeat(np.geomspace(1e6, 1e8, 8), 5), np.tile(np.geomspace(1e8, 1e10, 5), 8))
    loss = 1.7 + 400 / params**0.34 + 410 / tokens**0.28
    names = tuple(map(str, range(len(params))))
    return Points(run_id=names, params=params, tokens=tokens, flops=6 * params * tokens, loss=loss)


@cache
def sweep_data() -> Any:
    """The demo's sweep, as a report has it."""
    from harness.runs.files import SweepFolder
    from harness.runs.frozen import frozen_plan
    from harness.workflow.report import from_sweep

    sweep = SweepFolder(ROOT / "results" / "demo")
    return from_sweep(sweep, frozen_plan(sweep), sweep.path)


def check(one: Callable[[], None]) -> str:
    """What goes wrong with it."""
    try:
        one()
    except Exception:
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    import harness

    with contextlib.redirect_stdout(io.StringIO()):
        told = {name: check(one) for name, one in CHECKS.items()}
    print(json.dumps({**told, "package": str(Path(str(harness.__file__)).parent)}))
