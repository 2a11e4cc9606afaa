"""What a submission keeps of the command that made it, for the dependent job that continues."""

from dataclasses import replace
from pathlib import Path

from harness.config.frozen import load_config
from harness.config.schema import Config
from harness.data import prepared
from harness.launch.ledger import read_task


def submitted_config(folder: Path) -> tuple[Config, str]:
    """The configuration that the submission in ``folder`` came from, and its YAML.

    The corpus is the tokenised one that its cells train on: a compute node may lack the text, or have another one.
    """
    yaml = (folder / "config.yaml").read_text(encoding="utf-8")
    config = load_config(yaml)
    if not (folder / "tasks").is_dir():  # a job without cells of its own
        return config, yaml
    job = read_task(folder, 0)[0][0]
    return replace(config, data=prepared(config.data, job.corpus, job.domains)), yaml
