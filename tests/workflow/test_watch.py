"""When a watched sweep's provisional report is made, and which one an open page is told of."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.report.content import Content
from harness.runs import table
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.table import records, whole_records
from harness.workflow import watch
from harness.workflow.provisional import Provisional, key_of
from harness.workflow.standing import Standing
from harness.workflow.watch import Watch
from tests.records import fake_record
from tests.train.small import small_jobs


class Reports:
    """In place of fits and figures; ``go`` lets the next one end."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.go = threading.Semaphore(0)
        self.content: Content | None = object()  # type: ignore[assignment]  # nobody looks into it

    def __call__(self, folder: SweepFolder, plan: object, found: dict) -> Provisional:
        assert self.go.acquire(timeout=60)
        self.made.append(len(found))
        return Provisional(key_of(found), f"of {len(found)}", self.content)


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    found = Reports()
    monkeypatch.setattr(watch, "provisional_report", found)
    monkeypatch.setattr(watch, "FITTING", 1.0)  # no pause between two
    monkeypatch.setattr(watch, "LOOKING", 1.0)
    return found


@pytest.fixture
def sweep(tmp_path: Path, text_folder: Path) -> SweepFolder:
    small_jobs(tmp_path, text_folder)
    return SweepFolder(tmp_path / "runs" / "small")


def end(sweep: SweepFolder, number: int) -> None:
    cell = frozen_plan(sweep).cells[number]
    fake_record(cell, 3.0).write(sweep.cell(cell.run_id).record)


def settled(page: Watch, reports: Reports, release: int) -> dict:
    """What is told once so many reports were allowed to end, and none is being made."""
    for _ in range(release):
        page.data()
        reports.go.release()
        assert page._maker._thread is not None
        page._maker._thread.join(60)
    return json.loads(page.data())


def test_a_run_that_ends_makes_another_report_and_nothing_else_does(
    sweep: SweepFolder, reports: Reports
) -> None:
    page = Watch(sweep, 0.0)
    end(sweep, 0)
    first = settled(page, reports, 1)
    assert (first["below"], reports.made) == ("of 1", [1])
    assert first["fit"]
    for _ in range(3):
        assert json.loads(page.data())["fit"] == first["fit"]
    assert page._maker._thread is not None
    assert not page._maker._thread.is_alive(), "of the same runs there is one"
    end(sweep, 1)
    second = settled(page, reports, 1)
    assert (second["below"], reports.made) == ("of 2", [1, 2])
    assert second["fit"] != first["fit"]


def test_one_report_is_made_at_a_time_of_what_is_there_when_it_begins(
    sweep: SweepFolder, reports: Reports
) -> None:
    page = Watch(sweep, 0.0)
    for number in range(4):
        end(sweep, number)
        page.data()
    assert reports.made == []
    assert settled(page, reports, 2)["below"] == "of 4"
    assert reports.made == [1, 4]


def test_a_report_stays_until_there_is_another(sweep: SweepFolder, reports: Reports) -> None:
    page = Watch(sweep, 0.0)
    end(sweep, 0)
    first = settled(page, reports, 1)
    kept = page._maker.latest.content
    reports.content = None
    end(sweep, 1)
    assert settled(page, reports, 1)["below"] == "of 2"
    assert page._maker.latest.content is kept is not None
    assert first["fit"]


def test_between_two_reports_there_is_a_pause(
    sweep: SweepFolder, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FITTING", 1e-9)
    page = Watch(sweep, 0.0)
    end(sweep, 0)
    settled(page, reports, 1)
    end(sweep, 1)
    reports.go.release()
    assert json.loads(page.data())["below"] == "of 1"
    assert page._maker._thread is not None
    assert not page._maker._thread.is_alive()


@pytest.mark.parametrize("error", [UserError("no such thing"), RuntimeError("odd"), ZeroDivisionError()])
def test_whatever_goes_wrong_with_a_fit_is_said_and_the_states_are_shown(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object) -> Provisional:
        raise error

    monkeypatch.setattr(watch, "provisional_report", fails)
    page = Watch(sweep, 0.0)
    end(sweep, 0)
    page.data()
    assert page._maker._thread is not None
    page._maker._thread.join(60)
    told = json.loads(page.data())
    assert told["below"] == f"No provisional report: {type(error).__name__}: {error}"
    assert told["counts"] == {"finished": 1, "pending": 5}


def test_a_run_that_ends_between_two_glances_is_no_damage(
    sweep: SweepFolder, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = watch.standing

    def then_ends(*given: Any) -> Standing:
        seen = whole(*given)
        end(sweep, 0)
        return seen

    monkeypatch.setattr(watch, "standing", then_ends)
    told = json.loads(Watch(sweep, 0.0).data())
    assert (told["counts"], told["warnings"]) == ({"pending": 6}, [])
    plan = frozen_plan(sweep)
    monkeypatch.setattr(table, "records", lambda *_: {})
    assert whole_records(sweep, plan) == {}
    sweep.cell(plan.cells[0].run_id).record.write_text("{")
    with pytest.raises(UserError, match="not what was written"):
        whole_records(sweep, plan)


def test_a_look_that_fails_shows_the_one_before_with_a_warning(
    sweep: SweepFolder, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("odd <b>")

    monkeypatch.setattr(watch, "LOOKING", 1e9)
    page = Watch(sweep, 0.0)
    page.data()
    assert records(sweep, frozen_plan(sweep)) == {}
    with monkeypatch.context() as patch:
        patch.setattr(watch, "standing", fails)
        told = json.loads(page.data())
        assert told["warnings"] == ["how the sweep stands cannot be told now: RuntimeError: odd <b>"]
        assert told["counts"] == {"pending": 6}
        assert "odd &lt;b&gt;" in page.page()
    assert json.loads(page.data())["warnings"] == []
