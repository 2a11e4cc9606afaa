"""Training curves as columns."""

from pathlib import Path

import numpy as np


def read_curve(path: Path) -> dict[str, np.ndarray] | None:
    """``step``, ``tokens``, ``flops``, ``train_loss`` of a ``curve.csv``, each of shape (rows,); None without rows."""
    names = ("step", "tokens", "flops", "train_loss")
    try:
        data = np.genfromtxt(path, delimiter=",", names=True, dtype=np.float64, ndmin=1)
    except (OSError, ValueError):
        return None
    if not len(data) or any(name not in (data.dtype.names or ()) for name in names):
        return None
    return {name: data[name] for name in names}
