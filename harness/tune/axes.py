"""The hyperparameters that a tuning can vary, and where a recipe and a run's specification have them."""

from dataclasses import dataclass, replace
from typing import Any

from harness.plan.recipe_rules import RecipeConfig, Rule
from harness.plan.spec import RunSpec

ADAMW_RATE = "AdamW's learning rate"


@dataclass(frozen=True)
class Axis:
    """One hyperparameter.

    Attributes:
        name: as ``tune.axes`` has it; ``label``: for people.
        rule: where its rule is in a recipe, from the top.
        factor: up and down from the centre in the first round, unless ``tune.steps`` says otherwise.
        unstable: 1 where larger values end in divergence, -1 where smaller ones do, 0 where neither does.
    """

    name: str
    label: str
    rule: tuple[str, ...]
    factor: float
    unstable: int = 0

    def called(self, muon: bool) -> str:
        """The label where Muon (or not) steps the matrices of the blocks: AdamW's rate is that of the others then."""
        return ADAMW_RATE if muon and self.name == "rate" else self.label

    @property
    def key(self) -> str:
        """The configuration key of its rule."""
        return ".".join(("recipe", *self.rule))

    def before(self, recipe: RecipeConfig) -> Rule:
        """Its rule in ``recipe``."""
        found: Any = recipe
        for part in self.rule:
            found = getattr(found, part)
        assert isinstance(found, Rule)
        return found

    def into(self, recipe: RecipeConfig, rule: Rule) -> RecipeConfig:
        """``recipe`` with ``rule`` for this hyperparameter."""
        head, *rest = self.rule
        inner: Any = replace(getattr(recipe, head), **{rest[0]: rule}) if rest else rule
        changed: dict[str, Any] = {head: inner}
        return replace(recipe, **changed)

    def value(self, spec: RunSpec) -> float:
        """Its value in a run."""
        if self.name == "batch":
            return float(spec.batch_tokens)
        if self.name in ("embedding", "head"):
            return float(getattr(spec.groups, self.name).lr)
        if self.rule[0] == "muon":
            assert spec.optimizer.muon is not None
            return float(getattr(spec.optimizer.muon, self.rule[1]))
        return float(getattr(spec.optimizer, "lr" if self.name == "rate" else self.name))


AXES = {
    axis.name: axis
    for axis in (
        Axis("rate", "learning rate", ("lr",), 2.0, 1),
        Axis("batch", "batch", ("batch_tokens",), 2.0, -1),
        Axis("weight_decay", "weight decay", ("weight_decay",), 4.0),
        Axis("embedding", "embedding's learning rate", ("embedding", "lr"), 3.0, 1),
        Axis("head", "head's learning rate", ("head", "lr"), 3.0, 1),
        Axis("muon", "Muon's learning rate", ("muon", "lr"), 2.0, 1),
        Axis("muon_weight_decay", "Muon's weight decay", ("muon", "weight_decay"), 4.0),
    )
}
"""By name, in the order in which they are shown."""
