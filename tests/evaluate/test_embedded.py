"""Questions from held-out documents: the same for all, of held-out text, fitting the context, and fair."""

from collections import Counter
from pathlib import Path

import pytest

from harness.data import Corpus
from harness.data.config import TokenizerConfig
from harness.evaluate import embedded
from harness.evaluate.embedded import EmbeddedTask, make_tasks
from harness.evaluate.passages import Lengths, heldout_documents
from tests.evaluate.corpora import SEQ_LEN, corpus_of


@pytest.fixture(
    scope="module", params=[None, TokenizerConfig(kind="bpe", vocab_size=600)], ids=["bytes", "bpe"]
)
def corpus(
    request: pytest.FixtureRequest, text_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Corpus:
    return corpus_of(text_folder, tmp_path_factory.mktemp("cache"), request.param)


@pytest.fixture(scope="module")
def tasks(corpus: Corpus) -> list[EmbeddedTask]:
    return make_tasks(corpus, SEQ_LEN, 60)


def test_code_gives_all_four_kinds_and_the_same_ones_again(corpus: Corpus, tasks: list[EmbeddedTask]) -> None:
    assert [task.name for task in tasks] == list(embedded.KINDS)
    assert make_tasks(corpus, SEQ_LEN, 60) == tasks


def test_every_question_fits_the_context_and_its_answers_differ(
    corpus: Corpus, tasks: list[EmbeddedTask]
) -> None:
    lengths = Lengths(corpus)
    for task in tasks:
        for item in task.items:
            assert len(set(item.choices)) == len(item.choices)
            assert not item.context[-1].isspace()
            assert max(lengths(item.context + choice) for choice in item.choices) <= SEQ_LEN


def test_context_and_right_answer_stand_in_the_held_out_document_that_is_named(
    corpus: Corpus, tasks: list[EmbeddedTask]
) -> None:
    documents = {one.number: one.text for one in heldout_documents(corpus, Lengths(corpus), 10_000)}
    for task in tasks:
        for item in task.items:
            text = documents[item.document]
            rebuilt = item.context + item.choices[item.answer]
            if task.name == "next_line":  # a line may end in spaces that its words have not
                context = item.context.rstrip()
                assert context in text
                words = item.choices[item.answer].split()
                assert any(line.split() == words for line in text.splitlines())
            else:
                assert rebuilt in text


def test_length_tells_nothing(corpus: Corpus, tasks: list[EmbeddedTask]) -> None:
    lengths = Lengths(corpus)
    for task in tasks:
        for item in task.items:
            if task.name == "continuation":
                sizes = {lengths(choice) for choice in item.choices}
                # a piece of a document may be tokenised otherwise at its edges
                assert max(sizes) - min(sizes) <= (0 if corpus.tokenizer == "bytes" else 8)
            else:
                assert len({len(choice) for choice in item.choices}) == 1


def test_right_answers_stand_anywhere_and_brackets_are_equally_often_right(tasks: list[EmbeddedTask]) -> None:
    for task in tasks:
        places = Counter(item.answer for item in task.items)
        assert set(places) == set(range(len(task.items[0].choices)))
    brackets = Counter(item.choices[item.answer] for item in tasks[-1].items)
    assert len(brackets) == 3
    assert len(set(brackets.values())) == 1
    assert tasks[-1].chance == pytest.approx(1 / 3)


def test_the_first_questions_are_balanced_too(tasks: list[EmbeddedTask]) -> None:
    """A limit takes the first ones."""
    answers = [item.choices[item.answer] for item in tasks[-1].items]
    for n in range(3, len(answers) + 1, 3):
        assert set(Counter(answers[:n]).values()) == {n // 3}


def test_words_are_whole(tasks: list[EmbeddedTask]) -> None:
    (words,) = (task for task in tasks if task.name == "word")
    for item in words.items:
        right = item.choices[item.answer]
        assert right.startswith(" ") or not (item.context[-1].isalnum() or item.context[-1] == "_")


def test_too_little_text_gives_no_task(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    for i in range(6):
        (tmp_path / "text" / f"{i}.txt").write_text(f"word{i} " * 50)
    assert make_tasks(corpus_of(tmp_path / "text", tmp_path / "cache"), SEQ_LEN, 60) == []
