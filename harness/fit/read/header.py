"""What the names of a table's columns say before its rows are read: whether a fit can be made of it."""

import re
from collections.abc import Mapping, Sequence

from harness.errors import UserError
from harness.fit.read.aliases import BATCH_SIZE, BATCH_TOKENS, PARTS_OF_A_BATCH, SEQ_LEN, STEPS
from harness.fit.read.names import NUMBERS, ColumnNames, asked_for, bare, listed, may_be_meant, tiers

SIZES = ("params", "tokens", "flops")
"""N, D and C: any one of them follows from the others."""
# The first column of a chart that W&B exports.
AXES = ("step", "global_step", "relative_time_process", "relative_time_wall", "wall_time")


def check_header(
    header: Sequence[str], columns: ColumnNames, preferred: Mapping[str, str], table: str
) -> None:
    """Refuse a table whose names of columns say that no fit can be made of it, before its rows are read.

    Args:
        preferred: names that the fit's options give for ``params``, ``flops`` or ``loss``, where a table has no column
            that is usually called so.

    Raises:
        UserError: it is a tracker's export of curves, or the loss or two of N, D and C are missing.
    """
    _refuse_curves(header, columns, table)
    named = columns.named()
    places = {column: asked_for(column, name, header, table) for column, name in named.items()}
    found = {column for column in NUMBERS if column in places or any(tiers(column, header, table))}
    found |= {column for column, name in preferred.items() if name}
    if len(found & set(SIZES)) < 2 and "budget" in found:
        found.add("flops")
    if len(found & set(SIZES)) < 2 and batches(header):
        found.add("tokens")
    refuse_missing(found, header, table)


def refuse_missing(found: set[str], header: Sequence[str], table: str) -> None:
    """Raises UserError unless the loss and two of N, D and C are found: the columns to name, and how."""
    sizes = [column for column in SIZES if column not in found]
    wanted = []
    if "loss" not in found:
        wanted.append(("column loss", "loss"))
    if len(sizes) == 2:
        wanted.append((f"column {sizes[0]} or {sizes[1]}", sizes[0]))
    if len(sizes) == 3:
        wanted.append(("two of the columns params, tokens and flops", "params"))
    if not wanted:
        return
    if len(header) == 1:
        raise UserError(
            f"{table}: has one column, {listed(header)}; between columns stand commas, semicolons or tabs"
        )
    lacking = " and ".join(words for words, _ in wanted)
    keys = " ".join(f"columns.{column}=NAME" for _, column in wanted)
    sounding = [may_be_meant(column, header) for _, column in wanted]
    perhaps = f", perhaps {alike}" if (alike := next(filter(None, sounding), "")) else ""
    raise UserError(
        f"{table}: missing {lacking}; it has {listed(header)}; name one that is called otherwise with {keys}{perhaps}"
    )


def _refuse_curves(header: Sequence[str], columns: ColumnNames, table: str) -> None:
    plain = [re.sub(r"[^a-z]+", "_", one.strip().lower()).strip("_") for one in header]
    if plain == ["wall_time", "step", "value"]:
        raise UserError(
            f"{table}: TensorBoard's export of one run's curve, not a table of runs; write one row a run with its N "
            "(params), D (tokens) and last value (loss)"
        )
    charted = [one.strip() for one in header if re.search(r".\s-\s.*\w", one)]
    if plain and plain[0] in AXES:
        runs = dict.fromkeys(one.rpartition(" - ")[0] for one in charted)
        if charted and len(charted) >= len(header) - 1 and not columns.named():
            raise UserError(
                f"{table}: W&B's export of a chart, with curves of {len(runs)} runs and neither N nor D; export the "
                "table of runs instead, with the columns of N, D and the loss, or read the project itself: "
                "'isoflop fit source=wandb project=ENTITY/PROJECT group=NAME'"
            )


def batches(header: Sequence[str]) -> list[int]:
    """The columns whose product is the tokens of a run: steps and tokens of a batch, or its sequences and their length.

    None where a batch may be of one device alone.
    """
    names = list(map(bare, header))

    def first(known: tuple[str, ...]) -> list[int]:
        return [names.index(name) for name in known if name in names][:1]

    steps, tokens, size, length = first(STEPS), first(BATCH_TOKENS), first(BATCH_SIZE), first(SEQ_LEN)
    if steps and tokens:
        return steps + tokens
    whole = bool(size) and (names[size[0]] != "batch_size" or not any(map(PARTS_OF_A_BATCH.search, names)))
    return steps + size + length if steps and length and whole else []
