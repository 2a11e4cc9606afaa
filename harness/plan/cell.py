"""One planned run and what is known of it before it starts."""

from dataclasses import asdict, dataclass
from typing import Any

from harness.model.counts import Params
from harness.plan.duration import RunTime
from harness.plan.optimizer_flops import step_flops
from harness.plan.spec import RunSpec

LATER = ("shape", "spec", "estimate")
"""Entries of a cell's JSON that later versions added to; the run id holds the first two."""


@dataclass(frozen=True)
class Cell:
    """A planned (N, D).

    Attributes:
        budget: the column's FLOPs, as ``count`` counts them; the run's own are within half a step of it.
        flops_by_count: training FLOPs of the whole run under every convention.
        unique_tokens: tokens of the training split.
        estimate: expected time on one worker, and the mode of execution it is expected in.
        count_optimizer: the budget pays for the optimizer's steps, too.
    """

    budget: float
    count: str
    spec: RunSpec
    params: Params
    flops_by_count: dict[str, float]
    unique_tokens: int
    estimate: RunTime
    count_optimizer: bool = False

    @property
    def run_id(self) -> str:
        """The run's identity, from its specification alone."""
        return self.spec.run_id

    @property
    def tokens(self) -> int:
        """D, training tokens."""
        return self.spec.tokens

    @property
    def optimizer_flops(self) -> float:
        """FLOPs of the optimizer's own steps, which no convention counts."""
        return self.spec.steps * step_flops(self.spec.shape, self.spec.optimizer.muon)

    @property
    def optimizer_share(self) -> float:
        """FLOPs of the optimizer's own steps over C, which has them in it where the budget pays for them."""
        return self.optimizer_flops / self.flops

    @property
    def flops(self) -> float:
        """Training FLOPs as the budget counts them."""
        return self.flops_by_count[self.count] + (self.optimizer_flops if self.count_optimizer else 0.0)

    @property
    def epochs(self) -> float:
        """Passes over the training split."""
        return self.tokens / self.unique_tokens

    @property
    def estimate_seconds(self) -> float:
        """Expected seconds on one worker: start, compilation, steps and evaluation."""
        return self.estimate.total

    def to_json(self) -> dict[str, Any]:
        """The cell of ``plan.json``: the specification, and beside it what people and scripts read most."""
        spec = self.spec
        return {
            "run_id": self.run_id,
            "budget": self.budget,
            "count": self.count,
            "shape": asdict(spec.shape),
            "params": self.params.to_json(),
            "tokens": self.tokens,
            "steps": spec.steps,
            "batch_tokens": spec.batch_tokens,
            "seq_len": spec.seq_len,
            "flops": self.flops,
            "flops_by_count": self.flops_by_count,
            "optimizer_flops": self.optimizer_flops,
            "count_optimizer": self.count_optimizer,
            "lr": spec.optimizer.lr,
            "seed": spec.seed,
            "unique_tokens": self.unique_tokens,
            "epochs": self.epochs,
            "estimate_seconds": self.estimate_seconds,
            "estimate": asdict(self.estimate),
            "spec": spec.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Cell":
        """Inverse of :meth:`to_json`.

        Raises:
            ValueError, TypeError, KeyError: it is no cell, or its entries contradict each other.
        """
        stored = data["params"]
        groups = {name: stored[name] for name in ("embedding", "head", "matrices", "norms")}
        params = Params(**groups, vocab_matrix=stored["matrices_and_head"] - stored["matrices"])
        # a plan from before times were estimated by parts has their sum alone
        whole = RunTime("eager", 0.0, 0.0, data["estimate_seconds"], 0.0)
        made = cls(
            budget=data["budget"],
            count=data["count"],
            spec=RunSpec.from_json(data["spec"]),
            params=params,
            flops_by_count=data["flops_by_count"],
            unique_tokens=data["unique_tokens"],
            estimate=RunTime(**data["estimate"]) if "estimate" in data else whole,
            count_optimizer=data.get("count_optimizer", False),
        )
        if any(getattr(made.spec.shape, name) != value for name, value in data["shape"].items()):
            raise ValueError(f"cell {data['run_id']}: its shape is not that of its specification")
        # what stands beside the specification follows from it
        for name, value in made.to_json().items():
            if name in data and name not in LATER and data[name] != value:
                raise ValueError(f"cell {data['run_id']}: {name} is {data[name]!r:.40}, not {value!r:.40}")
        return made
