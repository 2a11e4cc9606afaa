"""The experiments for a GPU plan into sensible runs, within their corpora and the time they promise."""

import math
from pathlib import Path

import pytest
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.data import prepare
from harness.plan.duration import makespan
from harness.plan.plan import Plan
from harness.train.run import train_cell
from harness.workflow.experiment import make_jobs, plan_experiment, prepare_corpus
from harness.workflow.resources import worker_count
from harness.workflow.rules import sweep_folder, timing_of
from tests.device import DEVICE

# Unique training tokens that the experiment's own corpus has, and its vocabulary: bytes of the kernel's C as
# 'isoflop fetch' left them (746 MB, 1% held out); of the hub's text data.max_bytes at 4.2 bytes a token.
CORPORA = {
    "one_gpu": (738e6, 256),
    "one_gpu_day": (3e10 / 4.2, 8192),
    "cluster": (1e11 / 4.4, 32768),
}


def planned(name: str, folder: Path, *more: str) -> tuple[Config, Plan]:
    tokens, vocabulary = CORPORA[name]
    config, _ = compose_config(
        [
            f"experiment={name}",
            "data=declared",
            f"data.unique_tokens={tokens}",
            f"data.vocab_size={vocabulary}",
            f"cache_dir={folder}",
            *more,
        ]
    )
    return config, plan_experiment(config, prepare(config.data, config.tokenizer, folder))


@pytest.mark.parametrize("name", CORPORA)
def test_every_column_has_both_sides_of_twenty_tokens_a_parameter(name: str, tmp_path: Path) -> None:
    config, plan = planned(name, tmp_path)
    assert not plan.skipped
    assert len(config.grid.budgets) >= 4
    for budget in config.grid.budgets:
        ratios = [cell.tokens / cell.params.total for cell in plan.cells if cell.budget == budget]
        assert len(ratios) == config.grid.sizes >= 7
        assert sum(ratio > 20 for ratio in ratios) >= 2
        assert sum(ratio < 20 for ratio in ratios) >= 2
        assert 1 < min(ratios) < 5, "far enough to the side of large models to see the U"
        assert 60 < max(ratios) < 200


@pytest.mark.parametrize("name", CORPORA)
def test_steps_rates_and_budgets_are_those_of_training(name: str, tmp_path: Path) -> None:
    _, plan = planned(name, tmp_path)
    for cell in plan.cells:
        assert cell.flops == pytest.approx(cell.budget, rel=0.01)
        assert cell.epochs <= 1
        assert 150 < cell.spec.steps < 50_000
        assert 1e-3 < cell.spec.optimizer.lr < 0.03
        assert cell.spec.shape.head_dim in (32, 64, 128), "head sizes that flash kernels take"


def test_the_25_minutes_are_by_rates_that_were_measured(tmp_path: Path) -> None:
    config, plan = planned("one_gpu", tmp_path)
    seconds = makespan([cell.estimate_seconds for cell in plan.cells], 1)
    assert seconds == pytest.approx(25 * 60, rel=0.05)
    assert (min(config.grid.budgets), max(config.grid.budgets)) == pytest.approx((1e15, 3e16), rel=0.25)
    assert config.throughput.name == "h100"
    assert not config.throughput.assumed


def test_a_day_and_a_night(tmp_path: Path) -> None:
    _, day = planned("one_gpu_day", tmp_path)
    assert 8 < sum(cell.estimate_seconds for cell in day.cells) / 3600 < 20, "and follow-ups on top"
    config, night = planned("cluster", tmp_path)
    assert worker_count(config) == 8, "one cell a GPU of a node"
    assert max(cell.estimate_seconds for cell in night.cells) < 10 * 3600
    assert math.isclose(max(config.grid.budgets), 1e19)


def test_measured_sharing_makes_runs_longer_and_the_whole_shorter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    alone = planned("one_gpu", tmp_path, "train.compile=off")[1]
    measured = ("throughput.per_device=2", "throughput.shared_slowdown=0.9", "train.compile=off")
    config, plan = planned("one_gpu", tmp_path, *measured)
    assert worker_count(config) == 2
    assert timing_of(config).sharing == pytest.approx(1.8)
    for one, two in zip(alone.cells, plan.cells, strict=True):
        assert one.run_id == two.run_id, "how fast it goes is no part of a run"
        assert one.estimate_seconds < two.estimate_seconds < 1.8 * one.estimate_seconds
    both = [makespan([cell.estimate_seconds for cell in p.cells], w) for p, w in ((alone, 1), (plan, 2))]
    assert both[1] < both[0]


@pytest.mark.parametrize("name", ["rfc", "linux", "fineweb_edu", "c4", "python_installed"])
def test_large_corpora_compose(name: str) -> None:
    config, _ = compose_config(["experiment=one_gpu", f"data={name}"])
    assert config.data.name == name
    assert config.data.kind in ("text", "hf", "python_installed")


def test_the_gpu_experiment_trains_at_toy_size(tmp_path: Path, text_folder: Path) -> None:
    """The same configuration: the smallest shape, some steps, bf16, micro-batches."""
    config, _ = compose_config(
        [
            "experiment=one_gpu",
            "data=text",
            f"path={text_folder}",
            f"cache_dir={tmp_path}/cache",
            f"runs_dir={tmp_path}/runs",
            "tracker=none",
            "precision=bf16",
            f"train.device={DEVICE}",
            "train.micro_batch=3",
            "seq_len=64",
            "data.eval_tokens=1024",
            "data.max_epochs=100",
            "grid.budgets=[2e10]",
            "grid.params=[4e5]",
            "recipe.min_steps=20",
        ]
    )
    corpus = prepare_corpus(config, Console(quiet=True))
    plan = plan_experiment(config, corpus)
    (job,) = make_jobs(config, plan, corpus, sweep_folder(config))
    record = train_cell(job)
    assert (record.status, record.precision) == ("finished", "bf16")
    assert record.loss is not None
    assert record.loss < math.log(256)
    assert record.flops == pytest.approx(2e10, rel=0.05)
