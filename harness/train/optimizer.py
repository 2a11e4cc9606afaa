"""The optimizers of a run: AdamW, and Muon for the matrices of the blocks where the specification has one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from harness.errors import UserError
from harness.model.groups import NamedParameter, grouped_parameters
from harness.plan.spec import RunSpec

MOMENTS: dict[str, tuple[str, ...]] = {
    "AdamW": ("step", "exp_avg", "exp_avg_sq"),
    "Muon": ("momentum_buffer",),
}
"""What each optimizer keeps of a parameter that was ever stepped."""

LEAST_TORCH_FOR_MUON = (2, 9)


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
        """What its optimizer keeps of ``parameter``; empty before the first step. Changes to it are kept."""
        state: dict[str, Any] = self._owner[parameter].state[parameter]
        return state

    def moments(self, parameter: nn.Parameter) -> tuple[str, ...]:
        """The names of what its optimizer keeps of ``parameter`` once it was stepped."""
        return MOMENTS[type(self._owner[parameter]).__name__]

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
        check_torch(torch.__version__)
        parts.append(
            torch.optim.Muon(
                list(muon.values()),
                momentum=settings.muon.momentum,
                nesterov=settings.muon.nesterov,
                ns_steps=settings.muon.ns_steps,
                adjust_lr_fn=settings.muon.adjust_lr_fn,
            )
        )
    return Optimizers(parts)


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


def check_torch(version: str) -> None:
    """Refuse a torch without Muon.

    Raises:
        UserError: it is older than 2.9.
    """
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_TORCH_FOR_MUON:
        raise UserError(
            f"optimizer=muon: needs torch 2.9 or later, and {version} is installed; use optimizer=adamw"
        )
