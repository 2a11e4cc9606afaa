"""What ``harness`` exports: every name is there, documented, and its examples run."""

import ast
import doctest
import importlib
import inspect
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import harness
from tests.imports import imported

ROOT = Path(__file__).resolve().parents[2]
WITH_EXAMPLES = (
    "harness",
    "harness.fit.pipeline",
    "harness.fit.read.curve_files",
    "harness.fit.reader",
    "harness.fit.store",
    "harness.library.configured",
    "harness.library.figures",
    "harness.library.sweep",
    "harness.library.tables",
)


@pytest.mark.parametrize("name", harness.__all__)
def test_every_name_is_there_with_a_docstring(name: str) -> None:
    found = getattr(harness, name)
    assert inspect.getdoc(found), name
    assert name in dir(harness)


def test_every_function_has_an_example_that_is_run() -> None:
    functions = {
        name: found for name in harness.__all__ if inspect.isfunction(found := getattr(harness, name))
    }
    assert {
        "fit_points",
        "load_fit",
        "load_sweep",
        "plan_sweep",
        "predict_from",
        "read_points",
    } <= functions.keys()
    for name, function in functions.items():
        if name != "read_published":  # its table is not part of the project
            assert ">>> " in str(function.__doc__), name
            assert function.__module__ in WITH_EXAMPLES, name


def test_a_type_checker_and_python_see_the_same_names() -> None:
    """Names are imported when they are first used; type checkers read another list of the same."""
    tree = ast.parse((ROOT / "harness" / "__init__.py").read_text(encoding="utf-8"))
    static = {
        alias.name: node.module
        for guard in tree.body
        if isinstance(guard, ast.If)
        for node in guard.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(static) == harness.__all__
    for name, module in static.items():
        found = getattr(harness, name)
        home = importlib.import_module(str(module))
        assert found is (
            importlib.import_module(f"{module}.{name}")
            if isinstance(found, ModuleType)
            else getattr(home, name)
        )


def test_the_version_is_that_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert harness.__version__ == project["version"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit_point'"):
        harness.fit_point  # noqa: B018
    with pytest.raises(ImportError):
        exec("from harness import fit_point")


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert imported("import harness", "numpy", "torch", "hydra", "matplotlib", "pandas") == []


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_the_examples_in_docstrings_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # they read the sweeps in results/
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 1
    assert found.failed == 0
