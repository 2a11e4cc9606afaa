"""One message, handed to the user's program and to services; whatever they do, it is a warning at most."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.errors import UserError
from harness.notify.config import URLS, NotifyConfig

BY_APPRISE = "harness.notify.by_apprise"


@dataclass(frozen=True)
class Message:
    """What is told: ``status`` is ``finished``, ``incomplete`` or ``failed``."""

    name: str
    command: str
    status: str
    text: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program finds in its environment; a zero byte could not stand there."""
        values = {
            "ISOFLOP_NAME": self.name,
            "ISOFLOP_COMMAND": self.command,
            "ISOFLOP_STATUS": self.status,
            "ISOFLOP_MESSAGE": self.text,
        }
        return {name: value.replace("\0", "") for name, value in values.items()}


def send(message: Message, config: NotifyConfig) -> list[str]:
    """Tell everybody; returns a sentence about each that was not told. Never raises but for an interrupt."""
    problems = []
    try:
        plain = {name: value for name, value in os.environ.items() if name != URLS}
        if words := config.words:
            words[0] = os.path.expanduser(words[0])
            said = _run(words, {**plain, **message.environment}, message.text, config.seconds)
            problems += [f"notify.command: {said} (it was run without showing its output)"] if said else []
        if addresses := config.addresses():
            # in a process of its own, whose time is limited and whose output, which may have passwords, nobody sees
            environment = {**plain, **message.environment, URLS: " ".join(addresses)}
            said = _run([sys.executable, "-m", BY_APPRISE], environment, message.text, config.seconds)
            problems += [f"notify.urls: not all of {len(addresses)} were told: {said}"] if said else []
    except (OSError, ValueError, UserError) as error:
        problems.append(f"notify: {type(error).__name__}")
    return problems


def _run(words: Sequence[str], environment: Mapping[str, str], text: str, seconds: float) -> str:
    """Run a program on ``text``; returns what went wrong, empty where nothing did. Its output is thrown away."""
    try:
        process = subprocess.Popen(
            words,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # what it has started goes with it
        )
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "cannot be started"
    try:
        process.communicate(f"{text}\n".encode("utf-8", "replace"), timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:g} s (notify.seconds) and ended"
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"exit status {process.returncode}" if process.returncode else ""
