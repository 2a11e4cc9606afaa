"""The whole plan at toy size on a CPU, as a kit runs it that carries it to a machine: stopped, killed, moved."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CARRIED = ("harness", "configs", "scripts", "tests", "slurm", "pyproject.toml")


def state_folder(path: Path) -> Path:
    """As the kit lays it out: the checkout in src/, the project's own pieces of the kit and the commit in kit/."""
    for name in ("log", "done", "kit", "work", "results", "src"):
        (path / name).mkdir(parents=True, exist_ok=True)
    for name in CARRIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, path / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, path / "src")
    for file in (ROOT / "scripts" / "gpu").iterdir():
        assert file.is_file(), "the kit copies files: a folder, of bytecode say, would stop it"
        shutil.copy(file, path / "kit")
    (path / "kit" / "COMMIT").write_text("0123abc\n")
    return path


@contextmanager
def plan(state: Path, *stages: str) -> Iterator[subprocess.Popen[str]]:
    """plan.sh in a session of its own, with what the kit gives it."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STATE": str(state),
        "SITE": str(state / "site"),
        "TOY": "1",
    }
    process = subprocess.Popen(
        ["bash", str(state / "kit" / "plan.sh"), *stages],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"it never said '{text}':\n{''.join(lines)}")


def turns(state: Path, stage: str) -> int:
    return (state / "log" / f"{stage}.txt").read_text().count("$ python ")


@pytest.mark.slow
def test_the_plan_is_stopped_killed_carried_elsewhere_and_collected(tmp_path: Path) -> None:
    first = state_folder(tmp_path / "first")
    (first / "train-speed.json").mkdir()  # the bench cannot write down what it measures
    with plan(first) as process:
        read_until(process, "== probe")
        number = (first / "plan.pid").read_text().strip()
        assert "plan.sh" in Path(f"/proc/{number}/cmdline").read_text()
        os.kill(int(number), signal.SIGTERM)
        rest, _ = process.communicate(timeout=120)
        assert process.returncode == 75, rest
        assert "the same command goes on with probe, checks-runs" in rest
        assert not (first / "plan.pid").exists()
    with plan(first) as process:
        read_until(process, "== sweep3")
        until = time.monotonic() + 120
        while not list(first.glob("results/one_gpu/cells/*/curve.csv")) and time.monotonic() < until:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    with plan(first) as process:
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 1, said
        assert "ending sweep3, which an earlier start left running" in said
        assert "== 10 of 11 stages done; failed: bench" in said
    assert (first / "done" / "bench.failed").read_text() == "status 1\n"
    ended = {path.name for path in (first / "done").iterdir()} - {"bench.failed"}
    assert ended == {
        *("probe", "checks-runs", "checks-parts", "tests", "corpus", "checks-times"),
        *("calibrate", "sweep3", "packing", "sweep4"),
    }
    assert turns(first, "sweep3") == 2
    assert turns(first, "checks-runs") == 1
    assert (first / "work" / "configs" / "throughput" / "one_gpu.yaml").exists()

    second = state_folder(tmp_path / "second")
    packed = tmp_path / "state.tar.gz"
    pack(first, packed)
    subprocess.run(["tar", "-C", str(second), "-xzf", str(packed)], check=True)
    (second / "train-speed.json").rmdir()
    with plan(second, "probe", "bench", "sweep4") as process:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert "== sweep4" not in said
        assert "== 3 of 3 stages done" in said
    assert turns(second, "bench") == turns(first, "bench") + 1

    pack(second, packed)
    out = tmp_path / "results" / "one_gpu"
    collected = subprocess.run(
        ["bash", str(ROOT / "scripts" / "gpu" / "collect.sh"), str(packed), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert collected.returncode == 0, collected.stderr
    text = (out / "evidence.md").read_text()
    assert "commit 0123abc" in text
    assert "| eager, 2 side by side |" in text
    assert "| 26,232 |" in text
    assert "**test_devices**: ok" in text
    assert "a minimum inside the sizes at 2e+08 FLOPs" in text
    assert len(list(out.glob("cells/*/record.json"))) == 12
    assert {path.name for path in out.glob("cells/*/*")} == {"record.json", "curve.csv"}
    assert (out / "report.html").exists()
    assert list((out / "figures").glob("*.png"))
    for path in out.rglob("*"):
        if path.suffix in (".md", ".txt", ".json", ".yaml", ".csv", ".html"):
            assert str(tmp_path) not in path.read_text(), path


def pack(state: Path, target: Path) -> None:
    """As the kit does: no weights, no tokens, no code."""
    measured = [path.name for path in state.glob("*.json")]
    left_out = [f"--exclude={name}" for name in ("checkpoint", "model", "*.safetensors", ".*", "claim.json")]
    command = [
        "tar",
        "-C",
        str(state),
        *left_out,
        "-czf",
        str(target),
        "log",
        "done",
        "results",
        "work",
        *measured,
    ]
    subprocess.run(command, check=True)
