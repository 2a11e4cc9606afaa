"""A small corpus for questions, of this project's own source, and models of no training at all."""

from pathlib import Path

from harness.data import Corpus, prepare
from harness.data.config import DataConfig, TokenizerConfig
from harness.model.build import build_model
from harness.model.shape import Shape

SEQ_LEN = 128
SHAPE = Shape("llama", 256, 16, 1, 2, 8, 32, 2, False, SEQ_LEN)


def corpus_of(text: Path, cache: Path, tokenizer: TokenizerConfig | None = None) -> Corpus:
    """Half of the documents are held out, so that there are enough of them."""
    data = DataConfig(name="own", kind="text", path=str(text), heldout_fraction=0.5)
    return prepare(data, tokenizer or TokenizerConfig(), cache)


def export_model(corpus: Corpus, folder: Path, seed: int = 0, shape: Shape = SHAPE) -> Path:
    """An untrained model and the tokenizer, as a run leaves them; returns ``folder``."""
    model = build_model(shape, 0.5, seed)
    model.save_pretrained(folder)
    corpus.save_tokenizer(folder)
    return folder
