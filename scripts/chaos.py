"""Chaos: a sweep that is killed, frozen and damaged until it is finished, and the proof that nothing came of it.

First the sweep runs undisturbed. Then, in another folder, two sweeps share the work while at random moments a worker,
a sweep or everything is killed (SIGKILL) or stopped (SIGTERM), and files of every kind that a sweep keeps lose a bit,
their end or all; whoever dies is started again. In a third a worker is frozen until its run was taken over, and woken;
a fourth is trained by a Slurm whose sbatch lies about what it did. In the end every table of runs must be the same
but for times, and every curve the same byte for byte. Prints how many of each fault were survived, and what records say
was lost on the way; the exit status is 0 only if all of that holds.

    python scripts/chaos.py [--kills 30] [--frozen 1] [--lies 12] [--seed 0] [--cells 12] [--folder DIR]
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts import lying_slurm
from scripts.faults import SWEEP, Chaos, start

PACKAGE = Path(__file__).resolve().parents[1] / "harness"
TIMES = ("seconds", "tokens_per_second", "mfu")
PATIENCE_SECONDS = 3600.0
LIES = ("timeout", "killed", "error", "twice", "lost", "early", "refused", "federation", "comment", "down")


def overrides(folder: Path, cells: int, *more: str) -> list[str]:
    """A grid of about ``cells`` small cells on a copy of this project's source."""
    return [
        "experiment=demo", "name=chaos", "data=text", f"path={folder.parent}/text", "tracker=none", "seq_len=32",
        "grid.budgets=[1e9,2e9]", f"grid.sizes={max(1, cells // 2)}", "grid.span=6", "grid.center_params=12000",
        "grid.center_budget=2e9", "grid.center_exponent=0", "recipe.batch_tokens.value=64", "recipe.min_steps=20",
        "data.eval_tokens=2048", "data.max_epochs=100", "train.device=cpu", "train.checkpoint_seconds=0.1",
        f"runs_dir={folder}/runs", f"cache_dir={folder}/cache", *more,
    ]  # fmt: skip


LOCAL = ("launcher.workers=2", "launcher.attempts=1000")
SLURM = ("launcher=slurm", "launcher.memory=1000M", "launcher.task_minutes=0.1")


def undisturbed(folder: Path, cells: int) -> None:
    """Sweep ``folder`` in peace."""
    folder.mkdir(parents=True)
    with (folder / "sweep.log").open("w") as log:
        if start(overrides(folder, cells, *LOCAL), log.fileno()).wait():
            raise SystemExit(f"chaos: the undisturbed sweep failed:\n{(folder / 'sweep.log').read_text()}")


def frozen(folder: Path, cells: int, number: int) -> Chaos:
    """Sweep ``folder``, where workers freeze and wake up once another has taken their run over."""
    folder.mkdir(parents=True)
    chaos = Chaos(overrides(folder, cells, *LOCAL), folder, random.Random(0))
    for _ in range(number):
        chaos.freeze()
        say(f"{chaos.done.total()} workers frozen and woken")
    to_its_end(chaos)
    return chaos


def disturbed(folder: Path, cells: int, kills: int, seed: int) -> Chaos:
    """Sweep ``folder`` under faults until every cell has its record."""
    folder.mkdir(parents=True)
    chaos = Chaos(overrides(folder, cells, *LOCAL), folder, random.Random(seed))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and chaos.ended() < kills:
        chaos.keep_running(2)
        if chaos.random.random() < 0.8:  # mostly while cells train; at times in the middle of a start
            wait_for_a_claim(chaos)
        time.sleep(chaos.random.expovariate(1.0))
        chaos.inject()
        say(f"{chaos.ended()} kills, {sum(chaos.done.values()) - chaos.ended()} files damaged")
        if finished(folder):
            break
    to_its_end(chaos)
    return chaos


