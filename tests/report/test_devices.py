"""Whose times a report tells: the sweep's own device, published ones, or none; and how near they were."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from harness.config.compose import compose_config
from harness.config.frozen import load_throughput
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import FitOptions, fit_points, read_points
from harness.report.content import facts
from harness.report.data import ReportData
from harness.report.devices import NEAR, TimeCheck, TimedDevice, check_times
from harness.runs.frozen import frozen_plan
from harness.workflow.report import devices_of, from_sweep
from tests.records import SLOWER
from tests.report.conftest import Reported
from tests.report.synthetic import THROUGHPUT

OLD = """
name: old
throughput: {name: NAME, params: [1e4, 1e6], flops_per_second: [1e9, 1e10], startup_seconds: 2.0, peak_flops: null}
"""


@pytest.fixture(scope="module")
def report_data(reported: Reported) -> ReportData:
    return from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)


def test_the_sweeps_own_device_comes_first_and_of_the_published_those_not_measured_are_assumed(
    report_data: ReportData,
) -> None:
    own, *others = report_data.devices
    assert (own.throughput, own.label, own.price) == (THROUGHPUT, "made_up", None)
    assert [(one.label, one.price) for one in others] == [
        ("h100", 2.0),
        ("h200 (assumed)", None),
        ("a100 (assumed)", 1.5),
    ]
    assert {len(one.clock.params) for one in report_data.devices} == {len(own.clock.params)}, "one ladder"


def test_what_the_corpus_is_without_is_a_fact(report_data: ReportData) -> None:
    assert "left out of the corpus" not in dict(facts(report_data)), "nothing was"
    (run, record), *_ = report_data.records.items()
    without = replace(record, data={**record.data, "left_out": "3 of 9 files: not UTF-8"})
    data = replace(report_data, records={**report_data.records, run: without})
    assert dict(facts(data))["left out of the corpus"] == "3 of 9 files: not UTF-8"


def test_how_near_the_estimates_were_is_told(report_data: ReportData, reported: Reported) -> None:
    assert report_data.plan is not None
    check = check_times(report_data.plan, report_data.records, THROUGHPUT)
    assert check is not None
    assert check.ratio == pytest.approx(1 / SLOWER)
    assert (check.near, check.runs) == (1.0, 27), "the diverged run is left out"
    said = dict(facts(report_data))["time estimated"]
    assert (
        said
        == "0.95 times the measured, in the median of 27 runs; 100% within a factor of 1.25 (time model made_up)"
    )
    assert said in reported.html
    assert check_times(report_data.plan, {}, THROUGHPUT) is None


def test_a_plan_from_before_has_its_times_estimated_now() -> None:
    from harness.runs.files import SweepFolder

    demo = SweepFolder(Path(__file__).resolve().parents[2] / "results" / "demo")
    found = from_sweep(demo, frozen_plan(demo), demo.path)
    own = found.devices[0]
    assert own.throughput == compose_config(["throughput=cpu"])[0].throughput
    assert own.check is not None
    assert NEAR < own.check.ratio < 1.5, "another processor than that of the coefficients"
    assert own.label == "cpu (assumed)"


def test_a_device_that_was_not_what_trained_is_called_assumed(report_data: ReportData) -> None:
    records = {
        run: replace(record, seconds=3 * record.seconds) for run, record in report_data.records.items()
    }
    assert report_data.plan is not None
    check = check_times(report_data.plan, records, THROUGHPUT)
    own = TimedDevice(report_data.devices[0].clock, check=check)
    assert own.assumed
    assert own.label == "made_up (assumed)"
    assert "0.32 times what the runs took" in own.said
    assert not TimedDevice(own.clock, check=TimeCheck(0.9, 1.0, 5)).assumed


@pytest.mark.parametrize(
    ("yaml", "name"),
    [
        (OLD.replace("NAME", "cpu"), "cpu"),
        (OLD.replace("NAME", "mine"), None),
        (OLD.replace("NAME", "../cpu"), None),
        ("name: x\n", None),
        ("- a list\n", None),
        ("throughput: 5\n", None),
        ("throughput: {name: x, modes: {eager: {flops_per_second: -1}}}\n", None),
        ("throughput: {name: x, nonsense: 1}\n", None),
        ("throughput: [\n", None),
        (OmegaConf.to_yaml(OmegaConf.create(asdict(Config(throughput=THROUGHPUT)))), "made_up"),
    ],
)
def test_a_frozen_throughput_is_read_or_left(yaml: str, name: str | None) -> None:
    found = load_throughput(yaml)
    assert (found.name if found else None) == name
    if name == "cpu":
        assert found == compose_config(["throughput=cpu"])[0].throughput
    if name == "made_up":
        assert found == THROUGHPUT


def test_a_table_has_devices_where_the_default_ladder_has_its_sizes(tmp_path: Path) -> None:
    for scale, expected in ((1.0, []), (1e9, ["h100", "h200", "a100"])):
        rows = ["params,tokens,flops,loss"]
        for budget in (1e12, 4e12, 1.6e13):
            for size in np.geomspace(0.3, 3, 5) * (budget / 1e12) ** 0.5 * 1e5:
                n, d = size * scale**0.5, budget / (6 * size) * scale**0.5
                rows.append(
                    f"{n},{d},{6 * n * d},{1.5 + 300 / size**0.5 / 100 + 900 / (budget / 6 / size) ** 0.5}"
                )
        path = tmp_path / f"{scale}.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        fit = fit_points(read_points(str(path)), FitOptions(draws=20))
        assert [device.throughput.name for device in devices_of(fit)] == expected


def test_a_sweep_of_models_that_must_be_built_to_be_counted_has_none(
    reported: Reported, tmp_path: Path
) -> None:
    config = OmegaConf.load(reported.folder.config)
    (tmp_path / "plan.json").write_bytes(reported.folder.plan.read_bytes())
    for model in ({"family": "MistralConfig"}, {"options": {"rope_theta": 1e6}}):
        text = OmegaConf.to_yaml(OmegaConf.merge(config, {"model": model}))
        (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
        assert devices_of(reported.fit, tmp_path, text) == ()
    (tmp_path / "config.yaml").write_text("throughput: [\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"config\.yaml: not what was written"):
        devices_of(reported.fit, tmp_path, "throughput: [\n")


def test_a_price_is_read_from_the_device_of_that_name(
    reported: Reported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.calibrate.output import device_yaml, throughput_yaml

    config = reported.folder.config.read_text(encoding="utf-8")
    for group, text in (("throughput", throughput_yaml(THROUGHPUT)), ("device", device_yaml(THROUGHPUT))):
        (tmp_path / "configs" / group).mkdir(parents=True)
        (tmp_path / "configs" / group / "made_up.yaml").write_text(text.replace("null  # yours", "0.25"))
    monkeypatch.chdir(tmp_path)
    own = devices_of(reported.fit, reported.folder.path, config)[0]
    assert (own.throughput.name, own.price, own.check) == ("made_up", 0.25, None)
    (tmp_path / "configs" / "device" / "made_up.yaml").write_text("nonsense: 1\n")
    assert devices_of(reported.fit, reported.folder.path, config)[0].price is None
