"""What is wrong with a grid whatever the text: found before hours of tokenising."""

from collections.abc import Callable

from harness.config.schema import Config
from harness.data.config import SMALLEST_BPE
from harness.errors import UserError
from harness.plan.plan import AssumedCorpus, CorpusFacts


def check_before(config: Config, planned: Callable[[CorpusFacts], object]) -> None:
    """Find what is wrong with a grid whatever the text: tokenising may take hours.

    Args:
        planned: makes the plan of a corpus.

    Raises:
        UserError: it raised that for every vocabulary that the tokenizer may turn out to have.
    """
    entries = config.tokenizer.vocab_size
    # of a tokenizer trained here the vocabulary is smaller where the text is little
    sizes = {"bytes": (256,), "bpe": (entries, SMALLEST_BPE)}.get(config.tokenizer.kind, ())
    sizes = {"declared": (config.data.vocab_size,), "prepared": ()}.get(config.data.kind, sizes)
    refused: UserError | None = None
    for size in sizes:
        try:
            planned(AssumedCorpus(config.data.name, size))
            return
        except UserError as error:
            refused = refused or error
    if refused:
        raise refused
