"""What runs when a job array has ended: ``python -m harness.commands.array_report SUBMISSION`` fits and reports."""

import sys
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from harness.commands import fit, report, status
from harness.commands.experiment import frozen_plan
from harness.config.schema import Config
from harness.errors import UserError
from harness.runs.folder import SweepFolder
from harness.runs.record import FAILED
from harness.runs.table import records

EXIT_INCOMPLETE = 1


def main(folder: Path) -> int:
    """Say what is missing, fit and report what there is; returns 0 where all is there."""
    console = Console(file=sys.stdout, width=160)
    yaml = (folder / "config.yaml").read_text(encoding="utf-8")
    config = load_config(yaml)
    sweep = SweepFolder(folder.parents[1])
    plan = frozen_plan(sweep)
    found = records(sweep, plan)
    missing = [cell for cell in plan.cells if cell.run_id not in found or found[cell.run_id].status == FAILED]
    if missing:
        status.run(config, yaml, console)
        console.print(
            f"{len(missing)} of {len(plan.cells)} cells are missing ({', '.join(cell.run_id for cell in missing[:8])}"
            f"{' …' if len(missing) > 8 else ''}); 'isoflop sweep' submits them again",
            highlight=False,
            soft_wrap=True,
        )
    try:
        fit.run(config, yaml, console)
        report.run(config, yaml, console)
    except UserError as error:
        console.print(f"isoflop: {error}", highlight=False, soft_wrap=True)
        return EXIT_INCOMPLETE
    return EXIT_INCOMPLETE if missing else 0


def load_config(yaml: str) -> Config:
    """A configuration as it was frozen."""
    merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(yaml))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, Config)
    return config


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
