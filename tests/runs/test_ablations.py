"""The file of ablations: what earlier versions wrote is read as what it was."""

from dataclasses import asdict
from pathlib import Path

from harness.files import json_text, seal
from harness.runs.ablations import ABLATIONS, AblationRun, read_ablations


def test_a_run_that_was_listed_for_two_multiples_is_one(tmp_path: Path) -> None:
    """Half and three quarters of three sequences are two: one run, not two of independent noise."""
    half = AblationRun(1e11, "a" * 12, 3.0, "batches", 0.5, "b" * 12, 3.1)
    other = AblationRun(1e11, "a" * 12, 3.0, "batches", 2.0, "c" * 12, 3.2)
    again = AblationRun(1e11, "a" * 12, 3.0, "batches", 0.75, "b" * 12, 3.1)
    path = tmp_path / "controls.json"
    path.write_text(json_text(seal({ABLATIONS: [asdict(one) for one in (half, other, again)]})))
    assert sorted(read_ablations(path), key=lambda one: one.factor) == [half, other]
