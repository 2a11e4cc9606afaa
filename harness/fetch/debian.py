"""Debian packages as a source of text, fetched by apt into a folder of one's own: no root, nothing installed."""

import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.errors import UserError
from harness.text import counted

POLL_SECONDS = 0.25  # between two looks at how much has come


def fetch(
    packages: list[str],
    components: list[str],
    folder: Path,
    report: Callable[[str, str], None] = lambda what, far: None,
) -> list[Path]:
    """Download ``packages`` into ``folder`` and return their files; those already there are not fetched again.

    apt works on lists and a cache below ``folder``, from the archives that the system itself uses, to which
    ``components`` are added (``non-free`` where a licence asks for it): the system's sources stay as they are.
    ``NAME-*`` stands for the version of NAME that the archives hold to be theirs.

    Args:
        report: is told what is done, and how much has come.

    Raises:
        UserError: there is no apt, no archive, no such package, no network, or no space.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise UserError(
            "fetch: needs apt-get and dpkg-deb (Debian, Ubuntu …); elsewhere unpack the package by hand, and name the "
            "folder with --source"
        )
    report("reading the archives' lists", "")
    folder = folder.resolve()  # apt takes relative paths to be below folders of its own
    state = folder / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    sources = state / "sources.list"
    sources.write_text(_sources(_run(["apt-get", "indextargets", *_TARGETS]), components))
    private = _private(state, sources)
    _run(["apt-get", "-q", *private, "update"])
    names = [_version_of(name[:-2], private) if name.endswith("-*") else name for name in packages]
    _run(
        ["apt-get", "-q", *private, "download", *names],
        folder,
        lambda: report(f"fetching {counted(len(names), 'package')}", f"{_size(folder) / 1e6:,.1f} MB"),
    )
    return [max(folder.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime) for name in names]


def _version_of(name: str, private: list[str]) -> str:
    """The package ``name``-VERSION that the package ``name`` depends on; where nothing does, the newest there is."""
    numbered = re.compile(rf"{re.escape(name)}-(\d+(?:\.\d+)*)")
    for command in (["depends", name], ["pkgnames", f"{name}-"]):
        try:
            words = _run(["apt-cache", *private, *command]).split()
        except UserError:  # no such package
            continue
        found = [match for word in words if (match := numbered.fullmatch(word))]
        if found:
            return max(found, key=lambda match: [int(part) for part in match[1].split(".")])[0]
    raise UserError(f"fetch: the archives that apt knows here have no package {name}-VERSION")


_TARGETS = ["--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]


def _sources(targets: str, components: list[str]) -> str:
    """A sources.list of the archives in ``targets`` (URI, release and component a line) that have ``main``."""
    lines = [line.split() for line in targets.splitlines()]
    found = dict.fromkeys((line[0], line[1]) for line in lines if len(line) == 3 and line[2] == "main")
    if not found:
        raise UserError("fetch: apt knows no archive with a component 'main'; run 'apt-get update' once")
    return "".join(f"deb {uri} {release} {' '.join(components)}\n" for uri, release in found)


def _private(state: Path, sources: Path) -> list[str]:
    """Options by which apt works below ``state`` on ``sources``."""
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": state / "lists",
        "Dir::Cache": state / "cache",
        "APT::Update::Error-Mode": "any",  # an archive that cannot be reached is an error, not a warning
        "APT::Sandbox::User": "root",  # as root, apt would else download as a user who may not write here
    }
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def _run(command: list[str], folder: Path | None = None, meanwhile: Callable[[], None] = lambda: None) -> str:
    """What ``command`` prints; ``meanwhile`` is called again and again until it ends.

    Raises:
        UserError: it failed, with the first error that it names, which is the cause of the others.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=errors, stdin=subprocess.DEVNULL)
        try:
            while True:
                meanwhile()
                try:
                    status = process.wait(POLL_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    continue
        except BaseException:
            process.kill()
            process.wait()
            raise
        printed, said = (_text(file) for file in (out, errors))
    if status:
        lines = (said or printed).strip().splitlines()
        named = [line[2:].strip() for line in lines if line.startswith("E:")]
        why = next(iter(named or lines[-1:]), f"exit status {status}")
        raise UserError(f"fetch: {command[0]}: {why}")
    return printed


def _text(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _size(folder: Path) -> int:
    """Bytes of the packages in ``folder``, and of what apt has of the next one."""
    sizes = []
    for path in (*folder.glob("*.deb"), *folder.glob("apt/cache/archives/**/*.deb")):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:  # it just got its name
            continue
    return sum(sizes)


@contextmanager
def members(package: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """The regular files of a .deb as (path, stream), in its own order, without unpacking it to disk."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
                yield files_of(archive)
        finally:
            process.kill()  # a reader that had enough, or was stopped, need not wait for the rest


def files_of(archive: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes]]]:
    """The regular files of an archive as (path, stream)."""
    for member in archive:
        stream = archive.extractfile(member) if member.isfile() else None
        if stream is not None:
            yield member.name, stream
