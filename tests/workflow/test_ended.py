"""Who asked for it is told once when a command ends, whatever its end; and that changes nothing of the end."""

import shlex
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.commands import next_stage, reproduce
from harness.config.compose import compose_config
from harness.errors import UserError
from harness.files import seal_text
from harness.fit.status import plain
from harness.launch.launcher import Outcome
from harness.launch.ledger import Ledger
from harness.launch.submission import Submission
from harness.notify.config import URLS
from harness.report.verdict import decider
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.text import count
from harness.workflow import ended
from harness.workflow.arms import compose_arms
from tests.records import fake_record
from tests.train.small import overrides, small_jobs

SECRET = "hunter2secret"
ADDRESS = f"json://user:{SECRET}@127.0.0.1:1/x"


@pytest.fixture(autouse=True)
def _no_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URLS, raising=False)


@pytest.fixture
def hook(tmp_path: Path) -> tuple[str, Path]:
    """An override, and the file to which every message is appended."""
    out, script = tmp_path / "told.txt", tmp_path / "hook.py"
    script.write_text(
        "import os, sys\n"
        f"open({str(out)!r}, 'a').write(os.environ['ISOFLOP_STATUS'] + ' ' + sys.stdin.read())\n"
    )
    return f"notify.command={shlex.join([sys.executable, str(script)])}", out


@pytest.fixture
def done(tmp_path: Path, text_folder: Path) -> SweepFolder:
    """A sweep all of whose runs are finished."""
    small_jobs(tmp_path, text_folder)
    folder = SweepFolder(tmp_path / "runs" / "small")
    for number, cell in enumerate(frozen_plan(folder).cells):
        loss = 2 + (cell.params.total / 7000) ** -0.3 + (cell.tokens / 1e4) ** -0.3 + 0.001 * number
        fake_record(cell, loss).write(folder.cell(cell.run_id).record)
    return folder


def test_a_sweep_tells_once(
    done: SweepFolder, hook: tuple[str, Path], tmp_path: Path, text_folder: Path
) -> None:
    main(["sweep", *overrides(tmp_path, text_folder, hook[0])])
    (line,) = hook[1].read_text().splitlines()
    assert line.startswith("finished small: sweep finished after ")
    assert line.endswith("; 6 of 6 runs finished")


def test_reproduce_tells_what_the_fit_says_with_its_status(
    done: SweepFolder,
    hook: tuple[str, Path],
    tmp_path: Path,
    text_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reproduce.report, "run", lambda _: None)
    told = overrides(tmp_path, text_folder, hook[0], "analysis.draws=20")
    for path in done.cells.glob("*/record.json"):
        (path.parent / "curve.csv").unlink(missing_ok=True)
    main(["reproduce", *told])
    (line,) = hook[1].read_text().splitlines()
    assert "6 of 6 runs finished; " in line
    assert line.endswith("; no N* at C = 5.01e+08: the runs do not determine an optimum")


@pytest.mark.parametrize("name", ["demo", "cpu_frontier", "domains-code"])
def test_the_optimum_is_told_by_the_approach_that_the_page_leads_with(name: str) -> None:
    config, _ = compose_config([f"name={name}", "runs_dir=results", "experiment=demo"])
    line = ended._optimum(config)
    fit = ended.load_fit(SweepFolder(Path("results") / name).fit)
    leading = decider(fit)
    assert leading is not None
    prediction = fit.predict(fit.largest_flops)[leading]
    assert prediction.params is not None
    began = f"N* = {count(prediction.params)} at C = {fit.largest_flops:.3g} ({leading.replace('_', ' ')}: "
    assert line.startswith(began)
    said = line.removeprefix(began)
    assert all(plain(flag) in said for flag in prediction.flags), "no doubt is lost"
    assert (said == "ok)") == (not prediction.flags and fit.agreement.status not in ended.DOUBTED)


