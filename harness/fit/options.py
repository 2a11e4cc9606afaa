"""Everything a fit can be asked to do differently, in one dataclass."""

import math
from dataclasses import dataclass, field, replace

from harness.bounds import LARGEST_SEED, bounded, one_of, suggested
from harness.errors import UserError
from harness.fit.estimate import EXTRAPOLATION_LIMIT
from harness.fit.forms import MODELS, RESIDUALS, Misfit, Model, restricted
from harness.fit.forms.model import MOVABLE

BOOTSTRAPS = ("auto", "pairs", "wild")
SOLVERS = ("lbfgs", "varpro")
LAST, ALL = "last", "all"
ROWS = (LAST, ALL)
AUTO = "auto"
OBJECTIVES = (AUTO, "huber", "l1", "squares")
# Of Huber's delta that makes sums of absolute deviations: far below any residual that is not rounding.
L1_DELTA = 1e-6
MEAN, BEST, SURFACE = "mean", "best", "surface"
CELLS = (MEAN, BEST, SURFACE)


def check_rows(rows: str) -> None:
    """Raises UserError unless ``rows`` is one of ``ROWS``."""
    if rows not in ROWS:
        raise UserError(f"fit: rows must be one of {ROWS}, got {rows!r}")


@dataclass  # not frozen: Hydra composes it, and a frozen schema would refuse overrides
class FitOptions:
    """How to fit.

    Attributes:
        level: nominal coverage of every interval (percentiles of the bootstrap draws).
        draws: bootstrap draws for each approach; 0 gives point estimates without intervals.
        seed: seed of the bootstrap; the same table, options and seed give the same draws.
        bootstrap: ``pairs`` resamples whole runs, ``wild`` flips the signs of residuals; ``auto`` takes for
            each approach the kind that its coverage study supports (whole runs for 3, within their budget for
            1, pairs for robust profiles, wild for least-squares ones). ``wild`` is refused where not valid.
        huber_delta: delta of the Huber loss on log residuals (Hoffmann et al. 2022, section 3.3: 1e-3).
            ``inf`` gives least squares on log loss.
        degree: degree of approach 2's polynomial in log N: 2 (the paper), 3 or 4.
        correct_bias: approach 2: take off each minimum what the polynomial misses of the fitted law's own optimum.
        robust: approach 2 by Huber weights instead of least squares.
        exclude_highest: leave out this many runs with the highest losses (5 on the published points of
            Hoffmann et al. gives the 240 that Besiroglu et al. 2024 fit).
        max_loss: leave out runs whose loss is above this (nats per token).
        count: column of the table used as N. ``params`` is the model's total.
        compute: column of the table used as C.
        loss: column of the table used as L, e.g. ``loss_NAME`` of a domain; approach 1 has training losses only, so
            it is left out with any other than ``loss``.
        rows: how a table that is read from a file gives a run's result, where it has several rows of a run. ``last``:
            the row with the most tokens, of equal ones the later; a note counts the others. ``all``: every row, the
            rows of a run being no independent measurements. Points that are given to a fit are all fitted.
        cells: where a hyperparameter (a column such as ``lr`` or ``batch_size``) varies within one N and D. ``mean``:
            every run is fitted, as if they differed by luck. ``best``: the recipe with the lowest mean loss; where
            recipes were run with several seeds, its loss is corrected for having been chosen. ``surface``: the minimum
            of a response surface over these columns, with its standard error, and the best values as power laws.
        target: budget in FLOPs at which the approaches and forms are compared; None: 10 x the largest budget.
        extrapolation_limit: predictions beyond this multiple of the largest budget (or as far below the smallest) are
            marked; so are models whose N, D or D/N is beyond any run's by more than its power of 2/3, and these have no
            interval. Measured (``scripts/forecast_study.py``): the law fitted to the lower budgets of the published
            points of Hoffmann et al. misses nine in ten of the higher runs' losses by at most 1.2% up to 3 times beyond
            in C, 1.8% to 10, 3.4% to 30, 4.2% to 100 and 12% further out; this project's own tables reach to 10 times
            only. Beyond 10 times in D its 90% intervals held .02 of the losses, in N .52, in D/N .96 and, below the
            runs' D/N, .37; on a surface with an interaction term they held .93 up to 10 times the runs' D/N and .78
            beyond.
        solver: approach 3 by ``lbfgs`` (centred, scaled) or ``varpro`` (variable projection, for ``standard`` and
            ``tied``; by default least squares on relative residuals).
        form: approach 3's law, by name: ``standard`` E + A/N^alpha + B/D^beta, ``tied`` with one exponent, ``kappa``
            E + (A/N^alpha + B/D^beta)^kappa, which approach 2's runs are held to as well, ``interaction`` with a term
            C/(N^alpha2 D^beta2), ``farseer`` (whose floor and whose data term's scale and exponent follow N), or
            ``kaplan`` (Kaplan et al. 2020, equation 1.5).
        fix: parameters of the law that are given, by name (``analysis.fix.E=1.69``).
        tie: parameters that are equal (``analysis.tie=[alpha,beta]``).
        covariates: columns that move E, A or B, by the parameter's name (``analysis.covariates.E=code_share``): it is
            multiplied by exp(slope (z - at)), linear in z to first order and positive for every z.
        at: the value of such a column that the optimum is given for; default: its median.
        residual: ``log`` ln(fitted / measured), ``relative`` fitted / measured - 1, or ``absolute``, nats per token.
            ``auto`` is log, for varpro relative.
        objective: what is minimised: ``huber`` with ``huber_delta``, ``l1`` absolute deviations, or ``squares``.
            ``auto`` is huber, for varpro squares.
        smoothing_steps: approach 1: standard deviation of the Gaussian filter, in optimizer steps.
        envelope_points: approach 1: how many log-spaced FLOP values.
        compare: also fit the other functional forms and rank them.
        backtest: also fit approaches 2 and 3 to the lower budgets alone, and compare what they forecast of the higher
            ones with what was measured.
        holdout_above: compare: predict the runs above this many FLOPs from those below; None: the highest
            budgets that hold at least a sixth of the runs.
    """

    level: float = bounded(0.9, 0, 1)
    draws: int = bounded(1000, 0, 1_000_000)
    seed: int = bounded(0, 0, LARGEST_SEED)
    bootstrap: str = one_of("auto", BOOTSTRAPS)
    huber_delta: float = bounded(1e-3, 0, float("inf"), above=True)
    degree: int = bounded(2, 2, 4)
    correct_bias: bool = True
    robust: bool = False
    exclude_highest: int = bounded(0, 0, 1_000_000_000)
    max_loss: float | None = bounded(None, 0, 1e6, above=True)
    count: str = suggested("params", ("params", "params_total", "params_non_embedding"))
    compute: str = suggested("flops", ("flops", "flops_6nd"))
    loss: str = "loss"
    rows: str = one_of(LAST, ROWS)
    cells: str = one_of(MEAN, CELLS)
    target: float | None = bounded(None, 0, 1e40, above=True)
    extrapolation_limit: float = bounded(EXTRAPOLATION_LIMIT, 1, 1e40)
    solver: str = one_of("lbfgs", SOLVERS)
    form: str = one_of("standard", tuple(MODELS))
    fix: dict[str, float] = bounded({}, -1e30, 1e30)
    tie: list[str] = field(default_factory=list)
    covariates: dict[str, str] = field(default_factory=dict)
    at: dict[str, float] = bounded({}, -1e30, 1e30)
    residual: str = one_of(AUTO, (AUTO, *RESIDUALS))
    objective: str = one_of(AUTO, OBJECTIVES)
    smoothing_steps: float = bounded(10.0, 0, 1e9)
    envelope_points: int = bounded(1500, 10, 1_000_000)
    compare: bool = False
    backtest: bool = True
    holdout_above: float | None = bounded(None, 0, 1e40, above=True)

    def __post_init__(self) -> None:
        check_rows(self.rows)
        checks = (
            (0 < self.level < 1, f"level must lie between 0 and 1, got {self.level}"),
            (
                self.draws == 0 or 20 <= self.draws <= 1_000_000,
                f"draws must lie between 20 and 1000000 (or be 0, for no intervals), got {self.draws}",
            ),
            (
                self.draws * (1 - self.level) > 1.999 or not self.draws,
                f"draws must be at least {math.ceil(1.999 / max(1 - self.level, 1e-9))} for intervals at a level of "
                f"{self.level:g}, or 0, for none; got {self.draws}",
            ),
            (self.seed >= 0, f"seed must not be negative, got {self.seed}"),
            (self.bootstrap in BOOTSTRAPS, f"bootstrap must be one of {BOOTSTRAPS}, got {self.bootstrap!r}"),
            (self.huber_delta > 0, f"huber_delta must be positive, got {self.huber_delta}"),
            (self.degree in (2, 3, 4), f"degree must be 2, 3 or 4, got {self.degree}"),
            (self.cells in CELLS, f"cells must be one of {CELLS}, got {self.cells!r}"),
            (self.exclude_highest >= 0, f"exclude_highest must not be negative, got {self.exclude_highest}"),
            (self.target is None or self.target > 0, f"target must be positive, got {self.target}"),
            (self.extrapolation_limit >= 1, "extrapolation_limit must be at least 1"),
            (self.solver in SOLVERS, f"solver must be one of {SOLVERS}, got {self.solver!r}"),
            (self.smoothing_steps >= 0, "smoothing_steps must not be negative"),
            (self.envelope_points >= 10, "envelope_points must be at least 10"),
            (self.form in MODELS, f"form must be one of {tuple(MODELS)}, got {self.form!r}"),
            (
                self.residual in (AUTO, *RESIDUALS),
                f"residual must be one of {(AUTO, *RESIDUALS)}, got {self.residual!r}",
            ),
            (self.objective in OBJECTIVES, f"objective must be one of {OBJECTIVES}, got {self.objective!r}"),
            (
                self.solver != "varpro" or self.residual != "log",
                "solver=varpro needs residual=relative or residual=absolute, in which the law is linear",
            ),
            (
                self.solver != "varpro" or (self.form in ("standard", "tied") and not self.covariates),
                "solver=varpro fits form=standard and form=tied without covariates; use solver=lbfgs",
            ),
        )
        for passed, message in checks:
            if not passed:
                raise UserError(f"fit: {message}")
        _ = self.model  # refuses what cannot be fitted

    @property
    def model(self) -> Model:
        """The form of approach 3 with what is fixed, tied and moved by covariates.

        Raises:
            UserError: there is no such parameter, or nothing is left to fit.
        """
        for name in self.covariates:
            if name not in MOVABLE or name not in MODELS[self.form].form.columns:
                raise UserError(f"fit: covariates.{name}: form {self.form} has no such parameter to move")
        model = restricted(self.form, self.fix, self.tie)
        return replace(model, slopes=tuple((name, i) for i, name in enumerate(self.covariates)))

    @property
    def misfit(self) -> Misfit:
        """What approach 3 minimises."""
        residual = (
            ("relative" if self.solver == "varpro" else "log") if self.residual == AUTO else self.residual
        )
        return Misfit(
            {"huber": self.huber_delta, "l1": L1_DELTA, "squares": math.inf}[self.minimised], residual
        )

    @property
    def minimised(self) -> str:
        """``objective`` by name."""
        if self.objective != AUTO:
            return self.objective
        return "squares" if self.solver == "varpro" else "huber"
