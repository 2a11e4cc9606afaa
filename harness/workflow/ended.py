"""The message when a command has ended: how many runs, what the fit says, how long it took."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from harness import interrupts
from harness.config.schema import Config
from harness.errors import UserError
from harness.fit import load_fit
from harness.fit.status import is_good, plain
from harness.launch.launcher import Outcome
from harness.notify.config import hide_addresses
from harness.notify.message import Message, send
from harness.report.text import approach_label
from harness.report.verdict import decider
from harness.runs.files import SweepFolder
from harness.runs.frozen import frozen_plan
from harness.runs.record import DIVERGED, FAILED, FINISHED, read_record
from harness.text import count, counted, duration, visible
from harness.workflow.arms import arm_folders
from harness.workflow.rules import sweep_folder

INCOMPLETE = "incomplete"
DOUBTED = {"disagree": "the approaches disagree", "unclear": "whether the approaches agree is unclear"}
MOST = 200  # characters of an error in a message


def told(command: str, config: Config, call: Callable[[], Outcome], began: float | None = None) -> Outcome:
    """Do ``call``, and tell whoever wants to know how it ended; not where it goes on in a queue, or was stopped.

    Nothing that happens to the message changes what is returned or raised.

    Args:
        began: when the command was begun, seconds since 1970, where that was not now.
    """
    began = time.time() if began is None else began
    made = _fit_time(config)
    try:
        outcome = call()
    except SystemExit as ended:
        _tell(command, config, FINISHED if not ended.code else FAILED, "", began, made)
        raise
    except Exception as error:
        if not interrupts.asked():
            _tell(command, config, FAILED, visible(str(error) or type(error).__name__), began, made)
        raise
    if outcome is not Outcome.QUEUED:
        status = FINISHED if outcome is Outcome.DONE else INCOMPLETE
        _tell(command, config, status, "", began, made)
    return outcome


def _tell(command: str, config: Config, status: str, error: str, began: float, made: float) -> None:
    notify = config.notify
    if not notify.send or not (notify.command or notify.addresses()):
        return
    try:
        text = summary(command, config, status, error, time.time() - began, _fit_time(config) > made)
        problems = send(Message(config.name, command, status, text), notify)
    except Exception as failed:  # a message must not be what fails
        problems = [f"notify: no message was sent ({type(failed).__name__})"]
    for problem in problems:
        print(f"isoflop: warning: {visible(hide_addresses(problem))}", file=sys.stderr)


def summary(command: str, config: Config, status: str, error: str, seconds: float, fitted: bool) -> str:
    """``demo: reproduce finished in 3 min; 30 of 30 runs finished; N* = 85.4k at C = 1e+12 (approach 3: ok)``.

    Args:
        error: why it failed; empty where nothing is known.
        fitted: whether the command made a fit.
    """
    parts = [f"{config.name or command}: {command} {status} after {duration(seconds)}"]
    if error:
        parts[0] += f": {hide_addresses(error, given=True)[:MOST]}"
    parts += [line for line in (_runs(_folders(command, config)), _optimum(config) if fitted else "") if line]
    return "; ".join(parts)


def _folders(command: str, config: Config) -> list[SweepFolder]:
    if not config.name or config.points or config.fits:
        return []
    own = sweep_folder(config)
    arms = list(arm_folders(config).values()) if command == "compare" else []
    return [own.tuned_in] if command == "tune" else arms or [own]


def _runs(folders: Sequence[SweepFolder]) -> str:
    """How many runs of the plans have ended, and how."""
    found: Counter[str] = Counter()
    for folder in folders:
        try:
            cells = frozen_plan(folder).cells
        except (UserError, OSError):
            continue
        for cell in cells:
            record = read_record(folder.cell(cell.run_id).record, cell.run_id)
            found[record.status if record else "without a record"] += 1
    total = sum(found.values())
    if not total:
        return ""
    others = [f"{found[kind]} {kind}" for kind in (DIVERGED, FAILED, "without a record") if found[kind]]
    return ", ".join((f"{found[FINISHED]} of {counted(total, 'run')} finished", *others))


def _fit_time(config: Config) -> float:
    """When the fit of the sweep was written; 0 where there is none."""
    folder = _fit_folder(config)
    try:
        return folder.fit.stat().st_mtime if folder else 0.0
    except OSError:
        return 0.0


def _fit_folder(config: Config) -> SweepFolder | None:
    """Where ``reproduce`` writes its fit; None where nothing says so."""
    if config.points and config.out:
        return SweepFolder(Path(config.out))
    return sweep_folder(config) if config.name else None


def _optimum(config: Config) -> str:
    """N* at the largest compute that was run, by the approach that report and ``predict`` lead with, and its doubts."""
    folder = _fit_folder(config)
    try:
        fit = load_fit(folder.fit) if folder else None
    except (UserError, OSError):
        return ""
    if fit is None:
        return ""
    at = f"at C = {fit.largest_flops:.3g}"
    name = decider(fit)
    prediction = fit.predict(fit.largest_flops)[name] if name else None
    if prediction is None or prediction.params is None:
        return f"no N* {at}: the runs do not determine an optimum"
    doubts = [plain(flag) for flag in prediction.flags if not is_good(flag)]
    doubts += [DOUBTED[fit.agreement.status]] if fit.agreement.status in DOUBTED else []
    said = ", ".join(dict.fromkeys(doubts)) or "ok"
    return f"N* = {count(prediction.params)} {at} ({approach_label(prediction.approach).lower()}: {said})"
