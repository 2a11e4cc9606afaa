"""The wheel works outside a checkout, its configs included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_built_wheel_plans_outside_a_checkout(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    wheel = next(tmp_path.glob("isoflop-*.whl"))
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    assert (site / "harness" / "_configs" / "experiment" / "demo.yaml").exists()
    assert (site / "harness" / "_slurm" / "array.sbatch").exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # -P and PYTHONPATH: this package, not the checkout that is installed in this environment
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness", "plan", "experiment=demo", f"cache_dir={tmp_path}/cache"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "21 cells" in done.stdout
    assert (elsewhere / "runs" / "demo" / "plan.json").exists()


def test_help_of_every_command_says_what_it_does() -> None:
    from harness.cli import COMMANDS, parser

    top = parser().format_help()
    for name, text in COMMANDS.items():
        assert name in top
        assert f"isoflop {name}" in text, "an example to start from"
