"""Evidence from one GPU: checks, speeds, packing and a real sweep, the most valuable first.

    python -m scripts.evidence --dry-run             # what it will do and cost
    python -m scripts.evidence --minutes 30          # stops within that; the same command goes on
    python -m scripts.evidence bench packing         # these stages alone
    python -m scripts.evidence data=text path=/texts data.max_epochs=2
    python -m scripts.evidence --toy                 # on a CPU: tests these scripts and nothing else
    python -m scripts.evidence --collect state.tar.gz                  # of a state that was carried here

What a stage printed and measured is kept in the state's folder; what has ended is not done again. At the end, and
whenever it is stopped (Ctrl-C), records, curves, fit, figures and evidence.md are put into results/one_gpu.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import write_json
from scripts.evidence.collect import CollectError, check, collect, read_json
from scripts.evidence.driver import GRACE_SECONDS, BusyError, Deadline, Driver, State
from scripts.evidence.machine import MachineError, commit, facts
from scripts.evidence.stages import GPU, NAME, TOY, Stage, corpus, plan, selected
from scripts.kept import EXIT_AGAIN

COLLECT_SECONDS = 60.0  # fit, figures and page


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 all is done, 1 something failed, 2 it could not begin, 75 the same command goes on."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="STAGE|OVERRIDE", help="default: every stage")
    parser.add_argument("--minutes", type=float, help="be over by then, stopping and collecting included")
    parser.add_argument("--state", type=Path, help="default: runs/gpu; of a toy, runs/gpu-toy")
    parser.add_argument("--out", type=Path, help=f"default: results/{NAME}; of a toy, runs/toy")
    parser.add_argument("--cache", default="~/.cache/isoflop", help="of token files, as cache_dir")
    parser.add_argument("--toy", action="store_true", help="all of it at toy size on a CPU")
    parser.add_argument("--dry-run", action="store_true", help="say what it would do")
    parser.add_argument(
        "--collect", type=Path, metavar="STATE", help="only fill --out from a folder or .tar.gz"
    )
    parser.add_argument("--no-collect", action="store_true", help="leave --out alone")
    options = parser.parse_intermixed_args(arguments)
    options.state = options.state or Path("runs", "gpu-toy" if options.toy else "gpu")
    options.out = options.out or (Path("runs", "toy") if options.toy else Path("results", NAME))
    try:
        if options.collect:
            collect(options.collect, options.out)
            return 0
        return _run(options)
    except (UserError, MachineError, BusyError, CollectError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return EXIT_AGAIN


def _run(options: argparse.Namespace) -> int:
    total = 60 * options.minutes if options.minutes else float("inf")
    reserve = min(GRACE_SECONDS + (0 if options.no_collect else COLLECT_SECONDS), total / 4)
    deadline = Deadline(total - reserve)
    overrides = [word for word in options.words if "=" in word]
    names = [word for word in options.words if "=" not in word]
    if not options.no_collect:
        check(options.out)
    scale, state = (TOY if options.toy else GPU), State(options.state.absolute())
    state.make()
    with state.held():
        here = facts()
        if not (options.toy or options.dry_run or here["devices"]):
            raise MachineError("no CUDA device here; --toy runs all of it at toy size on a CPU")
        setting, why = _setting(state, overrides, options, here)
        groups = selected(plan(state.path, options.cache, setting["overrides"], scale), names)
        _say_cost(groups, state, options, here, why, total)
        if options.dry_run:
            return 0
        setting["stages"] = list(
            dict.fromkeys([*setting["stages"], *(stage.name for group in groups for stage in group)])
        )
        write_json(state.path / "setting.json", setting)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, deadline.signalled)
        driver = Driver(state, deadline, lambda text: print(text, flush=True))
        driver.run(groups)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        stages = [stage for group in groups for stage in group]
        open_ = [stage.name for stage in stages if driver.is_open(stage)]
        failed = [stage.name for stage in stages if state.failed(stage.name).exists()]
        if not options.no_collect:
            print("== collecting; Ctrl-C leaves it out, --collect makes up for it", flush=True)
            collect(state.path, options.out)
    print(
        f"== {len(stages) - len(open_) - len(failed)} of {len(stages)} stages done"
        + (f"; failed: {', '.join(failed)}" if failed else "")
        + (f"; the same command goes on with {', '.join(open_)}" if open_ else ""),
        flush=True,
    )
    return EXIT_AGAIN if open_ else 1 if failed else 0


def _setting(
    state: State, overrides: Sequence[str], options: argparse.Namespace, here: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """What this state is of: chosen at the first start and kept, lest a sweep mixes texts; and why it is that."""
    setting, why = read_json(state.path / "setting.json"), ""
    if setting is None:
        experiment = (TOY if options.toy else GPU).experiment
        chosen, why = corpus(experiment, overrides, options.cache)
        setting = {"toy": options.toy, "given": list(overrides), "overrides": [*overrides, *chosen]}
        setting |= {"machines": [], "stages": []}
    if options.toy != setting["toy"] or (overrides and list(overrides) != setting["given"]):
        given = " ".join([*(["--toy"] if setting["toy"] else []), *setting["given"]]) or "no overrides"
        raise UserError(f"{state.path} was begun with {given}: name another folder with --state")
    machine = {**here, "commit": commit()}
    known = [{k: v for k, v in one.items() if k != "since"} for one in setting["machines"]]
    if machine not in known:
        setting["machines"].append({**machine, "since": datetime.now(UTC).isoformat(timespec="minutes")})
    return setting, why


def _say_cost(
    groups: Sequence[Sequence[Stage]],
    state: State,
    options: argparse.Namespace,
    here: dict[str, Any],
    why: str,
    total: float,
) -> None:
    memory = f", {here['memory_gib']} GiB" if here["memory_gib"] else ""
    print(f"{here['device']}{memory}\n")
    print("stage          minutes  what")
    least = most = 0.0
    for group in groups:
        left = [stage for stage in group if not state.done(stage.name).exists()]
        least += max((stage.minutes[0] for stage in left), default=0.0)
        most += max((stage.minutes[1] for stage in left), default=0.0)
        for stage in group:
            low, high = stage.minutes
            minutes = f"{low:g}–{high:g}" if stage in left else "done"
            beside = "" if stage is group[0] else " (beside the one above)"
            print(f"{stage.name:<14} {minutes:>7}  {stage.what}{beside}")
    print(
        f"\nIn all {least:g} to {most:g} minutes on one H100, in part by estimate; longer on a slower card."
    )
    if total < float("inf"):
        print(f"Over within {total / 60:g} minutes; the same command then goes on.")
    else:
        print("Ctrl-C stops it cleanly, --minutes 30 within that time; the same command goes on.")
    replaced = ", in place of what is there" if options.out.exists() else ""
    to = "" if options.no_collect else f", {options.out} (a few MB{replaced})"
    print(f"Writes {options.state} (tens of MB), token files in {options.cache} (1 GB at most){to}.")
    if why:
        print(f"Note: {why}.")
    if not find_spec("pytest"):
        print("Note: pytest is not here, so the checks and tests will fail: pip install -e '.[dev]'.")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
