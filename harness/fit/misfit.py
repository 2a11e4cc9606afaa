"""How well a fit describes its runs: the size of its residuals, and what tables warn of before any fit."""

import numpy as np
from numpy.typing import NDArray

from harness.fit.budgets import Cells
from harness.fit.results import FitError
from harness.fit.status import Flag
from harness.fit.table import Array, Points

# Residuals of this size (in ln L) are misfit whatever they look like: published sweeps and this project's own lie
# between .002 and .02, and at .05 a loss is wrong by as much as an optimum gains over a model several times off it.
LARGE = 0.05
# Below this the residuals are rounding.
ROUNDING = 1e-7
CONSTANT = 1e-5
# Tokens seen so often are worth a tenth less than new ones (Muennighoff et al. 2023, equation 5 with R_D* = 15.39).
MOST_EPOCHS = 5.0


def fit_error(log_loss: Array, fitted: Array, groups: Cells | None = None) -> FitError:
    """The size of the residuals ln L - fitted, both (n,).

    Args:
        groups: of every row; where given, R^2 is of the variation within groups (a budget's profile).
    """
    residual = log_loss - fitted
    level = np.full(len(log_loss), log_loss.mean())
    if groups is not None:
        for group in np.unique(groups):
            level[groups == group] = log_loss[groups == group].mean()
    total = float(np.sum((log_loss - level) ** 2))
    explained = 1 - float(np.sum(residual**2)) / total if total > 0 else None
    return FitError(
        rms_log=float(np.sqrt(np.mean(residual**2))),
        rms_nats=float(np.sqrt(np.mean((np.exp(log_loss) - np.exp(fitted)) ** 2))),
        r_squared=explained,
        n=len(residual),
    )


# An error this many times the residuals' own spread is met once in some 1e5 normal runs.
FAR = 4.5


def outliers(residual: Array) -> NDArray[np.bool_]:
    """Which residuals (n,) lie far off the others, by their median absolute deviation, boolean (n,)."""
    return np.asarray(np.abs(residual) > FAR * max(spread(residual), ROUNDING))


def spread(residual: Array) -> float:
    """Standard deviation of normal residuals (n,), by their median absolute deviation."""
    return float(np.median(np.abs(residual - np.median(residual)))) / 0.6745


def constant_loss(points: Points) -> list[Flag]:
    """``constant_loss`` where the losses differ by no more than rounding: a fit would be of the rounding."""
    if np.ptp(np.log(points.loss)) > CONSTANT:
        return []
    return [
        Flag("constant_loss", f"all {len(points)} losses are {float(points.loss[0]):.6g}: nothing to fit")
    ]


def repeated_data(points: Points) -> list[Flag]:
    """``repeated_data`` where runs saw their tokens so often that the law's D counts them too high."""
    epochs = epochs_of(points)
    if epochs is None:
        return []
    many = epochs > MOST_EPOCHS
    if not many.any():
        return []
    note = (
        f"{int(many.sum())} of {len(points)} runs repeat their data more than {MOST_EPOCHS:g} times (up to "
        f"{float(np.nanmax(epochs)):.3g}): such tokens are worth less than new ones"
    )
    return [Flag("repeated_data", note)]


def epochs_of(points: Points) -> Array | None:
    """How often each run saw its data, (n,), from a column such as ``epochs`` or ``unique_tokens``; None without."""
    for name in ("epochs", "num_epochs", "n_epochs"):
        if name in points.extra:
            return points.extra[name]
    for name in ("unique_tokens", "tokens_unique", "dataset_tokens"):
        if name in points.extra:
            with np.errstate(all="ignore"):
                return points.tokens / points.extra[name]
    return None
