"""Data-constrained scaling: what repeated tokens are worth (Muennighoff et al. 2023, arXiv 2305.16264).

The optimum on a corpus of limited size, and the constants of repetition fitted to runs of which some have seen their
corpus more than once.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, least_squares

from harness.errors import UserError
from harness.fit.laws import Number, Optimum
from harness.fit.surface import ParametricLaw
from harness.fit.table import Array, Points
from harness.predict.search import minimise
from harness.text import counted


@dataclass(frozen=True)
class Repetition:
    """How fast repetition loses its worth (Muennighoff et al. 2023, section 3.1 and appendix A).

    Attributes:
        r_tokens: R_D*: after this many repetitions a repeated token has lost 1 - 1/e of its worth.
        r_params: R_N*: the same for parameters beyond what the unique tokens can use.
    """

    r_tokens: float = 15.387756
    r_params: float = 5.309743

    def __post_init__(self) -> None:
        if not (self.r_tokens > 0 and self.r_params > 0):
            raise UserError("repetition: r_tokens and r_params must be positive")


def saturating(amount: Number, unique: Number, r: float) -> Number:
    """U + U r (1 - exp(-R / r)) with R = amount / U - 1 repetitions; ``amount`` itself up to U."""
    repeats = np.maximum(np.asarray(amount, dtype=float) / unique - 1, 0.0)
    return np.minimum(amount, unique) + unique * r * -np.expm1(-repeats / r)


def effective_tokens(tokens: Number, unique: float, repetition: Repetition) -> Number:
    """D': fresh tokens that would teach as much as ``tokens`` drawn from ``unique``; D itself up to U."""
    return saturating(tokens, unique, repetition.r_tokens)


def effective_params(law: ParametricLaw, params: Number, unique: float, repetition: Repetition) -> Number:
    """N': parameters beyond the optimum for the unique tokens count less too.

    The paper takes that optimum for the tokens used where those are fewer than the corpus; here it is always
    the corpus's. The two differ only for models too large for D < U, which are never the answer, and this way
    the plain law holds wherever no token is repeated and the model is not oversized for the corpus.
    """
    return saturating(params, float(law.at_tokens(unique).params), repetition.r_params)


def repeated_loss(
    law: ParametricLaw, params: Number, tokens: Number, unique: float, repetition: Repetition | None = None
) -> Number:
    """L(N', D'): the loss of N parameters trained on D tokens of a corpus with ``unique`` tokens."""
    repetition = repetition or Repetition()
    return law.loss(
        effective_params(law, params, unique, repetition), effective_tokens(tokens, unique, repetition)
    )


def token_worth(tokens: float, unique: float, repetition: Repetition) -> float:
    """What the last token is worth over a fresh one: dD'/dD = exp(-R / R_D*), 1 while nothing repeats."""
    return float(np.exp(-max(tokens / unique - 1, 0.0) / repetition.r_tokens))


def repeated_optimum(
    law: ParametricLaw, flops: float, unique: float, repetition: Repetition | None = None
) -> Optimum:
    """The best model of C FLOPs when only ``unique`` tokens exist; the plain optimum where they suffice.

    Minimises over log N at fixed compute, between two bounds that follow from the law: fewer parameters than
    the unique tokens can use are never better, for data then gain less than parameters; nor is leaving
    unique tokens unseen for the sake of a larger model.
    """
    _check(unique)
    repetition = repetition or Repetition()
    plain = law.at_flops(flops)
    if float(plain.tokens) <= unique:
        return plain

    def loss(log_params: Array) -> Array:
        params = np.exp(log_params)
        tokens = flops / (law.cost.kappa * params**law.cost.power)
        return np.asarray(repeated_loss(law, params, tokens, unique, repetition))

    low = float(np.log(law.at_tokens(unique).params))
    high = float(np.log(flops / (law.cost.kappa * unique)) / law.cost.power)
    params = float(np.exp(minimise(loss, low, high)))
    tokens = flops / (law.cost.kappa * params**law.cost.power)
    return Optimum(
        params=params,
        tokens=tokens,
        flops=flops,
        loss=float(repeated_loss(law, params, tokens, unique, repetition)),
    )


