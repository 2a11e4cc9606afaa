"""What a fit returns: one frozen dataclass for each thing a user reads, scripts against or predicts with.

Everywhere N is parameters, D tokens, C training FLOPs, L nats per token; an interval is (low, high), the
percentile interval of the bootstrap draws at ``level``; None stands for a number that the runs do not support,
and ``status`` says why.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from harness.errors import UserError
from harness.fit.bootstrap import Interval
from harness.fit.cell_results import CellsResult
from harness.fit.encoding import encode
from harness.fit.estimate import (
    EXTRAPOLATION_LIMIT,
    HELD_OUT,
    TRAINING,
    FrontierSource,
    OptimumEstimate,
    estimate_at,
)
from harness.fit.laws import LAW_COLUMNS, POWER_COLUMNS, CostLaw, Law, LossLaw, PowerLaw, PowerLaws
from harness.fit.run_range import RunRange
from harness.fit.status import Flag, is_void, judge
from harness.fit.surface import Surface, frontier_of, law_columns
from harness.fit.table import Array, Excluded, Points


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Carries a diagnosis: the worst code (``ok`` if none), and every code with its sentence, worst first."""

    status: str = "ok"
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[Flag, ...]:
        """Every code with its sentence."""
        return tuple(Flag(code, note) for code, note in zip(self.flags, self.notes, strict=True))


