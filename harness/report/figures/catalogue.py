"""Every figure of the report, in the page's order."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from harness.report import budgets
from harness.report.data import ReportData
from harness.report.figures import (
    approaches,
    backtest,
    contours,
    curvature,
    fixed_time,
    isoflop,
    measured_time,
    recipe_cost,
    residuals,
    response_surfaces,
    schedule_lengths,
    sensitivity,
    tasks,
    training_curves,
)


@dataclass(frozen=True)
class FigureEntry:
    """A figure: its file name, what it is called, how to read it, and the function that draws it.

    ``draw`` raises MissingError where the data for it is missing. ``more`` adds to the caption what only some data puts
    into the picture: a caption explains nothing that is not there.
    """

    name: str
    title: str
    caption: str
    draw: Callable[[ReportData], Figure]
    more: Callable[[ReportData], str] | None = None

    def about(self, data: ReportData) -> "FigureEntry":
        """The same with the whole caption for this data."""
        return self if self.more is None else replace(self, caption=self.caption + self.more(data), more=None)


FIGURES: tuple[FigureEntry, ...] = (
    FigureEntry(
        "isoflop",
        "IsoFLOP profiles and the frontier through their minima",
        "Left: final held-out loss L (nats per token) against parameters N, one point a run and one colour a budget "
        "of training compute C (FLOPs); curves are the polynomials fitted to each budget (dotted where it has no "
        "minimum), stars their minima with bootstrap intervals. Middle and right: the minima's N* and tokens D* "
        "against C with their intervals, the power law through them (dashed beyond the runs' compute), the band of "
        "its intervals, and the target (diamond). After Hoffmann et al. 2022, Fig. 3.",
        isoflop.draw_isoflop,
    ),
    FigureEntry(
        "tokens_per_param",
        "Tokens per parameter at the optimum",
        "Optimal training tokens over optimal parameters, D*/N*, against training compute C (FLOPs) by every "
        "approach that has an answer: solid within the runs' compute, dashed beyond; bands are bootstrap intervals, "
        "points the minima of approach 2's profiles, and the vertical line the target. Where lines lie on each other "
        "the widest is at the back. The rule of thumb of 20 was measured on English web text.",
        approaches.draw_tokens_per_param,
    ),
    FigureEntry(
        "approaches",
        "The three approaches together",
        "Optimal parameters N* (left) and training tokens D* (right) against training compute C (FLOPs) by every "
        "approach that has an answer: solid within the runs' compute, dashed beyond; bands are bootstrap intervals. "
        "Where lines lie on each other the widest is at the back. Grey: the runs, and the compute that they cover. "
        "After Hoffmann et al. 2022, Fig. 1.",
        approaches.draw_approaches,
        approaches.more,
    ),
    FigureEntry(
        "backtest",
        "How this experiment would have forecast itself",
        "Approaches 2 and 3 fitted to the lower budgets alone, a row each (colour and mark: the highest C of the "
        "fit). Shown is what they forecast of a higher budget over what was measured there: N*, D*, and for L* the "
        "difference in nats per token. Black: the measured minimum, which is 1 or 0 by definition. Bars are "
        "intervals; one that reaches far beyond all values is cut. Points of one budget stand beside each other. "
        "'Held' counts the differences whose interval holds 0; the table below has them.",
        backtest.draw_backtest,
        backtest.more,
    ),
    FigureEntry(
        "training_curves",
        "Training curves and their envelope",
        "Left: training loss (nats per token) against compute so far, one line a run coloured by its parameters N, "
        "smoothed over 10 steps (a Gaussian filter, as the envelope is by default); black is the envelope, the "
        "lowest loss at each compute within the range of the runs' ends, broken where runs end and those that go on "
        "are higher. Middle and right: N and tokens D of the run that is lowest (points), the power laws through "
        "them (dashed beyond the runs' compute) with bootstrap bands, and the target (diamond). After Hoffmann et "
        "al. 2022, Fig. 2.",
        training_curves.draw_training_curves,
        training_curves.more,
    ),
    FigureEntry(
        "contours",
        "The fitted law L(N, D)",
        "Left: contours of equal loss L (nats per token) of approach 3's law over training compute C and parameters "
        "N, evenly in the logarithm of L above the law's floor; points are the runs, coloured by measured loss on "
        "the same scale. Blue: the efficient frontier, the N of the lowest loss at each C, dashed beyond the runs' "
        "compute; dotted: the target. Right: the law at each budget (curves) with the runs' losses (points); black "
        "dashes join the optima. After Hoffmann et al. 2022, Fig. 4.",
        contours.draw_contours,
        budgets.note,
    ),
    FigureEntry(
        "residuals",
        "Residuals",
        "Measured over fitted loss minus one, in percent, against parameters N, training tokens D, compute C and "
        "D/N; a row for each approach that gives the loss of a run. Triangles: runs beyond the panel. The grey line "
        "joins means of equally many runs: a bend in it is structure that the fit has missed, and it carries over "
        "into extrapolation. Above each row is what the tests of the residuals said; of few runs they see little.",
        residuals.draw_residuals,
    ),
    FigureEntry(
        "predicted",
        "Fitted against measured loss",
        "One point a run: its loss by the fit against the loss that was measured (nats per token), coloured by "
        "compute C (FLOPs). On the grey line both are the same; r.m.s. is the root mean square of the logarithm of "
        "their ratio. Approach 2 gives the losses of the runs of its profiles only.",
        residuals.draw_predicted,
    ),
    FigureEntry(
        "overtraining",
        "The cost of over- or under-training",
        "By approach 3's law, the cost of training at other than the optimal tokens per parameter D/N: in loss (nats "
        "per token) at the same compute C (left; points are runs, as far as they are in the frame), and in compute "
        "at the same loss (right), a colour for each C, dashed beyond the runs' compute. For a model that will serve "
        "many requests, a size below the optimum can pay off; this is what it costs to train. Dotted: 20 tokens per "
        "parameter.",
        contours.draw_overtraining,
        budgets.note,
    ),
    FigureEntry(
        "fixed_time",
        "The best model of a fixed time",
        "Among all models that train for a given time on one device, the one with the lowest loss by the fitted law "
        "(blue, with the band of the law's bootstrap draws where it is bounded), and the compute-optimal model that "
        "takes as long (red): left the loss in nats per token, right the parameters N. Small models are limited by "
        "kernel launches and memory traffic, so the best model of a time is not the best of its FLOPs. Where the "
        "next size has one layer more, N stays constant. Grey: the times of the runs' budgets.",
        fixed_time.draw_fixed_time,
        fixed_time.more,
    ),
    FigureEntry(
        "measured_time",
        "Loss against the time that it took",
        "Final held-out loss (nats per token) of every fitted run against the seconds its training took by the "
        "clock, as its record has them, a colour and mark for each budget; black: the lowest loss of the runs that "
        "took no longer. A panel for each kind of device, for times of different ones do not compare; runs that "
        "shared a device took longer than alone. Dollars, where a price is known, are of that device.",
        measured_time.draw_measured_time,
    ),
    FigureEntry(
        "tasks",
        "From loss to tasks",
        "Left: the share of wrong answers against the task loss (bits per byte of the right answer), one point a "
        "run, coloured by budget C, and the sigmoid through them with the band of its intervals, whose ceiling is "
        "guessing (dotted). Right: accuracy against compute; diamonds are the cells of the lowest loss. Lines are "
        "what the compute-optimal model for the task is predicted to score, with bands of intervals: blue in two "
        "steps, by the law of the task loss and the sigmoid, red directly from N and D; dashed beyond the runs' "
        "compute. All runs answer the same questions.",
        tasks.draw_tasks,
    ),
    FigureEntry(
        "curvature",
        "Curvature of the frontier",
        "Optimal parameters N* over the power law fitted to them, against training compute C (FLOPs): approach 2's "
        "minima with bootstrap intervals, and the runs of approach 1's envelope; dashed is a parabola through the "
        "same points, whose slopes at both ends give the local exponents a. A frontier that bends makes "
        "extrapolation by a power law wrong in the direction of the bend; intervals do not cover that.",
        curvature.draw_curvature,
    ),
    FigureEntry(
        "counting",
        "Sensitivity to the N and C conventions",
        "The same runs, with parameters (N) and compute (C) counted in other ways: left the exponent a of N*, right "
        "the optimal tokens per parameter at each convention's own largest budget. Filled: status ok; hollow: with a "
        "warning, which the table below names. A convention whose column is missing in the table is not shown, nor "
        "are profiles whose runs have unequal compute under it. Dotted: an exponent of 0.5, and 20 tokens per "
        "parameter.",
        sensitivity.draw_counting,
    ),
    FigureEntry(
        "bowls",
        "Response surfaces behind the recipe",
        "Loss (nats per token) against the value of a hyperparameter, one point a run and one colour a size; curves "
        "are cuts of the surface fitted to all runs of a size. Right: the minima against size with their intervals, "
        "hollow where the rule leaves them out, and the rules that the recipe takes from them.",
        response_surfaces.draw_response_surfaces,
        response_surfaces.more,
    ),
    FigureEntry(
        "recipe_cost",
        "What other values of the recipe cost",
        "Loss above that of the recipe's own value (nats per token), with one hyperparameter at a time at a multiple "
        "of it and the same seed, a colour for each budget C. Points: each budget's best cell; dotted: the next "
        "smaller size, dashed: the next larger, where they were trained: where these differ, the recipe moves N*. "
        "Grey: the standard deviation of one run.",
        recipe_cost.draw_recipe_cost,
    ),
    FigureEntry(
        "cycle",
        "Schedules longer than the run",
        "Each budget's best cell, of N parameters, trained with a cooldown meant for a longer run, and cut where the "
        "run ends: final loss (nats per token) above that of the cooldown which ends with the run. Hollow marks, "
        "beside a length, are other seeds of the cell there: differences within their scatter are seed noise. After "
        "Hoffmann et al. 2022, Fig. A1.",
        schedule_lengths.draw_schedule_lengths,
    ),
)
