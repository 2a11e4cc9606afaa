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
from harness.errors import EXIT_FAILED, EXIT_REQUEUE, EXIT_USER_ERROR, UserError
from harness.text import visible
from harness.train.job import PreemptedError

COMMANDS = {
    "plan": """The grid of an experiment with the size, tokens, steps and estimated time of every cell; trains nothing.
Tokenises the corpus if that was not done before, and writes plan.json.

  isoflop plan experiment=demo
  isoflop plan experiment=demo grid.budgets=[1e11,2e11] grid.sizes=5
  isoflop plan experiment=demo data=text path=books/""",
    "sweep": """Train the cells of an experiment that are not finished, several at once, long ones first.
Ctrl-C, SIGTERM and kill -9 lose no finished cell; the same command goes on where it stopped.
With launcher=slurm it submits one job array and returns at once. A dependent job continues as 'reproduce' when the
array has ended: it submits the follow-ups with another such job, or fits and reports. What failed is not submitted
again until the same command is given by hand.

  isoflop sweep experiment=demo
  isoflop sweep experiment=demo launcher.workers=1 tracker=none
  isoflop sweep experiment=demo launcher=slurm launcher.partition=gpu launcher.gres=gpu:1""",
    "train": """Train one cell of the plan in this process, or continue it from its checkpoint.
SIGTERM and SIGUSR1 write a checkpoint and exit with status 75: run it again to continue.
RUN_ID is an id of the table that 'isoflop plan' prints, or the beginning of one.

  isoflop train experiment=demo run=RUN_ID
  torchrun --nproc_per_node 2 -m harness train experiment=demo run=RUN_ID""",
    "tune": """Tune the recipe on a small grid of peak learning rate × batch at a few sizes.
Trains it into runs/NAME-tune, fits the response surfaces and the rules through their minima, draws them, and writes the
tuned recipe (write=MINE puts it into configs/recipe/MINE.yaml, for recipe=MINE). Resumable; nothing finished is
repeated. With launcher=slurm it returns at once, and the dependent job writes the recipe; see
'isoflop status name=NAME-tune'.

  isoflop tune experiment=demo tune=demo write=mine
  isoflop tune experiment=demo tune.params=[1e4,3e4] tune.rates=[0.25,0.5,1,2] tune.batches=[1]""",
    "calibrate": """Time this device on an experiment's models, alone and side by side, by seconds of real training.
Writes configs/throughput/NAME.yaml here (write=NAME; otherwise the device's name), for throughput=NAME: time
estimates, and how many runs share a GPU. Resumable; keeps no run.

  isoflop calibrate experiment=one_gpu
  isoflop calibrate experiment=demo write=mine calibrate.seconds=1 calibrate.sizes=3""",
    "status": """Every cell: finished, running and by whom, queued, requeued, failed and why, or pending.
Follow-ups are among them, and those that may come are counted; also the jobs that depend on others. The overrides that
the sweep was begun with need not be given again: its folder knows them. An experiment with arms shows every arm
('compare'); a tuning is a sweep of its own, NAME-tune.

  isoflop status experiment=demo
  isoflop status experiment=kaplan
  isoflop status name=demo-tune""",
    "cancel": """Cancel the jobs that this sweep submitted, and no other; finished cells are kept.
Of an experiment with arms, those of every arm; of a tuning, by its name.

  isoflop cancel experiment=demo
  isoflop cancel experiment=kaplan
  isoflop cancel name=demo-tune""",
    "fit": """Fit the compute-optimal frontier to the finished runs, or to any table of runs.
The table has the columns params, tokens, flops, loss; fit.json and draws.npz are written. With source=wandb the runs
are read back from a W&B project (group: the sweep's name), or without project= from W&B's files on disk: those below
path=, else the experiment's. Table, fit and draws then go to out=, by default runs/GROUP-wandb.

  isoflop fit experiment=demo
  isoflop fit points=table.csv out=somewhere
  isoflop fit source=wandb project=ENTITY/PROJECT group=demo
  isoflop fit source=wandb path=runs/demo/wandb
  isoflop fit experiment=demo analysis.draws=4000 analysis.count=params_non_embedding""",
    "report": """Figures, tables and report.html from the finished runs and the fit.

  isoflop report experiment=demo""",
    "predict": """What to train by a fit: N*, D* and loss at a budget, with intervals, and what moves the answer.
That is serving, money, data that runs out, a given model to assess. --json prints the answer for programs.

  isoflop predict fit=runs/demo/fit.json budget=1e13
  isoflop predict fit=hoffmann2022 budget=1e21 inference_tokens=1e12
  isoflop predict fit=hoffmann2022 params=70e9 tokens=1.4e12
  isoflop predict fit=hoffmann2022 gpu_hours=10000 device=h100 mfu=0.4""",
    "compare": """Train and fit one experiment in several arms, and say whether their frontiers differ.
Arms differ in a few overrides; each is a sweep, runs/NAME-ARM. Their frontiers are set side by side, and it is said
whether they differ beyond their intervals.
Resumable; nothing finished is repeated. With launcher=slurm every arm is a job array, followed by its
follow-ups, and one more job compares when all of them have ended.

  isoflop compare experiment=kaplan
  isoflop compare experiment=domains "arms.prose=['data=text','path=books/']\"""",
    "validate": """Train a predicted optimum and larger and smaller models at the same compute.
The budget is larger than any of the fit: held-out validation of its prediction. The prediction is written and hashed
before anything is trained; then measured loss is compared with predicted loss, and the sizes with each other.
Resumable; a prediction that was altered, or would be another now, is refused. With launcher=slurm it is registered
before it is submitted, and the dependent job compares.

  isoflop validate experiment=demo name=larger validate.fit=runs/demo validate.budget=1.5e12
  isoflop reproduce experiment=cpu_hour
  isoflop validate experiment=validate""",
    "reproduce": """All of it: plan, sweep, fit, report; each stage does only what is missing.
With launcher=slurm it submits and returns at once; the dependent jobs do the later stages.

  isoflop reproduce experiment=demo
  isoflop reproduce experiment=chinchilla points=table.csv""",
    "fetch": """Fetch a large corpus from the packages of Debian or Ubuntu, and clean it.
Choose data=linux, the C of the Linux kernel (a package of about 140 MB, the release's own: linux-source-6.1 on
Debian 12; another release is another text, with another fingerprint), or data=rfc, the RFC series, technical English
(about 480 MB of packages, doc-rfc-*, of the component non-free). Packages come by apt from the archives that this
system uses; nothing is installed, no file of the system changes, root is not needed. The text is one document a line of
JSON, in path=FOLDER/text or else where data=NAME looks for it. A second call finds it finished.

  isoflop fetch data=linux
  isoflop fetch data=rfc path=corpora/rfc --keep
  isoflop fetch data=linux --source linux-6.1/""",
}

