"""How near the time model comes to runs that were timed: estimated over measured seconds of training.

    python scripts/check_times.py results/demo=2 results/idle_core=1           # runs at once, for each sweep's folder
    python scripts/check_times.py results/one_gpu=4 --throughput mine

Runs on a device of several modes count as executed in the mode that their record notes.
"""

import argparse
import json
from pathlib import Path
from statistics import median

from harness.config.compose import compose_config
from harness.plan.duration import Timing
from harness.plan.spec import RunSpec
from harness.plan.throughput import ThroughputConfig

NEAR = 1.25
NOTES = {"compiled with CUDA graphs": "graphs", "compiled": "compiled"}


def ratios(folder: Path, throughput: ThroughputConfig, runs: int) -> list[float]:
    """For each record below ``folder``, the estimated seconds of its training over the measured."""
    timing, found = Timing(throughput, runs), []
    for path in sorted(folder.glob("cells/*/record.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        mode = next((NOTES[note] for note in record["notes"] if note in NOTES), "eager")
        found.append(timing.run(RunSpec.from_json(record["spec"]), mode).training / record["seconds"])
    return found


def main() -> None:
    """Print one line a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", metavar="FOLDER=RUNS_AT_ONCE")
    parser.add_argument("--throughput", default="cpu")
    arguments = parser.parse_args()
    throughput = compose_config([f"throughput={arguments.throughput}"])[0].throughput
    print(
        f"| runs | number | within a factor of {NEAR} | median | smallest | largest |\n|---|---|---|---|---|---|"
    )
    for argument in arguments.folders:
        name, _, runs = argument.partition("=")
        found = ratios(Path(name), throughput, int(runs or 1))
        if not found:
            parser.error(f"{name}: no records there")
        near = sum(1 / NEAR < ratio < NEAR for ratio in found) / len(found)
        print(
            f"| {name} | {len(found)} | {near:.0%} | {median(found):.2f} | {min(found):.2f} | {max(found):.2f} |"
        )


if __name__ == "__main__":
    main()
