"""A page or a figure of a fit with another table than its own is refused; copies of its own table are not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import figures
from harness.errors import UserError
from harness.fit import Fit, FitOptions, Points, fit_points, load_fit, read_points, write_fit
from harness.fit.used import fingerprint, is_of, left_out
from harness.report.data import used_points
from harness.workflow.report import from_points
from tests.fit.synthetic import CHINCHILLA, sweep

QUICK = FitOptions(draws=0, backtest=False)


def table(path: Path, points: Points, named: bool = True) -> Path:
    """``points`` as a file, with a second count of N, a second loss and two recipes of each run."""
    columns: dict[str, object] = {
        "params": points.params,
        "tokens": points.tokens,
        "flops": points.flops,
        "loss": points.loss,
        "params_active": points.params * 0.9,
        "loss_code": points.loss * 0.8,
    }
    if named:
        columns = {"run_id": [f"r{i}" for i in range(len(points))], **columns}
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def points() -> Points:
    return sweep(CHINCHILLA, (1e18, 1e19, 1e20), sizes=7, noise=0.003)


OPTIONS = {
    "default": {},
    "highest": {"exclude_highest": 3},
    "max_loss": {"max_loss": 3.0},
    "count": {"count": "params_active"},
    "loss": {"loss": "loss_code"},
    "squares": {"objective": "squares", "exclude_highest": 1},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("copy", ["file", "shuffled", "frame", "shuffled frame"])
def test_a_copy_of_the_table_is_the_same_whatever_the_options(
    name: str, copy: str, points: Points, tmp_path: Path
) -> None:
    path = table(tmp_path / "runs.csv", points)
    fit = fit_points(read_points(path), replace(QUICK, **OPTIONS[name]))
    write_fit(fit, tmp_path)
    frame = pd.read_csv(path)
    if "shuffled" in copy:
        frame = frame.sample(frac=1, random_state=3)
    if "frame" not in copy:
        frame.to_csv(path, index=False)
        assert len(from_points(path, tmp_path).points) == fit.n_points
    again = read_points(frame if "frame" in copy else path)
    assert is_of(again, load_fit(tmp_path)) is True
    assert sum(map(bool, left_out(again, fit))) == len(points) - fit.n_points
    assert figures.residuals(fit, again).axes


def test_another_table_of_the_same_size_is_refused(points: Points, tmp_path: Path) -> None:
    path = table(tmp_path / "runs.csv", points)
    other = table(tmp_path / "other.csv", replace(points, loss=points.loss * (1 + 1e-6)))
    write_fit(fit_points(read_points(path), QUICK), tmp_path / "out")
    with pytest.raises(
        UserError, match=r"out/fit.json: not a fit of .*other.csv: .*isoflop fit points="
    ) as said:
        from_points(other, tmp_path / "out")
    assert "\n" not in str(said.value)
    with pytest.raises(UserError, match="these are others; give the runs that were fitted"):
        figures.residuals(load_fit(tmp_path / "out"), read_points(other))
    fewer = read_points(path).select(range(20))
    with pytest.raises(UserError, match="and 20 of these are in it"):
        figures.residuals(load_fit(tmp_path / "out"), fewer)


def test_a_row_without_a_name_is_known_by_its_line(points: Points, tmp_path: Path) -> None:
    path = table(tmp_path / "runs.csv", points, named=False)
    fit = fit_points(read_points(path), replace(QUICK, exclude_highest=2))
    assert is_of(read_points(path), fit) is True
    frame = pd.read_csv(path)
    frame.iloc[::-1].to_csv(path, index=False)
    with pytest.raises(UserError, match="known by its line in the file"):
        figures.isoflop(fit, read_points(path))


@pytest.mark.parametrize("rows", ["last", "all"])
def test_several_rows_of_a_run(rows: str, points: Points, tmp_path: Path) -> None:
    late = pd.read_csv(table(tmp_path / "runs.csv", points))
    early = late.assign(tokens=late.tokens / 2, flops=late.flops / 2, loss=late.loss * 1.05)
    path = tmp_path / "runs.csv"
    pd.concat([early, late]).to_csv(path, index=False)
    fit = fit_points(read_points(path, rows), replace(QUICK, exclude_highest=2, rows=rows))
    write_fit(fit, tmp_path)
    assert fit.n_points == {"last": len(points), "all": 2 * len(points)}[rows] - 2
    assert len(from_points(path, tmp_path).points) == fit.n_points


@pytest.mark.parametrize("cells", ["mean", "best", "surface"])
def test_recipes_of_a_cell(cells: str, points: Points, tmp_path: Path) -> None:
    frame = pd.read_csv(table(tmp_path / "runs.csv", points))
    path = tmp_path / "runs.csv"
    rates = (0.5, 1.0, 2.0, 4.0)
    pd.concat(
        frame.assign(run_id=frame.run_id + f"-{x}", lr=x, loss=frame.loss + 0.02 * np.log2(x / 1.3) ** 2)
        for x in rates
    ).to_csv(path, index=False)
    fit = fit_points(read_points(path), replace(QUICK, cells=cells))
    write_fit(fit, tmp_path)
    data = from_points(path, tmp_path)
    assert len(data.points) == fit.n_points
    changed = pd.read_csv(path)
    changed.loc[changed.lr == 4.0, "loss"] += 1e-4
    changed.to_csv(path, index=False)
    with pytest.raises(UserError, match="not a fit of"):
        from_points(path, tmp_path)


def test_an_older_fit_is_checked_as_before(points: Points, tmp_path: Path) -> None:
    path = table(tmp_path / "runs.csv", points)
    fit: Fit = replace(fit_points(read_points(path), QUICK), fingerprint="")
    assert is_of(read_points(path), fit) is None
    assert figures.residuals(fit, read_points(path)).axes
    assert len(used_points(read_points(path), fit)) == fit.n_points
    with pytest.raises(UserError, match="give the runs that were fitted"):
        figures.residuals(fit, replace(read_points(path), flops=points.flops * 2))


def test_the_fingerprint_has_no_order_and_every_number(points: Points) -> None:
    backwards = points.select(np.arange(len(points))[::-1])
    assert fingerprint(points) == fingerprint(backwards)
    for name in ("params", "tokens", "flops", "loss"):
        column = np.array(getattr(points, name))
        column[4] *= 1 + 1e-8
        assert fingerprint(replace(points, **{name: column})) != fingerprint(points)
    assert fingerprint(replace(points, run_id=("x", *points.run_id[1:]))) != fingerprint(points)
    swapped = np.array(points.loss)
    swapped[[0, 1]] = swapped[[1, 0]]
    assert fingerprint(replace(points, loss=swapped)) != fingerprint(points)
