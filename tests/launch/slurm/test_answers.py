"""What is ours of what Slurm's commands say, and which answers of sbatch are none."""

from collections.abc import Sequence

import pytest

from harness.errors import UserError
from harness.launch.queued import TaskId, UnansweredError
from harness.launch.slurm import client
from harness.launch.slurm.answers import SEPARATOR


class Told:
    """Commands by their first words, and what they print or raise."""

    def __init__(self, **answers: str | UserError) -> None:
        self.answers, self.asked = answers, list[list[str]]()

    def __call__(self, command: Sequence[str]) -> str:
        self.asked.append(list(command))
        answer = self.answers.get(command[0], "")
        if isinstance(answer, UserError):
            raise answer
        return answer


def row(*fields: str) -> str:
    return SEPARATOR.join(fields) + "\n"


@pytest.fixture(autouse=True)
def with_sacct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.shutil, "which", lambda name: f"/bin/{name}")


def test_accounting_tells_ours_from_strangers_by_comment_or_script(monkeypatch: pytest.MonkeyPatch) -> None:
    past = (
        "7_0|COMPLETED|n1|mine array-12|\n8|FAILED|n1||sbatch --parsable /x/report-12.sbatch\n"
        "9|TIMEOUT|n1||sbatch /y\n"
    )
    told = Told(sacct=past)
    monkeypatch.setattr(client, "_call", told)
    sight = client.queue({"7": "array-12", "8": "report-12", "9": "array-34"})
    assert {str(id_): state.state for id_, state in sight.states.items()} == {
        "7_0": "COMPLETED",
        "8": "FAILED",
    }
    assert not sight.foreign, "what is over is nobody's number"
    assert client.find("array-12", "2026-01-31") == ["7"]
    assert told.asked[-1][-2:] == ["-S", "2026-01-31"]


def test_a_federated_job_is_asked_and_cancelled_on_its_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(
        squeue="CLUSTER: north\n" + row("7", "0", "PENDING", "", "", "me", "x", "/array-12.sbatch", "")
    )
    monkeypatch.setattr(client, "_call", told)
    sight = client.queue({"7;north": "array-12", "7": "array-34"})
    assert list(sight.states) == [TaskId("7;north", 0)]
    assert sight.foreign == {"7": "'x' of me"}, "the same number here"
    client.cancel(["7;north", "8"])
    assert told.asked[-2:] == [["scancel", "-M", "north", "7"], ["scancel", "8"]]


def test_a_number_of_a_task_in_anothers_array_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "JobId=30 ArrayJobId=9 ArrayTaskId=0 JobName=a b UserId=bob(7) JobState=RUNNING Command=/array-12.sbatch"
    monkeypatch.setattr(client, "_call", Told(scontrol=shown))
    assert not client.queue({"30": "array-12"}).states


@pytest.mark.parametrize("answer", ["", "12\n13\n", "Submitted", "12;a;b", "job 12 queue 7"])
def test_an_answer_that_is_not_one_number_is_none(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_call", Told(sbatch=answer))
    with pytest.raises(UnansweredError, match="not one job's number"):
        client.submit("x.sbatch")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "job"),
    [("12\n", "12"), ("12;north\n", "12;north"), ("12;here\n", "12"), ("sbatch: welcome\n12\n", "12")],
)
def test_the_number_that_sbatch_answers(answer: str, job: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_call", Told(sbatch=answer, scontrol="ClusterName             = here\n"))
    assert client.submit("x.sbatch") == job  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("echo 'sbatch: error: Batch job submission failed: Invalid qos specification' >&2; exit 1", True),
        (
            "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv' >&2; exit 1",
            False,
        ),
        ("echo 'sbatch: error: Unable to contact slurm controller (connect failure)' >&2; exit 1", False),
        ("exit 1", False),
        ("kill -9 $$", False),
    ],
)
def test_only_words_of_refusal_are_a_refusal(words: str, refused: bool) -> None:
    with pytest.raises(UserError) as raised:
        client._call(["sh", "-c", words])
    assert isinstance(raised.value, UnansweredError) != refused
