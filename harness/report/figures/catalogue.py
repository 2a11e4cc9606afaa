"""Every figure of the report, in the page's order."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from harness.report.data import ReportData
from harness.report.figures import (
    approaches,
    backtest,
    contours,
    diagnostics,
    fixed_time,
    isoflop,
    recipe_cost,
    response_surfaces,
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
        "Left: every run of a budget against its size, the fitted polynomial, and its minimum (star) with "
        "its bootstrap interval. Middle and right: the minima against compute, the power law through them "
        "(dashed where it extrapolates), its bootstrap band, and the target (diamond). After Hoffmann et "
        "al. 2022, Fig. 3.",
        isoflop.draw_isoflop,
    ),
    FigureEntry(
        "tokens_per_param",
        "Tokens per parameter at the optimum",
        "D*/N* against compute by every approach, with bootstrap bands; solid within the runs' compute, "
        "dashed beyond. The rule of thumb of 20 was measured on English web text.",
        approaches.draw_tokens_per_param,
    ),
    FigureEntry(
        "approaches",
        "The three approaches together",
        "Optimal size and tokens against compute by every approach, with bootstrap bands; dashed where they "
        "extrapolate. Grey: the runs and the compute they cover. After Hoffmann et al. 2022, Fig. 1.",
        approaches.draw_approaches,
        approaches.more,
    ),
    FigureEntry(
        "backtest",
        "How this experiment would have forecast itself",
        "Approaches 2 and 3 fitted to the lower budgets alone (colour: the highest budget of the fit). Shown is what "
        "they forecast of the higher budgets over what was measured there, for the loss their difference in nats. "
        "Black: the measured minima; bars are intervals. The table below has the interval of each difference.",
        backtest.draw_backtest,
    ),
    FigureEntry(
        "training_curves",
        "Training curves and their envelope",
        "Left: training loss against compute so far, one line a run, coloured by size; the thick line is "
        "the lowest smoothed loss at each compute. Middle and right: size and tokens of the run that is "
        "lowest, and the power laws through them. After Hoffmann et al. 2022, Fig. 2.",
        training_curves.draw_training_curves,
    ),
    FigureEntry(
        "contours",
        "The fitted law L(N, D)",
        "Left: contours of equal loss over compute and size, their losses at the edge; blue is the efficient "
        "frontier, the lowest loss at each compute, dashed where it extrapolates; points are the runs, greener where "
        "the loss is lower. Right: the law cut at each budget, with the runs; dashed, the optimum. After Hoffmann et "
        "al. 2022, Fig. 4.",
        contours.draw_contours,
    ),
    FigureEntry(
        "residuals",
        "Residuals",
        "Measured over fitted loss, against size, tokens and compute. The grey line joins means of equally "
        "many runs. A bend in it is structure that the fit has missed, and it carries over into "
        "extrapolation.",
        diagnostics.draw_residuals,
    ),
    FigureEntry(
        "predicted",
        "Fitted against measured loss",
        "One point a run: its loss by the fit against the loss that was measured, coloured by compute. On the grey "
        "line both are the same. Approach 2 gives the losses of the runs of its profiles only.",
        diagnostics.draw_predicted,
    ),
    FigureEntry(
        "clouds",
        "Bootstrap draws",
        "One point a bootstrap draw; large points are the fits themselves, crosses the values of Hoffmann "
        "et al. 2022. Left: the exponents; on the grey line N* D* grows exactly as C. Right: the answer at "
        "the target.",
        sensitivity.draw_clouds,
    ),
    FigureEntry(
        "overtraining",
        "The cost of over- or under-training",
        "By the fitted law, the cost of training at other than the optimal tokens per parameter: in loss at the same "
        "compute (left, points are runs), and in compute at the same loss (right). For a model that will serve many "
        "requests, a size below the optimum can pay off; this is what it costs to train. Dotted: 20.",
        contours.draw_overtraining,
    ),
    FigureEntry(
        "fixed_time",
        "The best model of a fixed time",
        "Among all models that train for a given time on one device, the one with the lowest loss by the fitted law "
        "(blue, with the band of the law's bootstrap draws where it is bounded), and the compute-optimal model that "
        "takes as long (red). Small models are limited by kernel launches and memory traffic, so the best model of a "
        "time is not the best of its FLOPs. Where the next size has one layer more, N stays constant. Grey: the times "
        "of the runs' budgets.",
        fixed_time.draw_fixed_time,
        fixed_time.more,
    ),
    FigureEntry(
        "tasks",
        "From loss to tasks",
        "Left: the share of wrong answers against the task loss, one point a run, coloured by budget, and the sigmoid "
        "through them with its band, whose ceiling is guessing (dotted). Right: accuracy against compute; diamonds are "
        "the cells of the lowest loss. Lines are what the compute-optimal model for the task is predicted to score: "
        "blue in two steps, by the law of the task loss and the sigmoid, red directly from N and D; dashed beyond the "
        "runs' compute. All runs answer the same questions.",
        tasks.draw_tasks,
    ),
    FigureEntry(
        "curvature",
        "Curvature of the frontier",
        "N* over the power law fitted to it; dashed is a parabola through the same points. A frontier that "
        "bends makes extrapolation by a power law wrong in the direction of the bend; intervals do not "
        "cover that.",
        diagnostics.draw_curvature,
    ),
    FigureEntry(
        "counting",
        "Sensitivity to the N and C conventions",
        "The same runs, with parameters (N) and compute (C) counted in other ways, each at its own largest "
        "budget. Hollow: a status other than ok. A convention whose column is missing in the table is not "
        "shown, nor are profiles whose runs have unequal compute under it. Dotted: an exponent of 0.5, "
        "and 20 tokens per parameter.",
        sensitivity.draw_counting,
    ),
    FigureEntry(
        "bowls",
        "Response surfaces behind the recipe",
        "Curves are cuts of the surface fitted to all runs of a size. Right: the minima against size with their "
        "intervals, hollow where the rule leaves them out, and the rules that the recipe takes from them.",
        response_surfaces.draw_response_surfaces,
        response_surfaces.more,
    ),
    FigureEntry(
        "recipe_cost",
        "What other values of the recipe cost",
        "Loss above that of the recipe's own value, with one hyperparameter at a time at a multiple of it and the "
        "same seed. Points: each budget's best cell; dotted: the next smaller size, dashed: the next larger, where "
        "they were trained: where these differ, the recipe moves N*. Grey: the standard deviation of one run.",
        recipe_cost.draw_recipe_cost,
    ),
    FigureEntry(
        "cycle",
        "Schedules longer than the run",
        "Each budget's best cell trained with a cooldown meant for a longer run, and cut where the run ends: final "
        "loss above that of the cooldown which ends with the run. Points at a length of 1 are other seeds of the "
        "cell: differences within their scatter are seed noise. After Hoffmann et al. 2022, Fig. A1.",
        training_curves.draw_schedule_lengths,
    ),
)
