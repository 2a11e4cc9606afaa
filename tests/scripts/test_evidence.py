"""The driver of the evidence with stages of its own, what is collected, and which aims are called reached."""

import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.errors import UserError
from scripts.evidence import __main__ as command
from scripts.evidence import aims, collect, stages
from scripts.evidence.driver import BusyError, Deadline, Driver, State
from scripts.evidence.machine import commit
from scripts.evidence.stages import GPU, TOY, Stage, plan, selected, shown
from scripts.kept import Kept

HERE = {"device": "a GPU", "devices": 1, "memory_gib": 80.0, "cores": 8}


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    """Makes a stage that runs some code."""

    def made(name: str, code: str, limit: float = 60, **more: Any) -> Stage:
        file = tmp_path / f"{name}.py"
        file.write_text(code)
        return Stage(name, "a toy", (0, 1), lambda: (str(file),), limit, **more)

    return made


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path / "state")
    state.make()
    return state


def drive(state: State, *groups: Sequence[Stage], deadline: Deadline | None = None) -> list[str]:
    said: list[str] = []
    Driver(state, deadline or Deadline(600), said.append).run(groups)
    return said


def test_a_stage_that_ended_is_kept_and_one_that_failed_stops_no_other(
    state: State, stage: Callable[..., Stage]
) -> None:
    bad, good = stage("bad", "print('half'); raise SystemExit(3)"), stage("good", "print('whole')")
    said = drive(state, [bad], [good])
    assert state.failed("bad").read_text() == "status 3\n"
    assert state.done("good").exists()
    assert "half" in said
    assert any(line.startswith("-- bad: failed, status 3") for line in said)
    assert "mended" in drive(state, [stage("bad", "print('mended')")], [stage("good", "raise SystemExit(1)")])
    assert state.done("bad").exists(), "another start, another chance"
    assert not state.failed("good").exists(), "what ended well is not run again"
    assert state.log("bad").read_text().count("$ python ") == 2


COUNTS = """
import pathlib, sys
turns = pathlib.Path("turns")
number = int(turns.read_text()) + 1 if turns.exists() else 1
turns.write_text(str(number))
print("turn", number)
sys.exit(0 if number == 3 else 75)
"""


def test_what_says_that_there_is_more_is_gone_on_with_behind_the_others(
    state: State, stage: Callable[..., Stage]
) -> None:
    said = drive(state, [stage("more", COUNTS, turns=5)], [stage("last", "print('last')")])
    assert [line for line in said if line.startswith(("turn", "last"))] == [
        "turn 1",
        "last",
        "turn 2",
        "turn 3",
    ]
    assert state.done("more").exists()


def test_what_always_has_more_comes_to_an_end(state: State, stage: Callable[..., Stage]) -> None:
    drive(state, [stage("endless", "raise SystemExit(75)", turns=3)])
    assert state.failed("endless").exists()
    assert state.log("endless").read_text().count("$ python") == 3


def test_a_stage_waits_for_another_as_long_as_that_goes_on(state: State, stage: Callable[..., Stage]) -> None:
    later = stage("later", "print('later')", after="more")
    said = drive(state, [stage("more", COUNTS, turns=5)], [later])
    assert [line for line in said if line.startswith(("turn", "later"))] == [
        "turn 1",
        "turn 2",
        "turn 3",
        "later",
    ]


STUBBORN = """
import signal, sys, time
def save(*_):
    print("saved")
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
print("up", flush=True)
time.sleep(600)
"""


def test_over_its_limit_a_stage_is_asked_to_stop_and_what_cannot_go_on_has_failed(
    state: State, stage: Callable[..., Stage]
) -> None:
    drive(state, [stage("long", STUBBORN, limit=1)])
    assert state.failed("long").read_text() == "over its limit of 1 s\n"


def test_at_the_deadline_all_stop_and_nothing_is_marked(state: State, stage: Callable[..., Stage]) -> None:
    deadline = Deadline(600)

    def when_up() -> None:
        while "up" not in (state.log("long").read_text() if state.log("long").exists() else ""):
            time.sleep(0.05)
        deadline.signalled()

    threading.Thread(target=when_up, daemon=True).start()
    said = drive(state, [stage("long", STUBBORN)], [stage("next", "print('next')")], deadline=deadline)
    assert "saved" in said
    assert "next" not in said
    assert not list((state.path / "done").iterdir())
    assert not list(state.path.glob("*.pid"))