@pytest.mark.parametrize(
    "body", ["import sys; sys.exit(4)", "import time; time.sleep(60)", f"print({SECRET!r})/0"]
)
def test_a_hook_that_fails_is_one_line_and_nothing_else(
    body: str, done: SweepFolder, tmp_path: Path, text_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text(body)
    main(["sweep", *overrides(tmp_path, text_folder)])
    before = {path: path.read_bytes() for path in done.path.rglob("*") if path.suffix in (".json", ".csv")}
    capfd.readouterr()
    command = shlex.join([sys.executable, str(tmp_path / "bad.py")])
    main(["sweep", *overrides(tmp_path, text_folder, f"notify.command={command}", "notify.seconds=1")])
    shown = capfd.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("isoflop: warning: notify.command: ")
    assert SECRET not in shown.out + shown.err
    assert {path: path.read_bytes() for path in before} == before


def test_a_program_that_is_not_there_is_said_before_anything_is_done(
    tmp_path: Path, text_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("sweep", "reproduce"):
        with pytest.raises(SystemExit, match="2"):
            main([command, *overrides(tmp_path, text_folder, "notify.command=no-such-program")])
        assert capsys.readouterr().err.startswith("isoflop: notify.command: no-such-program: no such program")
    assert not (tmp_path / "runs").exists()
    main(["plan", *overrides(tmp_path, text_folder, "notify.command=no-such-program")])


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        (UserError("6 runs failed"), "failed", 2),
        (OSError(28, "No space left on device"), "failed", 1),
        (SystemExit(1), "failed", 1),
        (Outcome.INCOMPLETE, "incomplete", None),
        (Outcome.QUEUED, "", None),
        (KeyboardInterrupt(), "", 130),
    ],
)
def test_every_end_is_told_and_stays_what_it_is(
    end: object,
    status: str,
    code: int | None,
    done: SweepFolder,
    hook: tuple[str, Path],
    tmp_path: Path,
    text_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: object) -> Outcome:
        if isinstance(end, BaseException):
            raise end
        assert isinstance(end, Outcome)
        return end

    monkeypatch.setattr("harness.commands.sweep.run", run)
    told = ["sweep", *overrides(tmp_path, text_folder, hook[0])]
    if code is None:
        main(told)
    else:
        with pytest.raises(SystemExit) as stopped:
            main(told)
        assert stopped.value.code == code
    text = hook[1].read_text() if hook[1].exists() else ""
    assert text.startswith(status)
    assert len(text.splitlines()) == bool(status)
    assert ("6 runs failed" in text) == (code == 2)


def test_no_password_is_kept_or_printed(
    done: SweepFolder,
    tmp_path: Path,
    text_folder: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    told = overrides(tmp_path, text_folder, f"notify.urls=['{ADDRESS}']")
    main(["sweep", *told, "--config"])
    main(["sweep", *told])
    main(["status", *told])
    shown = capfd.readouterr()
    assert SECRET not in shown.out + shown.err
    assert "notify.urls: not all of 1 were told" in shown.err
    found = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert found == []
    config, yaml = compose_config(told)
    assert config.notify.urls == [ADDRESS]
    assert SECRET not in yaml + repr(config)


@pytest.mark.parametrize(
    "wrong",
    [
        f"notify.urls=[{ADDRESS}",
        f"notify.urls={ADDRESS}",
        f"notify.url=[{ADDRESS}]",
        f"notify.urls=[nosuch://{SECRET}]",
        f"notify={ADDRESS}",
        f"notify.urls={{a:'{ADDRESS}'}}",
    ],
)
def test_mistakes_with_addresses_do_not_print_them(
    wrong: str, tmp_path: Path, text_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["sweep", *overrides(tmp_path, text_folder, wrong)])
    assert SECRET not in "".join(capfd.readouterr())


def test_arms_leave_it_to_their_comparison(tmp_path: Path, text_folder: Path) -> None:
    told = overrides(tmp_path, text_folder, "notify.command=true", "+arms.one=[]", "+arms.two=[]")
    base = compose_config(told)[0]
    assert base.notify.send
    assert [arm.config.notify.send for arm in compose_arms(told, base)] == [False, False]


@pytest.mark.parametrize("outcome", list(Outcome))
def test_on_a_cluster_the_last_dependent_job_tells(
    outcome: Outcome,
    done: SweepFolder,
    hook: tuple[str, Path],
    tmp_path: Path,
    text_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, yaml = compose_config(overrides(tmp_path, text_folder, hook[0]))
    ledger = Ledger(done.path / "slurm")
    (ledger.path / "0001").mkdir(parents=True)
    (ledger.path / "0001" / "config.yaml").write_text(seal_text(yaml))
    made = Submission("0001", "2026-01-01T00:00:00+00:00", (), report_job="8", token="ab")
    ledger.write([made])
    monkeypatch.setitem(next_stage.COMMANDS, "reproduce", lambda _: outcome)
    monkeypatch.setattr(next_stage, "submitter_of", lambda _: Settled())
    next_stage.main("reproduce", ledger.path / "0001")
    text = hook[1].read_text() if hook[1].exists() else ""
    wanted = {Outcome.DONE: "finished", Outcome.INCOMPLETE: "incomplete", Outcome.QUEUED: ""}[outcome]
    assert text.startswith(wanted)
    assert len(text.splitlines()) == bool(wanted)
    assert "days" in text or not wanted, "since it was submitted"


class Settled:
    """A queue without questions."""

    def settle(self, _: SweepFolder) -> list[str]:
        return []
