"""The ``isoflop`` command."""

import argparse
import errno
import importlib
import inspect
import io
import os
import sys
from collections.abc import Sequence
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
}

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
        self.exit(EXIT_USER_ERROR, f"isoflop: {visible(message)}; '{self.prog} --help' shows what there is\n")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser("isoflop", description=ABOUT, epilog=OVERRIDES, formatter_class=raw)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, text in COMMANDS.items():
        summary = text.partition("\n")[0].rstrip(":.,")
        command = commands.add_parser(
            name, help=summary, description=text, epilog=OVERRIDES, formatter_class=raw
        )
        first = "fit=runs/NAME" if name == "predict" else "experiment=NAME"
        command.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=f"{first}, key=value …")
        command.add_argument(
            "--config", action="store_true", help="print the composed configuration and stop"
        )
        if name == "predict":
            command.add_argument("--json", action="store_true", help="print the answer as JSON")
    return top


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exits with 2 on a user's error, 75 when a stopped run wants to be continued, 130 on Ctrl-C."""
    mine = arguments is None  # this process is the command
    if mine:
        interrupts.install()
    options = parser().parse_args(_renamed(sys.argv[1:] if arguments is None else list(arguments)))
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


def _renamed(arguments: list[str]) -> list[str]:
    """``arguments`` with a command of an earlier version by its name now, which is said."""
    if not arguments or arguments[0] not in RENAMED:
        return arguments
    now = RENAMED[arguments[0]]
    print(f"isoflop: '{arguments[0]}' is called '{now}' now", file=sys.stderr)
    return [now, *arguments[1:]]


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

    refuse_unread(options.command, options.overrides)
    config: Any
    if options.command == "predict":  # its questions are keys of their own root: fit=, budget=, params= …
        config, yaml = compose_config(options.overrides, ROOT, PredictConfig)
    else:
        config, yaml = compose_begun(options.command, options.overrides)
        if options.command in READ_TEXT and not options.config:
            config.check_path()
    if options.config:
        console.print(yaml, end="", highlight=False, markup=False, soft_wrap=True)
        return
    command = importlib.import_module(f"harness.commands.{options.command}")
    as_json = getattr(options, "json", False)
    command.run(Invocation(config, yaml, console, tuple(options.overrides), as_json=as_json))