DEAF = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("child", "w").write(str(child.pid))
print("up", flush=True)
time.sleep(600)
"""


def test_a_second_signal_kills_a_stage_with_all_that_it_started(
    state: State, stage: Callable[..., Stage]
) -> None:
    deadline = Deadline(600)

    def when_up() -> None:
        while "up" not in (state.log("deaf").read_text() if state.log("deaf").exists() else ""):
            time.sleep(0.05)
        deadline.signalled()
        deadline.signalled()

    threading.Thread(target=when_up, daemon=True).start()
    drive(state, [stage("deaf", DEAF)], deadline=deadline)
    assert gone(int((state.path / "work" / "child").read_text()))


def gone(pid: int) -> bool:
    """Within a moment; one that is dead and not yet collected is gone."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


ASKED = """
import pathlib, signal, sys, time
def asked(*_):
    pathlib.Path(sys.argv[1], "asked").touch()
    sys.exit()
signal.signal(signal.SIGTERM, asked)
pathlib.Path(sys.argv[1], "ready").touch()
time.sleep(600)
"""


def test_a_stage_that_a_killed_driver_left_is_ended_and_another_process_is_not(
    state: State, stage: Callable[..., Stage], tmp_path: Path
) -> None:
    left = subprocess.Popen([sys.executable, "-c", ASKED, str(tmp_path)], start_new_session=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        while not (tmp_path / "ready").exists():
            time.sleep(0.05)
        known = psutil.Process(left.pid)
        state.pid("left").write_text(f"{left.pid} {known.create_time()!r}")
        state.pid("other").write_text(f"{other.pid} 12345.0")
        threading.Thread(target=left.wait, daemon=True).start()  # as the system does with an orphan
        said = drive(state, [stage("left", "print('anew')"), stage("other", "pass")])
        assert (tmp_path / "asked").exists(), "by SIGTERM, to write its checkpoints"
        assert not known.is_running()
        assert other.poll() is None, "its number is another process's now"
        assert "anew" in said
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


def test_one_driver_at_a_time(state: State) -> None:
    with state.held(), pytest.raises(BusyError), state.held():
        pass


def test_stages_of_a_group_run_beside_each_other_where_there_are_cores(
    state: State, stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = "import pathlib, time\npathlib.Path({0!r}).touch()\nwhile not pathlib.Path({1!r}).exists(): time.sleep(0.05)"
    pair = [stage("a", meet.format("a", "b"), limit=30), stage("b", meet.format("b", "a"), limit=30)]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    drive(state, pair)
    assert state.done("a").exists()
    assert state.done("b").exists()


def test_the_plan_is_in_order_of_value(tmp_path: Path) -> None:
    groups = plan(tmp_path, "cache", (), GPU)
    names = [[one.name for one in group] for group in groups]
    assert names == [
        ["probe"],
        ["checks-runs", "checks-parts", "tests", "corpus"],
        *(["checks-times"], ["calibrate"], ["sweep3"], ["bench"], ["packing"], ["sweep4"]),
    ]
    assert [one.name for group in selected(groups, ["works", "bench"]) for one in group] == [
        *("checks-runs", "checks-parts", "tests", "bench")
    ]
    with pytest.raises(UserError, match="no stage nonsense; there are works"):
        selected(groups, ["nonsense"])
    sweep = groups[4][0]
    assert "launcher.per_gpu=4" in sweep.command(), "it is not calibrated"
    calibrated = tmp_path / "work" / "configs" / "throughput" / "one_gpu.yaml"
    calibrated.parent.mkdir(parents=True)
    calibrated.touch()
    assert "throughput=one_gpu" in sweep.command()
    assert shown(sweep.command(), tmp_path).endswith(
        "runs_dir=STATE/results cache_dir=cache throughput=one_gpu 'grid.budgets=[1e15,3e15,8e15]'"
    )
    for scale in (GPU, TOY):
        assert all((stages.ROOT / path).exists() for path in scale.tests)


def test_the_experiments_corpus_is_taken_where_it_is_and_pythons_where_it_is_not(tmp_path: Path) -> None:
    chosen, why = stages.corpus(GPU.experiment, (), str(tmp_path))
    assert chosen == ("data=python_installed", "data.max_epochs=2")
    assert "the corpus 'linux' is not here ('isoflop fetch data=linux' fetches it)" in why
    assert stages.corpus(GPU.experiment, ("data=rfc",), str(tmp_path)) == ((), "")
    (tmp_path / "text" / "linux" / "text").mkdir(parents=True)
    assert stages.corpus(GPU.experiment, (), str(tmp_path)) == ((), "")


def test_it_says_what_it_costs_and_keeps_to_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "facts", lambda: HERE)
    arguments = [
        *("--state", f"{tmp_path}/state", "--out", f"{tmp_path}/out", "--cache", f"{tmp_path}/cache")
    ]
    assert command.main([*arguments, "--minutes", "30", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "a GPU, 80.0 GiB" in said
    assert "sweep3" in said
    assert "Over within 30 minutes" in said
    assert "so data=python_installed data.max_epochs=2" in said
    assert not (tmp_path / "state" / "setting.json").exists(), "nothing has begun"

    ran: list[list[str]] = []
    monkeypatch.setattr(
        Driver, "run", lambda self, groups: ran.append([one.name for g in groups for one in g])
    )
    assert command.main([*arguments, "--no-collect", "bench", "data=rfc"]) == 75
    assert ran == [["bench"]]
    assert command.main([*arguments, "--no-collect", "data=linux"]) == 2
    assert "was begun with data=rfc" in capsys.readouterr().err
    assert command.main([*arguments, "--no-collect", "--toy"]) == 2, "a toy's stages would count as done"
    assert command.main([*arguments, "--no-collect", "nonsense"]) == 2
    assert "no stage nonsense" in capsys.readouterr().err
    monkeypatch.setattr(command, "facts", lambda: {**HERE, "devices": 0})
    assert command.main(arguments) == 2
    assert "no CUDA device here; --toy" in capsys.readouterr().err


def test_the_commit_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "src" / ".git").mkdir(parents=True)
    assert commit(tmp_path / "src") == "unknown"
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "COMMIT").write_text("abc\nand changes that are not committed\n")
    assert commit(tmp_path / "src") == "abc and changes that are not committed"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('File "/home/me/isoflop/harness/train/run.py", line 3', 'File "harness/train/run.py", line 3'),
        ("in /opt/venv/lib/python3.12/site-packages/torch/cuda.py:7", "in torch/cuda.py:7"),
        ("/tmp/x/state/results: 3", "…/results: 3"),
        ("headers (/usr/include/python3.12/Python.h)", "headers (…/Python.h)"),
        ("runs_dir=/tmp/gpu/results", "runs_dir=…/results"),
        ("12 tokens/s, 1/2/3 and and/or, /dev/shm, https://a.b/c/d, runs/demo/x", None),
        ("STATE/checks.json ~/.cache/isoflop …/results/x", None),
    ],
)
def test_what_is_collected_names_no_folder_of_a_machine(text: str, kept: str | None) -> None:
    assert collect.shortened(text) == (text if kept is None else kept)
    assert collect.shortened(collect.shortened(text)) == collect.shortened(text)