def to_its_end(chaos: Chaos) -> None:
    """Leave the sweep alone until one ends well, and look once more: what was damaged last is seen then."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        chaos.keep_running(1)
        if chaos.sweeps[0].wait() == 0:
            for sweep in chaos.sweeps:
                sweep.wait()
            with (chaos.folder / "last.log").open("w") as log:
                if start(chaos.arguments, log.fileno()).wait() == 0:
                    return
    raise SystemExit(f"chaos: {chaos.folder} was not finished in time")


def lied_to(folder: Path, cells: int, lies: int, seed: int) -> Counter[str]:
    """Sweep ``folder`` by a Slurm that lies, and whose jobs die, until every cell has its record; the lies it told."""
    folder.mkdir(parents=True)
    chance, told = random.Random(seed), Counter[str]()
    slurm = folder / "slurm"
    programs = lying_slurm.install(slurm, run=True)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "harness", "sweep", *overrides(folder, cells, *SLURM)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    with (folder / "sweep.log").open("w") as log:
        while not finished(folder):
            if time.monotonic() > deadline:
                raise SystemExit(f"chaos: Slurm did not finish in time; see {folder / 'sweep.log'}")
            if told.total() < lies:
                end_jobs(slurm)
                lie = chance.choice(LIES)
                lying_slurm.lie(slurm, lie)
                told[f"{'squeue' if lie == 'down' else 'sbatch'}: {lie}"] += 1
            # one of the lies kills who is told it, in a process group of its own
            subprocess.run(
                command, env=environment, stdout=log, stderr=log, check=False, start_new_session=True
            )
            say(f"{told.total()} lies")
            time.sleep(chance.expovariate(1 / 3))
    end_jobs(slurm)
    return told


def end_jobs(slurm: Path) -> None:
    """Kill all that runs in the Slurm of this folder, and have it say so."""
    for process in psutil.process_iter(["cmdline"]):
        if str(slurm) in (process.info["cmdline"] or ()) and "run" in process.info["cmdline"]:
            for one in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()

    def cancel(state: dict[str, Any]) -> None:
        for job in state["jobs"].values():
            job["tasks"] = {
                task: "CANCELLED" if one in ("PENDING", "RUNNING") else one
                for task, one in job["tasks"].items()
            }

    lying_slurm.change(slurm, cancel)


def finished(folder: Path) -> bool:
    """Whether every cell of the plan has its record."""
    try:
        plan = json.loads((folder / SWEEP / "plan.json").read_text())
        return all(
            (folder / SWEEP / "cells" / cell["run_id"] / "record.json").is_file() for cell in plan["cells"]
        )
    except (OSError, ValueError, TypeError, KeyError):
        return False


def wait_for_a_claim(chaos: Chaos) -> None:
    """Until a cell is claimed and trains, or 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not list(chaos.folder.glob(f"{SWEEP}/cells/*/claim*.json")):
        chaos.keep_running(2)
        time.sleep(0.05)


def table(folder: Path) -> list[dict[str, str]]:
    """``runs.csv`` without times."""
    with (folder / SWEEP / "runs.csv").open() as file:
        return [
            {key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)
        ]


def curves(folder: Path) -> dict[str, bytes]:
    """Every curve."""
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob(f"{SWEEP}/cells/*/curve.csv"))}


def notes(folder: Path) -> Counter[str]:
    """What the records say was lost."""
    records = [json.loads(path.read_text()) for path in folder.glob(f"*/{SWEEP}/cells/*/record.json")]
    return Counter(re.sub("[0-9]+", "N", note) for record in records for note in record["notes"])


def compare(calm: Path, wild: Path) -> list[str]:
    """What differs."""
    problems = []
    if table(calm) != table(wild):
        problems.append(f"DIFFERENT: runs.csv of {wild.name}")
    problems += [
        f"DIFFERENT: curve of {run} of {wild.name}"
        for run, rows in curves(calm).items()
        if curves(wild).get(run) != rows
    ]
    return problems


def say(text: str) -> None:
    """How far it is."""
    print(text, end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


def main() -> None:
    """Undisturbed, disturbed, lied to, compared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, help="stop after so many")
    parser.add_argument("--frozen", type=int, default=1, help="workers to freeze, two minutes each")
    parser.add_argument("--lies", type=int, default=12, help="of sbatch and squeue; 0 leaves Slurm out")
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; kept. A temporary folder otherwise")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory(prefix="isoflop-chaos-") as temporary:
        sys.exit(run(options, (options.folder or Path(temporary)).absolute()))


def run(options: argparse.Namespace, folder: Path) -> int:
    """All of it in ``folder``; 0 where nothing came of it."""
    say("undisturbed …")
    shutil.copytree(PACKAGE, folder / "text", ignore=lambda *_: ["__pycache__"])  # someone may work on it
    calm = folder / "undisturbed"
    undisturbed(calm, options.cells)
    began = time.monotonic()
    told = Counter[str]()
    chaos = disturbed(folder / "disturbed", options.cells, options.kills, options.seed)
    problems = compare(calm, chaos.folder)
    if options.frozen:
        told += frozen(folder / "frozen", options.cells, options.frozen).done
        problems += compare(calm, folder / "frozen")
    if options.lies:
        told += lied_to(folder / "lied_to", options.cells, options.lies, options.seed)
        problems += compare(calm, folder / "lied_to")
    print(f"\n{len(table(calm))} cells, {chaos.starts} sweeps started, {time.monotonic() - began:.0f} s\n")
    print("| fault | survived |\n|---|---|")
    for fault, number in [*chaos.done.most_common(), *told.most_common()]:
        print(f"| {fault} | {number} |")
    lost = ", ".join(f"{number} × {note}" for note, number in notes(folder).most_common())
    print(f"\nnotes in the records: {lost or 'none'}")
    print("\n".join(problems) or "tables, curves: equal to the undisturbed sweep's")
    return int(bool(problems))


if __name__ == "__main__":
    main()
