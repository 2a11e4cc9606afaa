"""How a table was understood, in one line for people: ``read as: params = 'N (M)' in millions, flops from …``."""

import re

from harness.errors import UserError
from harness.fit.read.aliases import BITS_PER_BYTE, SMOOTHED, TRAINING, WITHOUT_EMBEDDING
from harness.fit.read.cells import Column
from harness.fit.read.names import WORDS, Place, bare
from harness.text import visible

OTHER_UNIT = "not nats per token (so is every loss of the fit)"


def described(column: str, source: Column, place: Place) -> str:
    """A column that the fit takes as ``column``; "" where that needs no word."""
    traits = _traits(column, source, place)
    if source.plain == column and not traits:
        return ""
    return f"{column} = '{visible(source.header.strip())}'{traits}"


def unit_words(factor: float) -> str:
    """``millions`` for 1e6."""
    return WORDS.get(factor, f"units of {factor:g}")


def refuse_perplexity(source: Column, table: str) -> None:
    """Raises UserError where the column that was named as the loss is a perplexity by its name."""
    if re.search(r"(^|_)(ppl|perplexity)(_|$)", bare(source.header)):
        raise UserError(
            f"{table}: column {visible(source.header.strip())!r} is a perplexity; the laws are of its natural "
            "logarithm: add a column with it"
        )


def _traits(column: str, source: Column, place: Place) -> str:
    """What is to be said of a column beside its name."""
    name = bare(source.header)
    found = f" in {unit_words(place.factor)}" if place.factor != 1 else ""
    if column == "params" and name in WITHOUT_EMBEDDING:
        found += " (without embeddings)"
    if column != "loss":
        return found
    if name in BITS_PER_BYTE or re.search(r"(^|_)(bpb|bits_per_byte|bits_byte)(_|$)", name):
        return f"{found} in bits per byte, {OTHER_UNIT}"
    if re.search(r"(^|_)(bits_per_token|bits)(_|$)", name):
        return f"{found} in bits, {OTHER_UNIT}"
    if name in SMOOTHED:
        return f"{found} (a smoothed training loss)"
    return f"{found} (a training loss)" if name in TRAINING else found
