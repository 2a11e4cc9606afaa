"""A run is its specification: all that can change its result, and nothing else."""

import hashlib
import json
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from harness.model.parametrization import Multipliers, Parametrization, Scale, multipliers, parameter_scale
from harness.model.shape import Shape
from harness.plan.schedule import Schedule

HASHED_AT_DEFAULT = frozenset({"precision", "options"})
"""Fields with a default that the first finished runs were named with. A field that is added later needs a default
under which a run does what it did before, and is hashed only where it differs from it."""

JSON_NAMES = {"batch_sequences": "batch_windows"}
"""Fields that files, and so hashes, know by another name. Runs are named by the hash: these names may never change."""


@dataclass(frozen=True)
class Muon:
    """Muon (Jordan et al. 2024; torch.optim.Muon): momentum, made orthogonal by ``ns_steps`` Newton-Schulz iterations.

    Attributes:
        lr: peak learning rate.
        weight_decay: per unit of learning rate.
        adjust_lr_fn: how the rate depends on a matrix's rows A and columns B: ``original`` multiplies it by
            sqrt(max(1, A / B)), ``match_rms_adamw`` by 0.2 sqrt(max(A, B)), which makes updates as large as AdamW's
            (Liu et al. 2025, arXiv 2502.16982).
    """

    lr: float
    weight_decay: float
    momentum: float = 0.95
    nesterov: bool = True
    ns_steps: int = 5
    adjust_lr_fn: str = "original"


@dataclass(frozen=True)
class Optimizer:
    """AdamW (Loshchilov & Hutter 2019), and Muon for the matrices of the blocks where ``muon`` is there.

    Attributes:
        lr: AdamW's peak learning rate.
        weight_decay: per unit of learning rate; of embedding, head and matrices.
        grad_clip: global gradient norm, over both; 0 is none.
    """

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    grad_clip: float
    muon: Muon | None = None


@dataclass(frozen=True)
class GroupScales:
    """By group of parameters (``harness.model.groups``), factors of what the optimizer and ``init_std`` say.

    ``norms`` have neither decay nor drawn values.
    """

    embedding: Scale = Scale()
    head: Scale = Scale()
    matrices: Scale = Scale()
    norms: Scale = Scale()


@dataclass(frozen=True)
class RunSpec:
    """Everything that can change a run's result. Device, folder, tracker, micro-batch and processes are not in it.

    Attributes:
        batch_sequences: sequences of ``seq_len`` tokens per optimizer step, over all processes and micro-batches.
        steps: the horizon.
        data: fingerprint of the tokenised corpus (both splits and the vocabulary).
        eval_tokens: held-out tokens scored at the end.
        precision: ``auto`` (chosen by device), ``fp32`` or ``bf16``.
        groups: how the recipe treats groups of parameters; ``parametrization``: how their scales follow the shape.
    """

    shape: Shape
    seq_len: int
    batch_sequences: int
    steps: int
    optimizer: Optimizer
    schedule: Schedule
    init_std: float
    seed: int
    data: str
    eval_tokens: int
    precision: str = "auto"
    groups: GroupScales = GroupScales()
    parametrization: Parametrization = Parametrization()

    @property
    def forward(self) -> Multipliers:
        """Multipliers of the forward pass."""
        return multipliers(self.parametrization, self.shape)

    def muon_of(self, group: str) -> Muon | None:
        """The Muon that steps the parameters of ``group``; None where AdamW does."""
        return self.optimizer.muon if group == "matrices" else None

    def scale(self, name: str, group: str) -> Scale:
        """How one parameter's learning rate, decay, epsilon and initial values differ from the specification's own."""
        muon = self.muon_of(group)
        adjust = None if muon is None else muon.adjust_lr_fn
        own: Scale = getattr(self.groups, group)
        return own.times(parameter_scale(self.parametrization, self.shape, name, group, adjust))

    @property
    def batch_tokens(self) -> int:
        """Tokens per optimizer step."""
        return self.batch_sequences * self.seq_len

    @property
    def tokens(self) -> int:
        """D: training tokens, whole steps."""
        return self.steps * self.batch_tokens

    @cached_property  # sweeps ask for it again and again
    def run_id(self) -> str:
        """Twelve hexadecimal digits of the specification's hash."""
        canonical = json.dumps(_hashed(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """As plain data, fields by their names in files, as it is hashed; :meth:`from_json` is its inverse."""
        plain: dict[str, Any] = _hashed(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RunSpec":
        """Inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError: a field is missing, or there is one that is not known.
        """
        values = dict(data)
        for name, stored in JSON_NAMES.items():
            values[name] = values.pop(stored)
        optimizer = dict(data["optimizer"])
        if optimizer.get("muon") is not None:
            optimizer["muon"] = Muon(**optimizer["muon"])
        later: dict[str, Any] = {}
        if "groups" in data:
            later["groups"] = GroupScales(**{name: Scale(**one) for name, one in data["groups"].items()})
        if "parametrization" in data:
            later["parametrization"] = Parametrization(**data["parametrization"])
        return cls(
            **{
                **values,
                "shape": Shape(**data["shape"]),
                "optimizer": Optimizer(**optimizer),
                "schedule": Schedule(**data["schedule"]),
                **later,
            }
        )


def _hashed(value: Any) -> Any:
    """``value`` as files have it, without the later fields of dataclasses that are at their defaults."""
    if not is_dataclass(value):
        return value
    plain = {}
    for field in fields(value):
        now = getattr(value, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name in HASHED_AT_DEFAULT or default is MISSING or now != default:
            plain[JSON_NAMES.get(field.name, field.name)] = _hashed(now)
    return plain
