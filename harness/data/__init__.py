"""What to train on: corpora, tokenizers, memory-mapped token files, splits and fingerprints.

corpus = prepare(DataConfig(), TokenizerConfig(), Path("cache"))
corpus.batch(seed=0, step=0, batch_sequences=8, seq_len=256)
"""

from harness.data.config import DataConfig, TokenizerConfig
from harness.data.corpus import Corpus, open_corpus
from harness.data.domains import prepare_domains
from harness.data.prepare import prepare, prepared

__all__ = ["Corpus", "DataConfig", "TokenizerConfig", "open_corpus", "prepare", "prepare_domains", "prepared"]