def test_collecting_takes_a_packed_state_and_replaces_what_was_collected(
    state: State, stage: Callable[..., Stage], tmp_path: Path
) -> None:
    drive(state, [stage("good", "print('/tmp/some/where/log.txt')")])
    look = {"ok": False, "problem": "too slow", "seconds": 1.0, "device": "a GPU", "said": ["it took long"]}
    (state.path / "checks-runs.json").write_text(json.dumps({"test_x": look}))
    machine = {"device": "a GPU", "memory_gib": None, "commit": "abc"}
    setting = {"given": [], "overrides": ["data=rfc"], "machines": [machine], "stages": ["good", "never"]}
    (state.path / "setting.json").write_text(json.dumps(setting))
    packed = tmp_path / "state.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        for name in ("log", "done", "results", "work", "setting.json", "checks-runs.json"):
            tar.add(state.path / name, name)
    out = tmp_path / "results" / "one_gpu"
    said: list[str] = []
    collect.collect(packed, out, said.append)
    text = (out / "evidence.md").read_text()
    assert "- device a GPU; commit abc" in text
    assert "overrides: `data=rfc`" in text
    assert "| good | done in" in text
    assert "| never | not begun |" in text
    assert "**test_x**: FAILED" in text
    assert "it took long" in text
    assert "| our loop's speed |  | not measured |" in text
    assert "/tmp" not in (out / "evidence" / "good.txt").read_text()
    (out / "old.txt").touch()
    collect.collect(state.path, out, said.append)
    assert not (out / "old.txt").exists()
    assert [path.name for path in out.parent.iterdir()] == ["one_gpu"]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(collect.CollectError, match="not made by collecting"):
        collect.collect(state.path, other, said.append)
    assert (other / "thesis.txt").exists()


