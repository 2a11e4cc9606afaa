"""``fit.json`` and ``draws.npz``: a fit to files and back."""

import dataclasses
import json
import os
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from harness.errors import UserError
from harness.fit.encoding import ARRAYS, decode
from harness.fit.fitted import Fit
from harness.fit.table import Array


def write_fit(fit: Fit, folder: str | Path) -> Path:
    """Writes ``fit.json`` and ``draws.npz`` into ``folder`` (made if need be); returns the former's path.

    Each file is written whole and then renamed, the draws first, so a reader never sees half a fit.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{approach.name}_{name}": getattr(approach, name)
            for approach in fit.approaches
            for name in ARRAYS
            if getattr(approach, name, None) is not None
        }
        partial = folder / "draws.npz.partial"
        with partial.open("wb") as out:
            np.savez_compressed(out, **arrays)
        os.replace(partial, folder / "draws.npz")
        partial = folder / "fit.json.partial"
        partial.write_text(json.dumps(fit.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(partial, folder / "fit.json")
    except OSError as error:
        raise UserError(f"{folder}: cannot write the fit ({error.strerror})") from None
    return folder / "fit.json"


def load_fit(path: str | Path) -> Fit:
    """Reads what ``write_fit`` wrote, from its folder or its ``fit.json``.

    Without ``draws.npz`` beside it, predictions have no intervals. Raises UserError where there is no fit.
    """
    path = Path(path)
    path = path / "fit.json" if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        fit: Fit = decode(Fit, data)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `isoflop fit` writes it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError):
        raise UserError(f"{path}: not a fit.json of this program") from None
    return _with_arrays(fit, path.parent / "draws.npz")


def _with_arrays(fit: Fit, path: Path) -> Fit:
    if not path.exists():
        return fit
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Array] = dict(file)
    except (OSError, ValueError, EOFError, BadZipFile, zlib.error):
        raise UserError(f"{path}: not readable; rerun `isoflop fit`") from None
    changed: dict[str, Any] = {}
    for approach in fit.approaches:
        mine: dict[str, Any] = {
            n: arrays[f"{approach.name}_{n}"] for n in ARRAYS if f"{approach.name}_{n}" in arrays
        }
        changed[approach.name] = dataclasses.replace(approach, **mine)
    return dataclasses.replace(fit, **changed)