@dataclass(frozen=True, kw_only=True)
class FitError:
    """The size of a fit's residuals.

    Attributes:
        rms_log: root mean square of ln(fitted / measured).
        rms_nats: the same of fitted - measured, nats per token.
        r_squared: share of the variation of ln L that the fit explains; approach 2's is of that within budgets.
        n: how many residuals.
    """

    rms_log: float | None = None
    rms_nats: float | None = None
    r_squared: float | None = None
    n: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Approach(Judged):
    """What the three approaches have in common: N* = G_N C^a and D* = G_D C^b.

    ``draws`` has one row a bootstrap draw; its columns are named by ``draw_columns``.
    """

    name: str
    a: float | None = None
    b: float | None = None
    a_se: float | None = None
    b_se: float | None = None
    a_interval: Interval | None = None
    b_interval: Interval | None = None
    level: float = 0.9
    bootstrap: str = "none"
    n_points: int = 0
    smallest_flops: float | None = None
    largest_flops: float | None = None
    runs: RunRange | None = None
    extrapolation_limit: float = EXTRAPOLATION_LIMIT
    fit_error: FitError | None = None
    draws: Array | None = field(default=None, repr=False)

    # What ``loss`` is in all that this approach predicts; losses of different kinds are not to be compared.
    loss_kind: ClassVar[str] = HELD_OUT
    # What an approach without an answer must not show, by field.
    answers: ClassVar[tuple[str, ...]] = ("a", "b", "a_se", "b_se", "a_interval", "b_interval", "draws")

    def __post_init__(self) -> None:
        """The one place where an approach without an answer loses all that would look like one.

        Its status says that there is none (``status.VOID``); exponents that are not numbers are none, and say so.
        """
        flags = list(self.warnings)
        if not np.isfinite(self._log_numbers()).all() and not is_void(flags):
            flags.append(
                Flag("failed", "exponents or coefficients came out that are no numbers a float can hold")
            )
            for name, value in judge(flags).items():
                object.__setattr__(self, name, value)
        if is_void(flags):
            for name in self.answers:
                object.__setattr__(self, name, None)

    @property
    def draw_columns(self) -> tuple[str, ...]:
        """The names of the columns of ``draws``."""
        return POWER_COLUMNS

    def _log_numbers(self) -> list[float]:
        """The exponents and the logarithms of coefficients, NaN or infinite where one is no number."""
        return [value for value in (self.a, self.b) if value is not None]

    def theta(self) -> Array | None:
        """The point estimate as one row of ``draws``; None where there is none."""
        raise NotImplementedError

    def frontier(self, theta: Array) -> Law | PowerLaws | Surface:
        """The frontier of one row of parameters, shape (columns,), or of rows, shape (..., columns)."""
        return PowerLaws.from_theta(theta)

    def optimum(self, theta: Array, flops: float) -> tuple[Array, Array, Array]:
        """(ln N*, ln D*, L*) at C = ``flops`` for rows of parameters ``theta``, shape (..., columns) to (...)."""
        log_n, log_d, loss = self.frontier(theta).log_optimum(flops)
        return np.asarray(log_n), np.asarray(log_d), np.asarray(loss)

    def exponents(self, theta: Array) -> tuple[Array, Array]:
        """(a, b) for rows of parameters ``theta``, shape (..., columns) to (...)."""
        a, b = self.frontier(theta).exponents
        return np.asarray(a), np.asarray(b)

    def source(self) -> FrontierSource:
        """The frontier with its draws, its range and its flags: what estimates are made from."""
        theta, draws = self.theta(), self.draws
        return FrontierSource(
            name=self.name,
            frontier=None if theta is None else self.frontier(theta),
            draws=None if draws is None or not len(draws) else self.frontier(draws),
            level=self.level,
            flags=self.warnings,
            smallest_flops=self.smallest_flops,
            largest_flops=self.largest_flops,
            runs=self.runs,
            extrapolation_limit=self.extrapolation_limit,
        )

    def predict(self, flops: float) -> OptimumEstimate:
        """N*(C), D*(C), L*(C) at ``flops``, with intervals and a status. Raises UserError unless positive."""
        if not (np.isfinite(flops) and flops > 0):
            raise UserError(f"predict: the budget must be a positive number of FLOPs, got {flops}")
        return estimate_at(self.source(), float(flops))


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerApproach(Approach):
    """An approach whose frontier is two power laws and a loss law (approaches 1 and 2)."""

    params_law: PowerLaw | None = None
    tokens_law: PowerLaw | None = None
    loss_law: LossLaw | None = None

    answers: ClassVar[tuple[str, ...]] = (*Approach.answers, "params_law", "tokens_law", "loss_law")

    def _log_numbers(self) -> list[float]:
        # exp(900) is inf in a float and null in a file; exp(-900) is 0
        sizes = [law.coefficient for law in (self.params_law, self.tokens_law) if law is not None]
        if self.loss_law is not None:
            sizes.append(self.loss_law.scale)
        return super()._log_numbers() + [float(np.log(size)) if size else np.nan for size in sizes]

    def theta(self) -> Array | None:
        if self.params_law is None or self.tokens_law is None:
            return None
        loss = self.loss_law
        tail = (np.nan, np.nan, np.nan) if loss is None else (loss.floor, np.log(loss.scale), loss.exponent)
        return np.array(
            (
                np.log(self.params_law.coefficient),
                self.params_law.exponent,
                np.log(self.tokens_law.coefficient),
                self.tokens_law.exponent,
                *tail,
            )
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Approach1(PowerApproach):
    """The training-curve envelope (Hoffmann et al. 2022, section 3.1). Its losses are smoothed *training* losses.

    Attributes:
        envelope: the chosen points, shape (chosen, 4): C, N, D, smoothed training loss; with several seeds one
            envelope after the other, each by rising C.
        median_progress: how far into its run the median chosen point lies (the paper: the last 15%).
    """

    name: str = "approach_1"
    envelope: Array | None = field(default=None, repr=False)
    median_progress: float | None = None

    loss_kind: ClassVar[str] = TRAINING


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A polynomial in a centred log: loss = sum_k coefficients[k] * (ln x - centre)^k."""

    centre: float
    coefficients: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class BudgetOptimum(Judged):
    """The minimum of one IsoFLOP profile; no numbers where ``status`` is one of ``status.VOID``.

    Attributes:
        params_bias, tokens_bias, loss_bias: the polynomial's bias in ln N*, ln D* and nats, which has been taken off
            ``params_opt``, ``tokens_opt`` and ``loss_opt``; None where nothing was.
    """

    budget: float
    params_opt: float | None = None
    tokens_opt: float | None = None
    loss_opt: float | None = None
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    loss_interval: Interval | None = None
    params_bias: float | None = None
    tokens_bias: float | None = None
    loss_bias: float | None = None
    n_points: int = 0
    flops_spread: float = 0.0
    params_profile: Profile | None = None
    tokens_profile: Profile | None = None
    fit_error: FitError | None = None
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Approach2(PowerApproach):
    """IsoFLOP profiles (Hoffmann et al. 2022, section 3.2).

    Attributes:
        correction: ``law`` where the polynomial's bias was taken off, as the fitted law has it; else ``none``.
        correction_note: why so, in a sentence.
    """

    name: str = "approach_2"
    budgets: tuple[BudgetOptimum, ...] = ()
    degree: int = 2
    robust: bool = False
    correction: str = "none"
    correction_note: str = ""
    ungrouped: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Approach3(Approach):
    """A parametric law, by default E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, section 3.3, equation 10).

    ``a`` and ``b`` hold along the runs' own compute, C = kappa N^power D; ``a_6nd`` and ``b_6nd`` are the
    paper's beta/(alpha+beta) and alpha/(alpha+beta), the same thing where compute is 6ND.

    Attributes:
        form, formula, free: the law's form by name, as people write it, and how many parameters were fitted.
        parameters, parameters_se, parameters_interval: of that form, by name; those that it shares with the standard
            law are also the fields E, A, B, alpha and beta.
        covariates: columns that move a parameter, by parameter; ``at`` is the value of each that the answer is for.
        shared: what of the law was fitted to other groups of runs too, in words; else empty.
        residual, minimised: residuals are ``log``, ``relative`` or ``absolute``; their ``huber`` losses, absolute
            values (``l1``) or ``squares`` are minimised.
        objective: the sum over runs that was minimised, at the solution.
        starts, starts_agreeing: how many starts the optimizer had, how many reached this objective.
        sensitivity: (k, a) with the k highest losses left out, for k = 0 to 5.
    """

    name: str = "approach_3"
    E: float | None = None
    A: float | None = None
    B: float | None = None
    alpha: float | None = None
    beta: float | None = None
    E_se: float | None = None
    A_se: float | None = None
    B_se: float | None = None
    alpha_se: float | None = None
    beta_se: float | None = None
    E_interval: Interval | None = None
    A_interval: Interval | None = None
    B_interval: Interval | None = None
    alpha_interval: Interval | None = None
    beta_interval: Interval | None = None
    a_6nd: float | None = None
    b_6nd: float | None = None
    cost: CostLaw = field(default_factory=CostLaw)
    objective: float | None = None
    huber_delta: float = 1e-3
    solver: str = "lbfgs"
    starts: int = 0
    starts_agreeing: int = 0
    sensitivity: tuple[tuple[float, float], ...] = ()
    form: str = "standard"
    formula: str = "E + A/N^alpha + B/D^beta"
    free: int = 5
    parameters: dict[str, float] = field(default_factory=dict)
    parameters_se: dict[str, float | None] = field(default_factory=dict)
    parameters_interval: dict[str, Interval | None] = field(default_factory=dict)
    covariates: dict[str, str] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)
    shared: str = ""
    residual: str = "log"
    minimised: str = "huber"

    answers: ClassVar[tuple[str, ...]] = (
        *Approach.answers,
        *("a_6nd", "b_6nd"),
        *(f"{name}{kind}" for name in LAW_COLUMNS for kind in ("", "_se", "_interval")),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if is_void(self.warnings):
            for name in ("parameters", "parameters_se", "parameters_interval"):
                object.__setattr__(self, name, {})

    @property
    def draw_columns(self) -> tuple[str, ...]:
        """The parameters of the law, and the slopes of covariates."""
        return (*law_columns(self.form), *(f"{name}_slope" for name in self.covariates))

    def theta(self) -> Array | None:
        # fits of earlier versions have the fields of the standard law alone
        known = self.parameters | {name: getattr(self, name) for name in LAW_COLUMNS}
        values = [known.get(name) for name in self.draw_columns]
        if self.a is None or None in values:
            return None
        return np.array(values, dtype=float)

    def frontier(self, theta: Array) -> Law | Surface:
        width = len(law_columns(self.form))
        smallest, largest = self.smallest_flops or 1.0, self.largest_flops or 1.0
        return frontier_of(self.form, theta[..., :width], self.cost, self.runs, smallest, largest)

    def loss(self, params: float | Array, tokens: float | Array) -> Array:
        """L(N, D) of the fitted law, with covariates at ``at``. Raises ValueError where there is no fit."""
        return self.frontier(self._known_theta()).loss_of_logs(np.log(params), np.log(tokens))

    def fitted(self, points: Points) -> Array:
        """L of the fitted law at runs with their own covariates, (n,).

        Raises:
            ValueError: there is no fit. UserError: ``points`` are without a covariate.
        """
        theta = self._known_theta()
        if not self.covariates:
            return self.loss(points.params, points.tokens)
        rows = np.tile(theta, (len(points), 1))
        for name, column in self.covariates.items():
            slope = theta[self.draw_columns.index(f"{name}_slope")]
            rows[:, self.draw_columns.index(name)] *= np.exp(
                slope * (points.column(column) - self.at[column])
            )
        return self.frontier(rows).loss_of_logs(np.log(points.params), np.log(points.tokens))

    def _known_theta(self) -> Array:
        theta = self.theta()
        if theta is None:
            raise ValueError(f"approach 3 has no fit: {self.status}")
        return theta


@dataclass(frozen=True, kw_only=True)
class FormFit(Judged):
    """One functional form: how well it describes, predicts, and what it says at the target.

    Attributes:
        log_rmse: root mean square of ln(predicted / measured) on all runs.
        holdout_log_rmse: the same on the held-out budgets, fitted on the lower ones.
        budget_log_rmse: the same over leave-one-budget-out; None where the runs do not fall into budgets.
        bic: Bayesian information criterion with the Laplace likelihood that a small Huber delta implies.
        squared_difference: mean squared held-out error less that of the form with the lowest, and its interval over
            draws of runs; None for that form itself.
        told_apart: whether the interval leaves out 0; None where there is none.
    """

    name: str
    formula: str
    params: dict[str, float]
    objective: float
    log_rmse: float
    holdout_log_rmse: float | None
    budget_log_rmse: float | None
    bic: float
    rank: int = 0
    params_opt: float | None = None
    tokens_opt: float | None = None
    loss_opt: float | None = None
    squared_difference: float | None = None
    squared_difference_interval: Interval | None = None
    told_apart: bool | None = None


@dataclass(frozen=True, kw_only=True)
class FormComparison:
    """The forms ranked by held-out error, and the split they were ranked on.

    Attributes:
        verdict: which can be told apart, in a sentence. level: of the intervals behind it.
    """

    target: float
    holdout_above: float | None
    n_train: int
    n_test: int
    forms: tuple[FormFit, ...]
    verdict: str = ""
    level: float = 0.9


@dataclass(frozen=True, kw_only=True)
class CountingRow(Judged):
    """The frontier under one way to count parameters and one way to count compute."""

    count: str
    compute: str
    approach: str
    a: float | None
    b: float | None
    tokens_per_param: float | None
    budget: float


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Whether the approaches agree at ``target`` and in their exponents.

    Attributes:
        target: budget in FLOPs.
        params_opt, tokens_opt, loss_opt: N*, D* and L* there by approach; the last two None in earlier fits.
        ratio: the largest N* over the smallest, of the approaches that decide the status.
        status: ``agree``, ``unclear`` (their intervals overlap, but N* differs by more than a factor of 1.5),
            ``disagree`` or ``unknown`` (fewer than two approaches have a number).
    """

    target: float
    params_opt: dict[str, float | None]
    ratio: float | None
    status: str
    message: str
    tokens_opt: dict[str, float | None] | None = None
    loss_opt: dict[str, float | None] | None = None


