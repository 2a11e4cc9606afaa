"""A job as plain data: what a sweep leaves on disk for a process that it does not start itself."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.plan.cell import Cell
from harness.train.config import TrackerConfig, TrainConfig
from harness.train.job import Job


def pack(job: Job) -> dict[str, Any]:
    """The job as JSON holds it."""
    return {
        "cell": job.cell.to_json(),
        "corpus": str(Path(job.corpus).resolve()),
        "sweep": str(job.sweep),
        "sweep_name": job.sweep_name,
        "train": asdict(job.train),
        "tracker": asdict(job.tracker),
        "domains": {name: str(folder.resolve()) for name, folder in job.domains.items()},
        "forks": [cell.to_json() for cell in job.forks],
    }


def unpack(data: dict[str, Any]) -> Job:
    """Inverse of :func:`pack`."""
    return Job(
        cell=Cell.from_json(data["cell"]),
        corpus=Path(data["corpus"]),
        sweep=Path(data["sweep"]),
        sweep_name=data["sweep_name"],
        train=TrainConfig(**data["train"]),
        tracker=TrackerConfig(**data["tracker"]),
        domains={name: Path(folder) for name, folder in data.get("domains", {}).items()},
        forks=tuple(Cell.from_json(cell) for cell in data.get("forks", [])),
    )
