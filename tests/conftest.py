"""Nothing in a test reaches for a network, a terminal or another test's state."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "HF_HUB_OFFLINE", "1"
)  # no test asks a hub, and a machine without one would wait for it
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# Shared machines are slow at moments: no example fails for its time alone.
settings.register_profile("isoflop", deadline=None)
settings.load_profile("isoflop")


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred kilobytes of text that models can learn from: this project's own source, in many files."""
    folder = tmp_path_factory.mktemp("text")
    package = Path(__file__).resolve().parents[1] / "harness"
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        (folder / f"{path.parent.name}-{path.name}").write_text(text or "# empty\n", encoding="utf-8")
    return folder
