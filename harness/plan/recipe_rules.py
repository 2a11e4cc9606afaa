"""The rules of a recipe: the configuration groups ``recipe`` and ``optimizer``."""

import re
from dataclasses import dataclass, field

from harness.bounds import bounded, check_bounds, one_of
from harness.errors import UserError
from harness.model.formulas import PARAM_COUNTS
from harness.model.parametrization import Scale
from harness.plan.measured_range import OPTIMIZERS
from harness.plan.measured_range import (
    MeasuredRange as MeasuredRange,
)  # by this name since before it had a file
from harness.version import version_of


@dataclass
class Rule:
    """``value · (N / params_at)^params · (D / tokens_at)^tokens``, kept inside [minimum, maximum].

    N is the parameter count the recipe names, D the run's training tokens. With both exponents 0 it is a constant.
    """

    value: float = bounded(0.0, 0, 1e15)
    params: float = bounded(0.0, -100, 100)
    params_at: float = bounded(1.0, 0, 1e30, above=True)
    tokens: float = bounded(0.0, -100, 100)
    tokens_at: float = bounded(1.0, 0, 1e30, above=True)
    minimum: float = bounded(0.0, 0, 1e15)
    maximum: float = bounded(float("inf"), 0, float("inf"))

    def __post_init__(self) -> None:
        check_bounds(self, "recipe, a rule")
        if self.minimum > self.maximum:
            raise UserError(f"recipe: minimum {self.minimum:g} exceeds maximum {self.maximum:g}")

    def __call__(self, params: float, tokens: float) -> float:
        """The rule's value at ``params`` parameters and ``tokens`` training tokens.

        Raises:
            UserError: it overflows there.
        """
        try:
            raw = self.value * (params / self.params_at) ** self.params
            raw *= (tokens / self.tokens_at) ** self.tokens
        except OverflowError:
            raise UserError(
                f"recipe: a rule overflows at {params:.3g} parameters and {tokens:.3g} tokens; its exponents "
                f"are params={self.params:g} and tokens={self.tokens:g}"
            ) from None
        return min(max(raw, self.minimum), self.maximum)


def _one() -> Rule:
    return Rule(value=1.0)


@dataclass
class GroupRules:
    """How a recipe treats one group of parameters: rules of factors.

    Attributes:
        lr: of the peak learning rate.
        weight_decay: of the weight decay.
        init: of the standard deviation of initial values.
    """

    lr: Rule = field(default_factory=_one)
    weight_decay: Rule = field(default_factory=_one)
    init: Rule = field(default_factory=_one)

    def scale(self, params: float, tokens: float) -> Scale:
        """The factors at ``params`` parameters and ``tokens`` training tokens."""
        return Scale(
            lr=significant(self.lr(params, tokens)),
            weight_decay=significant(self.weight_decay(params, tokens)),
            init=significant(self.init(params, tokens)),
        )


@dataclass
class NormRules:
    """How a recipe treats gains and biases, which have neither decay nor drawn values.

    Attributes:
        lr: factor of the peak learning rate.
    """

    lr: Rule = field(default_factory=_one)

    def scale(self, params: float, tokens: float) -> Scale:
        """The factors at ``params`` parameters and ``tokens`` training tokens."""
        return Scale(lr=significant(self.lr(params, tokens)))


@dataclass
class MuonRules:
    """What a recipe says of Muon, which ``optimizer=muon`` uses for the matrices of the blocks.

    Attributes:
        lr: its peak learning rate, which ``optimizer.adjust_lr_fn`` multiplies by a factor of a matrix's shape.
        weight_decay: per unit of that rate.
    """

    lr: Rule = field(default_factory=lambda: Rule(value=0.02))
    weight_decay: Rule = field(default_factory=lambda: Rule(value=0.1))


ADJUST_LR_FNS = ("original", "match_rms_adamw")


@dataclass
class OptimizerConfig:
    """The configuration group ``optimizer``; learning rates and decay are the recipe's.

    Attributes:
        kind: ``adamw`` for all parameters, or ``muon`` for the matrices of the blocks and AdamW for the rest.
        momentum, nesterov, ns_steps, adjust_lr_fn: Muon's (see ``harness.plan.spec.Muon``).
    """

    kind: str = one_of("adamw", OPTIMIZERS)
    momentum: float = bounded(0.95, 0, 1)
    nesterov: bool = True
    ns_steps: int = bounded(5, 1, 99)
    adjust_lr_fn: str = one_of("original", ADJUST_LR_FNS)

    def __post_init__(self) -> None:
        check_bounds(self, "optimizer")
        if self.momentum == 1:
            raise UserError("optimizer.momentum: must be below 1")

    def check_installed(self) -> None:
        """Refuse to train with a torch that lacks what is asked for, without importing it.

        Raises:
            UserError: Muon is asked for, and the installed torch has none.
        """
        version = version_of("torch")
        if self.kind == "muon" and version is not None:
            check_torch(version)


