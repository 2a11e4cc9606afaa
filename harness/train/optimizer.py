"""The optimizers of a run: AdamW, and Muon for the matrices of the blocks where the specification has one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from harness.errors import UserError
from harness.model.groups import NamedParameter, grouped_parameters
from harness.plan.recipe_rules import check_torch
from harness.plan.spec import Muon, RunSpec

MOMENTS: dict[str, tuple[str, ...]] = {
    "AdamW": ("step", "exp_avg", "exp_avg_sq"),
    "Muon": ("momentum_buffer",),
}
"""What each optimizer keeps of a parameter that was ever stepped."""


class Optimizers:
    """One or more torch optimizers that share the parameters of a model, and step together.

    Every parameter group has its own peak learning rate under ``peak``; :meth:`step` takes the share of it that the
    schedule says.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        """``parts`` have no parameter in common; their groups' learning rates are the peaks."""
        self._parts = tuple(parts)
        self._owner = {p: part for part in parts for group in part.param_groups for p in group["params"]}
        for group in self.groups:
            group["peak"] = group["lr"]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all parts."""
        return [group for part in self._parts for group in part.param_groups]

    def state(self, parameter: nn.Parameter) -> dict[str, Any]:
        """What its optimizer keeps of ``parameter``; empty before the first step. Changes to it are kept.

        Of a parameter that is not trained none keeps anything.
        """
        owner = self._owner.get(parameter)
        state: dict[str, Any] = {} if owner is None else owner.state[parameter]
        return state

    def parts(self) -> list[list[nn.Parameter]]:
        """The parameters of each torch optimizer."""
        return [[p for group in part.param_groups for p in group["params"]] for part in self._parts]

    def moments(self, parameter: nn.Parameter) -> tuple[str, ...]:
        """The names of what its optimizer keeps of ``parameter`` once it was stepped."""
        owner = self._owner.get(parameter)
        return () if owner is None else MOMENTS[type(owner).__name__]

    def step(self, factor: float) -> None:
        """Step all parameters at ``factor`` times their peak learning rates."""
        for group in self.groups:
            group["lr"] = group["peak"] * factor
        for part in self._parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Gradients of the next step begin at nothing, or at zeros."""
        for part in self._parts:
            part.zero_grad(set_to_none)


def build_optimizer(model: nn.Module, spec: RunSpec) -> Optimizers:
    """The optimizers of ``spec``, with a parameter group for each set of hyperparameters; gains and biases don't decay.

    torch multiplies the decay by the learning rate at each step, so ``weight_decay`` is per unit of learning rate.

    Raises:
        UserError: Muon, and a torch that has none, or matrices of more than two dimensions.
    """
    adamw: dict[tuple[float, ...], dict[str, Any]] = {}
    muon: dict[tuple[float, ...], dict[str, Any]] = {}
    for one in grouped_parameters(model):
        if one.parameter.requires_grad:
            _add(muon if spec.muon_of(one.group) else adamw, one, spec)
    settings = spec.optimizer
    parts: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            list(adamw.values()), betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=True
        )
    ]
    if settings.muon is not None and muon:
        parts.append(muon_optimizer(list(muon.values()), settings.muon))
    return Optimizers(parts)


def muon_optimizer(groups: list[dict[str, Any]], muon: Muon) -> torch.optim.Optimizer:
    """torch's Muon as ``muon`` says, for parameter groups that have their learning rates and decay.

    Raises:
        UserError: this torch has none.
    """
    check_torch(torch.__version__)
    return torch.optim.Muon(
        groups,
        momentum=muon.momentum,
        nesterov=muon.nesterov,
        ns_steps=muon.ns_steps,
        adjust_lr_fn=muon.adjust_lr_fn,
    )


def _add(groups: dict[tuple[float, ...], dict[str, Any]], one: NamedParameter, spec: RunSpec) -> None:
    """Add a parameter to the group of its hyperparameters.

    Raises:
        UserError: Muon cannot step it.
    """
    muon, scale = spec.muon_of(one.group), spec.scale(one.name, one.group)
    if muon is not None and one.parameter.ndim != 2:
        raise UserError(
            f"optimizer=muon: {one.name} has {one.parameter.ndim} dimensions, and Muon steps matrices; use "
            "optimizer=adamw"
        )
    settings = spec.optimizer if muon is None else muon
    values = {
        "lr": settings.lr * scale.lr,
        "weight_decay": 0.0 if one.group == "norms" else settings.weight_decay * scale.weight_decay,
    }
    if muon is None:
        values["eps"] = spec.optimizer.eps * scale.eps
    groups.setdefault(tuple(values.values()), {**values, "params": []})["params"].append(one.parameter)
