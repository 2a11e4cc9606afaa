"""``python -m harness.commands.array_task SUBMISSION INDEX``: what Slurm starts for a task of a job array."""

import sys
from pathlib import Path

from rich.console import Console

from harness import interrupts
from harness.errors import EXIT_REQUEUE, EXIT_USER_ERROR, UserError
from harness.launch.slurm.task import run_task
from harness.workflow.training import mend_corpora


def main(folder: Path, index: int) -> int:
    """Train the cells of array task ``index``, on a corpus that is as it was written; returns the exit status."""
    try:
        mend_corpora(folder, index, Console(file=sys.stdout, width=160, markup=False))
        return run_task(folder, index)
    except UserError as error:
        print(f"isoflop: {error}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:  # before any cell was begun
        print("isoflop: stopped before anything was trained", file=sys.stderr)
        return EXIT_REQUEUE


if __name__ == "__main__":
    interrupts.install()
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
