"""What is built holds what it must, works outside a checkout, and is typed."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).resolve().parents[1]
HOFFMANN = "law=hoffmann2022"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and what it depends on from this one; its ``bin``."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    wheel = next(built.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True, timeout=300)
    site = next((folder / "lib").glob("python*/site-packages"))
    # of this environment the packages alone: what is installed from a checkout is not followed
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run(installed: Path, cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(installed / "isoflop"), *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(listed.stdout.splitlines())


@pytest.mark.slow
def test_wheel_and_sdist_have_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    wanted = {
        re.sub(r"^(configs|slurm)/", r"harness/_\1/", name) for name in tracked("harness", "configs", "slurm")
    }
    assert names == wanted
    assert {
        "harness/py.typed",
        "harness/_configs/experiment/demo.yaml",
        "harness/_slurm/array.sbatch",
        "harness/report/page/page.html",
        "harness/completion/keys.json",
    } <= names
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        packed = {name.partition("/")[2] for name in sdist.getnames()}
    beside = {"PKG-INFO", "pyproject.toml", ".gitignore", "README.md", "LICENSE", "CHANGELOG.md"}
    assert packed - beside == tracked("harness", "configs", "slurm", "docs")
    said = message_from_string(metadata)
    assert (
        said["Version"]
        == re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    )  # type: ignore[index]
    assert said.get_all("Provides-Extra") == ["cuda", "dev", "notify", "tasks"]
    assert any(one.startswith("lm-eval") and "tasks" in one for one in said.get_all("Requires-Dist", []))
    assert any(one.startswith("liger-kernel") and "cuda" in one for one in said.get_all("Requires-Dist", []))


@pytest.mark.slow
def test_commands_of_every_kind_work_outside_a_checkout(installed: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "results" / "demo" / "runs.csv", tmp_path / "table.csv")
    source = tmp_path / "rfcs"
    source.mkdir()
    (source / "rfc1.txt").write_text("A made-up protocol.\n\n" + "It sends a word, and waits.\n" * 20)
    for words, expected in (
        (["--version"], "isoflop "),
        (["completion", "bash"], "complete -o nospace"),
        (["plan", "experiment=demo", "cache_dir=cache"], "21 cells"),
        (["fetch", "--help"], "isoflop fetch data=linux"),
        (["fetch", "data=rfc", "path=text", "--source", "rfcs"], "1 documents"),
        (["fit", "points=table.csv", "out=fitted", "analysis.draws=20"], "Verdict"),
        (["report", "points=table.csv", "out=fitted"], "report.html"),
        (["predict", "fit=fitted", "budget=1e13"], "N*"),
        (["predict", HOFFMANN, "budget=1e21"], "N*"),
    ):
        done = run(installed, tmp_path, *words)
        assert done.returncode == 0, (words, done.stderr)
        assert expected in done.stdout, (words, done.stdout)
    for written in ("runs/demo/plan.json", "fitted/fit.json", "fitted/report.html", "text/text/0000.jsonl"):
        assert (tmp_path / written).exists()


@pytest.mark.slow
def test_a_module_that_uses_it_is_type_checked(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # mypy looks there, and would take a checkout's files for the user's own
    monkeypatch.delenv("PYTHONPATH", raising=False)
    user = tmp_path / "user.py"
    user.write_text(
        "from pathlib import Path\n\n"
        "from harness import Fit, figures, load_fit, load_sweep\n\n"
        "fit: Fit = load_fit(Path('fit.json'))\n"
        "wrong: int = load_fit(Path('fit.json'))\n"
        "load_fit(3)\n"
        "print(fit.no_such_thing)\n"
        "figures.isoflop(fit, load_sweep('runs/demo')).savefig('isoflop.png')\n"
        "figures.isoflop(fit)\n"
    )
    python = [
        "--python-executable",
        str(installed / "python"),
        "--cache-dir",
        str(tmp_path / "cache"),
        "--config-file=",
    ]
    said, errors, _ = api.run([*python, "--strict", str(user)])
    found = re.findall(r"user\.py:(\d+): error: .*\[([\w-]+)\]", said)
    assert found == [("6", "assignment"), ("7", "arg-type"), ("8", "attr-defined"), ("10", "call-arg")], (
        said + errors
    )


def test_help_of_every_command_says_what_it_does() -> None:
    from harness.cli import parser
    from harness.commands.texts import COMMANDS

    top = parser().format_help()
    for name, text in COMMANDS.items():
        assert name in top
        assert f"isoflop {name}" in text, "an example to start from"
