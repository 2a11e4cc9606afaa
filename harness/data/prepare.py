"""From a configuration to a prepared corpus: tokenised once, reused as long as nothing changed."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness import cores
from harness.data.cache import ProgressReporter, SplitWriter, building, exclusive, token_dtype, writes_to
from harness.data.config import DataConfig, TokenizerConfig
from harness.data.corpus import Corpus, open_corpus
from harness.data.document import DocumentSource, Selected, select, share
from harness.data.left_out import REMEDIES, LeftOut, summary
from harness.data.meta import FORMAT, TOKENIZER_FOLDER, Meta, fingerprint, short_hash, write_meta
from harness.data.sources import open_source
from harness.data.tokenizer import ByteEncoder, Encoder, load_pretrained, local_tokenizer_files, train_bpe
from harness.data.verify import file_hashes
from harness.errors import UserError
from harness.files import file_sha256
from harness.text import visible

Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    """One line to standard error."""
    print(text, file=sys.stderr)


BATCH_BYTES = 1 << 20  # text tokenised at once: enough to keep all cores busy, little enough for any memory
AHEAD = 1  # batches that are tokenised while others are read and written


def prepare(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    cache_dir: Path | str,
    progress: Callable[[str], None] | None = None,
    heldout_only: bool = False,
    say: Say = to_stderr,
    interval: float | None = None,
) -> Corpus:
    """The tokenised corpus: from ``cache_dir`` where nothing changed, else made now, a damaged one as well.

    Any number of processes may ask at once; one does the work. A process killed half-way leaves nothing that
    looks like a corpus.

    Args:
        progress: given a line of text now and then.
        heldout_only: hold every document out; there is nothing to train on then.
        say: given a line where a damaged corpus is made anew.
        interval: seconds between the lines of ``progress``, as for :class:`ProgressReporter`.

    Raises:
        UserError: the text or the tokenizer cannot be had, is too little to be split, or cannot be written.
    """
    cache_dir = Path(os.path.expanduser(cache_dir))
    reporter = ProgressReporter(data.name, progress, interval)
    if data.kind == "declared":
        return _declared(data, cache_dir, say)
    if data.kind == "prepared":
        return _tokenised(data)
    source = open_source(data)
    folder = cache_dir / f"{data.name}-{tokenizer.label}-{_key(data, tokenizer, source, heldout_only)}"
    found = _sound(folder)
    if found:
        return found
    with (
        writes_to(cache_dir),
        exclusive(
            cache_dir / f".{folder.name}.lock", lambda: reporter.say("another process is preparing it")
        ) as held,
    ):
        found = _sound(folder, say)
        if not found:
            with building(folder, clean=held) as temporary:
                write_meta(temporary, _build(temporary, data, tokenizer, source, reporter, heldout_only))
    return found or open_corpus(folder)


def _tokenised(data: DataConfig) -> Corpus:
    """The corpus in the folder that ``data`` names."""
    try:
        return open_corpus(os.path.expanduser(str(data.path)))
    except UserError as error:
        said = visible(str(error).partition(";")[0])
        raise UserError(
            f"data.path: {said}; name the folder of a tokenised corpus, with its meta.json: one below a cache_dir"
        ) from error


def prepared(data: DataConfig, corpus: Path, domains: Mapping[str, Path]) -> DataConfig:
    """``data`` with its corpus and its domains named by their tokenised folders; everything else is kept.

    So a machine can use them that has not got the text they came from.
    """
    texts = {name: {"kind": "prepared", "path": str(folder)} for name, folder in domains.items()}
    return replace(data, kind="prepared", path=str(corpus), domains=texts)


def _sound(folder: Path, say: Say | None = None) -> Corpus | None:
    """The corpus in ``folder``; None where there is none, or a damaged one, which ``say`` is told."""
    try:
        return open_corpus(folder)
    except UserError as error:
        if say and folder.exists():
            say(f"{str(error).partition(';')[0]}: it is made anew")
        return None


def _key(data: DataConfig, tokenizer: TokenizerConfig, source: DocumentSource, heldout_only: bool) -> str:
    """Changes with all that could change the tokens, without reading the text."""
    selection = [
        data.name,
        data.kind,
        data.include_tests,
        data.heldout_fraction,
        data.deduplicate,
        data.max_documents,
        data.max_bytes,
        *(["heldout only"] if heldout_only else []),
    ]
    return short_hash([FORMAT, selection, source.describe(), _tokenizer_key(tokenizer)], digits=12)


def _tokenizer_key(config: TokenizerConfig) -> list[Any]:
    if config.kind == "bytes":
        return ["bytes"]
    if config.kind == "bpe":
        return ["bpe", config.vocab_size, config.sample_bytes]
    files = [file_sha256(path) for path in local_tokenizer_files(config)]
    return ["pretrained", config.path, config.revision, config.separator, files]


def _build(
    folder: Path,
    data: DataConfig,
    config: TokenizerConfig,
    source: DocumentSource,
    reporter: ProgressReporter,
    heldout_only: bool,
) -> Meta:
    encoder = _encoder(data, config, source, reporter)
    dtype = token_dtype(encoder.vocab_size)
    left_out = LeftOut()
    began = reporter.seconds
    with (
        SplitWriter(folder, "train", dtype, encoder.separator) as train,
        SplitWriter(folder, "heldout", dtype, encoder.separator) as heldout,
    ):
        documents = size = 0
        for batch, encoded in _encoded(encoder, _batches(select(source, data, left_out))):
            for document, ids in zip(batch, encoded, strict=True):
                (heldout if heldout_only or document.heldout else train).add(ids, len(document.data))
            documents, size = train.documents + heldout.documents, train.bytes + heldout.bytes
            read = max(source.share_read, size / (data.max_bytes or float("inf")))
            tokens, seconds = train.tokens + heldout.tokens, reporter.seconds - began
            reporter.encoded(documents, size, tokens, seconds, read)
        _check(data, train, heldout, left_out.skipped, heldout_only)
        hashes = [train.finish(), heldout.finish()]
    reporter.done(documents, size, train.tokens + heldout.tokens, reporter.seconds - began)
    encoder.save(folder / TOKENIZER_FOLDER)
    return Meta(
        name=data.name,
        kind=data.kind,
        fingerprint=fingerprint(hashes, encoder.vocab_size, encoder.separator),
        tokenizer=config.label,
        vocab_size=encoder.vocab_size,
        separator=encoder.separator,
        dtype=dtype,
        train_tokens=train.tokens,
        heldout_tokens=heldout.tokens,
        train_documents=train.documents,
        heldout_documents=heldout.documents,
        train_bytes=train.bytes,
        heldout_bytes=heldout.bytes,
        heldout_fraction=1.0 if heldout_only else data.heldout_fraction,
        path=str(data.path) if data.path else "",
        skipped=dict(sorted(left_out.skipped.items())),
        left_out=dict(sorted(left_out.details.items())),
        source_files=source.number_of_files,
        seconds=round(reporter.seconds, 3),
        files=file_hashes(folder),
    )


def _encoder(
    data: DataConfig, config: TokenizerConfig, source: DocumentSource, reporter: ProgressReporter
) -> Encoder:
    if config.kind == "bytes":
        return ByteEncoder()
    if config.kind == "pretrained":
        return load_pretrained(config)
    with reporter.meanwhile():
        return train_bpe(config, _sample(data, config.sample_bytes, source, reporter))


def _sample(
    data: DataConfig, wanted: int, source: DocumentSource, reporter: ProgressReporter
) -> Iterator[str]:
    """Training documents to learn a tokenizer from, about ``wanted`` bytes.

    Where the size of the text is known they are drawn from all of it, by another part of the hash than
    the one that decides on the side; else they are the first ones.
    """
    total = source.total_bytes or 0
    if data.max_bytes:
        total = min(total, int(data.max_bytes))
    wanted_share = wanted / total if total else 1.0
    size = 0
    for document in select(source, data, LeftOut()):
        if document.heldout or share(document.digest, 8) >= wanted_share:
            continue
        size += len(document.data)
        reporter.sampled(size, min(wanted, total) if total else wanted)
        yield document.text
        if size >= wanted:
            return


def _encoded(
    encoder: Encoder, batches: Iterator[list[Selected]]
) -> Iterator[tuple[list[Selected], list[NDArray[Any]]]]:
    """Each batch with its ids, in order; on several cores the next are tokenised while this one is used."""
    if isinstance(encoder, ByteEncoder) or not _parallel():
        yield from ((batch, encoder.encode(batch)) for batch in batches)
        return
    waiting: deque[tuple[list[Selected], Future[list[NDArray[Any]]]]] = deque()
    with ThreadPoolExecutor(AHEAD, "tokenise") as pool:
        for batch in batches:
            waiting.append((batch, pool.submit(encoder.encode, batch)))
            if len(waiting) > AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        for last, future in waiting:
            yield last, future.result()


def _parallel() -> bool:
    """Whether there are cores to spare, and the user has not asked ``tokenizers`` for one."""
    asked = os.environ.get("TOKENIZERS_PARALLELISM", "").lower()
    one = asked in ("", "off", "false", "f", "no", "n", "0") and "TOKENIZERS_PARALLELISM" in os.environ
    return cores.available() > 1 and not one and os.environ.get("RAYON_NUM_THREADS") != "1"


def _batches(documents: Iterator[Selected]) -> Iterator[list[Selected]]:
    batch: list[Selected] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.data)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _check(
    data: DataConfig, train: SplitWriter, heldout: SplitWriter, skipped: Mapping[str, int], heldout_only: bool
) -> None:
    documents = train.documents + heldout.documents
    if documents == 0:
        why = summary(skipped) or "none found"
        where = f" in {visible(str(data.path))}" if data.path else ""
        remedies = [REMEDIES[reason][1] for reason in skipped if REMEDIES.get(reason, ("", ""))[1]]
        raise UserError(
            f"data: corpus '{data.name}' has no documents{where} (left out: {why}); "
            + (remedies[0] if remedies else "use other text")
        )
    if not heldout_only and not (train.documents and heldout.documents):
        side = "training" if not train.documents else "held-out"
        raise UserError(
            f"data: corpus '{data.name}': of {documents} document(s) none is {side}; "
            "use more text, smaller documents (data.document_bytes) or another data.heldout_fraction"
        )


def _declared(data: DataConfig, cache_dir: Path, say: Say) -> Corpus:
    """A corpus of sizes only; kept as a folder like the others, so that it opens by its path."""
    sizes = [data.name, int(data.unique_tokens), data.vocab_size, data.fingerprint]
    key = short_hash([FORMAT, "declared", *sizes])
    folder = cache_dir / f"{data.name}-declared-{key[:12]}"
    meta = Meta(
        name=data.name,
        kind=data.kind,
        fingerprint=data.fingerprint or key,
        tokenizer="declared",
        vocab_size=data.vocab_size,
        separator=0,
        dtype="",
        train_tokens=int(data.unique_tokens),
        heldout_tokens=0,
        train_documents=0,
        heldout_documents=0,
        train_bytes=0,
        heldout_bytes=0,
        heldout_fraction=data.heldout_fraction,
    )
    found = _sound(folder, say)
    if not found or found.meta != meta:
        with writes_to(cache_dir):
            cache_dir.mkdir(parents=True, exist_ok=True)
            with building(folder, clean=False) as temporary:
                write_meta(temporary, meta)
        found = open_corpus(folder)
    return found
