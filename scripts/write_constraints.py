"""Writes results/constraints.txt, the versions that results name: python scripts/write_constraints.py

A record under results/ says what its run was trained with, a report what it was written with. The file has one set that
sweeps were really trained with together: the newest of those on a CPU. Comments say which other sweeps had which.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from packaging.version import Version

from harness.version import NAME

RESULTS = Path(__file__).resolve().parents[1] / "results"
FILE = RESULTS / "constraints.txt"
START = """\
# The versions that the records and reports under results/ name; scripts/write_constraints.py writes this file.
# To install as they were trained and fitted, in a checkout: pip install -c results/constraints.txt .
# What no record names is not here. torch's builds (+cpu, for CUDA) are for the index to choose.
"""
WRITTEN_WITH = re.compile(r"^- report written with: (.+)$", re.MULTILINE)

Versions = tuple[tuple[str, str], ...]
"""Packages and their versions, by name."""


def trained_with(results: Path) -> dict[str, dict[Versions, str]]:
    """By sweep the sets of versions that its records name, and a device that each was on."""
    found: dict[str, dict[Versions, str]] = {}
    for path in sorted(results.glob("*/cells/*/record.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        versions = tuple(sorted((name, one) for name, one in record["versions"].items() if name != NAME))
        found.setdefault(path.parents[2].name, {})[versions] = record["device"]
    return found


def written_with(results: Path) -> dict[str, dict[str, str]]:
    """By sweep the versions that its report names."""
    found = {}
    for path in sorted(results.glob("*/report.md")):
        if line := WRITTEN_WITH.search(path.read_text(encoding="utf-8")):
            pairs = (one.split(" ", 1) for one in line[1].split(", "))
            found[path.parent.name] = {name: version for name, version in pairs if name != NAME}
    return found


def constraints(results: Path = RESULTS) -> str:
    """The whole file."""
    trained, written = trained_with(results), written_with(results)
    sets = {versions: device for by_sweep in trained.values() for versions, device in by_sweep.items()}
    on_cpu = [versions for versions, device in sets.items() if "NVIDIA" not in device]
    chosen = max(on_cpu, key=_newness)
    sweeps = {versions: [name for name in trained if versions in trained[name]] for versions in sets}
    pins = dict(chosen)
    for name in sorted(sweeps[chosen]):  # what fits and figures were made with, where a report says so
        pins |= {package: one for package, one in written.get(name, {}).items() if package not in pins}
    others = [f"# {', '.join(sweeps[one])}: {_differing(one, pins)}" for one in sorted(sets) if one != chosen]
    lines = [
        f"# {', '.join(sweeps[chosen])}:",
        *(f"{name}=={_public(one)}" for name, one in sorted(pins.items())),
    ]
    return START + "\n" + "\n".join([*lines, "", "# Other sweeps differ in these:", *others]) + "\n"


def _differing(versions: Versions, pins: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {_public(one)}" for name, one in versions if one != pins.get(name))


def _newness(versions: Versions) -> list[Version]:
    """torch decides, then transformers, then the others."""
    found = dict(versions)
    return [Version(found.get(name, "0")) for name in ("torch", "transformers", *sorted(found))]


def _public(version: str) -> str:
    """``2.13.0+cpu`` → ``2.13.0``, which every build of it fulfils."""
    return Version(version).public


if __name__ == "__main__":
    FILE.write_text(constraints(), encoding="utf-8")
