"""Where a message goes when a command has ended."""

import os
import re
import shlex
import shutil
from dataclasses import dataclass, field
from importlib.util import find_spec

from harness.bounds import bounded, check_bounds
from harness.errors import UserError

URLS = "ISOFLOP_NOTIFY_URLS"
"""The environment variable with addresses of services, separated by blanks."""
_URL = re.compile(r"\b([a-zA-Z][\w+.-]*:/+)\S+")


@dataclass
class NotifyConfig:
    """Who is told when ``sweep``, ``reproduce``, ``validate``, ``tune`` or ``compare`` has ended, well or not.

    Attributes:
        command: a program with its arguments, in words as a shell has them, but no shell runs it: the message is its
            input, and its environment has ISOFLOP_NAME, ISOFLOP_COMMAND, ISOFLOP_STATUS (``finished``, ``incomplete``
            or ``failed``) and ISOFLOP_MESSAGE. It stands in ``config.yaml``: keep passwords in a file that it reads.
        urls: addresses of services as Apprise has them (``pip install apprise``), beside those in the environment
            variable ISOFLOP_NOTIFY_URLS. They hold passwords, so they are never written into a sweep's folder; jobs of
            a cluster find them in the variable only.
        seconds: what each of them may take.
        send: whether anybody is told; not of the arms of a comparison, which tells by itself.
    """

    command: str = ""
    urls: list[str] = field(default_factory=list, repr=False)
    seconds: float = bounded(30.0, 1, 600)
    send: bool = True

    def __post_init__(self) -> None:
        check_bounds(self, "notify")

    @property
    def words(self) -> list[str]:
        """The program and its arguments; none where there is no program.

        Raises:
            UserError: a quote is not closed.
        """
        try:
            return shlex.split(self.command)
        except ValueError as error:
            raise UserError(f"notify.command: {str(error).lower()}; close it") from None

    def addresses(self) -> list[str]:
        """Those of the key and of the environment."""
        return list(dict.fromkeys((*self.urls, *os.environ.get(URLS, "").split())))

    def check(self, here: bool) -> None:
        """Refuse what could tell nobody, before anything is trained.

        Args:
            here: whether runs execute in this process's own surroundings, and not in jobs of a cluster.

        Raises:
            UserError: no such program, no Apprise, or an address that it does not know; passwords are not named.
        """
        if not self.send:
            return
        words = self.words
        if words and shutil.which(os.path.expanduser(words[0])) is None:
            raise UserError(
                f"notify.command: {words[0]}: no such program; give its path, or make it executable"
            )
        if self.urls and not here:
            raise UserError(
                f"notify.urls: jobs of a cluster would have to read them from a file; set {URLS} in the environment, "
                "which they inherit, instead"
            )
        addresses = self.addresses()
        if addresses and find_spec("apprise") is None:
            raise UserError(
                "notify.urls: needs Apprise: pip install 'isoflop[notify]', or pip install apprise"
            )
        if addresses:
            _check_addresses(addresses)


def hide_addresses(text: str, given: bool = False) -> str:
    """``text`` without what follows ``scheme://``, where it is about :class:`NotifyConfig` or such were ``given``."""
    return _URL.sub(r"\1…", text) if given or "notify" in text else text


def _check_addresses(addresses: list[str]) -> None:
    import logging

    import apprise  # only where it is used

    logging.getLogger("apprise").disabled = True  # it prints what it refuses
    for number, one in enumerate(addresses, start=1):
        if apprise.Apprise.instantiate(one, suppress_exceptions=True) is None:
            raise UserError(
                f"notify.urls: number {number} of {len(addresses)} (with those of {URLS}) is no address that Apprise "
                "knows; see its list of services"
            )
