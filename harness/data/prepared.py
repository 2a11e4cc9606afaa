"""A configuration's corpora where they lie tokenised, for a machine that may not have the text they came from."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.data.config import DataConfig


def prepared(data: DataConfig, corpus: Path, domains: Mapping[str, Path]) -> DataConfig:
    """``data`` with its corpus and its domains named by their folders; everything else is kept."""
    texts = {name: {"kind": "prepared", "path": str(folder)} for name, folder in domains.items()}
    return replace(data, kind="prepared", path=str(corpus), domains=texts)
