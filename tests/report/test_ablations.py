"""What ablations are set against: seeds that did not choose the cell, and their own scatter."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.report.diagnostics import diagnostics
from harness.runs.ablations import (
    AblationRun,
    SeedNoise,
    against_other_seeds,
    read_ablations,
    seed_noise,
    write_ablations,
)
from harness.runs.frozen import frozen_plan
from harness.runs.record import Record
from harness.workflow.report import from_sweep
from tests.report.conftest import Reported

SD = 0.02


def replicated(
    records: dict[str, Record], chosen: list[str], seeds: int, rng: np.random.Generator
) -> dict[str, Record]:
    """``records`` with further seeds at the chosen cells; the chosen runs themselves were lucky by two deviations."""
    found = dict(records)
    for run_id in chosen:
        own = records[run_id]
        assert own.loss is not None
        for seed in range(1, seeds + 1):
            loss = own.loss + 2 * SD + SD * rng.standard_normal()
            found[f"{run_id}-{seed}"] = replace(own, spec={**own.spec, "seed": seed}, loss=loss)
    return found


def test_old_files_are_read_and_new_ones_come_back(tmp_path: Path) -> None:
    one = AblationRun(1e12, "a", 2.0, "batches", 0.5, "b", 2.1, seeds_of=2, neighbour=True)
    write_ablations(tmp_path / "controls.json", [one])
    assert read_ablations(tmp_path / "controls.json") == (one,)
    (tmp_path / "controls.json").write_text(
        '[{"budget": 1, "of": "a", "loss_of": 2, "rate": 2, "run_id": "b", "loss": null}]'
    )
    (old,) = read_ablations(tmp_path / "controls.json")
    assert old == AblationRun(1, "a", 2, "rates", 2, "b", None)
    (tmp_path / "controls.json").write_text(
        '[{"budget": 1, "of": "a", "loss_of": 2, "rate": 1.0, "run_id": "b", "loss": 2.1, "horizon": 1.5}]'
    )
    assert read_ablations(tmp_path / "controls.json") == (AblationRun(1, "a", 2, "horizons", 1.5, "b", 2.1),)
    (tmp_path / "controls.json").write_text(
        '[{"budget": 1, "of": "a", "loss_of": 2, "changed": "luck", "factor": 2, "run_id": "b", "loss": 2.1}]'
    )
    with pytest.raises(UserError, match="luck"):
        read_ablations(tmp_path / "controls.json")


@pytest.mark.parametrize(
    ("gain", "level", "word"),
    [
        (0.0, "caution", "0.5 times, 2 times: no difference beyond noise"),
        (-0.2, "good", "2 times: worse beyond noise"),
        (0.2, "caution", "2 times: better beyond noise"),
    ],
)
def test_an_equal_recipe_is_not_called_worse(reported: Reported, gain: float, level: str, word: str) -> None:
    """Set against the run that won by luck every equal recipe loses; set against other seeds it is a draw."""
    report_data = from_sweep(reported.folder, frozen_plan(reported.folder), reported.folder.path)
    chosen = list(dict.fromkeys(ablation.of for ablation in report_data.ablations))
    rng = np.random.default_rng(5)
    records = replicated(dict(report_data.records), chosen, 2, rng)
    tried = [
        AblationRun(
            records[of].budget,
            of,
            records[of].loss or 0,
            "rates",
            rate,
            f"{of}x{rate}",
            (records[of].loss or 0) + 2 * SD - gain + SD * rng.standard_normal(),
        )
        for of in chosen
        for rate in (0.5, 2.0)
    ]
    ablations = against_other_seeds(tried, records)
    assert {ablation.seeds_of for ablation in ablations} == {2}
    noise = seed_noise(ablations, records)
    assert isinstance(noise, SeedNoise)
    assert noise.freedom == len(chosen)
    assert noise.sd == pytest.approx(SD, rel=0.6)
    assert np.mean([ablation.gain for ablation in ablations]) == pytest.approx(gain, abs=0.02)
    (found,) = [
        f
        for f in diagnostics(replace(report_data, ablations=ablations, records=records))
        if "peak learning rate" in f.text
    ]
    assert found.level == level
    assert word in found.text
    assert "other seeds" in found.text
    assert {ablation.loss_chosen for ablation in ablations} == {records[of].loss for of in chosen}
    (alone,) = [
        f for f in diagnostics(replace(report_data, ablations=tuple(tried))) if "peak learning rate" in f.text
    ]
    assert "is unknown" in alone.text
