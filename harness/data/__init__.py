"""What to train on: corpora, tokenizers, memory-mapped token files, splits and fingerprints."""
