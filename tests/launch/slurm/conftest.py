"""A real Slurm on this machine for the time of the tests."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "slurm_cluster.sh"
PROGRAMS = ("sbatch", "slurmctld", "slurmd", "munged")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two nodes of four cores and two fake GPUs; SLURM_CONF points to them."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed (apt-get install slurmctld slurmd slurm-client munge)")
    if os.geteuid() != 0:
        pytest.skip("a private Slurm needs root")
    folder = tmp_path_factory.mktemp("slurm")
    environment = {**os.environ, "PATH": path}
    command = ["bash", str(SCRIPT)]
    started = subprocess.run(
        [*command, "up", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    if started.returncode:
        pytest.skip(f"Slurm does not start here: {started.stderr.strip()[-300:]}")
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    yield folder
    subprocess.run(
        [*command, "down", str(folder)], check=False, timeout=60, env=environment, capture_output=True
    )
    os.environ.pop("SLURM_CONF")
    if before is not None:
        os.environ["SLURM_CONF"] = before
