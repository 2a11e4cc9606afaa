"""AdamW as the run's specification says."""

import torch
from torch import nn

from harness.plan.spec import Optimizer


def build_optimizer(model: nn.Module, spec: Optimizer) -> torch.optim.AdamW:
    """Fused AdamW; matrices decay, vectors (norms, biases) do not.

    torch multiplies its decay by the rate at each step, so ``weight_decay`` is per unit of learning rate.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": spec.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]],
        lr=spec.lr,
        betas=(spec.beta1, spec.beta2),
        eps=spec.eps,
        fused=True,
    )
