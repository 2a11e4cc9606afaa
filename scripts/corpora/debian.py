"""Debian packages as a source of text, fetched by apt into a folder of one's own: no root, nothing installed."""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


class FetchError(Exception):
    """Packages cannot be had here; says why in one line."""


def fetch(packages: list[str], components: list[str], folder: Path) -> list[Path]:
    """Download ``packages`` into ``folder`` and return their files; those already there are not fetched again.

    apt works on lists and a cache below ``folder``, from the archives that the system itself uses, to which
    ``components`` are added (``non-free`` where a licence asks for it): the system's sources stay as they are.
    ``NAME-*`` stands for the version of NAME that the archives hold to be theirs.

    Raises:
        FetchError: there is no apt, no archive, or no such package.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise FetchError(
            "needs apt-get and dpkg-deb (Debian, Ubuntu …); elsewhere unpack the package by hand and give --source"
        )
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(_sources(_run(["apt-get", "indextargets", *_TARGETS]), components))
    private = _private(state, sources)
    _run(["apt-get", "-q", *private, "update"])
    names = [_version_of(name[:-2], private) if name.endswith("-*") else name for name in packages]
    _run(["apt-get", "-q", *private, "download", *names], folder)
    return [max(folder.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime) for name in names]


def _version_of(name: str, private: list[str]) -> str:
    """The package ``name``-VERSION that the package ``name`` depends on; where nothing does, the newest there is."""
    numbered = re.compile(rf"{re.escape(name)}-(\d+(?:\.\d+)*)")
    for command in (["depends", name], ["pkgnames", f"{name}-"]):
        try:
            words = _run(["apt-cache", *private, *command]).split()
        except FetchError:  # no such package
            continue
        found = [match for word in words if (match := numbered.fullmatch(word))]
        if found:
            return max(found, key=lambda match: [int(part) for part in match[1].split(".")])[0]
    raise FetchError(f"the archives that apt knows here have no package {name}-VERSION")


_TARGETS = ["--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]


def _sources(targets: str, components: list[str]) -> str:
    """A sources.list of the archives in ``targets`` (URI, release and component a line) that have ``main``."""
    lines = [line.split() for line in targets.splitlines()]
    found = dict.fromkeys((line[0], line[1]) for line in lines if len(line) == 3 and line[2] == "main")
    if not found:
        raise FetchError("apt knows no archive with a component 'main'; run 'apt-get update' once")
    return "".join(f"deb {uri} {release} {' '.join(components)}\n" for uri, release in found)


def _private(state: Path, sources: Path) -> list[str]:
    """Options by which apt works below ``state`` on ``sources``."""
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Sandbox::User": "root",  # as root, apt would else download as a user who may not write here
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise FetchError(f"{command[0]}: {lines[-1] if lines else f'exit status {done.returncode}'}")
    return done.stdout


@contextmanager
def members(package: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """The regular files of a .deb as (path, stream), in its own order, without unpacking it to disk."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            yield files_of(archive)
        process.kill()  # a reader that had enough need not wait for the rest


def files_of(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of an archive as (path, stream)."""
    for member in archive:
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is not None:
            yield member.name, stream
