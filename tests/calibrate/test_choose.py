"""How many runs side by side: arithmetic on speeds that are made up, so that the answer is known."""

from pathlib import Path

import pytest
import yaml

from harness.calibrate.choose import best, makespans, spread_cells, throughput_of
from harness.calibrate.config import CalibrateConfig
from harness.calibrate.side_by_side import Speed, Where
from harness.calibrate.write import slug, throughput_yaml
from harness.errors import UserError
from harness.plan.cell import Cell
from harness.plan.throughput import ThroughputConfig, flops_per_second, seconds, sharing
from tests.train.small import small_jobs


@pytest.fixture
def cells(tmp_path: Path, text_folder: Path) -> list[Cell]:
    return [job.cell for job in small_jobs(tmp_path, text_folder)[1]]


def speeds(cells: list[Cell], rate: float, startup: float = 0.0) -> list[Speed]:
    sizes = sorted({cell.params.total for cell in cells})
    return [Speed(size, rate, 0.9 * rate, 1.1 * rate, startup) for size in sizes]


def test_a_column_of_equal_cells_is_done_as_fast_as_the_device_is_in_all(cells: list[Cell]) -> None:
    cells = [cells[0]] * 4
    flops = cells[0].flops_by_count["appendix_f"]
    measured = {1: speeds(cells, 1e9), 2: speeds(cells, 0.8e9), 4: speeds(cells, 0.3e9)}
    spans = makespans(cells, measured)
    assert spans == pytest.approx({1: 4 * flops / 1e9, 2: 2 * flops / 0.8e9, 4: flops / 0.3e9})
    assert best(spans) == 2, "1.6 times one alone beats 1.2 times"


def test_one_long_cell_is_not_worth_sharing_for(cells: list[Cell]) -> None:
    spans = makespans([cells[-1]], {1: speeds(cells, 1e9), 2: speeds(cells, 0.9e9)})
    assert best(spans) == 1


def test_a_gain_within_noise_is_no_reason(cells: list[Cell]) -> None:
    assert best({1: 100.0, 2: 99.0}) == 1
    assert best({1: 100.0, 2: 90.0, 4: 89.0}) == 2


def test_starts_overlap_and_are_compared_as_if_equal(cells: list[Cell]) -> None:
    # the second measurement found everything compiled: its start says nothing about sharing
    measured = {1: speeds(cells, 1e9, startup=30.0), 2: speeds(cells, 0.5e9, startup=1.0)}
    spans = makespans([cells[0]] * 2, measured)
    assert spans[1] - spans[2] == pytest.approx(30.0)
    assert throughput_of(measured[1], measured[2]).startup_seconds == 30.0


def test_cells_are_spread_over_the_sizes(cells: list[Cell]) -> None:
    sizes = sorted({cell.params.total for cell in cells})
    assert [cell.params.total for cell in spread_cells(cells, 99)] == sizes
    two = [cell.params.total for cell in spread_cells(cells, 2)]
    assert two == [sizes[0], sizes[-1]]
    assert len(spread_cells(cells, 1)) == 1


def test_the_file_is_a_throughput_that_plans_as_measured(cells: list[Cell]) -> None:
    where = Where("NVIDIA H100 80GB HBM3", "bf16", 9.89e14)
    text = throughput_yaml("mine", where, "demo", speeds(cells, 2e9, 3.0), 4, speeds(cells, 1e9))
    config = ThroughputConfig(**yaml.safe_load(text))
    size = config.params[0]
    assert (config.per_device, config.peak_flops, config.startup_seconds) == (4, 9.89e14, 3.0)
    assert flops_per_second(config, size) == pytest.approx(2e9)
    assert flops_per_second(sharing(config, 4), size) == pytest.approx(1e9)
    assert flops_per_second(sharing(config, 8), size) == pytest.approx(0.5e9), "no more in all than four do"
    assert flops_per_second(sharing(config, 2), size) == pytest.approx(1e9)
    assert sharing(config, 1) is config
    assert slug(where.name) == "nvidia_h100_80gb_hbm3"


def test_what_was_never_measured_shares_without_a_gain() -> None:
    config = ThroughputConfig(params=[1e6], flops_per_second=[1e12], startup_seconds=0.0)
    assert seconds(sharing(config, 3), 1e6, 1e12) == pytest.approx(3.0)


@pytest.mark.parametrize(
    "wrong",
    [{"sizes": 0}, {"seconds": 0.0}, {"side_by_side": [2, 4]}, {"side_by_side": [1, 4, 2]}],
)
def test_a_wrong_setting_is_refused(wrong: dict) -> None:
    with pytest.raises(UserError, match="calibrate"):
        CalibrateConfig(**wrong)
