"""Further held-out texts: what a finished model is scored on beside its own corpus, in the tokens it was trained on.

They are no part of a run's identity: they change nothing in what is trained. Nothing here looks for documents that
a domain shares with the training text.
"""

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from harness.data.config import DataConfig, TokenizerConfig
from harness.data.corpus import Corpus
from harness.data.meta import TOKENIZER_FOLDER
from harness.data.prepare import Say, prepare, to_stderr
from harness.errors import UserError


def prepare_domains(
    data: DataConfig,
    tokenizer: TokenizerConfig,
    corpus: Corpus,
    seq_len: int,
    cache_dir: Path | str,
    say: Say = to_stderr,
    progress: Callable[[str], None] | None = None,
    interval: float | None = None,
) -> dict[str, Corpus]:
    """The domains of ``data`` as corpora whose documents are all held out, from the cache where nothing changed.

    Args:
        tokenizer: that of ``corpus``; one that was trained on it is taken from its folder.
        corpus: what the models are trained on.
        seq_len: tokens of the sequences the models are scored on.
        say, progress, interval: as for :func:`harness.data.prepare.prepare`.

    Raises:
        UserError: a name or a setting is wrong, a text is missing, or too short for one sequence.
    """
    own = tokenizer
    if tokenizer.kind == "bpe":
        own = TokenizerConfig(kind="pretrained", path=str(corpus.folder / TOKENIZER_FOLDER))
    made = {}
    for name, value in data.domains.items():
        config = _config(name, value)
        try:
            made[name] = prepare(
                config, own, cache_dir, progress, heldout_only=True, say=say, interval=interval
            )
            made[name].heldout_sequences(seq_len, 1)
        except UserError as error:
            raise UserError(f"data.domains.{name}: {error}") from error
    return made


def _config(name: str, value: Any) -> DataConfig:
    """A domain's own settings; a bare path, or a list of them, is text."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or f"_{name}".endswith("_se"):  # loss_se is another column
        raise UserError(
            f"data.domains: '{name}' cannot be a column's name; use small letters, digits and '_', no '_se' at its end"
        )
    settings = dict(value) if isinstance(value, dict) else {"path": value}
    known = {field.name for field in fields(DataConfig)} - {
        "name",
        "domains",
        "heldout_fraction",
        "max_epochs",
    }
    for key in settings:
        if key not in known:
            raise UserError(f"data.domains.{name}: there is no setting '{key}' here")
    try:
        return DataConfig(**{"kind": "text", **settings, "name": name})
    except UserError as error:
        raise UserError(f"data.domains.{name}: {error}") from error
