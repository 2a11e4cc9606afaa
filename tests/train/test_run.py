"""One run: exact in what it trains, and the same whatever interrupts it or however it is cut."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.runs.record import DIVERGED, FINISHED, read_record
from harness.train.job import Job, PreemptedError, StepReport, Watch
from harness.train.run import train_cell
from tests.device import EXACT, about, contents
from tests.train.small import small_jobs


@pytest.fixture
def job(request: pytest.FixtureRequest, tmp_path: Path, text_folder: Path) -> Job:
    """A run, by AdamW unless a test asks for another optimizer."""
    optimizer = getattr(request, "param", "adamw")
    _, jobs = small_jobs(tmp_path, text_folder, "train.log_points=10", f"optimizer={optimizer}")
    return jobs[1]


BOTH = pytest.mark.parametrize("job", ["adamw", "muon"], indirect=True)
"""For tests of what an optimizer's state has a part in."""


def elsewhere(job: Job, folder: Path, **train: Any) -> Job:
    """The same run in another folder."""
    return replace(job, sweep=folder, train=replace(job.train, **train))


def stop_at(step: int) -> Callable[[], bool]:
    """True from the ``step``-th time it is asked, which is before step ``step``."""
    asked = iter(range(1, 10**9))
    return lambda: next(asked) >= step


def curve(job: Job) -> list[dict[str, float]]:
    with job.folder.curve.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def essence(job: Job) -> dict[str, Any]:
    """A record without what may differ between two equal runs."""
    record = json.loads(job.folder.record.read_text())
    return {
        k: v
        for k, v in record.items()
        if k not in ("seconds", "tokens_per_second", "mfu", "notes", "versions", "sha256")
    }


def assert_same(job: Job, expected: Job) -> None:
    """Two runs have left the same: to the last bit on a CPU."""
    assert essence(job) == about(essence(expected))
    assert contents(job.folder.curve) == about(contents(expected.folder.curve))


@BOTH
def test_a_run_trains_exactly_what_was_planned(job: Job) -> None:
    reports: list[StepReport] = []
    record = train_cell(job, Watch(report=reports.append))
    assert record.status == FINISHED
    assert record.tokens == job.cell.tokens
    assert record.flops == pytest.approx(job.cell.flops)
    assert record.steps == job.cell.spec.steps
    assert record.final_lr == pytest.approx(0.1 * job.cell.spec.optimizer.lr)
    assert record.loss is not None
    assert record.loss < math.log(256)
    assert record.loss_se is not None
    assert 0 < record.loss_se < record.loss
    assert record.bits_per_byte == pytest.approx(record.loss / math.log(2), rel=0.01)
    rows = curve(job)
    assert rows[-1]["step"] == job.cell.spec.steps
    assert rows[-1]["tokens"] == job.cell.tokens
    assert rows[-1]["lr"] == pytest.approx(record.final_lr)
    assert [row["train_loss"] for row in rows] == [report.loss for report in reports]
    assert record.train_loss == rows[-1]["train_loss"]
    assert not job.folder.checkpoint.exists()
    assert read_record(job.folder.record, job.cell.run_id) == record


def test_a_finished_run_is_not_trained_again(job: Job) -> None:
    record = train_cell(job)
    assert train_cell(job, Watch(should_stop=lambda: pytest.fail("it trains"))) == record


@BOTH
def test_interruptions_leave_no_trace(job: Job, tmp_path: Path) -> None:
    straight = elsewhere(job, tmp_path / "straight")
    train_cell(straight)
    cut = elsewhere(job, tmp_path / "cut")
    for step in (1, 4, 1, 18):  # before the first step, between two curve rows, at once again, late
        with pytest.raises(PreemptedError):
            train_cell(cut, Watch(should_stop=stop_at(step)))
    train_cell(cut)
    assert_same(cut, straight)