def speeds_of(path: Path, peak: float | None, rows: Sequence[tuple[str, str, list[float]]]) -> None:
    kept = Kept(path, {"device": "a GPU", "peak": peak})
    kept.add(what="matrix product", flops_per_second=8e14)
    for size, params in (("3M", 3.2e6), ("30M", 3.6e7)):
        kept.add(what="size", size=size, params=params, flops_per_token=6 * params)
    for size, contender, values in rows:
        for turn, value in enumerate(values):
            kept.add(size=size, contender=contender, round=turn, tokens_per_second=value)


def test_aims_are_judged_by_ratios_within_rounds(tmp_path: Path) -> None:
    speeds_of(
        tmp_path / "train-speed.json",
        1e15,
        [
            ("3M", "ours", [1.0e7, 1.2e7, 1.0e7]),
            ("3M", "ours graphs", [2.0e7, 2.2e7, 2.0e7]),
            ("3M", "Trainer", [1.0e7, 1.1e7, 1.5e7]),
            ("3M", "bare compiled", [2.1e7, 2.3e7, 2.1e7]),
            ("30M", "ours", [2.0e6]),
        ],
    )
    packing = Kept(tmp_path / "packing.json", {})
    for way, workers, seconds in (("one", 1, 90.0), ("one compiled", 1, 80.0), ("four", 4, 40.0)):
        packing.add(way=way, workers=workers, round=0, seconds=seconds, losses=[], said=[])
    packing.add(way="eight", round=0, error="RuntimeError: out of memory")
    budgets = [
        {"budget": 1e15, "params_opt": 2e6, "status": "ok", "flags": []},
        {"budget": 3e15, "params_opt": 3e6, "status": "at_edge", "flags": ["at_edge"]},
        {"budget": 8e15, "params_opt": None, "status": "too_few_points", "flags": ["too_few_points"]},
    ]
    fit = tmp_path / "fit.json"
    fit.write_text(json.dumps({"approach_2": {"budgets": budgets}}))
    found = {one.aim: (one.measured, one.verdict) for one in aims.verdicts(tmp_path, fit)}
    assert found["at least 1.5 × Trainer at 3M"] == ("2.00 (1.33–2.00, 3 rounds; ours graphs)", aims.REACHED)
    assert found["at least 1 × bare compiled at 3M"][1] == aims.MISSED
    assert found["MFU of 25% at 3M"] == ("38.4% of the maker's peak, 20,000,000 tokens/s", aims.REACHED)
    assert found["at least 1 × bare compiled at 30M"][1] == aims.UNKNOWN
    assert "at least 1.5 × Trainer at 30M" not in found, "the aim is below ten million parameters"
    assert found["MFU of 34% at 30M"][1] == aims.REACHED
    (column,) = (value for aim, value in found.items() if aim.startswith("a column"))
    assert column == ("2.00 (four, against one compiled)", aims.REACHED)
    minima = [value[1] for aim, value in found.items() if aim.startswith("a minimum")]
    assert minima == [aims.REACHED, aims.MISSED, aims.UNKNOWN]


def test_without_a_known_peak_the_measured_product_is_what_counts(tmp_path: Path) -> None:
    speeds_of(tmp_path / "train-speed.json", None, [("30M", "ours", [2.0e6])])
    found = {one.aim: one.measured for one in aims.verdicts(tmp_path, tmp_path / "none.json")}
    assert found["MFU of 34% at 30M"] == "54.0% of the matrix product measured here, 2,000,000 tokens/s"


@pytest.mark.parametrize(("speed", "verdict"), [(1.58e6, aims.REACHED), (1.57e6, aims.MISSED)])
def test_an_aim_for_the_share_of_the_peak_is_missed_just_below_it(
    speed: float, verdict: str, tmp_path: Path
) -> None:
    """Of 2.16e8 FLOPs a token: 34.1% and 33.9% of the peak."""
    speeds_of(tmp_path / "train-speed.json", 1e15, [("30M", "ours compiled", [speed])])
    found = {one.aim: one.verdict for one in aims.verdicts(tmp_path, tmp_path / "none.json")}
    assert found["MFU of 34% at 30M"] == verdict


def test_measurements_of_another_device_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "speed.json"
    Kept(path, {"device": "one"}).add(size="1M", seconds=1.0)
    assert Kept(path, {"device": "one"}).find(size="1M")
    other = Kept(path, {"device": "two"})
    assert other.find(size="1M") is None
    other.add(size="1M", seconds=2.0)
    assert Kept(tmp_path / "speed-1.json", {"device": "one"}).find(size="1M", seconds=1.0)
    assert Kept(None, {}).find(size="1M") is None
