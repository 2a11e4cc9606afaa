"""The versions of this package and of those that results depend on, without importing them."""

import platform
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

NAME = "isoflop"
REPORTED = ("torch", "transformers", "accelerate")
"""Packages that a report of a mistake names, beside Python."""


@cache
def isoflop_version() -> str:
    """What pyproject.toml says: in a checkout the file itself, which need not be installed; else the installed copy."""
    try:
        text = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8")
        project = tomllib.loads(text).get("project", {})
        if project.get("name") == NAME:
            return str(project["version"])
    except (OSError, ValueError, KeyError):  # installed from a wheel
        pass
    try:
        return version(NAME)
    except PackageNotFoundError:  # a copy of the folder alone
        return "unknown"


def version_of(package: str) -> str | None:
    """The version of a package by its name in an index; None where it is not installed."""
    if package == NAME:
        return isoflop_version()
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def summary() -> str:
    """Two lines: the version, and what it runs with."""
    others = (f"{name} {version_of(name) or 'not installed'}" for name in REPORTED)
    return f"{NAME} {isoflop_version()}\nPython {platform.python_version()}, {', '.join(others)}"
