"""A corpus whose files change while a run trains on them: no loss of other text is ever kept."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.data import open_corpus
from harness.data.meta import write_meta
from harness.errors import UserError
from harness.train.job import Job, PreemptedError, Watch
from harness.train.outcome import corpus_facts
from harness.train.run import train_cell
from harness.train.saver import Saver
from tests.train.small import small_jobs
from tests.train.test_run import assert_same, elsewhere, stop_at

STEP = 12


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Job:
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("straight")
    job = small_jobs(folder, text_folder, "train.log_points=10")[1][1]
    train_cell(job)
    return job


@pytest.fixture
def job(straight: Job, tmp_path: Path) -> Job:
    """The same run elsewhere, on a copy of the corpus, with a checkpoint."""
    shutil.copytree(straight.corpus, tmp_path / "corpus")
    own = replace(elsewhere(straight, tmp_path / "sweep"), corpus=tmp_path / "corpus")
    with pytest.raises(PreemptedError):
        train_cell(own, Watch(should_stop=stop_at(STEP)))
    return own


def flip(path: Path) -> None:
    """Half of the bytes, in place: a memory map sees it."""
    with path.open("r+b") as file:
        content = bytes(byte ^ 1 for byte in file.read())
        file.seek(len(content) // 2)
        file.write(content[len(content) // 2 :])


def rebuild(path: Path) -> None:
    """Damaged, and then replaced by a sound file: the run has read the damaged one."""
    sound = path.read_bytes()
    flip(path)
    path.with_suffix(".new").write_bytes(sound)
    path.with_suffix(".new").replace(path)


def meddling(job: Job, change: Callable[[], None]) -> Watch:
    """Does it before the third step that is trained from here."""
    later = stop_at(3)

    def meddle() -> bool:
        if later():
            meddled.append(True)
            if len(meddled) == 1:
                change()
        return False

    meddled: list[bool] = []
    return Watch(should_stop=meddle)


@pytest.mark.parametrize("name", ["train.bin", "heldout.bin"])
@pytest.mark.parametrize("how", [flip, rebuild])
@pytest.mark.parametrize("saves", ["at every step", "at the end"])
def test_text_that_changes_under_a_run_is_in_no_record_and_no_checkpoint(
    how: Callable[[Path], None],
    name: str,
    saves: str,
    job: Job,
    straight: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {path.name: path.read_bytes() for path in job.corpus.glob("*.bin")}
    if saves == "at every step":
        monkeypatch.setattr(Saver, "is_due", lambda self, seconds: self.wait() or True)
    with pytest.raises(UserError, match="its files changed while a run trained on them"):
        train_cell(job, meddling(job, lambda: how(job.corpus / name)))
    assert not job.folder.record.exists()
    for path in job.corpus.glob("*.bin"):
        path.write_bytes(kept[path.name])  # as 'isoflop plan' does
    assert job.folder.checkpoint_step() >= STEP - 1
    train_cell(job)
    assert_same(job, straight)


def test_a_file_that_is_only_touched_stops_no_run(job: Job, straight: Job) -> None:
    train_cell(job, meddling(job, lambda: (job.corpus / "train.bin").touch()))
    assert_same(job, straight)


def test_a_run_refuses_a_corpus_that_it_was_not_planned_for(
    job: Job, tmp_path: Path, text_folder: Path
) -> None:
    other = small_jobs(tmp_path / "other", text_folder, "data.heldout_fraction=0.2")[1][0].corpus
    assert open_corpus(other).fingerprint != job.cell.spec.data
    with pytest.raises(UserError, match="and the run is planned for"):
        train_cell(replace(job, corpus=other))


def test_a_record_says_what_its_corpus_is_without(straight: Job, tmp_path: Path) -> None:
    meta = open_corpus(straight.corpus).meta
    gone = {"undecodable": {"files": 1, "bytes": 10**9, "example": "old.txt"}}
    shutil.copytree(straight.corpus, tmp_path / "corpus")
    write_meta(tmp_path / "corpus", replace(meta, skipped={"undecodable": 1}, left_out=gone, source_files=4))
    assert "left_out" not in corpus_facts(open_corpus(straight.corpus))
    said = corpus_facts(open_corpus(tmp_path / "corpus"))["left_out"]
    assert (
        said
        == "WARNING: 1 of 4 files (100% of the bytes): not UTF-8 (or not what data.encoding says), e.g. old.txt"
    )
