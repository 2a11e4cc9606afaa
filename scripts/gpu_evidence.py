"""What this project wants to know of a GPU, by one command: how fast, how packed, and a real sweep's frontier.

    python scripts/gpu_evidence.py                        # one_gpu into results/one_gpu, as long as it takes
    python scripts/gpu_evidence.py --minutes 9            # stops cleanly then; the same command goes on
    python scripts/gpu_evidence.py experiment=one_gpu data=python_installed data.max_epochs=2 tracker=none

In this order: the corpus is fetched where a script does that, the device calibrated, the loop timed against Trainer and
bare loops, a budget's column packed in every way, then the sweep, smallest budgets first, each with its fit and report.
What a stage printed is kept in OUT/evidence/, and a stage that ended well is not run again; OUT/evidence.md has all of
them with their commands, the device and the versions.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.config.compose import compose_config
from harness.errors import UserError
from harness.runs.files import write_atomic, write_json

SCRIPTS = Path(os.path.relpath(Path(__file__).parent))  # documents name no folder of a machine
FETCHED = ("linux", "rfc")
DEFAULT = ("experiment=one_gpu", "tracker=none")
GRACE_SECONDS = 90.0  # to write checkpoints, once the time is over
EXIT_AGAIN = 75

VERSIONS = """
import json, platform, accelerate, torch, transformers
from harness.train.device import choose_device
cuda = torch.cuda.is_available()
print(json.dumps({
    "device": choose_device("auto", "auto").name, "devices": torch.cuda.device_count(),
    "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1) if cuda else None,
    "cuda": torch.version.cuda, "python": platform.python_version(), "torch": torch.__version__,
    "transformers": transformers.__version__, "accelerate": accelerate.__version__,
}))
"""


@dataclass(frozen=True)
class Stage:
    """A command whose output is evidence."""

    name: str
    command: tuple[str, ...]

    def shown(self) -> str:
        """As a user would type it."""
        return shlex.join(["python", *self.command[1:]])


def stages(
    overrides: Sequence[str], out: Path, budgets: Sequence[float], corpus: str, gpu: bool
) -> Iterator[Stage]:
    """The stages in their order; ``budgets`` ascend. What comes behind the calibration reckons with it, if it ended."""
    python, name = sys.executable, out.name
    sweep = [*overrides, f"name={name}", f"runs_dir={out.parent}"]
    if corpus in FETCHED:
        yield Stage("corpus", (python, str(SCRIPTS / "fetch_corpus.py"), corpus))
    yield Stage("calibrate", (python, "-m", "harness", "calibrate", *sweep, f"write={name}"))
    if Path("configs", "throughput", f"{name}.yaml").exists():
        sweep.append(f"throughput={name}")
    for how in ("off", "on", "graphs"):
        bench = str(SCRIPTS / "bench_train.py")
        yield Stage(f"bench-{how}", (python, bench, "--rounds", "3", "--compile", how))
    # two numbers of runs: every way beside every number takes an hour
    packing = (python, str(SCRIPTS / "bench_packing.py"), *sweep, f"grid.budgets=[{budgets[0]:g}]")
    yield Stage("packing", (*packing, "--side-by-side", "1,4") if gpu else packing)
    for count in range(1, len(budgets) + 1):
        grid = f"grid.budgets=[{','.join(f'{budget:g}' for budget in budgets[:count])}]"
        what = "sweep" if count == 1 else "reproduce"  # one budget has no frontier
        yield Stage(f"sweep-{count}", (python, "-m", "harness", what, *sweep, grid))


class Deadline:
    """When the time is over: after some seconds, or at Ctrl-C."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def now(self, *_: object) -> None:
        """It is over; a signal's handler."""
        self._at = min(self._at, time.monotonic())

    def over(self) -> float:
        """Seconds since it passed; negative before."""
        return time.monotonic() - self._at


def run(stage: Stage, kept: Path, deadline: Deadline) -> int | None:
    """Run the stage, showing and keeping what it prints; returns its exit status, None where the time was over."""
    part = kept.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            stage.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        asked = False
        while True:
            ended = process.poll() is not None
            text = (process.stdout.read() or b"").decode("utf-8", "replace")
            file.write(text)
            file.flush()
            print(text, end="", flush=True)
            if ended:
                break
            if deadline.over() > 0 and not asked:
                process.terminate()  # as Ctrl-C to a sweep; SIGINT is ignored by what a shell put into the background
                asked = True
            if deadline.over() > GRACE_SECONDS:
                os.killpg(process.pid, signal.SIGKILL)
            time.sleep(0.5)
    if process.returncode == 0:
        part.rename(kept)
    return None if asked and process.returncode != 0 else process.returncode


def environment(kept: Path) -> dict[str, Any]:
    """Device and versions, looked up once."""
    if not kept.exists():
        done = subprocess.run([sys.executable, "-c", VERSIONS], capture_output=True, text=True, check=True)
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=SCRIPTS, capture_output=True, text=True)
        facts = json.loads(done.stdout.splitlines()[-1])
        date = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(kept, {**facts, "commit": commit.stdout.strip(), "date": date})
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def document(name: str, facts: Mapping[str, Any], ended: Mapping[Stage, str]) -> str:
    """``evidence.md``: the facts, and of every stage that ended well its command and what it printed."""
    parts = [f"# {name}", "\n".join(f"- {key}: {value}" for key, value in facts.items() if value)]
    for stage, text in ended.items():
        is_table = stage.name.startswith(("bench", "packing"))
        parts += [f"## {stage.name}", f"    $ {stage.shown()}", text if is_table else f"```text\n{text}\n```"]
    return "\n\n".join(parts) + "\n"


def main() -> int:
    """Run what has not ended well, until the time is over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=f"default: {' '.join(DEFAULT)}")
    parser.add_argument("--out", type=Path, help="folder of the sweep (default: results/ and its name)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after that many")
    parser.add_argument("--stages", help="only those whose names begin so, comma-separated: bench,packing")
    arguments = parser.parse_args()
    deadline = Deadline(60 * arguments.minutes)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, deadline.now)
    overrides = arguments.overrides or list(DEFAULT)
    try:
        config, _ = compose_config(overrides)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    out = arguments.out or Path("results") / config.name
    evidence = out / "evidence"
    evidence.mkdir(parents=True, exist_ok=True)
    facts = environment(evidence / "environment.json")
    wanted = tuple((arguments.stages or "").split(","))
    status, ended = 0, {}
    for stage in stages(
        overrides, out, sorted(config.grid.budgets), config.data.name, bool(facts["devices"])
    ):
        kept = evidence / f"{stage.name}.txt"
        if stage.name.startswith(wanted) and not kept.exists() and status != EXIT_AGAIN:
            print(f"\n== {stage.name}: {stage.shown()}", flush=True)
            code = run(stage, kept, deadline)
            if code is None:
                print(f"\nthe time is over, in {stage.name}; the same command goes on", flush=True)
                status = EXIT_AGAIN
            elif code != 0:
                print(f"\n{stage.name} failed with status {code}; going on with the next", flush=True)
                status = 1
        if kept.exists():
            ended[stage] = kept.read_text(encoding="utf-8").strip()
    write_atomic(out / "evidence.md", document(out.name, facts, ended))
    print(f"evidence: {out / 'evidence.md'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
