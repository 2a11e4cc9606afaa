"""How fast a corpus is prepared, against what the library ``tokenizers`` itself reaches on the same documents.

The tokenizer is trained once. Then, in turns, the documents go through ``encode_batch_fast`` alone, whole and already
in memory, and through all of ``prepare``: listing, reading, hashing, tokenising, writing. Of all rounds the best
of each counts.

    python scripts/bench_tokenise.py books/ --megabytes 30
    taskset -c 0 python scripts/bench_tokenise.py books/              # what one core reaches

Times are given by the clock, and as the processor's: where other programs run as well, the latter are the ones to
compare on one core.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tokenizers import Tokenizer

from harness.data import DataConfig, TokenizerConfig, prepare
from harness.data.document import select
from harness.data.left_out import LeftOut
from harness.data.meta import TOKENIZER_FOLDER
from harness.data.sources import open_source
from harness.data.tokenizer import END_OF_TEXT, TOKENIZER_FILE

ALONE = (1 << 20, 8 << 20)  # bytes in a batch of encode_batch_fast; the better one is taken


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - used


def batches(texts: list[str], size: int) -> Iterator[list[str]]:
    """``texts`` in lists of at least ``size`` bytes."""
    batch: list[str] = []
    held = 0
    for text in texts:
        batch.append(text)
        held += len(text)
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def main() -> None:
    """Measure in turns, and print the best of each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", help="a file or folder of text")
    parser.add_argument("--megabytes", type=float, default=30.0, help="of text to tokenise (30)")
    parser.add_argument("--sample", type=float, default=8.0, help="megabytes to train the tokenizer on (8)")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--document-bytes", type=int, default=0, help="as data.document_bytes (0: chosen)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    data = DataConfig(
        name="bench",
        kind="text",
        path=arguments.path,
        max_bytes=arguments.megabytes * 1e6,
        document_bytes=arguments.document_bytes,
    )
    bpe = TokenizerConfig(
        kind="bpe", vocab_size=arguments.vocab_size, sample_bytes=int(arguments.sample * 1e6)
    )
    texts = [document.text for document in select(open_source(data), data, LeftOut())]
    size = sum(len(text.encode()) for text in texts) / 1e6
    with tempfile.TemporaryDirectory(prefix="isoflop-bench-") as folder:
        corpus = prepare(data, bpe, Path(folder) / "first")
        file = corpus.folder / TOKENIZER_FOLDER / TOKENIZER_FILE
        own = replace(bpe, kind="pretrained", path=str(file), separator=END_OF_TEXT)

        def alone(batch_bytes: int) -> None:
            tokenizer = Tokenizer.from_file(str(file))  # a new one, as prepare has: it remembers words
            tokenizer.encode_special_tokens = True
            for batch in batches(texts, batch_bytes):
                tokenizer.encode_batch_fast(batch, add_special_tokens=False)

        print(f"{size:.1f} MB in {len(texts):,} documents, {corpus.tokenizer}")
        # the batches that suit it, so that all are measured equally often
        batch_bytes = min(ALONE, key=lambda size: timed(lambda: alone(size))[0])
        best = {name: (float("inf"), float("inf")) for name in ("encode_batch_fast", "prepare", "of bytes")}
        for turn in range(arguments.rounds):
            ways: list[tuple[str, Callable[[], object]]] = [
                ("encode_batch_fast", partial(alone, batch_bytes)),
                ("prepare", partial(prepare, data, own, Path(folder) / f"again{turn}")),
                ("of bytes", partial(prepare, data, TokenizerConfig(), Path(folder) / f"bytes{turn}")),
            ]
            for name, work in ways:
                clock, processor = timed(work)
                best[name] = (min(best[name][0], clock), min(best[name][1], processor))
        for name, (clock, processor) in best.items():
            print(f"{name}: {size / clock:.2f} MB/s, {size / processor:.2f} MB a processor second")
        (clock, processor), (own_clock, own_processor) = best["encode_batch_fast"], best["prepare"]
        print(
            f"prepare reaches {clock / own_clock:.2f} of encode_batch_fast by the clock, "
            f"{processor / own_processor:.2f} a processor second"
        )


if __name__ == "__main__":
    main()
