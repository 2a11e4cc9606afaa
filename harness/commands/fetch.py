"""``isoflop fetch``: a large corpus by apt, cleaned, to the place where ``data=NAME`` looks for it."""

import errno
import time
from pathlib import Path

from harness.commands.invocation import Invocation
from harness.config.schema import Config
from harness.data.cache import PLAIN_INTERVAL
from harness.data.config import DataConfig
from harness.data.prepare import to_stderr
from harness.errors import UserError
from harness.fetch.corpora import CORPORA, Report, fetch_corpus
from harness.fetch.write import TEXT
from harness.launch.launcher import Outcome
from harness.workflow.terminal import say

NOT_FETCHED = {
    "hf": "comes from the hub when it is first used ('isoflop plan data={name}')",
    "declared": "is stored elsewhere, and only its sizes are known here",
    "python_stdlib": "is read where Python is installed",
    "python_installed": "is read where Python is installed",
    "prepared": "is tokenised already",
    "text": "is your own text, read where it lies",
}
"""Why a corpus needs no fetching, by its kind."""


def run(asked: Invocation[Config]) -> Outcome:
    """Fetch and clean, or find it done; say what is there.

    Raises:
        UserError: there is nothing to fetch, or it cannot be had or kept here.
    """
    config, console = asked.config, asked.console
    name = config.data.name
    if name not in CORPORA or not config.data.fetch:
        raise UserError(_why_not(config.data))
    usual = Path(str(config.data.path)).expanduser()
    if usual.name != TEXT:
        raise UserError(f"data.path: the text goes to FOLDER/{TEXT}; choose the folder with path=FOLDER")
    folder = usual.parent if config.path is None else Path(str(config.path)).expanduser()
    sources = [Path(source).expanduser() for source in asked.sources]
    try:
        with console.status(f"{name} …") as status:
            own_line = console.is_terminal
            report = (lambda what, far: status.update(_line(what, far))) if own_line else _now_and_then()
            manifest = fetch_corpus(name, folder, sources, asked.keep, report)
    except OSError as error:
        if error.filename is not None and not Path(error.filename).is_relative_to(folder):
            raise  # a source that may not be read
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else error.strerror or str(error)
        raise UserError(
            f"{folder}: {name} cannot be kept there ({why}); name another folder with path="
        ) from None
    left_out = ", ".join(f"{number:,} {why}" for why, number in manifest["dropped"].items()) or "none"
    say(
        f"{folder / TEXT}: {manifest['documents']:,} documents, {manifest['bytes'] / 1e6:,.1f} MB, "
        f"fingerprint {manifest['fingerprint']}; left out: {left_out}",
        console,
    )
    say(f"use it: data={name}" + (f" data.path={folder / TEXT}" if folder != usual.parent else ""), console)
    return Outcome.DONE


def _why_not(data: DataConfig) -> str:
    there = " or ".join(f"data={name}" for name in CORPORA)
    if data.fetch:
        return f"data={data.name}: '{data.fetch}' fetches it; this command fetches {there}"
    why = NOT_FETCHED.get(data.kind, "is read where it lies").format(name=data.name)
    return f"data={data.name}: nothing to fetch, it {why}; {there} can be fetched"


def _now_and_then() -> Report:
    """Lines to stderr: what is new at once, how far it is a while after the last line."""
    due, last = 0.0, ""

    def report(what: str, far: str) -> None:
        nonlocal due, last
        if what != last or time.monotonic() >= due:
            due, last = time.monotonic() + PLAIN_INTERVAL, what
            to_stderr(_line(what, far))

    return report


def _line(what: str, far: str) -> str:
    return f"{what}, {far}" if far else f"{what} …"
