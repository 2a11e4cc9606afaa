"""The ``isoflop`` command."""

import argparse
import difflib
import errno
import importlib
import inspect
import io
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from rich.console import Console

from harness import interrupts
from harness.commands.texts import (
    ABOUT,
    COMMANDS,
    COMPLETION,
    FIRST_STEPS,
    OVERRIDES,
    PREDICT_OVERRIDES,
    RENAMED,
    SHELLS,
)
from harness.errors import EXIT_FAILED, EXIT_REQUEUE, EXIT_USER_ERROR, UserError
from harness.notify.config import hide_addresses
from harness.text import visible
from harness.train.job import PreemptedError

READ_TEXT = ("plan", "sweep", "train", "tune", "calibrate", "validate", "reproduce")  # compare: by its arms

NOTIFIES = ("sweep", "reproduce", "validate", "tune", "compare")  # tell whoever wants to know how they ended

# files and folders that are not what a user took them for
UNUSABLE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
)


class _Version(argparse.Action):
    """``--version``: looked up only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from harness.version import summary

        print(summary())
        parser.exit()


class _Parser(argparse.ArgumentParser):
    """A command's grammar; what ``predict`` can be asked is looked up only for its help."""

    def format_help(self) -> str:
        if self.prog.endswith(" predict"):
            from harness.config.predict import PredictConfig

            doc = inspect.getdoc(PredictConfig) or ""
            self.epilog = PREDICT_OVERRIDES.format(keys=doc.partition("Attributes:\n")[2].replace("`", ""))
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """One line, as every mistake of a user's; argparse would print its usage first."""
        if found := re.match(r"argument COMMAND: invalid choice: '(.*)' \(", message, re.DOTALL):
            close = difflib.get_close_matches(found[1], COMMANDS, n=1)
            message = f"there is no command '{found[1]}'" + (f"; did you mean '{close[0]}'?" if close else "")
        self.exit(EXIT_USER_ERROR, f"isoflop: {visible(message)}; '{self.prog} --help' shows what there is\n")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser("isoflop", description=ABOUT, epilog=OVERRIDES, formatter_class=raw)
    top.add_argument(
        *("-V", "--version"),
        action=_Version,
        nargs=0,
        help="show the versions of isoflop, Python and torch, and exit",
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, text in COMMANDS.items():
        summary = text.partition("\n")[0].rstrip(":.,")
        command = commands.add_parser(
            name, help=summary, description=text, epilog=OVERRIDES, formatter_class=raw
        )
        first = {"predict": "fit=runs/NAME", "fetch": "data=NAME"}.get(name, "experiment=NAME")
        overrides = command.add_argument(
            "overrides", nargs="*", metavar="OVERRIDE", help=f"{first}, key=value …"
        )
        overrides.completer = partial(_complete, name)  # type: ignore[attr-defined]
        command.add_argument(
            "--config", action="store_true", help="print the composed configuration and stop"
        )
        if name in ("predict", "next"):
            command.add_argument("--json", action="store_true", help="print the answer as JSON")
        if name == "fetch":
            command.usage = "isoflop fetch data=NAME [path=FOLDER] [--keep] [--source FILE ...]"
            command.add_argument(
                *("--source",), nargs="+", metavar="FILE", help="packages or folders that are here already"
            )
            command.add_argument("--keep", action="store_true", help="keep the packages (FOLDER/packages)")
    completion = commands.add_parser(
        "completion",
        help=COMPLETION.partition("\n")[0].rstrip("."),
        description=COMPLETION,
        formatter_class=raw,
    )
    completion.add_argument("shell", choices=SHELLS)
    return top


def _complete(command: str, prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """What argcomplete asks of an override."""
    from harness.completion.words import complete

    return complete(command, prefix, parsed_args.overrides or ())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 2 on a user's error, 75 when a stopped run wants to be continued, 130 on Ctrl-C."""
    mine = arguments is None  # this process is the command
    if mine:
        interrupts.install()
    grammar = parser()
    if mine and "_ARGCOMPLETE" in os.environ:  # a shell asks, and this process ends
        import argcomplete

        argcomplete.autocomplete(grammar, always_complete_options=False)
    options = grammar.parse_args(_asked(sys.argv[1:] if arguments is None else list(arguments)))
    if options.command == "completion":
        import argcomplete

        print(argcomplete.shellcode(["isoflop"], shell=options.shell))
        return
    for stream in (sys.stdout, sys.stderr):
        # a sign that the terminal lacks is no reason to stop
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # tables need their width, and names may have brackets; a narrower terminal wraps lines rather than losing digits
    console = Console(width=max(132, Console().width), markup=False)
    given = any("notify" in one for one in options.overrides)
    try:
        with interrupts.as_such(mine):
            _refuse_lost_letters(options.overrides)
            _run(options, console)
    except UserError as error:
        print(f"isoflop: {visible(hide_addresses(str(error), given))}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except PreemptedError as stopped:
        print(f"isoflop: {stopped}", file=sys.stderr)
        sys.exit(EXIT_REQUEUE)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            print(
                f"isoflop: the disk is full ({error}); what is finished is kept: free space and run it again",
                file=sys.stderr,
            )
            sys.exit(EXIT_FAILED)
        if error.errno not in UNUSABLE or error.filename is None:
            raise
        print(f"isoflop: {visible(str(error.filename))}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except KeyboardInterrupt:
        interrupts.end(options.command)


def _asked(arguments: list[str]) -> list[str]:
    """``arguments`` as the grammar knows them; a command of an earlier version by its name now, which is said."""
    if not arguments:
        print(_overview(), file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)  # nothing was done
    if arguments[0] == "help":
        return [*arguments[1:2], "--help"]
    if arguments[0] not in RENAMED:
        return arguments
    now = RENAMED[arguments[0]]
    print(f"isoflop: '{arguments[0]}' is called '{now}' now", file=sys.stderr)
    return [now, *arguments[1:]]


def _overview() -> str:
    """What there is, where nothing was asked."""
    commands = "\n".join(
        f"  {name:<12}{text.partition(chr(10))[0]}"
        for name, text in {**COMMANDS, "completion": COMPLETION}.items()
    )
    return f"{ABOUT}\n\n{commands}\n\n{FIRST_STEPS}"


def _refuse_lost_letters(overrides: Sequence[str]) -> None:
    """Names that Python could not read as text can be written into no file of a sweep.

    Raises:
        UserError: the working directory, or an override, is one.
    """
    try:
        here = os.getcwd()
    except OSError as error:
        raise UserError(f"the working directory is gone ({error.strerror}); change to another") from None
    for name in (here, *overrides):
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            try:
                shown = os.fsencode(name).decode("utf-8", "backslashreplace")
            except UnicodeEncodeError:
                shown = ascii(name)[1:-1]
            read = sys.getfilesystemencoding()
            how = "rename it" if read == "utf-8" else f"this shell's encoding is {read}: set PYTHONUTF8=1"
            raise UserError(f"'{shown}' cannot be read as text; {how}") from None


def _run(options: argparse.Namespace, console: Console) -> None:
    # Hydra, and what a command needs, are not imported for --help
    from harness.commands.invocation import Invocation
    from harness.config.begun import compose_begun
    from harness.config.compose import compose_config
    from harness.config.overrides import refuse_unread
    from harness.config.predict import ROOT, PredictConfig

    sources = getattr(options, "source", None) or []
    swallowed = [one for one in sources if re.match(r"\w+=", one) and not os.path.exists(one)]
    overrides = [*options.overrides, *swallowed]  # what stands after --source is taken for files
    refuse_unread(options.command, overrides)
    config: Any
    if options.command == "predict":  # its questions are keys of their own root: fit=, budget=, params= …
        config, yaml = compose_config(overrides, ROOT, PredictConfig)
    else:
        config, yaml = compose_begun(options.command, overrides)
        if options.command in READ_TEXT and not options.config:
            config.check_path()
    if options.config:
        console.print(yaml, end="", highlight=False, markup=False, soft_wrap=True)
        return
    command = importlib.import_module(f"harness.commands.{options.command}")
    asked = Invocation(
        config,
        yaml,
        console,
        tuple(overrides),
        as_json=getattr(options, "json", False),
        sources=tuple(one for one in sources if one not in swallowed),
        keep=getattr(options, "keep", False),
    )
    if options.command not in NOTIFIES:
        command.run(asked)
        return
    from harness.workflow.ended import told

    config.notify.check(config.launcher.here)
    told(options.command, config, lambda: command.run(asked))
