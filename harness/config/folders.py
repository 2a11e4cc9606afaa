"""The folders of configs that Hydra searches, and the files of them that a configuration was composed from."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import yaml  # type: ignore[import-untyped]
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from harness.config.keyfile import (
    GLOBAL,
    HEADER,
    KeyFile,
    check_defaults,
    explain,
    package_header,
    read_text,
    show_path,
)
from harness.config.written import nodes_and_values, plainly
from harness.errors import UserError
from harness.packaged import config_folder


def own_folder() -> Path:
    """The folder of the user's own configs: ``configs/`` in the working directory."""
    return Path.cwd() / "configs"


class WrittenSource(FileConfigSource):
    """A folder of configs, whose scalars stay as they were written."""

    files: ClassVar[list[KeyFile]] = []
    """What was read, in that order; emptied by who composes."""

    @staticmethod
    def scheme() -> str:
        """What such a folder's address begins with."""
        return "written"

    def load_config(self, config_path: str) -> ConfigResult:
        """As Hydra's own source of files.

        Raises:
            UserError: the file is none that Hydra could compose from; the line, and what mends it.
        """
        name = self._normalize_file_name(config_path)
        path = Path(self.path) / name
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        file = _read(path, Path(name).parent.as_posix())
        check_defaults(file)
        if "hydra" in file.values:
            line = file.at(file.line(("hydra",)))
            raise UserError(f"{line}: hydra: no folder, log or launcher of Hydra's is used here; remove it")
        self.files.append(file)
        found = dict(file.values)
        if "defaults" in found:
            found["defaults"] = plainly(found["defaults"], as_text=True)
        return ConfigResult(
            config=OmegaConf.create(found),
            path=str(path.parent),
            provider=self.provider,
            header={"package": file.header},
        )


# A command composes its configuration several times, of the same files.
_parsed = lru_cache(maxsize=256)(nodes_and_values)


def _read(path: Path, group: str) -> KeyFile:
    shown, text = show_path(path), read_text(path)
    header, line = package_header(text)
    # the other committed groups are named after the section that they hold
    of_all = group == "experiment" or (group != "." and not (config_folder() / group).is_dir())
    if of_all and header != GLOBAL:
        if header is None and not line:
            said = f"needs the line '{HEADER}' first, then 'key: value' lines of the whole configuration"
        elif header is None:
            said = f"'{HEADER}' must stand above everything else; move it to line 1"
        else:
            said = f"its package is '{header}', and must be '{GLOBAL}'; write '{HEADER}'"
        raise UserError(f"{shown}:{line or 1}: {said}")
    try:
        root, values = _parsed(text)
    except yaml.YAMLError as error:
        number, said = explain(error, text)
        raise UserError(f"{shown}:{number}: {said}") from None
    package = (header or group.replace("/", ".")).replace(GLOBAL, "").removeprefix(".")
    return KeyFile(shown, package, header, text, root, values)


class SearchedFolders(SearchPathPlugin):
    """The committed configs, and after them a folder ``configs/`` in the working directory, whatever its name."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra, for every search path of the process: one of a program that imports this is left alone."""
        committed = str(config_folder())
        ours = [one for one in search_path.get_path() if str(one.path).removeprefix("file://") == committed]
        if not ours:
            return
        for one in ours:
            one.path = f"{WrittenSource.scheme()}://{committed}"
        own = own_folder()
        if own.is_dir() and own.resolve() != config_folder():
            search_path.append("own", f"{WrittenSource.scheme()}://{own.resolve()}")


Plugins.instance().register(WrittenSource)
Plugins.instance().register(SearchedFolders)


def parts_of(key: str) -> list[str | int]:
    """``ladder.bands[0].step`` as names and places."""
    return [int(one[1:-1]) if one.startswith("[") else one for one in re.findall(r"[^.\[\]]+|\[\d+\]", key)]


def place_of(key: str, files: Sequence[KeyFile], overridden: Sequence[str]) -> str:
    """``FILE:LINE: `` of the user's file that gave ``key`` its value; empty where an override or no such file did."""
    for one in overridden:
        if f"{key}.".startswith(f"{one}.") or f"{one}.".startswith(f"{key}.") or key.startswith(f"{one}["):
            return ""
    for file in reversed(files):
        path = parts_of(key)
        package = file.package.split(".") if file.package else []
        if Path(file.path).is_absolute() or path[: len(package)] != package:
            continue  # a committed file is not the user's to mend
        if file.has(path[len(package) :]):
            return f"{file.at(file.line(path[len(package) :]))}: "
    return ""
