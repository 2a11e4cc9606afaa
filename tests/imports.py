"""What a piece of code imports in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def imported(code: str, *names: str) -> list[str]:
    """Those of the modules ``names`` that ``code`` has imported when it ends, sorted."""
    ask = f"\nimport sys\nprint(*sorted({set(names)} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code + ask],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()
