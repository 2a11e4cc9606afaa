"""A run is its specification: all that can change its result, and nothing else."""

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any

from harness.model.shape import Shape
from harness.plan.schedule import Schedule

HASHED_AT_DEFAULT = frozenset({"precision", "options"})
"""Fields with a default that the first finished runs were named with. A field that is added later needs a default
under which a run does what it did before, and is hashed only where it differs from it."""

JSON_NAMES = {"batch_sequences": "batch_windows"}
"""Fields that files, and so hashes, know by another name. Runs are named by the hash: these names may never change."""


@dataclass(frozen=True)
class Optimizer:
    """AdamW (Loshchilov & Hutter 2019). ``lr`` is the peak learning rate; weight decay applies to matrices only."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    grad_clip: float


@dataclass(frozen=True)
class RunSpec:
    """Everything that can change a run's result. Device, folder, tracker, micro-batch and processes are not in it.

    Attributes:
        batch_sequences: sequences of ``seq_len`` tokens per optimizer step, over all processes and micro-batches.
        steps: the horizon.
        data: fingerprint of the tokenised corpus (both splits and the vocabulary).
        eval_tokens: held-out tokens scored at the end.
        precision: ``auto`` (chosen by device), ``fp32`` or ``bf16``.
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

    @property
    def batch_tokens(self) -> int:
        """Tokens per optimizer step."""
        return self.batch_sequences * self.seq_len

    @property
    def tokens(self) -> int:
        """D: training tokens, whole steps."""
        return self.steps * self.batch_tokens

    @property
    def run_id(self) -> str:
        """Twelve hexadecimal digits of the specification's hash."""
        canonical = json.dumps(_hashed(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """As plain data, fields by their names in files; :meth:`from_json` is its inverse."""
        return {JSON_NAMES.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "RunSpec":
        """Inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError: a field is missing, or there is one that is not known.
        """
        values = dict(data)
        for name, stored in JSON_NAMES.items():
            values[name] = values.pop(stored)
        return cls(
            **{
                **values,
                "shape": Shape(**data["shape"]),
                "optimizer": Optimizer(**data["optimizer"]),
                "schedule": Schedule(**data["schedule"]),
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
