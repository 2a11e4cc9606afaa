"""How many runs side by side: arithmetic on time models that are made up, so that the answer is known."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.calibrate.choose import best, span, spread_cells, with_small_batches, worth_trying_more
from harness.calibrate.config import CalibrateConfig
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.duration import Timing
from harness.plan.throughput import StepTime, ThroughputConfig
from tests.train.small import small_jobs


@pytest.fixture
def cells(tmp_path: Path, text_folder: Path) -> list[Cell]:
    return [job.cell for job in small_jobs(tmp_path, text_folder)[1]]


def on_a_gpu(host: float, rate: float, runs: int, slowdown: float = 1.0, startup: float = 0.0) -> Timing:
    model = ThroughputConfig(
        asynchronous=True,
        startup_seconds=startup,
        modes={"eager": StepTime(step_seconds=host, flops_per_second=rate)},
        per_device=runs,
        shared_slowdown=slowdown,
    )
    return Timing(model, runs)


def test_launch_bound_runs_are_done_sooner_side_by_side(cells: list[Cell]) -> None:
    same = [cells[0]] * 4
    spans = {runs: span(same, on_a_gpu(1e-2, 1e15, runs)) for runs in (1, 2, 4)}
    assert spans[2] == pytest.approx(spans[1] / 2, rel=0.01)
    assert best(spans) == 4


def test_runs_that_fill_the_device_gain_nothing(cells: list[Cell]) -> None:
    same = [cells[0]] * 4
    spans = {runs: span(same, on_a_gpu(1e-9, 1e6, runs, 1.1)) for runs in (1, 4)}
    assert spans[4] == pytest.approx(1.1 * spans[1], rel=0.01)
    assert best(spans) == 1


def test_one_long_cell_is_not_worth_sharing_for(cells: list[Cell]) -> None:
    spans = {runs: span([cells[-1]], on_a_gpu(1e-2, 1e15, runs)) for runs in (1, 2)}
    assert best(spans) == 1


def test_a_gain_within_noise_is_no_reason(cells: list[Cell]) -> None:
    assert best({1: 100.0, 2: 99.0}) == 1
    assert best({1: 100.0, 2: 90.0, 4: 89.0}) == 2


def test_more_runs_are_tried_as_long_as_the_last_number_paid() -> None:
    assert worth_trying_more({1: 100.0})
    assert worth_trying_more({1: 100.0, 2: 90.0})
    assert not worth_trying_more({1: 100.0, 2: 98.0}), "under 3%: no third round of starts and compilation"
    assert not worth_trying_more({1: 100.0, 2: 60.0, 4: 59.0})


def test_starts_overlap(cells: list[Cell]) -> None:
    two = [cells[0]] * 2
    with_start = {runs: span(two, on_a_gpu(1e-2, 1e15, runs, startup=30.0)) for runs in (1, 2)}
    without = {runs: span(two, on_a_gpu(1e-2, 1e15, runs)) for runs in (1, 2)}
    assert with_start[1] - without[1] == pytest.approx(60.0)
    assert with_start[2] - without[2] == pytest.approx(30.0)


def test_cells_are_spread_over_the_sizes(cells: list[Cell]) -> None:
    sizes = sorted({cell.params.total for cell in cells})
    assert [cell.params.total for cell in spread_cells(cells, 99)] == sizes
    two = [cell.params.total for cell in spread_cells(cells, 2)]
    assert two == [sizes[0], sizes[-1]]
    assert len(spread_cells(cells, 1)) == 1


def test_the_smallest_and_the_largest_are_timed_with_another_batch_too(cells: list[Cell]) -> None:
    chosen = spread_cells(cells, 3)
    timed = with_small_batches(chosen)
    assert timed[: len(chosen)] == chosen
    for cell, quarter in zip((chosen[0], chosen[-1]), timed[len(chosen) :], strict=True):
        assert quarter.spec.batch_sequences == max(1, cell.spec.batch_sequences // 4)
        assert quarter.spec.shape == cell.spec.shape
    single = replace(chosen[0], spec=replace(chosen[0].spec, batch_sequences=1))
    assert with_small_batches([single]) == [single]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sizes": 0},
        {"seconds": 0.0},
        {"side_by_side": [2, 4]},
        {"side_by_side": [1, 4, 2]},
        {"modes": ["fast"]},
    ],
)
def test_a_wrong_setting_is_refused(wrong: dict) -> None:
    with pytest.raises(UserError, match="calibrate"):
        CalibrateConfig(**wrong)
