"""Where the files that come with the package lie."""

from pathlib import Path


def config_folder() -> Path:
    """The committed configs: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).resolve().parent
    installed = package / "_configs"
    return installed if installed.is_dir() else package.parent / "configs"