def repeated_at_loss(
    law: ParametricLaw, loss: float, unique: float, repetition: Repetition | None = None
) -> Optimum:
    """The cheapest training that reaches ``loss`` on ``unique`` tokens.

    Raises:
        UserError: no compute reaches it on this corpus.
    """
    _check(unique)
    repetition = repetition or Repetition()
    plain = law.at_loss(loss)
    if not np.isfinite(plain.flops):
        raise UserError(f"target_loss: {loss:g} is not above the law's irreducible loss {law.floor:.4g}")
    if float(plain.tokens) <= unique:
        return plain

    def surplus(log_flops: float) -> float:
        return float(repeated_optimum(law, float(np.exp(log_flops)), unique, repetition).loss) - loss

    low = float(np.log(plain.flops))
    high = float(np.log(law.flops(*saturation(law, unique, repetition))))
    if high <= low or surplus(high) > 0:
        floor = float(law.loss(*most(law, unique, repetition)))
        raise UserError(
            f"target_loss: {loss:g} is out of reach of {unique:.3g} unique tokens: no compute brings them "
            f"below {floor:.4g}; get more text"
        )
    return repeated_optimum(law, float(np.exp(brentq(surplus, low, high, xtol=1e-10))), unique, repetition)


def most(law: ParametricLaw, unique: float, repetition: Repetition) -> tuple[float, float]:
    """(N', D') that no repetition and no size exceeds on this corpus."""
    size = float(law.at_tokens(unique).params)
    return size * (1 + repetition.r_params), unique * (1 + repetition.r_tokens)


def saturation(law: ParametricLaw, unique: float, repetition: Repetition) -> tuple[float, float]:
    """(N, D) from which more of either is worth less than a thousandth of a fresh one."""
    size = float(law.at_tokens(unique).params)
    return size * (1 + 7 * repetition.r_params), unique * (1 + 7 * repetition.r_tokens)


def _check(unique: float) -> None:
    if not (np.isfinite(unique) and unique > 0):
        raise UserError(f"unique_tokens: must be a positive number, got {unique:g}")


ENOUGH = 3
BOUNDS = (0.05, 1e4)


@dataclass(frozen=True, kw_only=True)
class RepetitionFit:
    """Fitted constants.

    Attributes:
        repetition: R_D* and R_N*.
        n_points: runs that repeat, and hence say something.
        fitted_params: whether R_N* was fitted, or kept at the published value because no run is oversized.
        log_rmse: root mean square of ln(predicted / measured) over the repeating runs.
        plain_log_rmse: the same if repeated tokens counted as fresh ones.
        at_bound: a constant went to the edge of what is searched: the runs do not determine it.
    """

    repetition: Repetition
    n_points: int
    fitted_params: bool
    log_rmse: float
    plain_log_rmse: float
    at_bound: bool


def fit_repetition(law: ParametricLaw, points: Points) -> RepetitionFit:
    """R_D* and R_N* by least squares of log loss, the law held fixed (Muennighoff et al. 2023, appendix A).

    The law should come from runs without repetition. ``points`` needs a column ``unique_tokens``.

    Raises:
        UserError: no such column, or fewer than three runs that repeat.
    """
    unique = points.column("unique_tokens")
    repeats = points.tokens > 1.01 * unique
    if repeats.sum() < ENOUGH:
        raise UserError(
            f"repetition: {counted(int(repeats.sum()), 'run repeats its', 'runs repeat their')} corpus; "
            f"needs {ENOUGH} to fit from"
        )
    params, tokens, unique = points.params[repeats], points.tokens[repeats], unique[repeats]
    log_loss = np.log(points.loss[repeats])
    sizes = np.array([float(law.at_tokens(value).params) for value in unique])
    oversized = bool((params > 1.01 * sizes).sum() >= ENOUGH)
    default = Repetition()

    def residual(log_r: Array) -> Array:
        r_params = float(np.exp(log_r[1])) if oversized else default.r_params
        size = saturating(params, sizes, r_params)
        data = saturating(tokens, unique, float(np.exp(log_r[0])))
        return np.asarray(np.log(law.loss(size, data)) - log_loss)

    start = np.log([default.r_tokens, default.r_params])[: 1 + oversized]
    found = least_squares(residual, start, bounds=tuple(np.log(BOUNDS)), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    values = np.exp(found.x)
    plain = np.log(law.loss(params, tokens)) - log_loss
    edge = (values < 1.01 * BOUNDS[0]) | (values > 0.99 * BOUNDS[1])
    return RepetitionFit(
        repetition=Repetition(float(values[0]), float(values[1]) if oversized else default.r_params),
        n_points=int(repeats.sum()),
        fitted_params=oversized,
        log_rmse=float(np.sqrt(np.mean(found.fun**2))),
        plain_log_rmse=float(np.sqrt(np.mean(plain**2))),
        at_bound=bool(edge.any()),
    )
