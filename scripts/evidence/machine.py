"""The machine that evidence comes from, without its name or its folders: ``python -m scripts.evidence.machine``."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own: whoever asks must hold no memory of the GPU that is measured next.
FACTS = """
import json, os, platform
import torch
from harness.train.device import choose_device
from harness.version import version_of

cuda = torch.cuda.is_available()
print(json.dumps({
    "device": choose_device("auto", "auto").name, "devices": torch.cuda.device_count(),
    "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1) if cuda else None,
    "cores": len(os.sched_getaffinity(0)), "cuda": torch.version.cuda, "python": platform.python_version(),
    **{name: version_of(name) for name in
       ("torch", "triton", "transformers", "accelerate", "numpy", "liger-kernel", "wandb", "isoflop")},
}))
"""

# The largest rate that the card gives, warmed up: what every other number is a share of.
MATRIX_PRODUCT = """
import time, torch
a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
for _ in range(5): a @ b
torch.cuda.synchronize(); began = time.perf_counter()
for _ in range(20): a @ b
torch.cuda.synchronize()
print("bf16 matrix product of 8192: %.0f TFLOP/s" % (20 * 2 * 8192**3 / (time.perf_counter() - began) / 1e12))
"""
QUERY = "name,driver_version,memory.total,memory.free,clocks.sm,clocks.max.sm,power.limit,compute_mode"


class MachineError(Exception):
    """torch does not work here; its last line says why."""


def facts() -> dict[str, Any]:
    """Device, versions and cores.

    Raises:
        MachineError: torch cannot be asked.
    """
    done = _python(FACTS)
    if done.returncode != 0:
        raise MachineError((done.stderr.strip().splitlines() or ["torch cannot be imported"])[-1])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def commit(root: Path = ROOT) -> str:
    """What the code is: by git in a checkout, by the kit that carried it here, else unknown."""
    if (root / ".git").exists() and shutil.which("git"):
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
        if head.returncode == 0:
            changed = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=root, capture_output=True)
            return head.stdout.strip() + (" and changes that are not committed" if changed.returncode else "")
    carried = root.parent / "kit" / "COMMIT"
    return " ".join(carried.read_text(encoding="utf-8").split()) if carried.exists() else "unknown"


def probe() -> None:
    """Print what may explain a number later."""
    _show("nvidia-smi")
    _show("nvidia-smi", f"--query-gpu={QUERY}", "--format=csv")
    _show("uname", "-srm")
    _show("free", "-g")
    _show("df", "-h", "--output=size,avail,target", "/tmp", "/dev/shm")
    for program in ("gcc", "clang", "nvcc", "nvidia-cuda-mps-control", "git"):
        print(f"{program}: {'here' if shutil.which(program) else 'not here'}")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    print(f"Python.h: {'here' if header.exists() else 'not here'}")
    known = facts()
    for name, value in known.items():
        print(f"{name}: {value}")
    if known["devices"]:
        done = _python(MATRIX_PRODUCT)
        print((done.stdout + done.stderr).strip().splitlines()[-1])


def _python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def _show(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        print((done.stdout + done.stderr).rstrip(), flush=True)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"{command[0]}: {error}", flush=True)


if __name__ == "__main__":
    probe()
