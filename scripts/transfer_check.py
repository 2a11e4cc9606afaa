"""The transfer check: whether the best learning rate is the same at another width or depth.

    isoflop tune experiment=transfer name=transfer-standard
    isoflop tune experiment=transfer name=transfer-completep parametrization=completep
    python -m scripts.transfer_check runs/transfer-standard-tune runs/transfer-completep-tune --out transfer

Each folder is that of a tuning (or is its tune.json) whose sizes differ in width or depth. For every size the best
learning rate over that of the smallest is printed, with its interval from the draws of the fitted surfaces. Writes
DIR/rates.csv (the runs), DIR/ratios.csv and a figure like Figure 1 of Yang et al. 2022 (arXiv 2203.03466).
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from harness.errors import UserError
from harness.report.axes import log_plain
from harness.report.figure_data import named
from harness.report.saving import save
from harness.report.style import GREY, INK, figure_style, ordered_colours, panels
from harness.runs.files import read_json
from harness.text import count
from harness.tune.results import Interval, SizeResult, TuneFit
from harness.tune.transfer import RateRatios, rate_ratios

WHICH = "The learning rate is AdamW's; Muon's, of optimizer=muon, is none that a grid varies."
HEADROOM = 2.5  # losses shown above the lowest of a panel, in windows of the fit


def read(path: Path) -> TuneFit:
    """The tuning in a folder or file.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = path / "tune.json" if path.is_dir() else path
    if not path.exists():
        raise UserError(f"{path}: there is none; 'isoflop tune' writes it")
    return read_json(path, "'isoflop tune' writes it anew; nothing is trained twice", TuneFit.from_json)


def title(fit: TuneFit) -> str:
    """What a panel is called: the tuning's name without what every tuning has."""
    return fit.name.removesuffix("-tune").removeprefix("transfer-")


def label(size: SizeResult) -> str:
    """``96x2``, or N where the file is of an earlier version."""
    return size.shape or count(size.params)


def table(fits: Sequence[TuneFit], ratios: Sequence[RateRatios]) -> Iterator[str]:
    """Best learning rates and their ratios as Markdown."""
    level = f"{100 * fits[0].level:g}%"
    yield f"| tuning | shape | N | runs | best learning rate ({level}) | over the first's ({level}) | status |"
    yield "|---" * 7 + "|"
    for fit, ratio in zip(fits, ratios, strict=True):
        for i, size in enumerate(fit.sizes):
            best = f"{ratio.rates[i]:.3g}{_between(ratio.rate_intervals[i])}"
            over = (
                "" if i == ratio.reference else f"{ratio.ratios[i]:.2f}{_between(ratio.ratio_intervals[i])}"
            )
            row = (title(fit), label(size), count(size.params), size.runs, best, over, ratio.statuses[i])
            yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""
    yield WHICH


def _between(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3g} to {interval[1]:.3g})"


def draw(fits: Sequence[TuneFit], ratios: Sequence[RateRatios]) -> Figure:
    """A panel for each tuning: loss against peak learning rate, a colour for each shape, a mark at each minimum."""
    figure, axes = panels(len(fits), width=3.4, height=3.0)
    lows, highs = [], []
    for panel, fit, ratio in zip(axes, fits, ratios, strict=True):
        for i, (size, colour) in enumerate(zip(fit.sizes, ordered_colours(len(fit.sizes)), strict=True)):
            runs = sorted((t.rate, t.loss) for t in fit.trials if t.size == i and t.loss is not None)
            rates, losses = (np.array(column) for column in zip(*runs, strict=True))
            panel.plot(rates, losses, "o", color=colour, markersize=3, alpha=0.5, markeredgewidth=0)
            levels = np.unique(rates)
            means = [losses[rates == rate].mean() for rate in levels]
            panel.plot(levels, means, "-", color=colour, label=label(size))
            if size.loss_opt is not None:
                panel.plot(
                    [ratio.rates[i]],
                    [size.loss_opt],
                    "v",
                    color=colour,
                    markeredgecolor=INK,
                    markersize=7,
                    label=named("minimum"),
                )
                lows.append(size.loss_opt)
                highs.append(size.loss_opt + HEADROOM * fit.window)
        panel.set(title=title(fit), xlabel="AdamW's peak learning rate")
        log_plain(panel, "x")
    for panel in axes:
        panel.set_ylim(min(lows) - 0.05, max(highs))
    axes[0].set_ylabel("loss (nats per token)")
    axes[0].plot([], [], "v", color=GREY, markeredgecolor=INK, label="minimum of the fit")
    axes[0].legend(title="width × layers", loc="upper center")
    return figure


def write(fits: Sequence[TuneFit], ratios: Sequence[RateRatios], folder: Path) -> None:
    """The runs and the ratios as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rates.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("tuning", "shape", "params", "tokens", "lr", "batch_tokens", "seed", "loss", "run_id")
        )
        for fit in fits:
            for t in fit.trials:
                size = fit.sizes[t.size]
                loss = "" if t.loss is None else t.loss
                where = (title(fit), label(size), size.params, f"{size.tokens:g}")
                writer.writerow((*where, t.rate, t.batch_tokens, t.seed, loss, t.run_id))
    with (folder / "ratios.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ("tuning", "shape", "params", "lr", "lr_low", "lr_high", "ratio", "low", "high", "status")
        )
        for fit, ratio in zip(fits, ratios, strict=True):
            for i, size in enumerate(fit.sizes):
                values = (
                    ratio.rates[i],
                    *(ratio.rate_intervals[i] or (None, None)),
                    ratio.ratios[i],
                    *(ratio.ratio_intervals[i] or (None, None)),
                )
                written = ("" if value is None else f"{value:.5g}" for value in values)
                writer.writerow((title(fit), label(size), size.params, *written, ratio.statuses[i]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Read, print, write; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a tuning")
    parser.add_argument("--out", type=Path, default=Path("transfer"), metavar="DIR")
    args = parser.parse_args(arguments)
    try:
        fits = [read(folder) for folder in args.folders]
        ratios = [rate_ratios(fit) for fit in fits]
    except UserError as error:
        print(f"transfer_check: {error}", file=sys.stderr)
        return 2
    write(fits, ratios, args.out)
    for line in table(fits, ratios):
        print(line)
    with figure_style():
        save(draw(fits, ratios), args.out, "transfer")
    return 0


if __name__ == "__main__":
    sys.exit(main())