@dataclass(frozen=True, kw_only=True)
class BacktestRow:
    """What an approach fitted to the budgets up to ``cutoff`` forecasts of a higher one, and what was measured there.

    Attributes:
        cutoff, cutoff_budgets: the highest budget of the fit, in FLOPs, and how many budgets it had.
        budget: the budget that was forecast, in FLOPs.
        params, tokens, loss: N*, D*, L* as forecast, with intervals at the fit's level; None without a forecast.
        measured_params, measured_tokens, measured_loss: the minimum of that budget's own profile. Their intervals are
            those of its runs alone, and so may be narrower than approach 2's, which count in by how much budgets are
            off together.
        params_ratio, tokens_ratio: forecast over measured; loss_difference: forecast minus measured, in nats per token;
            their intervals hold 1 and 0 where the forecast is held.
        compared, missed: the quantities of ``QUANTITIES`` that both have an interval for, and those of them that the
            forecast missed.
        run_error: mean of ln(forecast / measured loss) over that budget's runs; None for approach 2, which has no law
            of the loss of single runs.
        status: ``held`` where nothing was missed, ``missed``, or ``no_forecast`` where nothing could be compared.
    """

    QUANTITIES: ClassVar[tuple[str, ...]] = ("params", "tokens", "loss")
    SYMBOLS: ClassVar[dict[str, str]] = {"params": "N*", "tokens": "D*", "loss": "L*"}

    approach: str
    cutoff: float
    cutoff_budgets: int
    budget: float
    params: float | None = None
    tokens: float | None = None
    loss: float | None = None
    params_interval: Interval | None = None
    tokens_interval: Interval | None = None
    loss_interval: Interval | None = None
    measured_params: float | None = None
    measured_tokens: float | None = None
    measured_loss: float | None = None
    measured_params_interval: Interval | None = None
    measured_tokens_interval: Interval | None = None
    measured_loss_interval: Interval | None = None
    params_ratio: float | None = None
    tokens_ratio: float | None = None
    loss_difference: float | None = None
    params_ratio_interval: Interval | None = None
    tokens_ratio_interval: Interval | None = None
    loss_difference_interval: Interval | None = None
    compared: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    run_error: float | None = None
    status: str = "no_forecast"


