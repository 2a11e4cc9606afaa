"""``fit.json`` and ``draws.npz``: a fit to files and back."""

import dataclasses
import difflib
import io
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from harness.errors import UserError
from harness.files import put_in_place, refuse_endless, write_json
from harness.fit.bootstrap import percentile_interval
from harness.fit.encoding import ARRAYS, decode
from harness.fit.fitted import Fit
from harness.fit.results import Approach
from harness.fit.table import Array
from harness.runs.files import read_json, reading

DRAWS = "draws_sha256"
REMEDY = "`isoflop fit` writes it anew"


def write_fit(fit: Fit, folder: str | Path) -> Path:
    """Writes ``fit.json`` and ``draws.npz`` into ``folder`` (made if need be); returns the former's path.

    >>> from tempfile import TemporaryDirectory
    >>> from harness import load_fit, write_fit
    >>> with TemporaryDirectory() as folder:
    ...     write_fit(load_fit("results/demo"), folder).name
    'fit.json'

    Each file is written whole and then renamed, the draws first, so a reader never sees half a fit.
    """
    if not isinstance(fit, Fit):
        raise UserError(f"write_fit: a {type(fit).__name__} is not a fit; fit_points and load_fit return one")
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{approach.name}_{name}": getattr(approach, name)
            for approach in fit.approaches
            for name in ARRAYS
            if getattr(approach, name, None) is not None
        }
        packed = io.BytesIO()
        np.savez_compressed(packed, **arrays)
        content = {**fit.to_json(), DRAWS: sha256(packed.getvalue()).hexdigest()}
        partial = folder / "draws.npz.partial"
        partial.write_bytes(packed.getvalue())
        put_in_place(partial, folder / "draws.npz")
        write_json(folder / "fit.json", content)
    except OSError as error:
        raise UserError(f"{folder}: cannot write the fit ({error.strerror})") from None
    return folder / "fit.json"


def load_fit(path: str | Path) -> Fit:
    """Reads what ``write_fit`` wrote, from its folder, its ``fit.json`` or the name of a sweep below ``runs``.

    >>> from harness import load_fit
    >>> estimate = load_fit("results/demo").predict(1e12)["approach_2"]
    >>> f"{estimate.params:.3g} parameters, {estimate.status}"
    '7.88e+04 parameters, ok'

    Without ``draws.npz`` beside it, predictions have no intervals.

    Raises:
        UserError: there is no fit, it is damaged, or the draws beside it are, or are those of another fit.
    """
    path = find_fit(path) or Path(path).expanduser()
    try:
        fit, digest = read_json(path, REMEDY, _decoded)
    except FileNotFoundError:
        close = close_fit(path)
        hint = f"did you mean {close}?" if close else "`isoflop fit` writes it"
        raise UserError(f"{path}: no such file; {hint}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    draws = path.parent / "draws.npz"
    if not draws.exists():
        return fit
    refuse_endless(draws)
    try:
        with reading(draws, REMEDY):
            content = draws.read_bytes()
            if digest is not None and digest != sha256(content).hexdigest():
                raise ValueError("it is not what was written with fit.json")
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                return _with_arrays(fit, dict(file), checked=digest is not None)
    except (OSError, BadZipFile, zlib.error, NotImplementedError, RuntimeError, MemoryError) as error:
        raise UserError(f"{draws}: not what was written ({error}); {REMEDY}") from None


def find_fit(name: str | Path, runs_dir: str | Path = "runs") -> Path | None:
    """The ``fit.json`` that ``name`` stands for: that file, its folder, or a sweep's name below ``runs_dir``.

    None where there is nothing of that name; a folder that has no fit gives the file that it lacks.
    """
    path = Path(name).expanduser()
    if path.is_file() or (path / "fit.json").exists():
        return path if path.is_file() else path / "fit.json"
    below = Path(runs_dir).expanduser() / path / "fit.json"
    if len(path.parts) == 1 and below.exists():
        return below
    return path / "fit.json" if path.is_dir() else path if path.exists() else None


def close_fit(name: str | Path, runs_dir: str | Path = "runs", others: Sequence[str] = ()) -> str:
    """What ``name`` is almost: another fit's folder, beside it or below ``runs_dir``, or one of ``others``; or ""."""
    path = Path(name).expanduser()
    folder = path.parent if path.name == "fit.json" else path
    places = (folder.parent, Path(runs_dir).expanduser()) if len(folder.parts) == 1 else (folder.parent,)
    known = {one: one for one in others}
    known |= {one.parent.name: str(one.parent) for place in places for one in place.glob("*/fit.json")}
    close = difflib.get_close_matches(folder.name, known, n=1)
    return known[close[0]] if close else ""


def _decoded(data: Any) -> tuple[Fit, str | None]:
    """The fit, and the SHA-256 of its draws; None in a file from before that was kept."""
    fit = decode(Fit, data)
    return fit, None if DRAWS not in data else str(data[DRAWS])


def _with_arrays(fit: Fit, arrays: dict[str, Array], checked: bool) -> Fit:
    """``fit`` with its draws.

    Raises:
        ValueError: they are not of this fit, as far as can be told.
    """
    changed: dict[str, Any] = {}
    for approach in fit.approaches:
        mine: dict[str, Any] = {
            name: arrays.pop(f"{approach.name}_{name}")
            for name in ARRAYS
            if f"{approach.name}_{name}" in arrays
        }
        changed[approach.name] = dataclasses.replace(approach, **mine)
        if not checked:
            _check_draws(approach, mine.get("draws"))
    if arrays:
        raise ValueError(f"it has {', '.join(sorted(arrays))}, which nothing here reads")
    return dataclasses.replace(fit, **changed)


def _check_draws(approach: Approach, draws: Array | None) -> None:
    """Refuse draws from which the intervals that the fit gives do not follow: they are another fit's."""
    given = {"a": approach.a_interval, "b": approach.b_interval}
    if draws is None:
        if given["a"] is not None:
            raise ValueError(f"the draws of {approach.name} are missing")
        return
    if draws.dtype != np.float64 or draws.ndim != 2 or draws.shape[1] != len(approach.draw_columns):
        raise ValueError(
            f"the draws of {approach.name} are of {draws.dtype} and have the shape {draws.shape}"
        )
    for values, name in zip(approach.exponents(draws), given, strict=True):
        found, interval = percentile_interval(values, approach.level), given[name]
        if interval is not None and (found is None or not np.allclose(found, interval, rtol=1e-6)):
            raise ValueError(f"the interval of {name} of {approach.name} is not that of fit.json")
