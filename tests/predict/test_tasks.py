"""Predictions of a task: from both laws, with intervals only where all draws are known, and back from an accuracy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import UserError
from harness.fit.estimate import FrontierSource
from harness.fit.laws import Law
from harness.fit.tasks import Prediction
from harness.fit.tasks.store import DRAWS, FILE, StoredTask, load_task, write_task
from harness.predict.tasks import answer_task, show_task, task_loss_of
from tests.validate.test_tasks import ALPHA, BETA, A, B, E, accuracy, stored, task_loss  # noqa: F401  (a fixture)

LAW = Law(E=E, A=A, B=B, alpha=ALPHA, beta=BETA)


def source(draws: bool = True) -> FrontierSource:
    rng = np.random.default_rng(0)
    many = Law(E=E * np.exp(rng.normal(0, 0.03, 200)), A=A, B=B, alpha=ALPHA, beta=BETA)
    return FrontierSource(name="approach_3", frontier=LAW, draws=many if draws else None)


def test_an_interval_has_the_uncertainty_of_the_task_loss(stored: StoredTask) -> None:  # noqa: F811
    n, d = 1e5, 5e6
    wide = answer_task(stored.fit, source(), n, d, None)
    assert wide.task_loss == pytest.approx(float(task_loss(n, d)))
    assert wide.two_step.accuracy == pytest.approx(float(accuracy(wide.task_loss)), abs=0.02)
    known = stored.fit.predict_two_step(np.array([]), wide.task_loss)
    assert wide.two_step.interval is not None
    assert known.interval is not None
    assert wide.two_step.interval[1] - wide.two_step.interval[0] > 1.5 * (
        known.interval[1] - known.interval[0]
    )


def test_intervals_have_the_level_that_is_asked_for(stored: StoredTask) -> None:  # noqa: F811
    def width(level: float) -> float:
        found = answer_task(replace(stored.fit, level=level), source(), 1e5, 5e6, None).two_step.interval
        assert found is not None
        return found[1] - found[0]

    assert width(0.5) < 0.6 * width(0.95)


def test_without_draws_of_the_task_loss_there_is_no_interval(stored: StoredTask) -> None:  # noqa: F811
    found = answer_task(stored.fit, source(draws=False), 1e5, 5e6, None)
    assert found.two_step.accuracy is not None
    assert found.two_step.interval is found.two_step.run_interval is None
    assert found.two_step.status == "no_interval"


def test_an_accuracy_has_its_task_loss(stored: StoredTask) -> None:  # noqa: F811
    for wanted in (0.3, 0.5, 0.9):
        assert float(stored.fit.sigmoid.accuracy(task_loss_of(stored.fit, wanted, None))) == pytest.approx(
            wanted
        )  # type: ignore[union-attr]
    for wrong in (0.2, 0.25, 1.0):
        with pytest.raises(UserError, match="is not between chance"):
            task_loss_of(stored.fit, wrong, None)


def test_an_accuracy_beyond_a_task_loss_of_nothing_is_one_line(stored: StoredTask) -> None:  # noqa: F811
    assert stored.fit.sigmoid is not None
    flat = replace(stored.fit, sigmoid=replace(stored.fit.sigmoid, middle=0.5, width=2.0))
    with pytest.raises(UserError, match=r"0\.95 of word is beyond any model: its sigmoid reaches 0\.67"):
        task_loss_of(flat, 0.95, None)


def test_an_accuracy_that_needs_less_than_the_irreducible_task_loss_is_one_line(
    stored: StoredTask,  # noqa: F811
) -> None:
    needed = task_loss_of(stored.fit, 0.8, 0.0)
    assert task_loss_of(stored.fit, 0.8, needed - 1e-6) == needed
    with pytest.raises(
        UserError, match=rf"needs a task loss of {needed:.4g}, and by its law none falls below 3"
    ):
        task_loss_of(stored.fit, 0.8, 3.0)


def test_laws_that_disagree_are_named(stored: StoredTask) -> None:  # noqa: F811
    near = answer_task(stored.fit, source(), 1e5, 5e6, None)
    high = Prediction(accuracy=0.9, interval=(0.89, 0.91), run_interval=(0.88, 0.92))
    apart = replace(near, direct=high)
    assert near.disagreement == ""
    assert "lie apart" in apart.disagreement
    said: list[str] = []
    show_task(apart, said.append)
    assert any("one of the laws is wrong there" in line for line in said)
    assert replace(near, direct=replace(high, interval=None)).disagreement == ""


def test_files_are_read_back_and_damage_is_seen(stored: StoredTask, tmp_path: Path) -> None:  # noqa: F811
    write_task(stored, tmp_path)
    again = load_task(tmp_path)
    before, after = (one.fit.predict_two_step(np.array([2.4, 2.5]), 2.45) for one in (stored, again))
    assert after.accuracy == before.accuracy
    assert after.interval == pytest.approx(before.interval, abs=1e-5)
    assert (again.digest, again.spec, again.limit) == (stored.digest, stored.spec, stored.limit)
    draws = (tmp_path / DRAWS).read_bytes()
    (tmp_path / DRAWS).write_bytes(draws[:-1] + bytes([draws[-1] ^ 1]))
    with pytest.raises(UserError, match=r"accuracy\.npz is not what was written"):
        load_task(tmp_path)
    (tmp_path / DRAWS).unlink()
    assert load_task(tmp_path).fit.predict_two_step(np.array([]), 2.45).interval is None
    text = (tmp_path / FILE).read_text()
    (tmp_path / FILE).write_text(text.replace('"chance": 0.25', '"chance": 0.26'))
    with pytest.raises(UserError, match=r"accuracy\.json"):
        load_task(tmp_path)
    with pytest.raises(UserError, match="'isoflop evaluate' writes it anew"):
        load_task(tmp_path / "nowhere")
