"""The command on a CPU: real stretches, a file that plans, and nothing measured twice."""

import os
from pathlib import Path

import pytest
from rich.console import Console

from harness.commands import calibrate
from harness.commands.invocation import Invocation
from harness.config.compose import compose_config
from harness.errors import UserError
from harness.launch.launcher import Outcome
from harness.workflow.resources import runs_per_device
from tests.device import ON_CPU
from tests.train.small import overrides

QUICK = ("calibrate.seconds=0.2", "calibrate.sizes=2", "calibrate.side_by_side=[1,2]", "write=mine", ON_CPU)


@pytest.mark.slow
def test_calibrate_measures_writes_and_goes_on(
    tmp_path: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = overrides(tmp_path, text_folder, *QUICK)
    console = Console(width=160, record=True)
    written = tmp_path / "configs" / "throughput" / "mine.yaml"
    assert calibrate.run(Invocation(*compose_config(arguments), console)) is Outcome.DONE
    first = written.read_text()
    said = console.export_text()
    assert "2 at once" in said
    assert "one a core" in said
    assert "of every measured step" in said
    config = compose_config([*arguments, "throughput=mine"])[0].throughput
    assert config.per_device == 2
    assert not config.assumed
    assert not config.asynchronous
    assert list(config.modes) == ["eager"]
    assert config.modes["eager"].flops_per_second > 0
    assert config.source.startswith("isoflop calibrate experiment=small"), "measured, and it says how"
    assert os.uname().nodename not in (tmp_path / "runs" / "small" / "calibration.json").read_text()
    assert not list((tmp_path / "runs" / "small").glob("cells/*")), "keeps no run"

    chosen, _ = compose_config([*arguments, "throughput=mine"])
    assert chosen.throughput.per_device == 2
    assert runs_per_device(chosen) <= 2

    monkeypatch.setattr(
        "harness.calibrate.bench.train_side_by_side", lambda *_: pytest.fail("measured again")
    )
    written.unlink()
    calibrate.run(Invocation(*compose_config(arguments), Console(quiet=True)))
    assert written.read_text() == first
    with pytest.raises(pytest.fail.Exception):
        calibrate.run(Invocation(*compose_config([*arguments, "calibrate.seconds=0.3"]), Console(quiet=True)))


def test_calibrate_needs_something_to_train_on(tmp_path: Path) -> None:
    config, yaml_text = compose_config(
        ["experiment=chinchilla", f"runs_dir={tmp_path}", f"cache_dir={tmp_path}/cache"]
    )
    with pytest.raises(UserError, match="corpus"):
        calibrate.run(Invocation(config, yaml_text, Console(quiet=True)))
