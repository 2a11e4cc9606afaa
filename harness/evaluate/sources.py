"""The tasks of an evaluation, made or found before anything is scored, and kept below ``tasks/`` of the sweep."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.data import Corpus
from harness.errors import UserError
from harness.evaluate.config import EvaluateConfig
from harness.evaluate.embedded import EmbeddedTask, make_tasks
from harness.evaluate.library import Question, digest_of, is_file, load_tasks, questions
from harness.evaluate.overlap import overlapping, window
from harness.evaluate.passages import Lengths
from harness.evaluate.prepared import TaskSource, knows_overlap, write_overlap, write_questions
from harness.runs.files import write_changed

Say = Callable[[str], None]


def prepare_tasks(
    tasks: Sequence[str],
    config: EvaluateConfig,
    corpus: Corpus,
    seq_len: int,
    folder: Path,
    say: Say,
    progress: Say,
) -> list[TaskSource]:
    """The tasks of an evaluation, all of which can be scored, with their overlap with the training text.

    Args:
        tasks: names and files; without any, those that the held-out documents give.
        folder: ``tasks/`` of the sweep; embedded tasks and overlaps are kept there.
        say: told what is noteworthy. progress: told what is being done.

    Raises:
        UserError: a task is not there, has no questions, or is of a kind that is not scored; or the held-out documents
            give no task.
    """
    specs = list(dict.fromkeys(tasks))
    if not specs:
        progress("questions from the held-out documents …")
        made = make_tasks(corpus, seq_len, config.items)
        if not made:
            raise UserError(
                f"tasks: the held-out documents of '{corpus.name}' are too few or too short for questions of "
                f"{seq_len} tokens; name tasks, tasks=[NAME,FILE.yaml]"
            )
        specs = [str(write_embedded(task, folder)) for task in made]
    lengths = Lengths(corpus)
    sources, asked = [], []
    for spec in specs:
        progress(f"task {Path(spec).stem} …")
        own = str(Path(spec).expanduser().resolve()) if is_file(spec) else spec
        for name, task in load_tasks([spec]).items():
            _check_name(name)
            found = questions(name, task, config.limit)
            source = TaskSource(
                name,
                own,  # of a group its name, for it may change its tasks
                digest_of(found),
                config.limit,
                str(folder.resolve()),
                sum(lengths(context) + lengths(answer) for one in found for context, answer in one.requests),
            )
            sources.append(source)
            asked.append(found)
    names = [source.name for source in sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"tasks: {min(twice)} is there twice")
    for source, found in zip(sources, asked, strict=True):
        write_questions(source, found)
    _measure_overlap(sources, asked, corpus, lengths, say, progress)
    return sources


def _check_name(name: str) -> None:
    """Names become columns of tables and files' names.

    Raises:
        UserError: this one cannot.
    """
    if (
        not name
        or name.startswith((".", "by_length_"))  # accuracy_by_length_NAME is a column of another task
        or "/" in name
        or name.endswith("_se")
        or not name.isprintable()
        or "," in name
    ):
        raise UserError(f"tasks: {name!r} can be no column's name; rename the task")


def write_embedded(task: EmbeddedTask, folder: Path) -> Path:
    """The task as lm-eval reads it: YAML, and JSON lines beside it; returns the YAML's path."""
    lines = [
        json.dumps(
            {
                "context": one.context,
                "choices": list(one.choices),
                "answer": one.answer,
                "document": one.document,
            }
        )
        for one in task.items
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_changed(folder / f"{task.name}.jsonl", "\n".join(lines) + "\n")
    path = folder / f"{task.name}.yaml"
    text = f"""# {task.about[0].upper()}{task.about[1:]}.
# Made from held-out documents; 'isoflop evaluate' makes it anew.
task: {task.name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {task.name}.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: context
doc_to_choice: choices
doc_to_target: answer
target_delimiter: ""
metric_list:
  - metric: acc
  - metric: acc_norm
"""
    write_changed(path, text)
    return path


def _measure_overlap(
    sources: Sequence[TaskSource],
    asked: Sequence[Sequence[Question]],
    corpus: Corpus,
    lengths: Lengths,
    say: Say,
    progress: Say,
) -> None:
    """Write which questions overlap with the training text, in one pass for all tasks where that is not known yet."""
    missing = [i for i, source in enumerate(sources) if not knows_overlap(source, corpus)]
    if missing:
        progress("overlap with the training text …")
        flat = [lengths.ids(one.own) for i in missing for one in asked[i]]
        flags = overlapping(
            corpus, flat, lambda share: progress(f"overlap with the training text … {100 * share:.0f}%")
        )
        corpus.check_unchanged()
        for i in missing:
            mine, flags = flags[: len(asked[i])], flags[len(asked[i]) :]
            short = sum(len(ids) < window(corpus) for ids in flat[: len(mine)])
            flat = flat[len(mine) :]
            write_overlap(sources[i], corpus, mine, short)
    for source, found in zip(sources, asked, strict=True):
        share = sum(source.overlapping()) / len(found)
        say(
            f"{source.name}: {len(found):,} questions, {share:.1%} overlap with the training text (a passage of "
            f"{window(corpus)} tokens)"
        )