COMPLETION = """Print the script by which a shell completes commands, options, keys and names at a TAB.

  eval "$(isoflop completion bash)"            in ~/.bashrc
  eval "$(isoflop completion zsh)"             in ~/.zshrc, after compinit
  isoflop completion fish | source             in ~/.config/fish/config.fish"""
SHELLS = ("bash", "zsh", "fish")

RENAMED = {"rematch": "validate"}
"""Commands of earlier versions by their names now: they work, and say so."""

ABOUT = (
    "How large a model on how many tokens? Plan a grid, train it, fit the compute-optimal frontier, report."
)

OVERRIDES = """Hydra overrides choose and change the configuration: 'group=option' picks a file of configs/ (experiment,
data, tokenizer, model, ladder, recipe, schedule, tune, throughput, tracker, launcher), 'key=value' sets one value.
--config prints the composed configuration and does nothing else. A folder configs/ in the working
directory is searched too."""

PREDICT_OVERRIDES = """'key=value' sets one of these keys:

{keys}

'group=option' picks a file of configs/ for law, device, ladder, model, recipe or schedule.
--config prints the composed configuration and does nothing else."""

READ_TEXT = ("plan", "sweep", "train", "tune", "calibrate", "validate", "reproduce")  # compare: by its arms

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
        if name == "predict":
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
    try:
        with interrupts.as_such(mine):
            _refuse_lost_letters(options.overrides)
            _run(options, console)
    except UserError as error:
        print(f"isoflop: {visible(str(error))}", file=sys.stderr)
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
    more = "To begin with: isoflop plan experiment=demo\nMore: isoflop --help, isoflop COMMAND --help"
    return f"{ABOUT}\n\n{commands}\n\n{more}"


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
    command.run(
        Invocation(
            config,
            yaml,
            console,
            tuple(overrides),
            as_json=getattr(options, "json", False),
            sources=tuple(one for one in sources if one not in swallowed),
            keep=getattr(options, "keep", False),
        )
    )
