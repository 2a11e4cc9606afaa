"""The coordinate check: whether a few steps change activations alike at every width and depth, on your own recipe.

    python -m scripts.coordinate_check experiment=demo model=granite
    python -m scripts.coordinate_check experiment=demo model=llama optimizer=muon --widths 1,2,4 --out checked

Yang et al. 2022 (arXiv 2203.03466), appendix D.1. The base of the parametrization (parametrization.base_width, or the
shape of the ladder where the recipe's learning rate is given) is made wider and deeper, and trained for a few steps
under every parametrization, with the base's hyperparameters. Exponents of the change in width and in depth are printed,
over the largest three: 0 is flat. Writes DIR/coordinates.csv and a figure.

The part of a change that initial values make falls as the root of the width (logits, scores of larger heads) or of the
depth (what blocks add), and the papers' limit has none of it. So exponents may be somewhat below 0, less so after more
steps; in depth also where the embedding's initial values are as large as what blocks add (recipe.embedding.init.value).
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console

from harness.config.compose import compose_config
from harness.config.schema import Config
from harness.data import Corpus
from harness.errors import UserError
from harness.model.counts import count_params
from harness.model.ladder import build_ladder
from harness.model.parametrization import KINDS, Parametrization, check_family
from harness.model.shape import Shape
from harness.plan.base import resolve_base
from harness.plan.recipe import Hyperparameters, apply_recipe
from harness.plan.schedule import Schedule
from harness.plan.spec import RunSpec
from harness.report.axes import log_plain
from harness.report.saving import save
from harness.report.style import BLUE, GREEN, INK, ORANGE, RED, figure_style, panels
from harness.train.coordinates import ACTIVATIONS, Coordinate, coordinates, slopes
from harness.workflow.experiment import prepare_corpus

AXES = ("width", "layers")
COLOURS = dict(zip(ACTIVATIONS, (INK, BLUE, ORANGE, GREEN, RED), strict=True))
LARGEST = 3  # scales that exponents are taken over


@dataclass(frozen=True)
class Row:
    """What one run's activation was after one step; ``axis`` is what was made larger, the width or the depth."""

    parametrization: str
    axis: str
    width: int
    layers: int
    seed: int
    coordinate: Coordinate

    @property
    def scale(self) -> int:
        """The width or depth that varies."""
        return self.width if self.axis == "width" else self.layers


def scaled(base: Shape, axis: str, multiple: int, larger_heads: bool = False) -> Shape:
    """``base``, so many times as wide, by more heads or ``larger_heads``, or deep."""
    if axis == "layers":
        return replace(base, layers=multiple * base.layers)
    heads = ("head_dim",) if larger_heads else ("heads", "kv_heads")
    return replace(base, **{name: multiple * getattr(base, name) for name in ("width", "ffw", *heads)})


def specification(base: Shape, shape: Shape, kind: str, made: Hyperparameters, seq_len: int) -> RunSpec:
    """A run of ``shape`` with the hyperparameters of ``base``, as the parametrization ``kind`` scales them.

    Under ``standard`` these are the same, but for initial values of 1 / sqrt(width).
    """
    standard = kind == "standard"
    return RunSpec(
        shape=shape,
        seq_len=seq_len,
        batch_sequences=made.batch_sequences,
        steps=1,
        optimizer=made.optimizer,
        schedule=Schedule("constant", 0, 1, 1.0, 1.0),
        init_std=made.init_std * ((base.width / shape.width) ** 0.5 if standard else 1.0),
        seed=0,
        data="",
        eval_tokens=1,
        groups=made.groups,
        parametrization=Parametrization()
        if standard
        else Parametrization(kind, base.width, base.layers, base.head_dim),
    )


@dataclass(frozen=True)
class Extent:
    """What is compared: multiples of the base's width and of its depth, steps, seeds, and how it is widened."""

    multiples: dict[str, Sequence[int]]
    steps: int
    seeds: int
    larger_heads: bool


def check(config: Config, corpus: Corpus, extent: Extent, console: Console) -> list[Row]:
    """Every run of the check. A parametrization that the family has no place for is left out, and that is said.

    Raises:
        UserError: nothing says what the base is.
    """
    ladder = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len)
    shape = base_shape(ladder.shapes, config)
    tokens = 20.0 * count_params(shape).total  # what rules in D read
    made = apply_recipe(config.recipe, shape, tokens, config.seq_len, optimizer=config.optimizer)
    batches = [
        [
            torch.from_numpy(corpus.batch(seed, step, made.batch_sequences, config.seq_len))
            for step in range(extent.steps)
        ]
        for seed in range(extent.seeds)
    ]
    rows: list[Row] = []
    for axis, kind in product(AXES, KINDS):
        larger = [scaled(shape, axis, by, extent.larger_heads) for by in extent.multiples[axis]]
        specs = [specification(shape, one, kind, made, config.seq_len) for one in larger]
        try:
            for spec in specs:
                check_family(spec.parametrization, spec.shape)
        except UserError as error:
            console.print(f"left out: {error}", highlight=False, soft_wrap=True)
            continue
        for spec, seed in product(specs, range(extent.seeds)):
            measured = coordinates(replace(spec, seed=seed), batches[seed])
            rows += [Row(kind, axis, spec.shape.width, spec.shape.layers, seed, one) for one in measured]
    return rows


