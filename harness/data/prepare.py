"""From a configuration to a prepared corpus."""

from collections.abc import Callable
from pathlib import Path

from harness.data.config import DataConfig, TokenizerConfig
from harness.data.corpus import Corpus


def prepare(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    cache_dir: Path,
    progress: Callable[[str], None] | None = None,
) -> Corpus:
    """The tokenised corpus."""
    raise NotImplementedError
