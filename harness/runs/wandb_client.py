"""How this project opens a W&B run: bounded in time, one id for all attempts, nothing asked of a terminal."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WANDB = "wandb"
INIT_SECONDS = 10.0
FINISH_SECONDS = 15.0


@dataclass(frozen=True)
class Destination:
    """Where runs go: ``mode`` is ``online`` or ``offline``, ``url`` a server of one's own."""

    project: str
    entity: str | None
    mode: str
    url: str = ""

    @property
    def path(self) -> str:
        """The project as ``wandb.Api`` names it."""
        return f"{self.entity}/{self.project}" if self.entity else self.project


def wandb_mode(mode: str) -> str:
    """``auto`` resolved: what WANDB_MODE says, else online where there is a key, else offline."""
    if mode != "auto":
        return mode
    return os.environ.get("WANDB_MODE") or ("online" if has_key() else "offline")


def has_key() -> bool:
    """Whether there is a key: WANDB_API_KEY, or what ``wandb login`` left."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    import wandb

    return bool(wandb.api.api_key)


def init_options(
    folder: Path, to: Destination, run_id: str, name: str, group: str, job_type: str = "train"
) -> dict[str, Any]:
    """Arguments of ``wandb.init`` for a run that keeps its files below ``folder``.

    A server that does not answer costs :data:`INIT_SECONDS` at the start and :data:`FINISH_SECONDS` at the end
    (TimeoutError); while a run lasts, the client holds back what it cannot send, on disk.
    """
    import wandb

    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    # the client's reports about itself: a server that hangs would hold up the end of the process for them
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    return {
        "id": run_id,
        "name": name,
        "group": group,
        "job_type": job_type,
        "entity": to.entity,
        "mode": to.mode,
        "dir": str(folder),
        "resume": "allow",
        "reinit": "finish_previous",
        "settings": wandb.Settings(
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
            console="off",  # a cell's log is cells/<run_id>/log.txt
        ),
    }


def discard_older(run: Any) -> None:
    """Remove the offline folders of earlier attempts at ``run``, which has ended and is whole by itself.

    W&B starts a new folder at every offline start. The last one has all steps, so that neither ``wandb sync`` nor
    a reader has to piece attempts together.
    """
    if not run.offline:
        return
    kept = Path(run.dir).parent
    for folder in kept.parent.glob(f"offline-run-*-{run.id}"):
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