LEAST_TORCH_FOR_MUON = (2, 9)


def check_torch(version: str) -> None:
    """Refuse a torch without Muon.

    Raises:
        UserError: it is older than 2.9.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < LEAST_TORCH_FOR_MUON:
        raise UserError(
            f"optimizer=muon: needs torch 2.9 or later, and {version} is installed; use optimizer=adamw"
        )


@dataclass
class RecipeConfig:
    """Published or measured rules; each committed recipe says in ``source`` where its numbers come from.

    Attributes:
        count: which parameter count N the rules read (one of ``harness.model.counts.PARAM_COUNTS``).
        lr: peak learning rate.
        batch_tokens: tokens per optimizer step, before rounding to whole sequences.
        min_steps: the batch shrinks before a run has fewer optimizer steps than this.
        beta2: AdamW's second-moment decay.
        warmup_share: warm-up never exceeds this share of the horizon.
        warmup_tokens_per_param: nor this many tokens per parameter (Porian et al. 2024, section 3.2).
        grad_clip: global gradient norm; 0 turns clipping off.
        init_scale: initial matrices have the standard deviation ``init_scale / sqrt(width)``. The usual constant
            0.02 is this at a width of 400; with it narrow models first stay on a plateau, and when they leave it
            depends on the seed.
        embedding, head, matrices, norms: factors for one group of parameters (``harness.model.groups``).
        muon: learning rate and decay of Muon, for ``optimizer=muon``.
        measured: over which N and D the rules were measured, and with what.
    """

    name: str = "custom"
    source: str = ""
    count: str = one_of("total", PARAM_COUNTS)
    lr: Rule = field(default_factory=lambda: Rule(value=1e-3))
    batch_tokens: Rule = field(default_factory=lambda: Rule(value=2048))
    min_steps: int = bounded(100, 1, 1_000_000_000)
    beta1: float = bounded(0.9, 0, 1)
    beta2: Rule = field(default_factory=lambda: Rule(value=0.95))
    eps: float = bounded(1e-8, 0, 1, above=True)
    weight_decay: Rule = field(default_factory=lambda: Rule(value=0.1))
    warmup_share: float = bounded(0.05, 0, 1)
    warmup_tokens_per_param: float = bounded(float("inf"), 0, float("inf"))
    grad_clip: float = bounded(1.0, 0, 1e9)
    init_scale: float = bounded(0.4, 0, 1e6, above=True)
    embedding: GroupRules = field(default_factory=GroupRules)
    head: GroupRules = field(default_factory=GroupRules)
    matrices: GroupRules = field(default_factory=GroupRules)
    norms: NormRules = field(default_factory=NormRules)
    muon: MuonRules = field(default_factory=MuonRules)
    measured: MeasuredRange = field(default_factory=MeasuredRange)

    def __post_init__(self) -> None:
        check_bounds(self, "recipe")
        for name in ("embedding", "head", "matrices"):
            if (init := getattr(self, name).init.value) <= 0:
                raise UserError(f"recipe.{name}.init.value: must be positive, got {init:g}")
        if self.muon.lr.value <= 0:
            raise UserError(f"recipe.muon.lr.value: must be positive, got {self.muon.lr.value:g}")
        if self.warmup_share == 1:
            raise UserError("recipe.warmup_share: must be below 1, or nothing is left to train")
        if self.lr.value <= 0:
            raise UserError(f"recipe.lr.value: must be positive, got {self.lr.value:g}")
        if self.batch_tokens.value <= 0:
            raise UserError(f"recipe.batch_tokens.value: must be positive, got {self.batch_tokens.value:g}")
        if self.beta1 == 1:
            raise UserError("recipe.beta1: must be below 1")
        if not 0 < self.beta2.value < 1:
            raise UserError(f"recipe.beta2.value: must lie between 0 and 1, got {self.beta2.value:g}")


def significant(value: float, digits: int = 4) -> float:
    """``value`` rounded to significant digits.

    Hyperparameters enter the run's identity; rounding keeps the last bit of a machine's ``pow`` out of it.
    """
    return float(f"{value:.{digits - 1}e}")
