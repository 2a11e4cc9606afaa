"""Whether a run is compiled, and how."""

import os
from pathlib import Path

import torch

from harness.train.config import TrainConfig
from harness.train.device import Device

# Assumed until 'scripts/bench_packing.py' has been run on a GPU: tracing and building a model costs a process about
# 20 seconds, and a compiled step of a small model takes two thirds of the time. Below this a run doesn't earn it back.
WORTH_SECONDS = 60.0


def wants_compile(config: TrainConfig, device: Device, expected_seconds: float) -> bool:
    """What ``train.compile`` says; ``auto`` compiles on CUDA the runs that are long enough to earn it back."""
    if config.compile == "auto":
        return device.kind == "cuda" and expected_seconds >= WORTH_SECONDS
    return config.compile != "off"


def compiled(model: torch.nn.Module, config: TrainConfig, cache: Path) -> torch.nn.Module:
    """``model`` compiled for its one shape of batch.

    Kernels are kept in ``cache``, so that the next process that meets the shape only traces it. Traces of models
    before this one are dropped: the layers of all models share their code, and torch gives up on code that it
    has traced for many.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
    torch.compiler.reset()
    mode = "reduce-overhead" if config.compile == "graphs" else None
    return torch.compile(model, dynamic=False, mode=mode)  # type: ignore[return-value]