@dataclass(frozen=True, kw_only=True)
class Backtest(Judged):
    """How this experiment would have forecast itself: each approach fitted to the lower budgets, against the higher.

    Attributes:
        rows: every forecast, by approach, cutoff and budget; none where ``note`` says why there is none.
        level: nominal coverage of the intervals.
        draws_each: bootstrap draws behind each forecast.
        held, compared: by approach, the quantities whose difference has an interval with zero in it, of how many.
        missed: by approach, the sentence of its flag ``forecast_missed``, where its misses are beyond chance.
    """

    rows: tuple[BacktestRow, ...] = ()
    level: float = 0.9
    draws_each: int = 0
    held: dict[str, int] = field(default_factory=dict)
    compared: dict[str, int] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class FitResults:
    """Everything that ``fit.json`` holds: the three approaches, how they were fitted, and whether they agree.

    ``rows``, ``columns`` and ``where`` are how its table is to be read again: ``all`` where it had several rows of a
    run; the table's names of columns; the filter. ``cells`` is None where nothing varies within the table's cells.
    ``fingerprint`` is the SHA-256 of the runs that were fitted (:mod:`harness.fit.used`); empty in a fit of an earlier
    version.
    """

    approach_1: Approach1
    approach_2: Approach2
    approach_3: Approach3
    count: str
    compute: str
    n_points: int
    excluded: tuple[Excluded, ...]
    notes: tuple[str, ...]
    bootstrap: dict[str, object]
    level: float
    smallest_flops: float
    largest_flops: float
    agreement: Agreement
    counting: tuple[CountingRow, ...] = ()
    comparison: FormComparison | None = None
    backtest: Backtest | None = None
    loss: str = "loss"
    rows: str = "last"
    cells: CellsResult | None = None
    columns: dict[str, str] = field(default_factory=dict)
    where: str = ""
    fingerprint: str = ""

    @property
    def approaches(self) -> tuple[Approach1, Approach2, Approach3]:
        """The three, in the paper's order."""
        return self.approach_1, self.approach_2, self.approach_3

    def predict(self, flops: float) -> dict[str, OptimumEstimate]:
        """What each approach says at ``flops``, keyed ``approach_1`` to ``approach_3``; never an average."""
        return {approach.name: approach.predict(flops) for approach in self.approaches}

    def to_json(self) -> dict[str, object]:
        """Plain lists, dicts, numbers and None, as written to ``fit.json``; draws are not in it."""
        return encode(self)
