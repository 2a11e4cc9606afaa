"""What the environment says of other runs changes nothing of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.tracking.client import Destination, close_run, init_options, open_run
from harness.tracking.files import read_files, records
from harness.tracking.publish import summary_id
from tests.tracking.conftest import end_client

OTHERS = {
    "WANDB_SWEEP_ID": "abcd1234",
    "WANDB_RUN_ID": "theirs",
    "WANDB_RESUME": "must",
    "WANDB_RESUME_FROM": "theirs?_step=3",
    "WANDB_FORK_FROM": "theirs?_step=3",
    "WANDB_NAME": "their name",
    "WANDB_RUN_NAME": "their name",
    "WANDB_RUN_GROUP": "their group",
    "WANDB_JOB_TYPE": "their job",
    "WANDB_RUN_JOB_TYPE": "their job",
    "WANDB_PROJECT": "their-project",
    "WANDB_CONFIG": '{"seed": 7}',
    "TRAINING_JOB_NAME": "a job of SageMaker",
}


@pytest.fixture
def own_session() -> Iterator[None]:
    """A client that reads the environment anew."""
    end_client()
    yield
    end_client()


@pytest.mark.parametrize("alone", [*OTHERS, None])
@pytest.mark.usefixtures("own_session")
def test_a_run_is_ours_whatever_the_environment_says(
    alone: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OTHERS.items():
        if alone in (name, None):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv(
        "SM_TRAINING_ENV", '{"hyperparameters": {"seed": 7}}'
    )  # by which the client knows SageMaker
    for name, value in {"WANDB_NOTES": "mine", "WANDB_TAGS": "a,b", "WANDB_ENTITY": "us"}.items():
        monkeypatch.setenv(name, value)
    to = Destination("isoflop", None, "offline")
    run = open_run(to, init_options(tmp_path, to, "0123abcd", "a run", "demo"))
    run.log({"train_loss": 2.0}, step=4)
    close_run(run)
    (found,) = read_files(tmp_path)
    assert (found.run_id, found.group, found.job_type) == ("0123abcd", "demo", "train")
    assert [row["_step"] for row in found.history] == [4]
    assert not {"seed", "hyperparameters"} & found.config.keys()
    (file,) = tmp_path.rglob("run-*.wandb")
    (begun,) = [one.run for one in records(file) if one.WhichOneof("record_type") == "run"]
    assert (begun.run_id, begun.display_name, begun.project) == ("0123abcd", "a run", "isoflop")
    assert (begun.sweep_id, begun.resumed) == ("", False)
    assert (begun.notes, list(begun.tags), begun.entity) == ("mine", ["a", "b"], "us"), "these are the user's"


def test_two_sweeps_have_two_summaries() -> None:
    names = ["demo", "a b", "a-b", "a&b", "实验", "结果", "José"]
    assert summary_id("demo") == "summary-demo"
    assert len({summary_id(name) for name in names}) == len(names)
