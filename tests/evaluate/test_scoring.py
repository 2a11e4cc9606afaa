"""Scores are lm-eval's own, likelihoods are the model's, and standard errors know of clusters."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from harness.data import Corpus
from harness.errors import UserError
from harness.evaluate.embedded import make_tasks
from harness.evaluate.library import Question, digest_of, load_tasks, questions, version
from harness.evaluate.passages import Lengths
from harness.evaluate.prepared import TaskSource, write_questions
from harness.evaluate.scoring import Scorer, chance, clustered_error, score
from harness.evaluate.sources import write_embedded
from tests.evaluate.corpora import SEQ_LEN, corpus_of, export_model

TASK = """task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: {kind}
doc_to_text: question
{more}
metric_list:
  - metric: acc
"""


@pytest.fixture(scope="module")
def corpus(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return corpus_of(text_folder, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def model(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_model(corpus, tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def asked(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Question]]:
    folder = tmp_path_factory.mktemp("tasks")
    paths = [str(write_embedded(task, folder)) for task in make_tasks(corpus, SEQ_LEN, 60)]
    return {name: questions(name, task, 0) for name, task in load_tasks(paths).items()}


def own_task(folder: Path, kind: str, more: str, rows: list[dict[str, object]], name: str = "own") -> str:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / f"{name}.yaml"
    path.write_text(TASK.format(name=name, data=f"{name}.jsonl", kind=kind, more=more))
    return str(path)


def test_accuracies_are_those_that_lm_eval_gives(
    model: Path, asked: dict[str, list[Question]], corpus: Corpus, tmp_path: Path
) -> None:
    import lm_eval

    scorer = Scorer(model, "cpu", "fp32", SEQ_LEN, 16)
    paths = [str(write_embedded(task, tmp_path)) for task in make_tasks(corpus, SEQ_LEN, 60)]
    tasks = load_tasks(paths)
    results = lm_eval.simple_evaluate(scorer._lm, tasks=list(tasks.values()), bootstrap_iters=0)["results"]
    for name, mine in asked.items():
        found = score(scorer, mine, [False] * len(mine), "d", version())
        assert found.accuracy == pytest.approx(results[name]["acc,none"])
        assert found.accuracy_by_length == pytest.approx(results[name]["acc_norm,none"])
        assert found.questions == len(mine)
        assert found.truncated == 0


def test_likelihoods_are_the_models_own(
    model: Path, asked: dict[str, list[Question]], corpus: Corpus
) -> None:
    scorer, lengths = Scorer(model, "cpu", "fp32", SEQ_LEN, 16), Lengths(corpus)
    raw = AutoModelForCausalLM.from_pretrained(model).eval()
    some = asked["word"][:5]
    found, _ = scorer.log_likelihoods(some)
    for question, answers in zip(some, found, strict=True):
        for (context, choice), (value, _) in zip(question.requests, answers, strict=True):
            ids = lengths.ids(context + choice)
            with torch.no_grad():
                logits = raw(torch.tensor([ids[:-1]])).logits.log_softmax(-1)[0]
            n = len(ids) - len(lengths.ids(context))
            expected = sum(float(logits[i - 1, ids[i]]) for i in range(len(ids) - n, len(ids)))
            assert value == pytest.approx(expected, abs=1e-3)
    scores = score(scorer, some, [True, False, True, False, False], "d", "0")
    bits = [
        -answers[one.right[0]][0] / math.log(2) / len(one.requests[one.right[0]][1].encode())
        for one, answers in zip(some, found, strict=True)
    ]
    assert scores.bits_per_byte == pytest.approx(np.mean(bits))
    assert scores.overlapping == 2
    assert scores.clean_bits_per_byte == pytest.approx(np.mean([bits[1], bits[3], bits[4]]))


def test_what_is_longer_than_the_context_is_counted(model: Path, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "x" * n, "answers": ["yes", "no"], "right": 0} for n in (10, 124, 125, 126, 400)
    ]
    path = own_task(tmp_path, "multiple_choice", "doc_to_choice: answers\ndoc_to_target: right", rows)
    mine = questions("own", load_tasks([path])["own"], 0)
    assert mine[0].requests[0] == ("x" * 10, " yes")
    _, truncated = Scorer(model, "cpu", "fp32", SEQ_LEN, 4).log_likelihoods(mine)
    assert truncated == [False, False, False, True, True]  # 125 and four are 129: the last is predicted only


def test_a_task_of_files_is_found_from_anywhere(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, object]] = [
        {"question": f"{n} is", "answer": "even" if n % 2 == 0 else "odd"} for n in range(8)
    ]
    path = own_task(tmp_path, "loglikelihood", 'doc_to_target: "{{answer}}"', rows)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    mine = questions("own", load_tasks([path])["own"], 5)
    assert [one.requests[0][1] for one in mine] == ["even", "odd", "even", "odd", "even"]
    found = score(Scorer(model, "cpu", "fp32", SEQ_LEN, 4), mine, [False] * 5, "d", "0")
    assert found.chance == 0
    assert found.bits_per_byte > 0
    assert found.documents == 5


def test_other_questions_have_another_digest(asked: dict[str, list[Question]]) -> None:
    mine = asked["word"]
    assert digest_of(mine) == digest_of(list(mine))
    assert digest_of(mine[:-1]) != digest_of(mine)
    assert digest_of(mine[::-1]) != digest_of(mine)


def test_examples_before_a_question_are_not_its_own(tmp_path: Path) -> None:
    """They are the same before all questions: one that stands in the training text would mark every question."""
    rows = [{"question": f"What is {i}?", "answers": ["no", "yes"], "right": i % 2} for i in range(6)]
    more = "doc_to_choice: answers\ndoc_to_target: right\nfewshot_split: test\nnum_fewshot: 2"
    path = own_task(tmp_path, "multiple_choice", more, rows)
    asked = questions("own", load_tasks([path])["own"], 0)
    assert {one.own for one in asked} == {f"What is {i}? {('no', 'yes')[i % 2]}" for i in range(6)}
    assert all(one.requests[0][0].count("What is") == 3 for one in asked)
    plain = questions(
        "own", load_tasks([own_task(tmp_path, "multiple_choice", more[:-1] + "0", rows)])["own"], 0
    )
    assert all(one.begins == 0 for one in plain)


@given(
    st.lists(
        st.builds(
            Question,
            st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), min_size=1, max_size=4).map(tuple),
            st.just((1,)),
            st.just((0,)),
            st.text(max_size=3),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_questions_come_back_as_they_were_written(asked: list[Question]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = TaskSource("made", "made.yaml", digest_of(asked), 0, folder)
        write_questions(source, asked)
        assert source.questions() == asked


def test_what_cannot_be_scored_is_one_line(tmp_path: Path) -> None:
    generates = own_task(
        tmp_path, "generate_until", "doc_to_target: question", [{"question": "a"}], "generates"
    )
    wrong = own_task(
        tmp_path,
        "multiple_choice",
        "doc_to_choice: answers\ndoc_to_target: right",
        [{"question": "a", "answers": ["b", "c"], "right": right} for right in (1, 7)],
        "wrong",
    )
    empty = own_task(tmp_path, "multiple_choice", "doc_to_choice: nothing\ndoc_to_target: right", [], "empty")
    (tmp_path / "group.yaml").write_text("group: mine\ntask:\n  - one.yaml\n  - two.yaml\n")
    (tmp_path / "list.yaml").write_text("- one\n- two\n")
    for name, said in (
        (str(tmp_path / "group.yaml"), "is no task: it needs 'task: NAME'; of a group give each task's file"),
        (str(tmp_path / "list.yaml"), "cannot be loaded"),
        (generates, "of the kind generate_until"),
        ("no_such_task_anywhere", "lm-eval has no task 'no_such_task_anywhere'"),
        (str(tmp_path / "gone.yaml"), "no such file"),
        (empty, "cannot be loaded"),
    ):
        with pytest.raises(UserError, match=said) as error:
            load_tasks([name])
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="a document without a right answer"):
        questions("wrong", load_tasks([wrong])["wrong"], 0)


def test_a_model_that_cannot_be_read_is_one_line(corpus: Corpus, tmp_path: Path) -> None:
    folder = export_model(corpus, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(UserError, match="the model cannot be read"):
        Scorer(folder, "cpu", "fp32", SEQ_LEN, 4)


def test_a_model_without_all_of_its_tensors_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    """transformers would draw them at random, and score."""
    from safetensors.torch import load_file, save_file

    weights = export_model(corpus, tmp_path / "model") / "model.safetensors"
    tensors = load_file(weights)
    gone = next(name for name in tensors if "mlp" in name)
    save_file({name: one for name, one in tensors.items() if name != gone}, weights, {"format": "pt"})
    with pytest.raises(UserError, match="1 tensors are missing"):
        Scorer(weights.parent, "cpu", "fp32", SEQ_LEN, 4)


def test_an_answer_of_nothing_is_one_line(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"question": "a", "answers": [answer, "no"], "right": 0} for answer in ("yes", "")
    ]
    path = own_task(tmp_path, "multiple_choice", "doc_to_choice: answers\ndoc_to_target: right", rows)
    with pytest.raises(UserError, match="an answer of nothing"):
        questions("own", load_tasks([path])["own"], 0)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40))
def test_without_clusters_the_error_is_the_usual_one(values: list[float]) -> None:
    array = np.array(values)
    expected = float(array.std(ddof=1)) / math.sqrt(len(array))
    assert clustered_error(array, np.arange(len(array))) == pytest.approx(expected, abs=1e-12)


def test_clusters_that_answer_alike_count_once() -> None:
    rng = np.random.default_rng(0)
    of_texts = rng.integers(0, 2, 50).astype(float)
    repeated, clusters = np.repeat(of_texts, 10), np.repeat(np.arange(50), 10)
    alone = float(of_texts.std(ddof=1)) / math.sqrt(50)
    assert clustered_error(repeated, clusters) == pytest.approx(alone)
    assert clustered_error(repeated, np.arange(500)) < 0.4 * alone


def test_the_clustered_error_covers() -> None:
    rng, inside, trials = np.random.default_rng(1), 0, 400
    for _ in range(trials):
        hard = rng.normal(0, 1, 40)
        values = (rng.random((40, 8)) < 1 / (1 + np.exp(-hard[:, None]))).astype(float)
        error = clustered_error(values.ravel(), np.repeat(np.arange(40), 8))
        inside += abs(values.mean() - 0.5) < 1.645 * error
    assert 0.85 < inside / trials < 0.94


def test_chance_is_of_the_number_of_answers() -> None:
    numbers = iter(range(100))

    def one(n: int, right: tuple[int, ...] = (0,)) -> Question:
        own = next(numbers)  # other answers in each
        return Question(tuple(("a", f"{own} {i}") for i in range(n)), (1,) * n, right, "t")

    assert chance([one(4), one(4)]) == 0.25
    assert chance([one(2), one(4)]) == pytest.approx(0.375)
    assert chance([one(1)]) == 0
    assert chance([one(4, (0, 2))]) == 0.5

    def yes_or_no(right: int) -> Question:
        return Question((("a", " yes"), ("a", " no")), (3, 2), (right,), "t")

    assert chance([yes_or_no(0)] * 7 + [yes_or_no(1)] * 3) == 0.7  # always yes
