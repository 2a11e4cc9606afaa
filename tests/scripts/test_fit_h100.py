"""The times of an H100 that this project ships are the fit of what one measured."""

import pytest

from harness.config.compose import compose_config
from scripts.fit_h100 import fit, speed_ratios


def test_the_configuration_holds_the_fit_of_the_evidence() -> None:
    h100 = compose_config(["throughput=h100"])[0].throughput
    fitted = fit()
    assert not h100.assumed
    assert h100.modes.keys() == fitted.keys()
    for mode, times in fitted.items():
        assert vars(h100.modes[mode]) == pytest.approx(vars(times), rel=2e-3)
    product = 7.6e14  # FLOP/s of the largest matrix product in results/one_gpu/evidence/train-speed.json
    assert max(times.flops_per_second for times in h100.modes.values()) < product


def test_its_file_says_how_near_the_times_come() -> None:
    """Measured over modelled speed, by measurement, in the order of the model sizes."""
    found = speed_ratios(compose_config(["throughput=h100"])[0].throughput.modes)
    assert found["bench"] == pytest.approx([0.76, 1.01, 0.96], abs=5e-3)
    assert found["compiled"] == pytest.approx([1.00, 1.05, 1.05], abs=5e-3)
    assert found["graphs"] == pytest.approx([1.00, 1.03, 1.06], abs=5e-3)
    assert found["eager"] == pytest.approx([1.19, 0.99, 1.04, 0.89, 0.97], abs=5e-3)
