"""``isoflop clean`` takes what nothing needs, and nothing else, whatever is there and wherever it is stopped."""

import json
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli import main
from harness.launch.ledger import Ledger
from harness.launch.submission import Submission
from harness.runs.claim import Owner, myself, take
from harness.runs.files import CellFolder, SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import FAILED
from tests.records import fake_record
from tests.train.small import overrides, small_jobs

MB = 1_000_000
MODEL = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
)


def fill(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def age(path: Path, seconds: float = 7200) -> Path:
    for one in (path, *path.rglob("*")) if path.is_dir() else (path,):
        os.utime(one, (time.time() - seconds,) * 2)
    return path


def all_of(cell: CellFolder, size: int = 10) -> None:
    """What a run can leave beside its record."""
    for name in ("state.json", "tensors.safetensors"):
        fill(cell.checkpoint / "000000010" / name, size)
    for name in MODEL:
        fill(cell.model / name, size)
    fill(cell.log, size)
    fill(cell.curve, size)
    fill(cell.tasks, size)
    fill(age(fill(cell.path / ".record.json.ab_9x0zz")))
    age(cell.path / ".record.json.ab_9x0zz")


@pytest.fixture
def sweep(tmp_path: Path, text_folder: Path) -> SweepFolder:
    """Six runs: the first four are finished, the fifth failed, the sixth was begun."""
    small_jobs(tmp_path, text_folder)
    folder = SweepFolder(tmp_path / "runs" / "small")
    cells = frozen_plan(folder).cells
    assert len(cells) == 6
    for number, cell in enumerate(cells):
        all_of(folder.cell(cell.run_id))
        record = fake_record(cell, 3.0 + number)
        if number == 4:
            record = replace(record, status=FAILED, reason="no", loss=None, loss_se=None, bits_per_byte=None)
        if number < 5:
            record.write(folder.cell(cell.run_id).record)
    return folder


def runs(folder: SweepFolder) -> list[CellFolder]:
    return [folder.cell(cell.run_id) for cell in frozen_plan(folder).cells]


def clean(folder: SweepFolder, *more: str) -> None:
    main(["clean", f"name={folder.path.name}", f"runs_dir={folder.path.parent}", *more])


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def kept_always(folder: Path) -> dict[str, bytes]:
    """What must be there whatever is removed."""
    gone = re.compile(r"checkpoint/|model/|log\.txt|/\.record|/logs/|\.writing-|claim")
    return {name: text for name, text in content(folder).items() if not gone.search(name)}


def test_nothing_is_removed_unasked(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(sweep.path)
    clean(sweep)
    clean(sweep, "what=[models,logs,checkpoints,leftovers]")
    assert content(sweep.path) == before
    shown = capsys.readouterr().out
    assert "nothing is removed; the same with yes=true frees" in shown
    assert "4 runs any more (0 not scored so far)" in shown, "what the models are needed for"
    assert "2 runs left alone: not ended" in shown


def test_by_default_checkpoints_of_ended_runs_and_leftovers_go(sweep: SweepFolder) -> None:
    before = content(sweep.path)
    clean(sweep, "yes=true")
    for number, cell in enumerate(runs(sweep)):
        ended = number < 4
        assert cell.checkpoint.exists() != ended
        assert (cell.path / ".record.json.ab_9x0zz").exists() != ended
        assert (cell.model / "config.json").exists()
        assert cell.log.exists()
    now = content(sweep.path)
    gone = before.keys() - now.keys()
    assert len(gone) == 4 * 3
    assert now == {name: text for name, text in before.items() if name in now}


@pytest.mark.parametrize(("what", "left"), [("models", "log.txt"), ("logs", "model/config.json")])
def test_models_and_logs_only_where_named(sweep: SweepFolder, what: str, left: str) -> None:
    before = kept_always(sweep.path)
    clean(sweep, "yes=true", f"what=[{what}]")
    for number, cell in enumerate(runs(sweep)):
        named = cell.model if what == "models" else cell.log
        assert named.exists() == (number >= 4)
        assert (cell.path / left).exists()
        assert (cell.checkpoint / "000000010").is_dir()
    assert kept_always(sweep.path) == before


@pytest.mark.parametrize("what", ["records", "curves", "other", "tasks", "checkpoints/.."])
def test_what_is_no_kind_is_refused(
    sweep: SweepFolder, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        clean(sweep, "yes=true", f"what=['{what}']")
    assert capsys.readouterr().err.startswith(f"isoflop: what: '{what}' is none of checkpoints, models,")


def test_a_record_that_is_damaged_or_of_another_run_ends_none(sweep: SweepFolder) -> None:
    first, second = runs(sweep)[:2]
    first.record.write_text(first.record.read_text().replace('"loss": 3.0', '"loss": 3.5'))
    shutil.copy(runs(sweep)[2].record, second.record)
    clean(sweep, "yes=true", "what=[checkpoints,models,logs,leftovers]")
    for cell in (first, second):
        assert cell.checkpoint.exists()
        assert cell.model.exists()
        assert cell.log.exists()


def foreign(cell: CellFolder, seconds: float) -> Owner:
    """A claim of a process on another machine, last heard of so long ago."""
    owner = replace(myself(), host="elsewhere", boot="another", locked=True)
    (cell.path / "claim.json").write_bytes(owner.dump())
    age(cell.path / "claim.json", seconds)
    return owner


def test_a_run_that_somebody_is_at_is_left_alone(sweep: SweepFolder) -> None:
    here, there, silent = runs(sweep)[:3]
    foreign(there, 30)
    foreign(silent, 24 * 3600)
    claim = take(here.path)
    assert claim is not None
    with claim:
        clean(sweep, "yes=true", "what=[checkpoints,models,logs,leftovers]")
        assert claim.holds()
    for cell in (here, there):
        assert (cell.checkpoint / "000000010").is_dir()
        assert (cell.model / "config.json").is_file()
        assert cell.log.is_file()
        assert (cell.path / ".record.json.ab_9x0zz").is_file()
    assert (there.path / "claim.json").is_file()
    assert not silent.checkpoint.exists()
    assert not list(silent.path.glob("*claim*"))


def test_what_was_written_just_now_is_no_leftover(sweep: SweepFolder) -> None:
    first = runs(sweep)[0]
    fresh = [
        fill(first.path / ".writing-abc" / "model.safetensors"),
        fill(sweep.path / ".plan.json.abcdefgh"),
    ]
    old = [fill(first.path / ".writing-old" / "model.safetensors"), fill(sweep.path / ".fit.json.abcdefgh")]
    age(old[0].parent)
    age(old[1])
    clean(sweep, "yes=true")
    assert all(path.exists() for path in fresh)
    assert not any(path.exists() for path in old)


def test_files_of_others_stay(sweep: SweepFolder) -> None:
    first = runs(sweep)[0]
    mine = [
        fill(first.path / "notes.tmp"),
        fill(first.checkpoint / "000000010" / "optimizer.pt"),
        fill(first.checkpoint / "best" / "tensors.safetensors"),
        fill(first.model / "finetuned" / "model.safetensors"),
        fill(first.path / "checkpoint-old" / "state.json"),
        fill(sweep.path / "log.txt"),
        fill(sweep.path / ".hidden.tmp"),
        fill(sweep.cells / "notes" / "checkpoint" / "000000001" / "state.json"),
        fill(sweep.path.parent / "no sweep" / "cells" / first.path.name / "log.txt"),
        fill(sweep.path / "wandb" / "offline-run-1" / "run-1.wandb"),
    ]
    for path in mine:
        age(path)
    main(["clean", f"runs_dir={sweep.path.parent}", "yes=true", "what=[checkpoints,models,logs,leftovers]"])
    assert all(path.is_file() for path in mine)
    assert (first.checkpoint / "000000010" / "state.json").is_file(), "such a checkpoint stays as it is"
    assert not runs(sweep)[1].model.exists()


def test_symbolic_links_lead_nowhere(
    sweep: SweepFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    for name in ("checkpoint", "model", "000000020", "cell"):
        fill(outside / name / "config.json")
        fill(outside / name / "state.json")
    log = fill(outside / "log.txt")
    first, second, third, fourth = runs(sweep)[:4]
    shutil.rmtree(first.checkpoint)
    shutil.rmtree(first.model)
    first.log.unlink()
    first.checkpoint.symlink_to(outside / "checkpoint")
    first.model.symlink_to(outside / "model")
    first.log.symlink_to(log)
    (second.checkpoint / "000000020").symlink_to(outside / "000000020")
    (third.model / "weights.safetensors").symlink_to(outside / "model" / "config.json")
    shutil.move(fourth.path, outside / "whole")
    fourth.path.symlink_to(outside / "whole")
    before = content(outside)
    clean(sweep, "yes=true", "what=[checkpoints,models,logs,leftovers]")
    assert content(outside) == before
    assert "symbolic links, left alone" in capsys.readouterr().out
    assert first.log.is_symlink()
    assert (second.checkpoint / "000000020").is_symlink()
    assert (third.model / "config.json").is_file(), "a model with something unknown stays whole"


@pytest.mark.parametrize("whole", [True, False])
def test_sweeps_that_share_runs_do_not_break_each_other(sweep: SweepFolder, whole: bool) -> None:
    """The second has links to the first's runs, to all or to one of them."""
    other = SweepFolder(sweep.path.parent / "other")
    other.path.mkdir()
    shutil.copy(sweep.plan, other.plan)
    first, second = runs(sweep)[:2]
    if whole:
        other.cells.symlink_to(sweep.cells)
    else:
        other.cells.mkdir()
        other.cell(first.path.name).path.symlink_to(first.path)
    before = content(sweep.path)
    clean(other, "yes=true", "what=[checkpoints,models,logs,leftovers]")
    assert content(sweep.path) == before, "they are the other's"
    clean(sweep, "yes=true", "what=[models,checkpoints]")
    assert first.model.is_dir()
    assert second.model.is_dir() == whole
    assert not first.checkpoint.exists()


def test_a_sweep_behind_a_link_is_followed_only_by_name(
    sweep: SweepFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_dir = tmp_path / "linked"
    (runs_dir / "own").mkdir(parents=True)
    shutil.copy(sweep.plan, runs_dir / "own")
    (runs_dir / "small").symlink_to(sweep.path)
    before = content(sweep.path)
    main(["clean", f"runs_dir={runs_dir}", "yes=true"])
    assert content(sweep.path) == before
    assert "a symbolic link, left out; name=small follows it" in capsys.readouterr().out
    main(["clean", "name=small", f"runs_dir={runs_dir}", "yes=true"])
    assert not runs(sweep)[0].checkpoint.exists()


def test_killed_at_any_moment_all_is_valid_and_the_next_call_ends_it(sweep: SweepFolder) -> None:
    """A child dies at its first, second, … change of the disk, until one comes to its end."""
    before = kept_always(sweep.path)
    steps = 0
    while True:
        child = os.fork()
        if child == 0:
            die_at(steps)
            clean(sweep, "yes=true", "what=[checkpoints,models,logs,leftovers]")
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert kept_always(sweep.path) == before
        for number, cell in enumerate(runs(sweep)):
            names = {path.name for path in cell.model.glob("*")}
            assert names in (set(MODEL), set()), "no model that has lost some of its files"
            assert number < 4 or names
        if status == 0:
            break
        assert status == 9
        steps += 3 if steps > 12 else 1
    assert steps > 3, "it was killed at all"
    for number, cell in enumerate(runs(sweep)):
        there = (number >= 4,) * 3
        assert (bool(cell.checkpoint_step()), cell.model.exists(), cell.log.exists()) == there
    assert not list(sweep.path.rglob(".writing-*"))


def die_at(step: int) -> None:
    """This process dies when it changes the disk for the ``step``-th time."""
    left = [step]

    def counting(call):  # type: ignore[no-untyped-def]
        def called(*arguments, **options):  # type: ignore[no-untyped-def]
            if not left[0]:
                os._exit(9)
            left[0] -= 1
            return call(*arguments, **options)

        return called

    for name in ("unlink", "rename", "rmdir", "mkdir", "link"):
        setattr(os, name, counting(getattr(os, name)))


def test_a_folder_that_cannot_be_written_is_one_line_and_the_others_go(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = runs(sweep)[:2]
    real = Path.rename

    def refused(path: Path, target: str) -> Path:
        if first.path in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(SystemExit, match="2"):
        clean(sweep, "yes=true")
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"isoflop: {first.checkpoint}/\S+: Permission denied: not removed", line)
    assert not second.checkpoint.exists()
    assert not list(first.path.glob("claim*"))
    assert not list(first.path.rglob(".writing-*"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_run(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    first = runs(sweep)[0]
    first.path.chmod(0o500)
    try:
        with pytest.raises(SystemExit, match="2"):
            clean(sweep, "yes=true")
    finally:
        first.path.chmod(0o700)
    assert first.checkpoint.exists()


def test_sweep_status_and_fit_are_the_same_after_it(
    sweep: SweepFolder, tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = overrides(tmp_path, text_folder, "analysis.draws=20", "train.export=all")
    for number, cell in enumerate(frozen_plan(sweep).cells):
        paths = sweep.cell(cell.run_id)
        paths.curve.unlink()
        paths.tasks.unlink()
        loss = 2 + (cell.params.total / 7000) ** -0.3 + (cell.tokens / 1e4) ** -0.3 + 0.001 * number
        fake_record(cell, loss).write(paths.record)

    def answers() -> tuple[bytes, bytes, str]:
        main(["sweep", *told])
        main(["fit", *told])
        capsys.readouterr()
        main(["status", *told])
        shown = re.sub(r"disk: .*\n", "", capsys.readouterr().out)
        return sweep.fit.read_bytes(), sweep.table.read_bytes(), shown

    first = answers()
    assert "6 ✔ finished" in first[2]
    clean(sweep, "yes=true", "what=[checkpoints,models,logs,leftovers]")
    assert not list(sweep.cells.glob("*/model"))
    assert answers() == first
    assert not list(sweep.cells.glob("*/model")), "nothing was trained again"


def submitted(sweep: SweepFolder, *run_ids: str) -> Path:
    ledger = Ledger(sweep.path / "slurm")
    log = fill(ledger.path / "0001" / "logs" / "7_0.txt")
    ledger.path.mkdir(exist_ok=True)
    place = str(ledger.path.resolve())
    ledger.write([Submission("0001", "2026-01-01T00:00:00+00:00", (run_ids,), "7", place=place, token="ab")])
    return log


def test_logs_of_jobs_stay_where_the_queue_does_not_say_that_they_are_over(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no squeue
    log = submitted(sweep, runs(sweep)[0].path.name)
    clean(sweep, "yes=true", "what=[logs]")
    assert log.exists()
    assert "logs of jobs kept: the queue is not known" in capsys.readouterr().out


def test_status_says_what_it_takes_and_only_what_clean_frees(
    sweep: SweepFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["status", "name=small", f"runs_dir={sweep.path.parent}"]
    main(told)
    (line,) = re.findall("disk: .*", capsys.readouterr().out)
    assert "frees" not in line, "a few bytes are no reason"
    for cell in runs(sweep):
        fill(cell.checkpoint / "000000010" / "tensors.safetensors", MB)
        fill(cell.model / "model.safetensors", 2 * MB)
    main(told)
    (line,) = re.findall("disk: .*", capsys.readouterr().out)
    assert re.fullmatch(
        r"disk: 18\S* MB, of which 6 MB checkpoints and 12 MB models; "
        rf"'isoflop clean name=small runs_dir={sweep.path.parent} yes=true' frees 4 MB",
        line,
    )
    clean(sweep, "yes=true")
    assert "freed 4 MB (checkpoints, leftovers)" in capsys.readouterr().out
    main(told)
    (line,) = re.findall("disk: .*", capsys.readouterr().out)
    assert "frees" not in line, "those of runs that have not ended are no reason either"


def test_hard_links_free_nothing_and_caches_within_are_shown(
    sweep: SweepFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = runs(sweep)[0]
    tensors = fill(first.checkpoint / "000000010" / "tensors.safetensors", 3 * MB)
    os.link(tensors, tmp_path / "kept")
    fill(sweep.path / "cache" / "corpus" / "train.bin", 5 * MB)
    clean(sweep, f"cache_dir={sweep.path}/cache", "yes=true")
    shown = capsys.readouterr().out
    assert re.search(r"token caches +1 +5 MB\s", shown)
    assert re.search(r"freed \d+ bytes", shown)
    assert (tmp_path / "kept").stat().st_size == 3 * MB
    assert json.loads(sweep.plan.read_text())
