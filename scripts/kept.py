"""Measurements in a file: each is written down as soon as it is made, and none is made twice."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.files import unseal, write_json

EXIT_AGAIN = 75  # there is more to measure, and the time is over: the same command goes on

# An error after which a process can do nothing more on its GPU.
UNUSABLE = ("CUDA error", "device-side assert")


class Kept:
    """The measurements of one setting (device, versions, sizes), which alone may be compared.

    A file of another setting is set aside under a number of its own: ratios are never taken across devices.
    """

    def __init__(self, path: Path | None, setting: Mapping[str, Any]) -> None:
        """``path`` may be None: then nothing is kept."""
        self.path = path
        self.setting = json.loads(json.dumps(setting))
        self.measured: list[dict[str, Any]] = []
        if path is None or not path.exists():
            return
        before = unseal(json.loads(path.read_text(encoding="utf-8")))
        if before["setting"] == self.setting:
            self.measured = before["measured"]
        else:
            path.rename(_free_name(path))

    def find(self, **key: Any) -> dict[str, Any] | None:
        """The measurement with these values, None where it was not made."""
        return next((one for one in self.measured if all(one.get(k) == v for k, v in key.items())), None)

    def add(self, **values: Any) -> None:
        """Write down a measurement."""
        self.measured.append(values)
        if self.path is not None:
            write_json(self.path, {"setting": self.setting, "measured": self.measured})


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_stem(f"{path.stem}-{number}")).exists():
        number += 1
    return name


def one_line(error: BaseException) -> str:
    """``error`` for a table."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def is_unusable(problem: str) -> bool:
    """Whether the process that met ``problem`` can use its GPU no more."""
    return "out of memory" not in problem and any(text in problem for text in UNUSABLE)
