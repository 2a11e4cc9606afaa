"""``isoflop reproduce``: plan, sweep, fit and report, each doing only what is missing."""

from rich.console import Console

from harness.commands import fit, report, sweep
from harness.config.schema import Config


def run(config: Config, yaml: str, console: Console) -> None:
    """All stages in their order."""
    sweep.run(config, yaml, console)
    fit.run(config, yaml, console)
    report.run(config, yaml, console)
