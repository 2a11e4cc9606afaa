"""The rooms of the package: data flows one way, and a room imports those below it only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "harness"

# From the top. Those of one line do not import each other.
ROOMS = (
    ("__main__",),
    ("cli",),
    ("commands", "completion", "library"),
    ("workflow",),
    ("config",),
    ("compare", "validate", "calibrate", "design", "evaluate"),
    ("report",),
    ("tune",),  # its surfaces are a figure of the report
    ("launch",),
    ("train",),
    ("predict",),
    ("tracking",),
    ("fit",),
    ("runs",),
    ("plan",),
    ("model",),
    ("fetch", "notify"),
    ("data",),
    ("text", "interrupts", "amounts", "cores"),
    ("bounds", "files"),
    ("errors", "packaged", "version"),
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """The package's modules that a file imports, at its top or within a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names & MODULES.keys()


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_its_level() -> None:
    assert {room(module) for module in MODULES} - {""} == set(LEVEL)


@pytest.mark.parametrize("name", LEVEL)
def test_a_room_imports_rooms_below_it_only(name: str) -> None:
    upward = [
        f"{module} imports {other}"
        for module, path in MODULES.items()
        if room(module) == name
        for other in imported(path)
        if room(other) not in ("", name) and LEVEL[room(other)] <= LEVEL[name]
    ]
    assert upward == []


def test_nobody_else_names_what_belongs_to_one_launcher() -> None:
    own = ("harness.launch.slurm", "harness.launch.registry", "harness.commands.array_task")
    users = {
        module
        for module, path in MODULES.items()
        if not module.startswith(own) and any(other.startswith(own[0]) for other in imported(path))
    }
    assert users == set()