@BOTH
@pytest.mark.parametrize("damage", ["truncate", "flip", "no state", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(job: Job, tmp_path: Path, damage: str) -> None:
    straight = elsewhere(job, tmp_path / "straight")
    train_cell(straight)
    cut = elsewhere(job, tmp_path / "cut")
    for step in (7, 9):
        with pytest.raises(PreemptedError):
            train_cell(cut, Watch(should_stop=stop_at(step)))
    newest = sorted(cut.folder.checkpoint.glob("[0-9]*"))[-1]
    tensors = newest / "tensors.safetensors"
    blob = bytearray(tensors.read_bytes())
    if damage == "truncate":
        tensors.write_bytes(blob[: len(blob) // 2])
    elif damage == "flip":
        blob[-5] ^= 1
        tensors.write_bytes(blob)
    elif damage == "no state":
        (newest / "state.json").unlink()
    else:
        tensors.write_bytes(b"")
    with pytest.warns(RuntimeWarning, match="damaged and skipped"):
        record = train_cell(cut)
    assert any("damaged" in note for note in record.notes)
    assert_same(cut, straight)


@BOTH
def test_the_micro_batch_changes_nothing_but_rounding(job: Job, tmp_path: Path) -> None:
    losses = []
    for micro in (0, 1, 3):
        part = elsewhere(job, tmp_path / str(micro), micro_batch=micro)
        record = train_cell(part)
        losses.append([record.loss, *(row["train_loss"] for row in curve(part))])
    assert losses[1] == pytest.approx(losses[0], rel=2e-4)
    assert losses[2] == pytest.approx(losses[0], rel=2e-4)


def test_out_of_memory_halves_the_micro_batch_and_keeps_the_batch(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_cell(elsewhere(job, tmp_path / "whole"))
    forward = torch.nn.functional.cross_entropy

    def small_device(logits: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if torch.is_grad_enabled() and len(logits) > 2 * job.cell.spec.seq_len:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 TiB")
        return forward(logits, *args, **kwargs)

    monkeypatch.setattr("harness.train.loss.functional.cross_entropy", small_device)
    record = train_cell(elsewhere(job, tmp_path / "small"))
    assert record.loss == pytest.approx(whole.loss, rel=2e-4)
    assert any("micro-batch halved to 2" in note for note in record.notes)


def test_a_run_that_blows_up_is_diverged_with_its_curve(job: Job) -> None:
    spec = job.cell.spec
    wild = replace(spec, optimizer=replace(spec.optimizer, lr=1e4, grad_clip=0.0))
    record = train_cell(replace(job, cell=replace(job.cell, spec=wild)))
    assert record.status == DIVERGED
    assert "step" in record.reason
    assert record.loss is None
    assert record.steps < spec.steps
    assert record.tokens == record.steps * spec.batch_tokens


def test_the_seed_changes_the_run(job: Job) -> None:
    first = train_cell(job)
    other = replace(job, cell=replace(job.cell, spec=replace(job.cell.spec, seed=1)))
    assert other.cell.run_id != job.cell.run_id
    assert train_cell(other).loss != first.loss


def test_a_muon_run_resumed_at_every_step_is_the_run(tmp_path: Path, text_folder: Path) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, "train.log_points=10", "optimizer=muon")
    straight = elsewhere(jobs[0], tmp_path / "straight")
    train_cell(straight)
    cut = elsewhere(jobs[0], tmp_path / "cut")
    for step in range(1, jobs[0].cell.spec.steps):
        with pytest.raises(PreemptedError):
            train_cell(cut, Watch(should_stop=stop_at(2)))
        assert cut.folder.checkpoint_step() == step
    train_cell(cut)
    assert_same(cut, straight)


def test_the_exported_model_gives_the_recorded_loss(job: Job) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.data import open_corpus

    job = elsewhere(job, job.sweep, export=True)
    record = train_cell(job)
    model = AutoModelForCausalLM.from_pretrained(job.folder.model)
    tokenizer = AutoTokenizer.from_pretrained(job.folder.model)
    assert tokenizer.decode(tokenizer("def f(x):")["input_ids"]) == "def f(x):"
    sequences, _ = open_corpus(job.corpus).heldout_sequences(job.cell.spec.seq_len, job.cell.spec.eval_tokens)
    batch = torch.from_numpy(sequences)
    with torch.no_grad():
        logits = model(input_ids=batch[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
    assert float(loss) == pytest.approx(record.loss, rel=1e-5 if EXACT else 1e-4)


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "qwen3", "MistralConfig"])
def test_every_family_trains_and_is_counted(family: str, tmp_path: Path, text_folder: Path) -> None:
    chosen = f"model={family}" if not family.endswith("Config") else f"model.family={family}"
    size = (
        "ladder=tiny",
        "grid.budgets=[1e10]",
        "grid.sizes=1",
        "grid.center_params=40000",
        "recipe.min_steps=10",
    )
    _, jobs = small_jobs(
        tmp_path, text_folder, chosen, *size, "recipe.batch_tokens.value=512", "precision=auto"
    )
    record = train_cell(jobs[0])
    assert record.status == FINISHED
    assert record.precision == ("fp32" if EXACT else "bf16")
    assert record.loss < math.log(256)
    assert record.flops == pytest.approx(1e10, rel=0.05)
