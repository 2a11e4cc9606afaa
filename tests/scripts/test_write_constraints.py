"""results/constraints.txt has the versions that the records have."""

import json
import re
from pathlib import Path

from packaging.requirements import Requirement

from scripts.write_constraints import FILE, RESULTS, constraints


def test_the_file_is_what_the_script_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == constraints(), "run python scripts/write_constraints.py"


def test_pip_can_read_it_and_any_build_of_torch_will_do() -> None:
    lines = [line for line in constraints().splitlines() if line and not line.startswith("#")]
    pins = {one.name: one.specifier for one in map(Requirement, lines)}
    assert {"torch", "transformers", "accelerate", "numpy", "scipy", "matplotlib"} == set(pins)
    versions = json.loads(next(RESULTS.glob("demo/cells/*/record.json")).read_text())["versions"]
    assert versions["torch"].endswith("+cpu")
    for name in ("torch", "transformers", "accelerate", "numpy"):
        assert pins[name].contains(versions[name])


def test_every_sweep_with_records_is_named() -> None:
    sweeps = {path.parents[2].name for path in RESULTS.glob("*/cells/*/record.json")}
    named = re.findall(r"^# ([\w, -]+):", constraints().partition("\n\n")[2], re.MULTILINE)
    assert {name for line in named for name in line.split(", ")} == {*sweeps, "Other sweeps differ in these"}


def test_the_newest_set_that_was_really_used_is_chosen(tmp_path: Path) -> None:
    def record(sweep: str, device: str = "AMD EPYC", **versions: str) -> None:
        path = tmp_path / sweep / "cells" / "ab" / "record.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"versions": versions, "device": device}))

    record("old", torch="2.9.1", numpy="3.0.0")
    record("new", torch="2.10.0+cpu", numpy="2.0.0", isoflop="unknown")
    record("gpu", "NVIDIA H100", torch="2.11.0", numpy="2.0.0")
    (tmp_path / "new" / "report.md").write_text(
        "- report written with: isoflop 0.1.0, numpy 9.9, scipy 1.2\n"
    )
    (tmp_path / "old" / "report.md").write_text("- report written with: matplotlib 3.4\n")
    lines = constraints(tmp_path).splitlines()
    assert [line for line in lines if "==" in line] == ["numpy==2.0.0", "scipy==1.2", "torch==2.10.0"]
    assert lines[-2:] == ["# gpu: torch 2.11.0", "# old: numpy 3.0.0, torch 2.9.1"]
