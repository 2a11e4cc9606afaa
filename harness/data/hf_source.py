"""Whatever ``datasets.load_dataset`` reads: hub names, local JSON, Parquet, CSV or text, streamed or not."""

import glob
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.data.config import DataConfig
from harness.data.document import Document, File, Skip, describe, stat_file, walk
from harness.errors import UserError
from harness.text import visible

ROWS = 1000  # rows fetched at once
READERS = {  # of load_dataset, by the endings of the files they read
    ".parquet": "parquet",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".txt": "text",
    ".text": "text",
    ".arrow": "arrow",
}


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without the library's own lines of errors, which are said in ours, and its bars, where no terminal shows them."""
    level, bars = datasets.logging.get_verbosity(), datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity(logging.CRITICAL)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


class HfSource:
    """Rows of a dataset, one document each."""

    total_bytes: int | None = None
    number_of_files = 0
    share_read = 0.0

    def __init__(self, config: DataConfig) -> None:
        self._config = config
        self._path = os.path.expanduser(str(config.path))
        self._data_files = _plain(config.data_files)
        # a file here is for one of load_dataset's readers, which take its name in another argument
        self._reader, self._read_files = self._path, self._data_files
        if self._data_files is None and os.path.splitext(self._path)[1] and os.path.isfile(self._path):
            self._reader, self._read_files = _reader(self._path), self._path

    def describe(self) -> Any:
        """The arguments, and names, sizes and times of the files that are here."""
        config = self._config
        arguments = [self._path, config.subset, config.split, config.revision, config.text_field]
        return [*arguments, self._data_files, describe(self._local_files())]

    def documents(self, skip: Skip) -> Iterator[Document]:
        """In the order of the dataset.

        Raises:
            UserError: the dataset cannot be read, or has no such column.
        """
        dataset = self._load()
        field, number = self._config.text_field, 0
        for batch in self._batches(dataset):
            if field not in batch:
                self._no_field(list(batch))
            for value in batch[field]:
                if isinstance(value, str):
                    yield Document(f"row {number}", value)
                elif value is None:
                    skip("null", f"row {number}", 0)
                else:
                    kind = type(value).__name__
                    raise UserError(f"data.text_field: column '{field}' holds {kind}, not text; name another")
                number += 1

    def _load(self) -> Any:
        import datasets  # slow to import, and needed for this corpus only

        config = self._config
        try:
            with _quiet(datasets):
                dataset = datasets.load_dataset(
                    self._reader,
                    name=config.subset,
                    split=config.split,
                    revision=config.revision,
                    data_files=self._read_files,
                    streaming=config.streaming,
                )
        except Exception as error:  # the library raises dozens of kinds; all of them are about the arguments
            raise UserError(self._explain(error)) from error
        if dataset.column_names and config.text_field not in dataset.column_names:
            self._no_field(dataset.column_names)
        return dataset.select_columns([config.text_field]) if dataset.column_names else dataset

    def _batches(self, dataset: Any) -> Iterator[dict[str, list[Any]]]:
        batches = dataset.iter(batch_size=ROWS)
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except Exception as error:  # streaming finds out late what load_dataset would have found at once
                raise UserError(self._explain(error)) from error
            yield batch

    def _explain(self, error: Exception) -> str:
        while error.__cause__ is not None and isinstance(error.__cause__, Exception):
            error = error.__cause__  # what went wrong, not that something did
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        what = f"data.path={visible(self._path)}: load_dataset cannot read it ({type(error).__name__}: {said[:200]})"
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        if offline and self._is_remote():
            return f"{what}; HF_HUB_OFFLINE is set: unset it, or use files that are here"
        return f"{what}; check data.path, data.subset, data.split and data.data_files"

    def _no_field(self, columns: list[str]) -> None:
        raise UserError(
            f"data.text_field: no column '{self._config.text_field}' in {self._path}; "
            f"it has {', '.join(columns)}"
        )

    def _is_remote(self) -> bool:
        """Whether the path is a hub name, as far as one can tell: neither a path here nor a file format."""
        return not Path(self._path).exists() and self._data_files is None

    def _local_files(self) -> list[File]:
        root = Path(self._path)
        named = [root / name if root.is_dir() else Path(name) for name in _flatten(self._data_files)]
        found = sorted({match for name in named for match in glob.glob(str(name), recursive=True)})
        files = [stat_file(Path(name), name) for name in found if os.path.isfile(name)]
        if root.is_file() and not named:
            files.append(stat_file(root, root.name))
        if root.is_dir() and not named:
            files += walk(root, lambda name: not name.startswith("."), lambda name: True)
        return files


def _reader(path: str) -> str:
    """Which of load_dataset's readers a file is for.

    Raises:
        UserError: none is known for such a name.
    """
    name = path.lower()
    for compression in (".gz", ".zst", ".xz", ".bz2"):
        name = name.removesuffix(compression)
    reader = READERS.get(os.path.splitext(name)[1])
    if reader is None:
        raise UserError(
            f"data.path: data=hf reads files that end in {', '.join(READERS)}, not {visible(path)}; data=text reads "
            "any file of text"
        )
    return reader


def _plain(data_files: Any) -> Any:
    """``~`` expanded, at any depth of lists and dicts."""
    if isinstance(data_files, str):
        return os.path.expanduser(data_files)
    if isinstance(data_files, dict):
        return {str(key): _plain(value) for key, value in data_files.items()}
    return [_plain(value) for value in data_files] if data_files else None


def _flatten(data_files: Any) -> Iterator[str]:
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, dict):
        for value in data_files.values():
            yield from _flatten(value)
    else:
        for value in data_files or ():
            yield from _flatten(value)