def base_shape(shapes: Sequence[Shape], config: Config) -> Shape:
    """The ladder's shape that is the base, also of the configuration ``standard``, which has none.

    Raises:
        UserError: nothing says which, or the ladder has none of that width and depth.
    """
    kind = config.parametrization.kind
    asked = replace(config.parametrization, kind="completep" if kind == "standard" else kind)
    base = resolve_base(asked, config.recipe, shapes).parametrization
    for shape in shapes:
        if (shape.width, shape.layers) == (base.base_width, base.base_layers):
            return shape
    raise UserError(
        f"parametrization.base_width: the ladder has no shape of width {base.base_width} and {base.base_layers} "
        "layers; name those of one of its shapes"
    )


def changes(rows: Sequence[Row], kind: str, axis: str, step: int) -> tuple[list[int], dict[str, list[float]]]:
    """Widths or depths, and each activation's change up to ``step`` at these, the geometric mean over seeds."""
    mine = [r for r in rows if (r.parametrization, r.axis, r.coordinate.step) == (kind, axis, step)]
    scales = sorted({row.scale for row in mine})

    def mean(name: str, scale: int) -> float:
        values = [r.coordinate.change for r in mine if (r.coordinate.activation, r.scale) == (name, scale)]
        return float(np.exp(np.mean(np.log(values))))

    return scales, {name: [mean(name, scale) for scale in scales] for name in ACTIVATIONS}


def table(rows: Sequence[Row], step: int) -> Iterator[str]:
    """The exponents as Markdown."""
    yield f"| change after {step} steps | over | {' | '.join(ACTIVATIONS)} |"
    yield "|---" * (len(ACTIVATIONS) + 2) + "|"
    for axis in AXES:
        for kind in KINDS:
            scales, found = changes(rows, kind, axis, step)
            if len(scales) > 1:
                last = scales[-LARGEST:]
                power = slopes(last, {name: values[-LARGEST:] for name, values in found.items()})
                over = f"{axis} {last[0]} to {last[-1]}"
                yield (
                    f"| {kind} | {over} | " + " | ".join(f"{power[name]:+.2f}" for name in ACTIVATIONS) + " |"
                )


def draw(rows: Sequence[Row], step: int) -> Figure:
    """A column for each parametrization; change against width above, against depth below."""
    figure, axes = panels(len(KINDS), rows=len(AXES), height=2.6)
    for panel, (axis, kind) in zip(axes, product(AXES, KINDS), strict=True):
        scales, found = changes(rows, kind, axis, step)
        for name, values in found.items():
            style = (
                "o--" if name == "residual" else "o-"
            )  # where the embedding is small it lies on the blocks
            panel.plot(scales, values, style, color=COLOURS[name], markersize=3.5, label=name)
        panel.set_title(kind)
        panel.set_xlabel(axis)
        if scales:
            log_plain(panel, "x")
            log_plain(panel, "y")
    for row in range(len(AXES)):
        mine = axes[row * len(KINDS) : (row + 1) * len(KINDS)]
        drawn = [
            float(value) for panel in mine for line in panel.lines for value in np.asarray(line.get_ydata())
        ]
        for panel in mine:
            panel.set_ylim(min(drawn) / 1.3, max(drawn) * 1.3)
        mine[0].set_ylabel(f"change after {step} steps (rms)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def write(rows: Sequence[Row], path: Path) -> None:
    """Every measurement as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("parametrization", "axis", "width", "layers", "seed", "step", "activation", "size", "change")
        )
        for row in rows:
            one = row.coordinate
            where = (row.parametrization, row.axis, row.width, row.layers, row.seed)
            writer.writerow((*where, one.step, one.activation, f"{one.size:.6g}", f"{one.change:.6g}"))


def read(path: Path) -> list[Row]:
    """The measurements that :func:`write` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(
                one["parametrization"],
                one["axis"],
                int(one["width"]),
                int(one["layers"]),
                int(one["seed"]),
                Coordinate(int(one["step"]), one["activation"], float(one["size"]), float(one["change"])),
            )
            for one in csv.DictReader(file)
        ]


def whole_numbers(text: str) -> list[int]:
    """``1,2,4``."""
    values = sorted({int(part) for part in text.split(",")})
    if values[0] < 1:
        raise argparse.ArgumentTypeError("multiples are whole numbers from 1 on")
    return values


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print, write; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--widths", type=whole_numbers, default=[1, 2, 4, 8], help="multiples of the base's width"
    )
    parser.add_argument("--depths", type=whole_numbers, default=[1, 2, 4, 8], help="multiples of its depth")
    parser.add_argument("--larger-heads", action="store_true", help="widen by larger heads instead of more")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("coordinates"), metavar="DIR")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="as of isoflop plan")
    args = parser.parse_intermixed_args(arguments)
    try:
        config, _ = compose_config(args.overrides)
        corpus = prepare_corpus(config, Console(quiet=True))
        extent = Extent(
            {"width": args.widths, "layers": args.depths}, args.steps, args.seeds, args.larger_heads
        )
        rows = check(config, corpus, extent, Console(stderr=True))
    except UserError as error:
        print(f"coordinate_check: {error}", file=sys.stderr)
        return 2
    for line in table(rows, args.steps):
        print(line)
    with figure_style():
        save(draw(rows, args.steps), args.out, "coordinates")
    # every measurement, in place of the means that the figure shows
    write(rows, args.out / "coordinates.csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
