"""Whatever happens to a file of an interrupted run: the same loss and curve, or a note; never another in silence."""

import errno
import hashlib
import json
import random
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from harness.files import seal
from harness.launch.retry import is_retryable
from harness.model.build import build_model
from harness.runs.record import read_record
from harness.train.checkpoint import RunState, load_checkpoint
from harness.train.job import Job, PreemptedError, Watch
from harness.train.optimizer import build_optimizer
from harness.train.run import train_cell
from tests.device import about
from tests.train.small import small_jobs
from tests.train.test_branching import TRUNK
from tests.train.test_run import assert_same, elsewhere, essence, stop_at

DAMAGES = ("flip", "truncate", "zero", "empty", "delete", "null", "folder")


def damage(path: Path, how: str, chance: random.Random) -> None:
    """Do to a file what disks, people and other programs do."""
    content = bytearray(path.read_bytes())
    path.unlink()
    if how == "flip":
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    elif how == "truncate":
        content = content[: chance.randrange(len(content))]
    elif how == "zero":
        start = chance.randrange(len(content))
        content[start:] = bytes(len(content) - start)
    elif how == "empty":
        content.clear()
    elif how == "null":
        content = bytearray(b"null")
    if how == "folder":
        path.mkdir()
    elif how != "delete":
        path.write_bytes(content)


@pytest.fixture(scope="module")
def cut(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, text_folder: Path
) -> tuple[Job, Job]:
    """A run stopped twice, which leaves it two checkpoints, and the same run undisturbed.

    By AdamW unless a test asks for another optimizer.
    """
    folder = tmp_path_factory.mktemp("cut")
    optimizer = getattr(request, "param", "adamw")
    _, jobs = small_jobs(folder, text_folder, "train.log_points=10", f"optimizer={optimizer}")
    straight = elsewhere(jobs[1], folder / "straight")
    train_cell(straight)
    job = elsewhere(jobs[1], folder / "cut")
    for step in (7, 9):
        with pytest.raises(PreemptedError):
            train_cell(job, Watch(should_stop=stop_at(step)))
    return job, straight


BOTH = pytest.mark.parametrize("cut", ["adamw", "muon"], indirect=True)


@pytest.fixture
def copied(cut: tuple[Job, Job], tmp_path: Path) -> Iterator[tuple[Job, Job]]:
    """A copy of the stopped run, and the undisturbed one; warnings of damage are expected."""
    shutil.copytree(cut[0].sweep, tmp_path / "copy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        yield elsewhere(cut[0], tmp_path / "copy"), cut[1]


def newest(job: Job) -> Path:
    return sorted(job.folder.checkpoint.glob("[0-9]*"))[-1]


@BOTH
@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", ["state.json", "tensors.safetensors", "curve.csv"])
def test_a_damaged_file_of_a_stopped_run_changes_nothing(
    name: str, how: str, copied: tuple[Job, Job]
) -> None:
    job, straight = copied
    chance = random.Random(f"{name} {how}")
    path = job.folder.curve if name == "curve.csv" else newest(job) / name
    damage(path, how, chance)
    record = train_cell(job)
    assert_same(job, straight)
    noted = any("was damaged and skipped" in note for note in record.notes)
    assert noted == (name != "curve.csv")
    assert read_record(job.folder.record, job.cell.run_id) == record


@BOTH
@pytest.mark.slow
def test_random_damage_of_all_files_at_once_changes_nothing(cut: tuple[Job, Job], tmp_path: Path) -> None:
    chance = random.Random(0)
    for attempt in range(12):
        shutil.copytree(cut[0].sweep, tmp_path / str(attempt))
        job = elsewhere(cut[0], tmp_path / str(attempt))
        files = [job.folder.curve, *sorted(job.folder.checkpoint.glob("*/*"))]
        for path in chance.sample(files, chance.randrange(1, len(files) + 1)):
            damage(path, chance.choice(DAMAGES), chance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            train_cell(job)
        assert_same(job, cut[1])


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any], sealed: bool) -> None:
    """Change ``state.json``; ``sealed`` as this program would have written it."""
    content = json.loads((path / "state.json").read_text())
    content = change(content) or content
    (path / "state.json").write_text(json.dumps(seal(content) if sealed else content))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(step=4),
        lambda state: state.update(step=str(state["step"])),
        lambda state: state.update(step=10**6),
        lambda state: state.update(loss_sum=-1e9),
        lambda state: state.update(loss_steps=state["loss_steps"] + 1),
        lambda state: state.update(loss_steps=None),
        lambda state: state.update(seconds=float("nan")),
        lambda state: state.update(seconds="long"),
        lambda state: state.update(micro_batch=-1),
        lambda state: state.update(inherited=10**6),
        lambda state: state.update(run_id="another run"),
        lambda state: state.update(rows=state["rows"][:-1]),
        lambda state: state.update(rows=[state["rows"][-1], *state["rows"]]),
        lambda state: state.update(rows=3),
        lambda state: state.update(surprise=1),
        lambda state: state.pop("branches") and None,
        lambda state: state.pop("rows") and None,
    ],
)
def test_a_state_that_cannot_be_is_skipped(
    change: Callable[[dict[str, Any]], Any], sealed: bool, copied: tuple[Job, Job]
) -> None:
    """Also one whose checksum is right."""
    job, _ = copied
    path = newest(job)
    rewritten(path, change, sealed)
    state = loaded(job)
    assert (
        state.step == int(sorted(p.name for p in job.folder.checkpoint.glob("[0-9]*"))[-1]) < int(path.name)
    )
    assert state.notes == (f"checkpoint at step {int(path.name)} was damaged and skipped",)


