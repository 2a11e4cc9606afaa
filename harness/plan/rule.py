"""Power rules: how a hyperparameter follows the model's size and the run's tokens."""

from dataclasses import dataclass

from harness.errors import UserError


@dataclass
class Rule:
    """``value · (N / params_at)^params · (D / tokens_at)^tokens``, kept inside [minimum, maximum].

    N is the parameter count the recipe names, D the run's training tokens. With both exponents 0 it is a constant.
    """

    value: float = 0.0
    params: float = 0.0
    params_at: float = 1.0
    tokens: float = 0.0
    tokens_at: float = 1.0
    minimum: float = 0.0
    maximum: float = float("inf")

    def __post_init__(self) -> None:
        if self.params_at <= 0 or self.tokens_at <= 0:
            raise UserError("recipe: params_at and tokens_at must be positive")
        if self.minimum > self.maximum:
            raise UserError(f"recipe: minimum {self.minimum:g} exceeds maximum {self.maximum:g}")

    def __call__(self, params: float, tokens: float) -> float:
        """The rule's value at ``params`` parameters and ``tokens`` training tokens.

        Raises:
            UserError: it is no number there.
        """
        try:
            raw = self.value * (params / self.params_at) ** self.params
            raw *= (tokens / self.tokens_at) ** self.tokens
        except OverflowError:
            raise UserError(
                f"recipe: a rule leaves all bounds at {params:.3g} parameters and {tokens:.3g} tokens; its exponents "
                f"are params={self.params:g} and tokens={self.tokens:g}"
            ) from None
        return min(max(raw, self.minimum), self.maximum)
