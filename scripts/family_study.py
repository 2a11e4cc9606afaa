"""What holds small models of a family back: single runs of the demo, paired by seed, with one thing changed at a time.

    python -m scripts.family_study FILE [budgets=1e11,6e11] [seeds=0,1,2] [OVERRIDES …]

Trains every case at width 32 on one CPU core (six seconds a run at 1e11 FLOPs, forty at 6e11), keeps each run in FILE,
where the same command goes on, and prints the difference of held-out losses from llama's over the seeds with its
standard deviation, and the step of each seed at which the training loss, a mean of 20 steps, first falls below some
levels. Runs are those of ``isoflop plan experiment=demo``.
"""

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import nn
from torch.nn import functional

from harness.config.compose import compose_config
from harness.data import Corpus
from harness.model.build import build_model
from harness.model.ladder import build_ladder
from harness.plan.plan import plan_cell
from harness.plan.spec import RunSpec
from harness.train.optimizer import build_optimizer
from harness.train.outcome import evaluate
from harness.workflow.experiment import plan_rules, prepare_corpus
from scripts.kept import Kept

WIDTH = 32
LEVELS = (2.4, 2.2, 2.0)
MEAN_OF = 20  # steps
OWN = ("budgets=", "seeds=")

Edit = Callable[[nn.Module, float], None]
"""Changes a model before it is trained, given the standard deviation of its initial values."""


def without_positions(model: nn.Module, std: float) -> None:
    """No position is ever told from another."""
    positions = _positions(model)
    positions.data.zero_()
    positions.requires_grad_(False)


def sinusoids(model: nn.Module, std: float) -> None:
    """Learned positions that start as those of Vaswani et al. 2017 (arXiv 1706.03762, 3.5), as large as drawn."""
    positions = _positions(model)
    number, width = positions.shape
    angles = torch.arange(number)[:, None] * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    positions.data = torch.cat([angles.sin(), angles.cos()], 1)[:, :width] * 2**0.5 * std


def _positions(model: nn.Module) -> nn.Parameter:
    return next(p for name, p in model.named_parameters() if name.endswith("wpe.weight"))


@dataclass(frozen=True)
class Case:
    """A model: overrides of the experiment, and what is changed in it."""

    overrides: tuple[str, ...]
    edit: Edit | None = None


def _neox(**options: object) -> Case:
    return Case(("model=gpt_neox", *(f"++model.options.{name}={value}" for name, value in options.items())))


CASES = {
    "llama": Case(("model=llama",)),
    "gpt2": Case(("model=gpt2",)),
    "gpt2, no positions": Case(("model=gpt2",), without_positions),
    "gpt2, positions from sinusoids": Case(("model=gpt2",), sinusoids),
    "gpt_neox, rotary_pct=0.25": _neox(rotary_pct=0.25),
    "gpt_neox": _neox(),
    "gpt_neox, serial": _neox(use_parallel_residual=False),
}


def planned(case: Case, overrides: Sequence[str], budget: float, seed: int, corpus: Corpus) -> RunSpec:
    """The run of ``case`` at ``budget``."""
    config, _ = compose_config(["experiment=demo", *case.overrides, *overrides])
    shapes = build_ladder(config.ladder, config.model, corpus.vocab_size, config.seq_len).shapes
    shape = next(shape for shape in shapes if shape.width == WIDTH)
    return plan_cell(shape, budget, seed, plan_rules(config, shapes), corpus).spec


def train(spec: RunSpec, edit: Edit | None, corpus: Corpus) -> dict[str, Any]:
    """Train one run as ``isoflop train`` does, in float32; its held-out loss and when it passed each level."""
    model = build_model(spec.shape, spec.init_std, spec.seed, spec.forward, spec.scale)
    if edit is not None:
        edit(model, spec.init_std)
    optimizer, parameters = build_optimizer(model, spec), list(model.parameters())
    losses = np.empty(spec.steps)
    for step in range(1, spec.steps + 1):
        batch = torch.from_numpy(corpus.batch(spec.seed, step - 1, spec.batch_sequences, spec.seq_len))
        logits = model(input_ids=batch[:, :-1], use_cache=False).logits
        loss = functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, spec.optimizer.grad_clip or math.inf)
        optimizer.step(spec.schedule.factor(step))
        optimizer.zero_grad()
        losses[step - 1] = loss.item()
    scored = evaluate(model, corpus, spec.seq_len, spec.eval_tokens, torch.device("cpu"))
    return {"loss": scored.loss, "steps": spec.steps, "passed": [passed(losses, level) for level in LEVELS]}


def passed(losses: np.ndarray, level: float) -> int | None:
    """The last of the first :data:`MEAN_OF` steps in a row whose mean loss is below ``level``."""
    if len(losses) < MEAN_OF:
        return None
    means = np.convolve(losses, np.full(MEAN_OF, 1 / MEAN_OF), "valid")
    below = np.flatnonzero(means < level)
    return int(below[0]) + MEAN_OF if len(below) else None


def rows(kept: Kept, budget: float) -> Iterable[str]:
    """A row of a Markdown table for each case: loss, difference from llama's, steps at the levels."""
    at_budget = [one for one in kept.measured if one["budget"] == budget]
    reference = {one["seed"]: one["loss"] for one in at_budget if one["case"] == "llama"}
    for case in dict.fromkeys(one["case"] for one in at_budget):
        found = [one for one in at_budget if one["case"] == case]
        differences = [one["loss"] - reference[one["seed"]] for one in found if one["seed"] in reference]
        spread = f" ± {stdev(differences):.3f}" if len(differences) > 1 else ""
        difference = f"{mean(differences):+.3f}{spread}" if differences else "–"
        steps = [", ".join(str(one["passed"][i] or "never") for one in found) for i in range(len(LEVELS))]
        loss = f"{mean(one['loss'] for one in found):.3f}"
        yield f"| {budget:g} | {case} | {len(found)} | {loss} | {difference} | {' | '.join(steps)} |"


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    own = dict(a.split("=", 1) for a in arguments[1:] if a.startswith(OWN))
    overrides = [a for a in arguments[1:] if not a.startswith(OWN)]
    budgets = [float(b) for b in own.get("budgets", "1e11,6e11").split(",")]
    seeds = [int(s) for s in own.get("seeds", "0,1,2").split(",")]
    torch.set_num_threads(1)
    corpus = prepare_corpus(compose_config(["experiment=demo", *overrides])[0], Console())
    kept = Kept(Path(arguments[0]), {"corpus": corpus.fingerprint, "width": WIDTH, "overrides": overrides})
    for budget in budgets:
        for seed in seeds:
            for name, case in CASES.items():
                if kept.find(budget=budget, seed=seed, case=name) is None:
                    found = train(planned(case, overrides, budget, seed, corpus), case.edit, corpus)
                    kept.add(budget=budget, seed=seed, case=name, **found)
    levels = " | ".join(f"step at {level}" for level in LEVELS)
    print(f"| FLOPs | model | seeds | loss | from llama's | {levels} |\n|{'---|' * (5 + len(LEVELS))}")
    for budget in budgets:
        print(*rows(kept, budget), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
