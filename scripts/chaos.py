"""Chaos: a sweep that is killed at random until it is finished, and the proof that nothing came of it.

First the sweep runs undisturbed. Then, in another folder, two sweeps share the work while at random moments a
worker, a sweep or everything is killed (SIGKILL) or stopped (SIGTERM), and the newest checkpoint of a random
cell is damaged; whoever dies is started again. When all cells have a record, both tables of runs must be the
same but for times, and every curve the same byte for byte. Prints the number of kills survived; the exit
status is 0 only if all of that holds.

    python scripts/chaos.py [--kills 30] [--seed 0] [--cells 12] [--folder DIR]
"""

import argparse
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "harness"
TIMES = ("seconds", "tokens_per_second", "mfu")
PATIENCE_SECONDS = 3600.0


@dataclass
class Chaos:
    """One disturbed sweep, and what was done to it."""

    arguments: list[str]
    folder: Path
    random: random.Random
    sweeps: list[subprocess.Popen] = field(default_factory=list)
    done: Counter = field(default_factory=Counter)
    starts: int = 0

    def keep_running(self, count: int) -> None:
        """Start sweeps anew until ``count`` of them run."""
        self.sweeps = [sweep for sweep in self.sweeps if sweep.poll() is None]
        while len(self.sweeps) < count:
            log = (self.folder / f"sweep-{self.starts}.log").open("w")
            self.sweeps.append(start(self.arguments, log.fileno()))
            log.close()
            self.starts += 1

    def workers(self) -> list[int]:
        """Processes that train for any of the sweeps."""
        return [pid for sweep in self.sweeps for pid in children(sweep.pid)]

    def strike(self) -> None:
        """One random blow."""
        blow = self.random.choices(
            [
                "worker killed",
                "worker stopped",
                "sweep killed",
                "sweep stopped",
                "all killed",
                "checkpoint damaged",
            ],
            weights=[6, 2, 3, 2, 1, 4],
        )[0]
        if self.hit(blow):
            self.done[blow] += 1

    def hit(self, blow: str) -> bool:
        """Deal it; False where there was nothing to hit."""
        number = signal.SIGTERM if blow.endswith("stopped") else signal.SIGKILL
        if blow == "checkpoint damaged":
            return damage(self.folder, self.random)
        if blow == "all killed":
            for sweep in self.sweeps:
                os.killpg(sweep.pid, signal.SIGKILL)
            return True
        victims = self.workers() if blow.startswith("worker") else [sweep.pid for sweep in self.sweeps]
        if not victims:
            return False
        try:
            os.kill(self.random.choice(victims), number)
        except ProcessLookupError:
            return False
        return True

    def struck(self) -> int:
        """Blows that ended a process."""
        return sum(number for blow, number in self.done.items() if blow != "checkpoint damaged")


def start(arguments: list[str], output: int) -> subprocess.Popen:
    """A sweep in a process group of its own."""
    command = [sys.executable, "-m", "harness", "sweep", *arguments]
    return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def children(pid: int) -> list[int]:
    """The workers of a sweep, by the kernel's own list."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (OSError, ValueError, IndexError):  # it ended while we looked
            continue
    return found


def damage(folder: Path, chance: random.Random) -> bool:
    """Truncate, flip or empty the newest checkpoint of a random cell."""
    cells = sorted(folder.glob("runs/chaos/cells/*/checkpoint"))
    chance.shuffle(cells)
    for cell in cells:
        for newest in sorted(cell.glob("[0-9]*"), reverse=True)[:1]:
            tensors = newest / "tensors.safetensors"
            try:
                blob = bytearray(tensors.read_bytes())
                how = chance.choice(["truncate", "flip", "empty"])
                if how == "flip" and blob:
                    blob[chance.randrange(len(blob))] ^= 0xFF
                tensors.write_bytes(
                    blob if how == "flip" else blob[: len(blob) // 2] if how == "truncate" else b""
                )
            except OSError:  # the run went on and removed it
                continue
            return True
    return False


def table(folder: Path) -> list[dict[str, str]]:
    """``runs.csv`` without times."""
    with (folder / "runs/chaos/runs.csv").open() as file:
        return [
            {key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)
        ]


def curves(folder: Path) -> dict[str, bytes]:
    """Every curve."""
    return {
        path.parent.name: path.read_bytes() for path in sorted(folder.glob("runs/chaos/cells/*/curve.csv"))
    }


def overrides(folder: Path, cells: int) -> list[str]:
    """A grid of about ``cells`` small cells on a copy of this project's source."""
    return [
        "experiment=demo", "name=chaos", "data=text", f"path={folder.parent}/text", "tracker=none", "seq_len=32",
        "grid.budgets=[1e9,2e9]", f"grid.sizes={max(1, cells // 2)}", "grid.span=6", "grid.center_params=12000",
        "grid.center_budget=2e9", "grid.center_exponent=0", "recipe.batch_tokens.value=64", "recipe.min_steps=20",
        "data.eval_tokens=2048", "data.max_epochs=100", "train.device=cpu", "train.checkpoint_seconds=0.1",
        "launcher.workers=2", "launcher.attempts=1000000",
        f"runs_dir={folder}/runs", f"cache_dir={folder.parent}/cache",
    ]  # fmt: skip


