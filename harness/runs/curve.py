"""Training curves as columns."""

from pathlib import Path

import numpy as np


def read_curve(path: Path) -> dict[str, np.ndarray] | None:
    """``step``, ``tokens``, ``flops``, ``train_loss`` of a ``curve.csv``, each of shape (rows,); None without rows."""
    names = ("step", "tokens", "flops", "train_loss")
    try:
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
            columns = [header.index(name) for name in names]
            data = np.loadtxt(file, delimiter=",", usecols=columns, ndmin=2)
    except (OSError, ValueError):
        return None
    return {name: data[:, i] for i, name in enumerate(names)} if len(data) else None
