"""The image's layers hold what the package needs; whether it builds and runs, its own stage 'smoke' tests."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKER = ROOT / "docker"


def layer(which: str) -> list[str]:
    command = [sys.executable, str(DOCKER / "dependencies.py"), str(ROOT / "pyproject.toml"), which]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_every_dependency_is_in_one_layer_and_torch_is_alone() -> None:
    torch, others = layer("torch"), layer("others")
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]["dependencies"]
    assert sorted(torch + others) == sorted(wanted)
    assert [re.split(r"[^\w-]", requirement)[0] for requirement in torch] == ["torch"]


def test_what_is_copied_is_there_and_not_ignored() -> None:
    sources = [
        source
        for line in re.findall(r"^COPY (.+)$", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE)
        for source in line.split()[:-1]
    ]
    kept = {
        line[1:]
        for line in (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    assert sources, "nothing is copied"
    assert kept == set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert {*package["packages"], *package["force-include"]} <= set(sources), "the wheel could not be built"


def test_the_line_for_cuda_has_a_base_as_new_as_the_indexs_torch() -> None:
    head = (DOCKER / "Dockerfile").read_text().split("\nARG ")[0]
    bases = re.findall(r"nvidia/cuda:(\d+)\.", head)
    assert bases[0] == "13", "PyPI's torch from 2.11 on is built for CUDA 13"
    older = head[head.index("nvidia/cuda:12") :]
    assert "TORCH_INDEX_URL" in older.split("\n")[0], "with an older base goes an older build of torch"
