"""``python -m harness.commands.array_task SUBMISSION INDEX``: what Slurm starts for a task of a job array."""

import sys
from pathlib import Path

from harness.errors import UserError
from harness.launch.slurm.task import run_task

if __name__ == "__main__":
    try:
        sys.exit(run_task(Path(sys.argv[1]), int(sys.argv[2])))
    except UserError as error:
        sys.exit(f"isoflop: {error}")
