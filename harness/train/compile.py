"""Whether a run is compiled, and how."""

import os
import shutil
import sysconfig
from collections.abc import Hashable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch

from harness.errors import UserError
from harness.plan.throughput import SETTINGS
from harness.train.config import TrainConfig
from harness.train.device import Device


def settle(config: TrainConfig, device: Device, planned: str, notes: list[str]) -> TrainConfig:
    """``config`` with ``compile`` decided; ``auto`` becomes, on CUDA, what was planned, and on a CPU ``off``.

    Args:
        planned: the mode that the plan's time model found soonest done for all runs of this shape, a key of
            :data:`harness.plan.throughput.MODES`. They are executed alike.
        notes: receives what the record should say.

    Raises:
        UserError: compiling is asked for, and this machine cannot.
    """
    compile = config.compile
    if compile == "auto":
        compile = SETTINGS[planned] if device.kind == "cuda" else "off"
    if compile == "off":
        return replace(config, compile=compile)
    lacking = lacking_for_triton() if device.kind == "cuda" else lacking_for_cpp()
    if lacking and config.compile != "auto":
        raise UserError(
            f"train.compile: this machine lacks {lacking}; install it or leave compile at auto or off"
        )
    if lacking:
        notes.append(f"not compiled: this machine lacks {lacking}")
        return replace(config, compile="off")
    notes.append("compiled with CUDA graphs" if compile == "graphs" else "compiled")
    return replace(config, compile=compile)


def lacking_for_triton() -> str:
    """What Triton would miss when it builds its launcher, empty where nothing is missing.

    It compiles a little C against Python's headers on every machine that it is new to.
    """
    if find_spec("triton") is None:
        return "the package triton"
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")):
        return "a C compiler (gcc or clang, or CC that names one)"
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return "" if header.exists() else f"Python's header files ({header})"


def lacking_for_cpp() -> str:
    """What torch would miss when it compiles for a CPU, empty where nothing is missing."""
    compiler = os.environ.get("CXX") or "g++"
    return "" if shutil.which(compiler) else f"a C++ compiler ({compiler}, or CXX that names one)"


def compiled(model: torch.nn.Module, config: TrainConfig, cache: Path) -> torch.nn.Module:
    """``model`` compiled, where ``config`` has settled on that, for its one shape of batch.

    Kernels are kept in ``cache``, for the next process.
    """
    if config.compile == "off":
        return model
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache))
    mode = "reduce-overhead" if config.compile == "graphs" else None
    return torch.compile(model, dynamic=False, mode=mode)  # type: ignore[return-value]


_traced: Hashable = None  # what the traces of this process are of


def keep_traces(what: Hashable) -> None:
    """Forget what torch has traced in this process, unless it was for the same as is trained next.

    A second model of one shape runs by the trace, the kernels and the pool of CUDA graphs of the first. Others would
    hold memory of the device, and torch gives up on code that it has traced for many.

    Args:
        what: all that a trace depends on; None for a run that is not compiled.
    """
    global _traced
    if what != _traced:
        torch.compiler.reset()
        _traced = what
