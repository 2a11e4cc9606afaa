"""One version, pyproject's, wherever it is asked for."""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from harness import version as module
from harness.cli import main
from harness.version import isoflop_version, version_of
from tests.imports import imported

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_two_lines_say_what_a_report_needs(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"isoflop {WRITTEN}"
    assert second.startswith(f"Python {sys.version.split()[0]}, torch {version('torch')}, transformers ")


def test_a_checkout_that_was_never_installed_has_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    isoflop_version.cache_clear()
    monkeypatch.setattr(module, "version", not_installed)
    assert version_of("isoflop") == WRITTEN
    assert version_of("torch") is None
    isoflop_version.cache_clear()


def test_an_installed_copy_has_that_of_its_metadata(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isoflop_version.cache_clear()
    monkeypatch.setattr(module, "__file__", str(tmp_path / "harness" / "version.py"))
    monkeypatch.setattr(module, "version", lambda name: f"{name} 7.7")
    assert isoflop_version() == "isoflop 7.7"
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "other"\nversion = "1"\n')
    isoflop_version.cache_clear()
    assert isoflop_version() == "isoflop 7.7", "another project's folder"
    isoflop_version.cache_clear()


def test_no_library_is_imported_for_it() -> None:
    code = "from harness.cli import main\ntry:\n    main(['--version'])\nexcept SystemExit:\n    pass"
    assert imported(code, "torch", "transformers", "accelerate", "numpy") == []
