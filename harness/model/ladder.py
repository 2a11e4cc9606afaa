"""Ladders of shapes: the sizes a grid may choose from, by a rule or by a list."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.bounds import bounded, check_bounds
from harness.errors import UserError
from harness.model.counts import count_params
from harness.model.shape import ModelConfig, Shape, canonical_options, find_family
from harness.text import counted

MOST_SHAPES = 10_000  # of a ladder: each is counted, and those of a grid chosen among all
FAR = 1.5  # a shape smaller or larger than a wanted size by more than this factor is not of that size


@dataclass
class BandConfig:
    """A range of widths that share a step and a head.

    Attributes:
        min_width, max_width: both included.
        step: distance of neighbouring widths; a multiple of ``head_dim``.
        head_dim: width of every head of the band.
    """

    min_width: int = bounded(64, 1, 1_000_000)
    max_width: int = bounded(512, 1, 1_000_000)
    step: int = bounded(64, 1, 1_000_000)
    head_dim: int = bounded(64, 1, 1_000_000)

    def __post_init__(self) -> None:
        check_bounds(self, "ladder.bands")
        if self.max_width < self.min_width:
            raise UserError(f"ladder.bands: min_width must not exceed max_width, got {self}")
        if self.min_width % self.head_dim or self.step % self.head_dim:
            raise UserError(f"ladder.bands: min_width and step must be multiples of head_dim, got {self}")


@dataclass
class RowConfig:
    """One width of an explicit list, at one or more depths, as in Hoffmann et al. 2022, Table A9.

    Attributes:
        width: d_model.
        heads: query heads.
        head_dim: key_size.
        layers: one shape for each.
        ffw: feed-forward width, taken as it is; null follows the ladder's ``ffw_ratio``.
    """

    width: int = bounded(64, 1, 1_000_000)
    heads: int = bounded(1, 1, 1_000_000)
    head_dim: int = bounded(64, 1, 1_000_000)
    layers: list[int] = bounded([], 1, 100_000)
    ffw: int | None = bounded(None, 1, 10_000_000)


@dataclass
class LadderConfig:
    """The sizes to choose from: ``bands`` by rule, ``rows`` by list, or both.

    Attributes:
        bands: widths by rule; their depths follow from ``aspect``.
        rows: shapes by list.
        aspect: width per layer of a band's middle depth.
        depths: depths of every width of a band, as shares of the middle one. A single one makes it one
            path along which width and depth grow together; several fill its gaps.
        min_layers: no shape of a band is shallower.
        ffw_ratio: feed-forward width over width of a block with two matrices. A gated block has three, so it
            gets two thirds of it: the same ladder then has the same sizes in every family.
        ffw_multiple: feed-forward widths are rounded to a multiple of this.
    """

    bands: list[BandConfig] = field(default_factory=list)
    rows: list[RowConfig] = field(default_factory=list)
    aspect: float = bounded(64.0, 0, 1e6, above=True)
    depths: list[float] = bounded([1.0], 0, 1e4, above=True)
    min_layers: int = bounded(1, 1, 100_000)
    ffw_ratio: float = bounded(4.0, 0, 1e4, above=True)
    ffw_multiple: int = bounded(8, 1, 1_000_000)

    def __post_init__(self) -> None:
        check_bounds(self, "ladder")
        wide = sum((band.max_width - band.min_width) // band.step + 1 for band in self.bands)
        shapes = wide * len(self.depths) + sum(len(row.layers) for row in self.rows)
        if shapes > MOST_SHAPES:
            raise UserError(f"ladder: its bands and rows are {shapes:,} shapes, and {MOST_SHAPES:,} at most")
        if not self.depths:
            raise UserError("ladder.depths: name at least one share, e.g. [1.0]")


@dataclass(frozen=True)
class Ladder:
    """Distinct shapes by growing N, and why any shape of the config is not among them."""

    shapes: tuple[Shape, ...]
    left_out: tuple[str, ...] = ()


def build_ladder(config: LadderConfig, model: ModelConfig, vocab_size: int, context: int) -> Ladder:
    """Every shape of ``config`` that the model's family can take, smallest first.

    Raises:
        UserError: the config names no shapes, or the family can take none of them.
    """
    shapes: set[Shape] = set()
    left_out: list[str] = []
    for row in [*_rows_of_bands(config), *config.rows]:
        for layers in row.layers:
            try:
                shapes.add(_shape(row, layers, config, model, vocab_size, context))
            except UserError as e:
                left_out.append(f"{row.width}x{layers}: {e}")
    if not shapes:
        reason = left_out[0] if left_out else "it has neither bands nor rows with layers"
        raise UserError(f"ladder: no shape for family {model.family} ({reason})")
    # Ties in N are broken by shape, so that a ladder is one order whatever order its config was written in.
    ordered = sorted(shapes, key=lambda s: (count_params(s).total, s.width, s.layers, s.heads))
    return Ladder(tuple(ordered), tuple(left_out))


def log_spaced(center: float, span: float, k: int) -> list[float]:
    """``k`` values around ``center``, evenly spaced in the logarithm; last over first is ``span``."""
    if center <= 0 or span < 1 or k < 1:
        raise UserError(f"need center > 0, span >= 1 and k >= 1, got {center:g}, {span:g} and {k}")
    return [center * span ** (i / (k - 1) - 0.5) for i in range(k)] if k > 1 else [center]


def nearest(shapes: Sequence[Shape], target: float, count: str = "total") -> Shape:
    """The shape whose parameters, by ``count``, are nearest to ``target`` in the logarithm.

    Raises:
        UserError: no shapes.
    """
    return spread(shapes, [target], count)[0]


def near(shapes: Sequence[Shape], params: float, count: str = "total") -> Shape:
    """The one of a ladder's ``shapes`` (smallest first) nearest to ``params`` parameters, by the count ``count``.

    Raises:
        UserError: the nearest is further than a factor of 1.5.
    """
    shape = nearest(shapes, params, count)
    ratio = count_params(shape).count(count) / params
    if not 1 / FAR <= ratio <= FAR:
        sizes = [count_params(s).count(count) for s in (shapes[0], shapes[-1])]
        raise UserError(
            f"ladder: no shape near {params:.3g} parameters ({count}); it goes from "
            f"{sizes[0]:.3g} to {sizes[1]:.3g}; choose another: ladder=tiny, ladder=small, ladder=chinchilla"
        )
    return shape


def check_reach(shapes: Sequence[Shape], aims: Sequence[float], where: str) -> None:
    """Refuse sizes ``aims`` (ascending) around a guess that all lie outside the ladder's ``shapes`` (smallest first).

    Raises:
        UserError: all of them would be trained at one end of the ladder; ``where`` says what the sizes are for.
    """
    smallest, largest = (count_params(shape).total for shape in (shapes[0], shapes[-1]))
    if aims[0] > largest * FAR or aims[-1] * FAR < smallest:
        raise UserError(
            f"{where} sizes of {aims[0]:.3g} to {aims[-1]:.3g} parameters are wanted around the guess (center_params, "
            f"center_budget, center_exponent), but the ladder goes from {smallest:,} to {largest:,}; correct the "
            "guess or choose another ladder"
        )


def spread(shapes: Sequence[Shape], targets: Sequence[float], count: str = "total") -> list[Shape]:
    """One shape for each target, all different, ascending, with the least sum of squared log distances.

    Taking the nearest free shape target by target would leave distant shapes to the last of several close targets;
    here all are chosen at once (dynamic programming over shapes and targets in order of size).

    Raises:
        UserError: fewer shapes than targets, or a target that is not positive.
    """
    distinct = list(dict.fromkeys(shapes))
    if len(distinct) < len(targets):
        raise UserError(
            f"ladder: {counted(len(targets), 'size')} wanted, but it has {counted(len(distinct), 'shape')}; "
            "ask for fewer"
        )
    if any(target <= 0 for target in targets):
        raise UserError("ladder: every wanted size must be positive")
    sized = sorted((count_params(s).count(count), i) for i, s in enumerate(distinct))
    logs = [math.log(size) for size, _ in sized]
    aims = [math.log(target) for target in sorted(targets)]

    # best[i] is the cost of the targets so far using only the first i shapes; took[j][i] says whether shape
    # i - 1 serves target j in that optimum.
    best = [0.0] * (len(logs) + 1)
    took: list[list[bool]] = []
    for aim in aims:
        cost = [math.inf] * (len(logs) + 1)
        taken = [False] * (len(logs) + 1)
        for i, size in enumerate(logs):
            cost[i + 1], taken[i + 1] = cost[i], False
            with_it = best[i] + (size - aim) ** 2
            if with_it < cost[i + 1]:
                cost[i + 1], taken[i + 1] = with_it, True
        best = cost
        took.append(taken)
    chosen: list[Shape] = []
    i = len(logs)
    for taken in reversed(took):
        while not taken[i]:
            i -= 1
        i -= 1
        chosen.append(distinct[sized[i][1]])
    return chosen[::-1]


def _rows_of_bands(config: LadderConfig) -> list[RowConfig]:
    rows = []
    for band in config.bands:
        for width in range(band.min_width, band.max_width + 1, band.step):
            layers = {
                max(config.min_layers, _round(share * width / config.aspect)) for share in config.depths
            }
            rows.append(RowConfig(width, width // band.head_dim, band.head_dim, sorted(layers)))
    return rows


def _shape(
    row: RowConfig, layers: int, config: LadderConfig, model: ModelConfig, vocab_size: int, context: int
) -> Shape:
    queries = max(q for q in range(1, model.queries_per_kv + 1) if row.heads % q == 0)
    return Shape(
        family=model.family,
        vocab_size=vocab_size,
        width=row.width,
        layers=layers,
        heads=row.heads,
        head_dim=row.head_dim,
        ffw=row.ffw if row.ffw is not None else _ffw(row.width, config, find_family(model.family).gated),
        kv_heads=row.heads // queries,
        tied=model.tied,
        context=context,
        options=canonical_options(model.options),
    )


def _ffw(width: int, config: LadderConfig, gated: bool) -> int:
    exact = width * config.ffw_ratio * (2 / 3 if gated else 1)
    return max(1, _round(exact / config.ffw_multiple)) * config.ffw_multiple


def _round(x: float) -> int:
    """Halves go up: Python's own rounding to even would make the steps of a ladder uneven."""
    return math.floor(x + 0.5)
