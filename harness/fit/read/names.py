"""What columns of a table of runs are called, and how a user names others."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from harness.bounds import check_bounds, one_of
from harness.errors import UserError
from harness.fit.read.aliases import ALIASES
from harness.fit.read.notation import COMMA, POINT
from harness.fit.table import plain_name
from harness.text import visible

NUMBERS = ("params", "tokens", "flops", "loss", "budget", "seed", "loss_se")
"""The fit's columns of numbers, by the names that need no explanation."""

# In front of a name in the exports of trackers: config.n_params, summary/val_loss.
PREFIX = re.compile(r"(config|summary|summary_metrics|hparams|args|cfg)_(model_)?")
# At the end of a name: params (M), tokens_in_billions, compute (PF-days), C (1e18 FLOPs).
UNIT = re.compile(
    r"(?P<base>\w+?)(_in)?_(?P<unit>thousands?|millions?|billions?|trillions?|mn|bn|[kmbt]|1e\d+|10_\d+|pf_days?|"
    r"pflops?_s?_?days?|petaflops?_s?_?days?|pflops?|eflops?|zflops?|tflops?)(_of)?(_(params|parameters|tokens|flops?))?"
)
PF_DAY = 1e15 * 86_400
UNITS = {
    **dict.fromkeys(("thousand", "k"), 1e3),
    **dict.fromkeys(("million", "m", "mn"), 1e6),
    **dict.fromkeys(("billion", "b", "bn"), 1e9),
    **dict.fromkeys(("trillion", "t"), 1e12),
    "tflop": 1e12,
    "pflop": 1e15,
    "eflop": 1e18,
    "zflop": 1e21,
}
WORDS = {1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions", PF_DAY: "petaFLOP/s-days"}
MOST = {"params": 5e12, "tokens": 1e14, "flops": 1e30, "budget": 1e30}
"""No run has more: a column with larger numbers is not in the unit that its name says."""

FACTOR = re.compile(r"(?P<name>.*?)\s*\*\s*(?P<factor>\d[\d_.]*(?:[eE][+-]?\d+)?)\s*", re.DOTALL)


@dataclass  # not frozen: Hydra composes it
class ColumnNames:
    """The table's own names of columns, as written there or in small letters with "_" for other signs.

    Where one is null the usual names are looked for. ``"Size * 1e6"`` is the column ``Size`` in millions.

    Attributes:
        params: N, parameters.
        tokens: D, training tokens.
        flops: C, training FLOPs. Any one of these three may be absent: it follows from C = 6ND.
        loss: the loss.
        run: the name of a row's run.
        budget: the planned FLOPs of a run.
        seed: a run's seed.
        loss_se: standard error of the loss.
        decimal: the sign before decimals in the table's numbers: ``point`` (1,234.5) or ``comma`` (1.234,5); ``auto``
            finds out.
    """

    params: str | None = None
    tokens: str | None = None
    flops: str | None = None
    loss: str | None = None
    run: str | None = None
    budget: str | None = None
    seed: str | None = None
    loss_se: str | None = None
    decimal: str = one_of("auto", ("auto", POINT, COMMA))

    def __post_init__(self) -> None:
        check_bounds(self, "columns")

    @classmethod
    def of(cls, given: "ColumnNames | Mapping[str, str] | None") -> "ColumnNames":
        """``given`` as one of these. Raises UserError where a mapping has other keys, or no texts."""
        if given is None or isinstance(given, cls):
            return given or cls()
        if not isinstance(given, Mapping):
            raise UserError(f"columns: a {type(given).__name__} is no mapping; give {{'params': NAME}}")
        known = [one.name for one in fields(cls)]
        for key, name in given.items():
            if key not in known:
                raise UserError(f"columns: there is no key {key!r}; there are {', '.join(known)}")
            if name is not None and not isinstance(name, str):
                raise UserError(f"columns.{key}: a {type(name).__name__} is no name of a column")
        return cls(**given)

    def named(self) -> dict[str, str]:
        """What is named, by the fit's names (``run`` is ``run_id``)."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "decimal"}
        return {"run_id" if key == "run" else key: name for key, name in given.items() if name is not None}


def key_of(column: str) -> str:
    """``columns.run`` for ``run_id``."""
    return f"columns.{'run' if column == 'run_id' else column}"


@dataclass(frozen=True)
class Place:
    """A column that can hold one of the fit's: which it is, and by what its numbers are multiplied."""

    index: int
    factor: float = 1.0


def find(name: str, header: Sequence[str]) -> list[int]:
    """The columns that ``name`` names: as written, else in plain form, else without a tracker's prefix."""
    wanted = name.strip()
    exact = [i for i, one in enumerate(header) if one.strip() == wanted]
    plain = plain_name(wanted)
    alike = [i for i, one in enumerate(header) if plain and plain_name(one) == plain]
    return exact or alike or [i for i, one in enumerate(header) if plain and bare(one) == plain]


def bare(header: str) -> str:
    """The plain name without a tracker's prefix."""
    return PREFIX.sub("", plain_name(header), count=1)


def asked_for(column: str, name: str, header: Sequence[str], table: str, key: str = "") -> Place:
    """The column that the user named for the fit's ``column``.

    Args:
        key: the key that names it, where it is none of ``columns``.

    Raises:
        UserError: there is none, with those there are and one that is nearly called so; or there are several.
    """
    key = key or key_of(column)
    factor, found = None, find(name, header)
    if not found and (scaled := FACTOR.fullmatch(name)):
        name, factor = scaled["name"], float(scaled["factor"])
        found = find(name, header)
    if not found:
        there = [one.strip() for one in header]
        close = difflib.get_close_matches(plain_name(name), list(map(plain_name, there)), n=1)
        meant = [one for one in there if close and plain_name(one) == close[0]]
        hint = f"; did you mean {meant[0]!r}?" if meant else ""
        raise UserError(f"{key}: {table} has no column {name!r}{hint}; it has {listed(there)}")
    if len(found) > 1:
        which = " and ".join(f"{header[i].strip()!r}" for i in found[:2])
        raise UserError(f"{key}: {table} has two columns called {name!r}: {which}; rename one")
    return Place(found[0], unit_of(header[found[0]], column) if factor is None else factor)


def listed(names: Sequence[str], most: int = 200) -> str:
    """Names of columns for a message, cut where there are many."""
    text = visible(", ".join(name.strip() for name in names))
    return text if len(text) <= most else f"{text[:most]}…"


def unit_of(header: str, column: str) -> float:
    """What a unit in a column's name multiplies its numbers by: 1e6 for ``Params (M)``; 1 without one."""
    split = _split_unit(header)
    return split[1] if split and column in MOST else 1.0


def _split_unit(header: str) -> tuple[str, float] | None:
    """``Params (M)`` → ``params``, 1e6; None for a name without a unit."""
    found = UNIT.fullmatch(bare(header))
    if found is None:
        return None
    base, unit = found["base"], found["unit"]
    if len(base) == 1 and not re.search(r"[(\[]", header) and "_in_" not in plain_name(header):
        return None  # d_k is no D in thousands
    if "day" in unit:
        return base, PF_DAY
    if digits := re.fullmatch(r"(?:1e|10_)(\d+)", unit):
        return base, float(f"1e{digits[1]}")
    return base, UNITS[unit] if unit in UNITS else UNITS[unit.rstrip("s")]


def _split_loss(header: str) -> tuple[str, float] | None:
    """``val loss (nats/token)`` → ``val_loss``; that of bits is said to be one where it is described."""
    found = re.fullmatch(r"(\w+?)_(in_)?(nats|bits|bpb)(_(per_)?(token|byte))?", bare(header))
    return (found[1], 1.0) if found else None


def tiers(column: str, header: Sequence[str], table: str) -> Iterator[list[Place]]:
    """The columns that can hold ``column`` by their name alone, the surer ones first.

    Raises:
        UserError: two have exactly that name.
    """
    plain = list(map(plain_name, header))
    own = [i for i, name in enumerate(plain) if name == column]
    if len(own) > 1:
        several = dict.fromkeys(f"{visible(header[i].strip())!r}" for i in own)
        how = f"say which: {key_of(column)}={' or '.join(several)}" if len(several) > 1 else "rename one"
        raise UserError(f"{table}: two columns are called {column}; {how}")
    if own:
        yield [Place(own[0])]
        return
    stripped = list(map(bare, header))
    split = _split_loss if column == "loss" else _split_unit if column in MOST else lambda _: None
    units = [split(name) for name in header]
    for names in ((column,), *ALIASES[column]):
        found = [
            Place(i, unit[1] if unit and stripped[i] not in names else 1.0)
            for name in names
            for i, unit in enumerate(units)
            if name in (plain[i], stripped[i]) or (unit is not None and unit[0] == name)
        ]
        if found:
            yield list({place.index: place for place in found}.values())


def may_be_meant(column: str, header: Sequence[str]) -> str:
    """The end of a message: columns of which the name sounds like ``column``."""
    sounds = {
        "loss": ("loss", "bpb", "perplex", "ppl", "nll", "entropy"),
        "params": ("param", "size", "weights"),
        "tokens": ("token", "data"),
        "flops": ("flop", "compute", "flos"),
    }[column]
    alike = [one.strip() for one in header if any(sound in plain_name(one) for sound in sounds)]
    return " or ".join(f"{visible(one)!r:.60}" for one in alike[:3])