def test_a_loss_of_a_state_that_was_edited_is_never_believed(copied: tuple[Job, Job]) -> None:
    job, straight = copied
    rewritten(newest(job), lambda state: state.update(loss_sum=1e9), sealed=False)
    train_cell(job)
    assert_same(job, straight)


def loaded(job: Job) -> RunState:
    spec = job.cell.spec
    model = build_model(spec.shape, init_std=spec.init_std, seed=spec.seed)
    optimizer = build_optimizer(model, spec)
    return load_checkpoint(job.folder.checkpoint, model, optimizer, spec.run_id, spec.steps)


@BOTH
@pytest.mark.parametrize(
    "lost",
    [
        "optimizer.exp_avg.",
        "optimizer.",
        "optimizer.step.",
        "optimizer.momentum_buffer.",
        "model.",
        "shape",
        "more",
        "half",
    ],
)
def test_tensors_that_are_not_all_of_them_are_skipped(lost: str, copied: tuple[Job, Job]) -> None:
    """Whole files with right checksums, as another program might have written them."""
    job, _ = copied
    path = newest(job)
    file = path / "tensors.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    if lost == "shape":
        name = next(name for name in tensors if name.startswith("optimizer.exp_avg."))
        tensors[name] = tensors[name].flatten()[:-1].clone()
    elif lost == "more":
        tensors["optimizer.exp_avg.nothing"] = torch.zeros(3)
    elif lost == "half":
        tensors = {name: tensor.half() for name, tensor in tensors.items()}
    else:
        gone = [name for name in tensors if name.startswith(lost)]
        if not gone:
            pytest.skip("this optimizer keeps no such thing")
        for name in gone[:1] if lost == "model." else gone:
            del tensors[name]
    save_file(tensors, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    rewritten(path, lambda state: state.update(tensors_sha256=digest), sealed=True)
    assert any(f"step {int(path.name)} was damaged" in note for note in loaded(job).notes)


def test_processes_that_read_different_checkpoints_do_not_train_together(
    cut: tuple[Job, Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them may have met a file server that was away: their gradients are of different weights."""
    monkeypatch.setattr(Accelerator, "gather", lambda _, step: torch.cat([step, step - 2]))
    with pytest.raises(OSError, match=r"checkpoints of the steps \[\d+, \d+\]") as refused:
        train_cell(cut[0])
    assert is_retryable(refused.value)


def test_stray_names_are_no_checkpoints(copied: tuple[Job, Job]) -> None:
    """Nor are they removed, or in the way of one."""
    job, straight = copied
    step = job.folder.checkpoint_step()
    folder = job.folder.checkpoint
    for name in ("12abc", "9999999999", "5", "0000000²3", ".hidden", "old 000000012"):
        (folder / name).mkdir()
    for number in (step + 1, step + 2, job.cell.spec.steps):
        (folder / f"{number:09d}").write_text("a file")
    (folder / f"{step + 3:09d}").symlink_to(folder / "nowhere")
    (folder / "notes.txt").write_text("mine")
    assert job.folder.checkpoint_step() == step
    with pytest.raises(PreemptedError):
        train_cell(job, Watch(should_stop=stop_at(3)))
    assert job.folder.checkpoint_step() == step + 2, "where a file was in its place"
    assert (folder / "12abc").is_dir()
    record = train_cell(job)
    assert_same(job, straight)
    assert record.notes == read_record(straight.folder.record, job.cell.run_id).notes  # type: ignore[union-attr]


def test_a_checkpoint_of_an_earlier_version_is_not_trusted(copied: tuple[Job, Job]) -> None:
    """Its state has no checksum and no curve: the run is trained from the start, and says so."""
    job, straight = copied
    for path in job.folder.checkpoint.glob("[0-9]*"):
        content = json.loads((path / "state.json").read_text())
        for name in ("rows", "run_id"):
            del content[name]
        content["sha256"] = content.pop("tensors_sha256")
        (path / "state.json").write_text(json.dumps(content))
    record = train_cell(job)
    assert_same(job, straight)
    assert sum("was of an earlier version and skipped" in note for note in record.notes) == 2


@pytest.mark.parametrize("how", [*DAMAGES[:-1], "nan", "other run", "wrong type", "digit"])
def test_a_damaged_record_is_trained_again_and_says_so(how: str, copied: tuple[Job, Job]) -> None:
    job, straight = copied
    shutil.rmtree(job.folder.path)
    shutil.copytree(straight.folder.path, job.folder.path)
    path = job.folder.record
    data = json.loads(path.read_text())
    if how in DAMAGES:
        damage(path, how, random.Random(how))
    else:
        data |= {
            "nan": {"loss": float("nan")},
            "other run": {"run_id": "0" * 12},
            "wrong type": {"notes": None},
            "digit": {"loss": data["loss"] + 0.1},
        }[how]
        path.write_text(json.dumps(data))
    assert read_record(path, job.cell.run_id) is None
    record = train_cell(job)
    assert_same(job, straight)
    assert any("record that was there was damaged" in note for note in record.notes) == (how != "delete")


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_of_a_branch_costs_only_time(
    how: str, tmp_path: Path, text_folder: Path
) -> None:
    _, jobs = small_jobs(tmp_path, text_folder, *TRUNK)
    trunk, *_, branch = sorted(jobs, key=lambda job: -job.cell.spec.steps)
    alone = replace(elsewhere(branch, tmp_path / "alone"), branches=())
    train_cell(alone)
    train_cell(trunk)
    for path in sorted(newest(branch).iterdir()):
        if how == "folder" or path.name == "state.json":
            damage(path, how, random.Random(how))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        record = train_cell(branch)
    assert record.flops_spent == record.flops, "all of it was trained again"
    assert any("was damaged and skipped" in note for note in record.notes)
    assert essence(branch) == about(essence(alone))
    assert branch.folder.curve.read_bytes() == alone.folder.curve.read_bytes()


def test_a_record_that_cannot_be_read_now_is_not_replaced(
    copied: tuple[Job, Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, straight = copied
    shutil.copy(straight.folder.record, job.folder.record)
    read = Path.read_text

    def failing(path: Path, *args: Any, **more: Any) -> str:
        if path == job.folder.record:
            raise OSError(errno.EIO, "Input/output error", str(path))
        return read(path, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", failing)
        with pytest.raises(OSError, match="Input/output error") as refused:
            train_cell(job)
        assert is_retryable(refused.value)
    assert job.folder.record.read_bytes() == straight.folder.record.read_bytes()
    assert job.folder.checkpoint_step() > 0
