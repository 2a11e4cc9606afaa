"""The study of families: it trains as the harness does, and its cases are what they are called."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.config.compose import compose_config
from harness.data import open_corpus
from harness.model.build import build_model
from harness.model.shape import Shape
from harness.train.run import train_cell
from scripts import family_study as study
from scripts.kept import Kept
from tests.train.small import small_jobs


def test_it_trains_as_the_harness_does(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder)
    record = train_cell(jobs[0])
    found = study.train(jobs[0].cell.spec, None, open_corpus(jobs[0].corpus))
    assert found["steps"] == record.steps
    assert found["loss"] == pytest.approx(record.loss, rel=1e-5)


def test_positions_are_taken_away_or_drawn_as_large_as_before() -> None:
    shape = Shape("gpt2", 61, 32, 2, 2, 16, 128, 2, False, 128)
    model = build_model(shape, 0.07)
    positions = dict(model.named_parameters())["transformer.wpe.weight"]
    drawn = positions.square().mean().item()
    study.sinusoids(model, 0.07)
    assert positions.square().mean().item() == pytest.approx(drawn, rel=0.05)
    near, far = (positions[40] @ positions[[41, 100]].T).tolist()
    assert near > far, "neighbours are alike"
    tokens = torch.full((1, 9), 5)
    assert not torch.allclose(*model(tokens).logits[0, [0, 8]])
    study.without_positions(model, 0.07)
    torch.testing.assert_close(*model(tokens).logits[0, [0, 8]])
    assert not positions.requires_grad


def test_every_case_is_a_model_of_the_demo() -> None:
    for case in study.CASES.values():
        model = compose_config(["experiment=demo", *case.overrides])[0].model
        assert model.family == case.overrides[0].removeprefix("model=")
    serial = compose_config(["experiment=demo", *study.CASES["gpt_neox, serial"].overrides])[0].model
    assert serial.options == {"rotary_pct": 1.0, "use_parallel_residual": False}


def test_a_level_is_passed_where_a_mean_of_steps_is_below_it() -> None:
    losses = np.concatenate([np.full(50, 3.0), np.full(50, 2.0)])
    losses[10] = 0.0  # a single step
    assert study.passed(losses, 2.5) == 50 + study.MEAN_OF // 2 + 1
    assert study.passed(losses, 1.9) is None
    assert study.passed(losses[:5], 2.5) is None


def test_differences_are_paired_by_seed() -> None:
    kept = Kept(None, {})
    for seed, luck in enumerate((0.0, 0.1)):
        for case, loss in (("llama", 2.0), ("gpt2", 2.25 + 0.02 * seed)):
            passed = [300 + seed, None, None]
            kept.add(budget=1e11, seed=seed, case=case, loss=loss + luck, passed=passed)
    kept.add(budget=6e11, seed=0, case="gpt2", loss=1.9, passed=[400, 700, None])
    llama, gpt2 = study.rows(kept, 1e11)
    assert llama == "| 1e+11 | llama | 2 | 2.050 | +0.000 ± 0.000 | 300, 301 | never, never | never, never |"
    assert "| 2.310 | +0.260 ± 0.014 |" in gpt2
    assert list(study.rows(kept, 6e11)) == ["| 6e+11 | gpt2 | 1 | 1.900 | – | 400 | 700 | never |"]
