"""A run's identity: what it is a hash of, pinned, for a changed hash orphans every finished run."""

from dataclasses import field, fields, make_dataclass, replace
from pathlib import Path

import pytest

from harness.model.shape import Shape
from harness.plan.schedule import Schedule
from harness.plan.spec import HASHED_AT_DEFAULT, Optimizer, RunSpec
from harness.runs.record import read_record

RESULTS = Path(__file__).parents[2] / "results"

SHAPE = Shape("llama", 256, 64, 2, 4, 16, 176, 4, False, 128)
SPEC = RunSpec(
    shape=SHAPE,
    seq_len=128,
    batch_sequences=8,
    steps=1000,
    optimizer=Optimizer(lr=3e-3, beta1=0.9, beta2=0.95, eps=1e-8, weight_decay=0.1, grad_clip=1.0),
    schedule=Schedule("cosine", 10, 1000, 0.1, 0.2),
    init_std=0.02,
    seed=0,
    data="f00d",
    eval_tokens=4096,
)
PINNED = {
    "d77a7bf2b4b5": SPEC,
    "4bf3224d3b65": replace(SPEC, shape=replace(SHAPE, family="gpt2", tied=True)),  # gpt2, tied
    "3e31c6bd86b8": replace(SPEC, shape=replace(SHAPE, family="gpt_neox")),  # gpt_neox
    "1ad7fedd65db": replace(SPEC, shape=replace(SHAPE, family="qwen3", kv_heads=2)),  # qwen3, grouped queries
    "ed8f23b8e65a": replace(
        SPEC, shape=replace(SHAPE, family="qwen3", options='{"rope_theta": 5e5}')
    ),  # options
    "5523d8854349": replace(SPEC, schedule=Schedule("wsd", 10, 1000, 0.0, 0.2)),  # wsd
    "248d0147a78b": replace(SPEC, schedule=Schedule("cosine", 10, 1500, 0.1, 0.2)),  # longer schedule
    "0f8698313cbd": replace(SPEC, precision="fp32"),  # fp32
    "47d4f15eabe4": replace(
        SPEC, batch_sequences=16, optimizer=replace(SPEC.optimizer, lr=1.5e-3)
    ),  # rate and batch
    "5b703bceb084": replace(SPEC, seed=1, data="beef", eval_tokens=8192),  # seed, text and held-out tokens
}


@pytest.mark.parametrize(("run_id", "spec"), PINNED.items())
def test_a_run_keeps_the_name_it_was_first_given(run_id: str, spec: RunSpec) -> None:
    assert spec.run_id == run_id
    assert RunSpec.from_json(spec.to_json()) == spec


def test_files_keep_the_names_they_were_first_written_with() -> None:
    written = SPEC.to_json()
    assert list(written)[:4] == ["shape", "seq_len", "batch_windows", "steps"]
    written["batch_sequences"] = written.pop("batch_windows")
    with pytest.raises(KeyError, match="batch_windows"):
        RunSpec.from_json(written)


def test_every_record_that_is_kept_here_is_still_of_its_run() -> None:
    records = sorted(RESULTS.glob("*/cells/*/record.json"))
    assert len(records) > 100
    assert [path for path in records if read_record(path, path.parent.name) is None] == []


def test_a_field_that_is_added_later_renames_no_run_unless_it_is_used() -> None:
    shape = make_dataclass("Later", [("window", int, field(default=0))], bases=(Shape,), frozen=True)
    later = make_dataclass(
        "LaterSpec",
        [("dropout", float, field(default=0.0)), ("tags", list[str], field(default_factory=list))],
        bases=(RunSpec,),
        frozen=True,
    )
    values = {one.name: getattr(SPEC, one.name) for one in fields(RunSpec)}
    same_shape = shape(**{one.name: getattr(SHAPE, one.name) for one in fields(Shape)})
    assert later(**values).run_id == later(**{**values, "shape": same_shape}).run_id == SPEC.run_id
    used = [
        later(**values, dropout=0.1),
        later(**values, tags=["a"]),
        later(**{**values, "shape": replace(same_shape, window=64)}),
    ]
    assert len({SPEC.run_id, *(spec.run_id for spec in used)}) == 4


def test_no_field_that_has_a_default_now_is_left_out() -> None:
    """The list of those that are hashed at their defaults holds for runs that exist: it may never grow or shrink."""
    assert set(HASHED_AT_DEFAULT) == {"precision", "options"}