def disturbed(folder: Path, cells: int, kills: int, seed: int) -> Chaos:
    """Sweep ``folder`` under blows until every cell has its record."""
    folder.mkdir(parents=True)
    chaos = Chaos(overrides(folder, cells), folder, random.Random(seed))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and (chaos.struck() < kills and not finished(folder)):
        chaos.keep_running(2)
        if chaos.random.random() < 0.8:  # mostly while cells train; at times in the middle of a start
            wait_for_a_claim(chaos)
        time.sleep(chaos.random.expovariate(1 / 1.5))
        chaos.strike()
        print(f"{chaos.struck()} kills", end="\r", file=sys.stderr)
    while time.monotonic() < deadline:
        chaos.keep_running(1)  # and now let it come to its end
        if chaos.sweeps[0].wait() == 0:
            return chaos
    raise SystemExit("chaos: not finished in time")


def finished(folder: Path) -> bool:
    """Whether every cell of the plan has its record."""
    try:
        plan = json.loads((folder / "runs/chaos/plan.json").read_text())
    except (OSError, ValueError):
        return False
    return all(
        (folder / "runs/chaos/cells" / cell["run_id"] / "record.json").exists() for cell in plan["cells"]
    )


def wait_for_a_claim(chaos: Chaos) -> None:
    """Until a cell is claimed and trains, or 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not list(chaos.folder.glob("runs/chaos/cells/*/claim*.json")):
        chaos.keep_running(2)
        time.sleep(0.05)


def main() -> None:
    """Undisturbed, disturbed, compared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=30, help="stop killing after so many")
    parser.add_argument("--cells", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; kept. A temporary folder otherwise")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory(prefix="isoflop-chaos-") as temporary:
        folder = options.folder or Path(temporary)
        print("undisturbed …", file=sys.stderr)
        shutil.copytree(
            PACKAGE, folder / "text", ignore=lambda *_: ["__pycache__"]
        )  # someone may be working on it
        calm = folder / "undisturbed"
        calm.mkdir(parents=True)
        with (calm / "sweep.log").open("w") as log:
            if start(overrides(calm, options.cells), log.fileno()).wait():
                raise SystemExit(f"chaos: the undisturbed sweep failed:\n{(calm / 'sweep.log').read_text()}")
        began = time.monotonic()
        chaos = disturbed(folder / "disturbed", options.cells, options.kills, options.seed)
        for sweep in chaos.sweeps:
            sweep.wait()
        subprocess.run(
            [sys.executable, "-m", "harness", "sweep", *chaos.arguments], check=True, capture_output=True
        )
        problems = compare(calm, chaos.folder)
        blows = ", ".join(f"{number} x {blow}" for blow, number in sorted(chaos.done.items()))
        print(
            f"\n{len(table(chaos.folder))} cells, {chaos.struck()} kills survived ({blows}); {chaos.starts} sweeps "
            f"started, {time.monotonic() - began:.0f} s"
        )
        print("\n".join(problems) or "table, curves: equal to the undisturbed sweep's")
        sys.exit(bool(problems))


def compare(calm: Path, wild: Path) -> list[str]:
    """What differs."""
    problems = []
    if table(calm) != table(wild):
        problems.append("DIFFERENT: runs.csv")
    problems += [
        f"DIFFERENT: curve of {run}" for run, rows in curves(calm).items() if curves(wild).get(run) != rows
    ]
    return problems


if __name__ == "__main__":
    main()
